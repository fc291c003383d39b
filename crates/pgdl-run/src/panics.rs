//! Panics of measures, turned into messages.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

static LAST_PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Notes from now on where panics happen, before it does what was done about them so far.
pub(crate) fn note_places() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|location| format!("{}:{}", location.file(), location.line()));
        *LAST_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        before(info);
    }));
}

/// Runs `work`; a panic becomes an error that says what and where.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // What a panic left half-done stays behind in `work`'s captures; the callers either drop those or use types
    // whose state is whole between calls.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let place = LAST_PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        format!("panicked{place}: {}", text(payload.as_ref()))
    })
}

fn text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_what_and_where() {
        note_places();
        assert_eq!(caught(|| 7), Ok(7));
        let message = caught(|| -> u32 { panic!("no such luck: {}", 3) }).unwrap_err();
        assert!(message.starts_with("panicked at ") && message.contains("panics.rs:"), "{message}");
        assert!(message.ends_with("no such luck: 3"), "{message}");
    }
}
