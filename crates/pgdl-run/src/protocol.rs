//! What parent and worker say to each other: one JSON value a line, a request and its answer in turn.
//!
//! The parent leads: it sends one request, waits for one answer, and so always knows what the worker is at, how long
//! it has been at it, and what to write down should it die.

use std::path::PathBuf;
use std::time::Duration;

use pgdl_measure::{Detail, LayerDetail, Passes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::record::Status;

/// The hidden first argument that turns a program into a worker.
pub const WORKER_ARGUMENT: &str = "__worker";

/// What the parent asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Open the zoo and put its data on the device. The first request, and made once.
    Prepare(Preparation),
    /// Take up a network, in place of the one before.
    Load {
        /// Its id.
        network: u64,
    },
    /// Evaluate a measure on the network in hand.
    Evaluate {
        /// The measure.
        spec: String,
        /// Seconds after which it had better give up.
        limit: Option<f64>,
    },
}

/// Everything that holds for all of a worker's evaluations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Preparation {
    pub zoo: PathBuf,
    pub device: String,
    pub dtype: Dtype,
    pub sample: u64,
    pub seed: u64,
    pub batch_size: u64,
    pub threads: u64,
    /// Bytes of data memory; see `setrlimit(2)`, `RLIMIT_DATA`.
    pub memory_limit: Option<u64>,
    pub initial_weights: bool,
    pub test_inputs: bool,
    pub true_gaps: bool,
}

/// The floating-point type of weights and inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// Single precision, as networks are stored.
    #[default]
    Float32,
    /// Double precision.
    Float64,
}

impl Dtype {
    /// The word that stands in a record.
    pub fn as_str(self) -> &'static str {
        match self {
            Dtype::Float32 => "float32",
            Dtype::Float64 => "float64",
        }
    }

    /// The kind of its tensors.
    pub fn kind(self) -> tch::Kind {
        match self {
            Dtype::Float32 => tch::Kind::Float,
            Dtype::Float64 => tch::Kind::Double,
        }
    }
}

/// What the worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Ready to work.
    Ready(Ready),
    /// Cannot get ready.
    Refused(Refusal),
    /// The network is in hand.
    Loaded,
    /// The network cannot be loaded.
    NotLoaded {
        /// Why.
        message: String,
    },
    /// What came of a measure.
    Evaluated(Outcome),
}

/// What a worker says of itself when it is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The device, as `cpu` or `cuda:0`.
    pub device: String,
    /// Why this one.
    pub reason: String,
    /// What the user should know about it.
    pub warning: Option<String>,
    pub libtorch_version: String,
}

/// Why a worker cannot get ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub what: Refused,
    pub message: String,
    pub hint: Option<String>,
}

/// What a worker stumbled over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refused {
    Device,
    /// The zoo or its data.
    Zoo,
    Other,
}

/// What came of a measure: the part of a record that the worker knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub status: Status,
    pub value: Option<f64>,
    pub standard_error: Option<f64>,
    pub message: Option<String>,
    pub layers: Vec<LayerDetail>,
    pub details: BTreeMap<String, Detail>,
    pub passes: Passes,
    pub seconds: f64,
    pub peak_memory_bytes: Option<u64>,
}

impl Outcome {
    /// An outcome without a value.
    pub(crate) fn without_value(status: Status, message: impl Into<String>) -> Outcome {
        Outcome {
            status,
            value: None,
            standard_error: None,
            message: Some(message.into()),
            layers: Vec::new(),
            details: BTreeMap::new(),
            passes: Passes::default(),
            seconds: 0.0,
            peak_memory_bytes: None,
        }
    }
}

/// A duration in seconds for people: `300`, `1.5`.
pub(crate) fn seconds(duration: Duration) -> String {
    let milliseconds = duration.as_millis() as f64;
    (milliseconds / 1000.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        let outcome = Outcome {
            value: Some(f64::MIN_POSITIVE),
            details: BTreeMap::from([("kept".to_owned(), Detail::Number(0.1 + 0.2))]),
            ..Outcome::without_value(Status::Ok, "line one\nline two")
        };
        for answer in [Answer::Loaded, Answer::Evaluated(outcome)] {
            let line = serde_json::to_string(&answer).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Answer>(&line).unwrap(), answer);
        }
        let request = Request::Evaluate { spec: "margin:p=5".into(), limit: Some(0.3) };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }

    #[test]
    fn seconds_carry_no_needless_digits() {
        assert_eq!(seconds(Duration::from_secs(300)), "300");
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5");
        assert_eq!(seconds(Duration::from_secs(28_800)), "28800");
    }
}
