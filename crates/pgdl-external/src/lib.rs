//! Programs as measures.
//!
//! Any program that speaks a small protocol ([`protocol`], docs/executables.md) is a [`Measure`](pgdl_measure::Measure)
//! like any other: registered in the same [`Registry`](pgdl_measure::Registry), evaluated by the same workers, kept in
//! the same records. A *submission*, a folder with a `complexity.py` as the competition of 2020 took it, becomes such a
//! program through a runner written in Python; a plugin, compiled into a host, through [`serve()`].
//!
//! ```text
//! Program::executable(path) ┐
//! Submission::program()     ┤
//! Plugin::program()         ┴─ register ─ Measure::evaluate(probe)
//!                                            ├─ writes the network and its training sample into a folder of its own
//!                                            ├─ starts the program, in a sandbox if so wished, and keeps its clock
//!                                            └─ reads its answer
//! ```
//! A program never sees the zoo's own folder: only what is written out for it. So there is nothing in its sight that
//! tells the true gaps. The [`sandbox`] makes sure that it cannot look elsewhere either.

mod answer;
mod digest;
mod error;
mod launch;
mod measure;
mod plugin;
mod program;
pub mod protocol;
pub mod sandbox;
mod serve;
mod staging;
mod submission;
mod words;

pub use error::{ExternalError, Result};
pub use measure::register;
pub use plugin::{Plugin, SERVE_ARGUMENT};
pub use program::Program;
pub use sandbox::{Confined, Policy, SANDBOX_ARGUMENT, Workshop};
pub use serve::serve;
pub use submission::{COMPLEXITY, Submission, measure_id};
