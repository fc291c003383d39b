//! The record: one evaluated (network, measure), as it stands in one line of `records.jsonl`.

use std::collections::BTreeMap;
use std::fmt;

use pgdl_measure::{Detail, LayerDetail, Passes};
use serde::{Deserialize, Serialize};

/// The format of the records this build writes. It rises when a field is added or changes its meaning.
pub const SCHEMA: u32 = 1;

/// How an evaluation ended. Only [`Status::Ok`] comes with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The measure has a finite value.
    Ok,
    /// The formula has no value on this network; the message says why.
    Undefined,
    /// Something the measure needs does not exist (initial weights, test inputs, …).
    Unavailable,
    /// The measure returned an error or panicked.
    Failed,
    /// The budget was used up before the measure ended.
    Timeout,
    /// The worker process, or the program that is the measure, died while it evaluated.
    Crashed,
}

impl Status {
    /// All statuses, in the order in which summaries list them.
    pub const ALL: [Status; 6] = [
        Status::Ok,
        Status::Undefined,
        Status::Unavailable,
        Status::Failed,
        Status::Timeout,
        Status::Crashed,
    ];

    /// The word that stands in a record.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Undefined => "undefined",
            Status::Unavailable => "unavailable",
            Status::Failed => "failed",
            Status::Timeout => "timeout",
            Status::Crashed => "crashed",
        }
    }

    /// Whether the record carries a value.
    pub fn is_ok(self) -> bool {
        self == Status::Ok
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One evaluated (network, measure): value, status, cost and provenance.
///
/// The fields come in three kinds: what was asked (`network` … `threads`), what came out (`status` … `passes`), and
/// what it cost this time (`seconds`, `peak_memory_bytes`, `utc`). With the same seed, device and thread count all but
/// the last kind come out the same in every run: see [`Record::essence`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format of this record; see [`SCHEMA`].
    pub schema: u32,
    /// The zoo's name.
    pub zoo: String,
    /// SHA-256 of the zoo, hexadecimal.
    pub zoo_digest: String,
    /// The network's id in the zoo.
    pub network: u64,
    /// The measure's id, without parameters.
    pub measure: String,
    /// The measure's version.
    pub version: u32,
    /// The parameters that differ from their defaults, in canonical form (`draws=400,p=5`); empty if none does.
    pub parameters: String,
    /// The seed of the run. The measure's own seed is made from it, the measure's id and the network's id.
    pub seed: u64,
    /// The device the evaluation ran on: `cpu`, `cuda:0`, ….
    pub device: String,
    /// The floating-point type of weights and inputs: `float32` or `float64`.
    pub dtype: String,
    /// The number of training samples used.
    pub sample: u64,
    /// The batch size of full-sample passes.
    pub batch_size: u64,
    /// The number of threads within the worker.
    pub threads: u64,
    /// SHA-256 over the network's files (configuration and weights), hexadecimal.
    pub weights_digest: String,
    /// SHA-256 over the zoo's data, hexadecimal.
    pub data_digest: String,
    /// The version of this program.
    pub pgdl_version: String,
    /// The version of libtorch.
    pub libtorch_version: String,
    /// How the evaluation ended.
    pub status: Status,
    /// The value: finite, and there exactly when the status is `ok`.
    pub value: Option<f64>,
    /// Monte-Carlo standard error of the value, where the measure has one.
    pub standard_error: Option<f64>,
    /// Why there is no value; or a remark on it.
    pub message: Option<String>,
    /// What single layers contribute, where the measure is made of layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerDetail>,
    /// Further facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Detail>,
    /// Passes used, those of shared quantities included.
    pub passes: Passes,
    /// Seconds the evaluation took, those of shared quantities included.
    pub seconds: f64,
    /// The worker's largest resident set during the evaluation, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
    /// When the evaluation ended: RFC 3339, in UTC.
    pub utc: String,
}

/// How the message of a record begins whose network could not be loaded.
pub const CANNOT_LOAD: &str = "the network cannot be loaded";

/// What must agree for one record to stand for another: never a path, never a time.
///
/// The network's id belongs to it because a measure's seed depends on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The network's id in its zoo.
    pub network: u64,
    /// The measure's id.
    pub measure: String,
    /// The measure's version.
    pub version: u32,
    /// The measure's canonical parameters.
    pub parameters: String,
    /// Digest of the network's files.
    pub weights_digest: String,
    /// Digest of the zoo's data.
    pub data_digest: String,
    /// Number of training samples.
    pub sample: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Floating-point type.
    pub dtype: String,
}

/// Why a line is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The line was written by a later version of this program.
    #[error("schema {found} is newer than {SCHEMA}, the newest this version of pgdl reads")]
    NewerSchema {
        /// The schema that the line names.
        found: u32,
    },
    /// The line is no JSON object with a record's fields.
    #[error("not a record: {0}")]
    Malformed(String),
    /// The fields contradict each other.
    #[error("contradicts itself: {0}")]
    Inconsistent(&'static str),
}

impl Record {
    /// What must agree for this record to stand for another.
    pub fn key(&self) -> Key {
        Key {
            network: self.network,
            measure: self.measure.clone(),
            version: self.version,
            parameters: self.parameters.clone(),
            weights_digest: self.weights_digest.clone(),
            data_digest: self.data_digest.clone(),
            sample: self.sample,
            seed: self.seed,
            dtype: self.dtype.clone(),
        }
    }

    /// The measure as a user writes it: `margin`, or `margin:p=5`.
    pub fn spec(&self) -> String {
        if self.parameters.is_empty() {
            self.measure.clone()
        } else {
            format!("{}:{}", self.measure, self.parameters)
        }
    }

    /// The record without what differs from run to run: seconds, peak memory and time of day.
    pub fn essence(&self) -> Record {
        Record { seconds: 0.0, peak_memory_bytes: None, utc: String::new(), ..self.clone() }
    }

    /// The record as one line of JSON, with its newline.
    ///
    /// # Errors
    /// [`LineError::Inconsistent`] if the record breaks the rule that exactly an `ok` record has a value, and a finite
    /// one: what could not be read again is not written.
    pub fn to_line(&self) -> Result<String, LineError> {
        self.check()?;
        let mut line =
            serde_json::to_string(self).map_err(|error| LineError::Malformed(error.to_string()))?;
        line.push('\n');
        Ok(line)
    }

    /// Reads a record from one line of JSON.
    ///
    /// # Errors
    /// Each case of [`LineError`].
    pub fn from_line(line: &str) -> Result<Record, LineError> {
        #[derive(Deserialize)]
        struct Envelope {
            schema: u32,
        }
        let malformed = |error: serde_json::Error| LineError::Malformed(error.to_string());
        let envelope: Envelope = serde_json::from_str(line).map_err(malformed)?;
        if envelope.schema > SCHEMA {
            return Err(LineError::NewerSchema { found: envelope.schema });
        }
        let record: Record = serde_json::from_str(line).map_err(malformed)?;
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<(), LineError> {
        let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
        if self.status.is_ok() != self.value.is_some() {
            return Err(LineError::Inconsistent("a value goes with status ok, and only with it"));
        }
        if !finite(self.value) || !finite(self.standard_error) || !self.seconds.is_finite() {
            return Err(LineError::Inconsistent("numbers are finite"));
        }
        if !self.layers.iter().all(|layer| layer.value.is_finite()) {
            return Err(LineError::Inconsistent("the values of layers are finite"));
        }
        if self.details.values().any(|detail| matches!(detail, Detail::Number(value) if !value.is_finite())) {
            return Err(LineError::Inconsistent("details are finite"));
        }
        let Passes { forward, backward, hvp } = self.passes;
        if ![forward, backward, hvp].iter().all(|passes| passes.is_finite()) {
            return Err(LineError::Inconsistent("passes are finite"));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample_record(network: u64, measure: &str, status: Status) -> Record {
        Record {
            schema: SCHEMA,
            zoo: "tiny".into(),
            zoo_digest: "z".repeat(64),
            network,
            measure: measure.into(),
            version: 1,
            parameters: String::new(),
            seed: u64::MAX,
            device: "cpu".into(),
            dtype: "float32".into(),
            sample: 100,
            batch_size: 64,
            threads: 2,
            weights_digest: format!("{network:064x}"),
            data_digest: "d".repeat(64),
            pgdl_version: "0.1.0".into(),
            libtorch_version: "2.11.0".into(),
            status,
            value: status.is_ok().then_some(0.1 + 0.2),
            standard_error: None,
            message: (!status.is_ok()).then(|| "a reason\nin two lines".to_owned()),
            layers: vec![LayerDetail { layer: "dense".into(), value: -1e-300 }],
            details: BTreeMap::from([
                ("kept".to_owned(), Detail::Number(3.0)),
                ("variant".to_owned(), Detail::Text("as_coded".into())),
            ]),
            passes: Passes { forward: 1.0, backward: 0.0, hvp: 0.0 },
            seconds: 0.25,
            peak_memory_bytes: Some(1 << 30),
            utc: "2026-01-02T03:04:05Z".into(),
        }
    }

    #[test]
    fn a_record_survives_its_line_bit_for_bit() {
        for status in Status::ALL {
            let record = sample_record(7, "l2_norm", status);
            let line = record.to_line().unwrap();
            assert_eq!(line.matches('\n').count(), 1, "one record is one line");
            assert_eq!(Record::from_line(&line).unwrap(), record);
        }
    }

    #[test]
    fn what_is_not_finite_is_never_written() {
        let mut record = sample_record(7, "l2_norm", Status::Ok);
        record.value = Some(f64::NAN);
        assert!(record.to_line().is_err());
        record.value = None;
        assert!(record.to_line().is_err());
        let mut record = sample_record(7, "l2_norm", Status::Ok);
        record.details.insert("ratio".into(), Detail::Number(f64::INFINITY));
        assert!(record.to_line().is_err());
    }

    #[test]
    fn a_newer_schema_is_named_even_when_its_fields_are_unknown() {
        let found = SCHEMA + 1;
        let line = format!(r#"{{"schema":{found},"subject":"something else"}}"#);
        assert_eq!(Record::from_line(&line), Err(LineError::NewerSchema { found }));
    }

    #[test]
    fn every_proper_prefix_of_a_line_is_malformed() {
        let line = sample_record(7, "l2_norm", Status::Ok).to_line().unwrap();
        let line = line.trim_end();
        for end in (0..line.len()).filter(|&end| line.is_char_boundary(end)) {
            assert!(
                matches!(Record::from_line(&line[..end]), Err(LineError::Malformed(_))),
                "prefix of {end} bytes"
            );
        }
    }

    #[test]
    fn the_essence_leaves_out_cost_alone() {
        let record = sample_record(7, "l2_norm", Status::Ok);
        let mut again = record.clone();
        again.seconds = 9.0;
        again.peak_memory_bytes = None;
        again.utc = "2027-01-01T00:00:00Z".into();
        assert_eq!(record.essence().to_line(), again.essence().to_line());
        again.threads += 1;
        assert_ne!(record.essence(), again.essence());
    }

    #[test]
    fn the_key_ignores_device_and_time() {
        let record = sample_record(7, "l2_norm", Status::Ok);
        let mut other = record.clone();
        other.device = "cuda:0".into();
        other.utc = String::new();
        other.status = Status::Failed;
        assert_eq!(record.key(), other.key());
        other.sample += 1;
        assert_ne!(record.key(), other.key());
    }
}
