//! Whole runs: this program is test, parent and worker in one. A test starts runs in its own process or in copies of
//! it; the workers are copies of it as well.

mod disturbed;
mod measures;
mod outcomes;
mod program;
mod shared_folder;
mod storage;
mod tiny_zoo;
mod validity;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(pgdl_run::WORKER_ARGUMENT) => return pgdl_run::worker_main(&measures::registry()),
        Some(program::PARENT_ARGUMENT) => {
            return program::parent_main(arguments.get(2).map_or("", String::as_str));
        }
        _ => {}
    }
    let tests =
        [outcomes::TESTS, disturbed::TESTS, shared_folder::TESTS, storage::TESTS, validity::TESTS].concat();
    let trial = |&(name, test): &Test| {
        Trial::test(name, move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.iter().map(trial).collect()).exit_code()
}

/// A test and its name.
type Test = (&'static str, fn());

/// Names tests by their functions.
#[macro_export]
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        pub const TESTS: &[$crate::Test] = &[$((stringify!($test), $test)),+];
    };
}
