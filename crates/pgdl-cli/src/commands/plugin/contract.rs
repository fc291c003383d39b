//! `pgdl __contract`: a process that checks one measure's promises for `pgdl plugin check`, which survives what that does.

use pgdl_measure::contract;
use pgdl_measure::{MeasureError, Registry};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// The hidden command's name.
pub const COMMAND: &str = "__contract";

/// A promise that is not kept, as the process tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenPromise {
    /// [`pgdl_measure::contract::Promise::describe`].
    pub promise: String,
    /// The measure with its parameters.
    pub measure: String,
    /// What is wrong.
    pub what: String,
}

/// Prints the ids of all measures as a JSON list, or the broken promises of one.
pub fn run(id: Option<&str>, registry: &Registry, terminal: &Terminal) -> Outcome {
    let json = match id {
        None => serde_json::to_string(&registry.infos().map(|info| info.id).collect::<Vec<_>>()),
        Some(id) => serde_json::to_string(&broken(registry, id)?),
    };
    let json = json.map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    terminal.data(&format!("{json}\n"))?;
    Ok(Exit::Ok)
}

fn broken(registry: &Registry, id: &str) -> Result<Vec<BrokenPromise>, MeasureError> {
    let violations = contract::check_one(registry, id)?;
    Ok(violations
        .into_iter()
        .map(|violation| BrokenPromise {
            promise: violation.promise.describe().to_owned(),
            measure: violation.measure,
            what: violation.what,
        })
        .collect())
}
