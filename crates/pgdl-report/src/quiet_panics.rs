//! Panics of a library on damaged input, caught without a word on standard error.

use std::cell::Cell;
use std::panic::{UnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; `None` if it panicked. What other threads have to say of their panics is still said.
pub(crate) fn caught<T>(work: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A thread that is ending has no such value any more.
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(work);
    QUIET.set(false);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    #[ignore = "run by the test below, in a process of its own"]
    fn one_panic_is_caught_and_one_is_not() {
        assert_eq!(caught(|| 7), Some(7));
        assert_eq!(caught(|| -> u8 { panic!("a damaged page") }), None);
        panic!("a real fault");
    }

    #[test]
    fn only_panics_that_are_not_caught_are_told() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "quiet_panics::tests::one_panic_is_caught_and_one_is_not",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .output()
            .unwrap();
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("a real fault") && !told.contains("a damaged page"), "{told}");
    }
}
