//! The `pgdl` program: the command line with the built-in measures.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgdl_cli::main(pgdl_measures::register)
}
