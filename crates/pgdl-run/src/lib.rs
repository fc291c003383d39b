//! Plans, workers and records: measures evaluated on the networks of a zoo.
//!
//! ```text
//! zoo ─ Plan: networks × measures, minus what valid records hold ─ execute ─ records.jsonl ─ answers
//!                                                                     │
//!                       worker processes: one network in memory, all its measures on one probe
//! ```
//! The parent keeps the clock and the records; the workers compute. A worker that fails, crashes or takes too long costs
//! one record its value and the run nothing. Records are appended as they are made, so that a run that ends at any
//! moment goes on where it stopped.
//!
//! A program that evaluates needs two calls: [`worker_main`] when its first argument is [`WORKER_ARGUMENT`], and
//! [`execute`] otherwise.

mod budget;
mod compressed;
mod costs;
mod error;
mod execute;
mod folder;
mod interrupt;
mod journal;
mod libtorch;
mod machine;
mod memory;
mod merge;
mod panics;
mod plan;
mod process;
mod progress;
mod protocol;
mod record;
mod shard;
mod slot;
pub mod slurm;
mod stdio;
mod utc;
mod worker;

pub use budget::{Budget, BudgetUnit};
pub use compressed::{to_compressed, write_compressed};
pub use costs::{
    COST_SCHEMA, CostOptions, CostReport, CostSubject, MeasureCost, NetworkCosts, TotalCost, costs, zoo_costs,
};
pub use error::{Result, RunError};
pub use execute::{End, ExecuteOptions, Summary, execute};
pub use folder::{Claim, RECORDS_FILE, RUNS_DIR_VARIABLE, RunContext, RunFolder, runs_dir};
pub use interrupt::Interrupt;
pub use journal::{Contents, DamagedLine, Journal, read_records};
pub use libtorch::libtorch_version;
pub use machine::processor_name;
pub use merge::{Merged, merge};
pub use pgdl_measure::{Detail, LayerDetail, Passes};
pub use plan::{Plan, PlanOptions, Question, Reuse, Subject, ZooIdentity};
pub use process::WorkerCommand;
pub use progress::{Event, Progress, Standing, Unwatched};
pub use protocol::{Dtype, WORKER_ARGUMENT};
pub use record::{CANNOT_LOAD, Key, LineError, Record, SCHEMA, Status};
pub use shard::Shard;
pub use utc::now as utc_now;
pub use worker::worker_main;
