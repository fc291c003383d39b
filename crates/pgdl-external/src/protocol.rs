//! What `pgdl` and a program that is a measure say to each other. docs/executables.md holds the same for authors.
//!
//! - `PROGRAM describe` prints an [`Introduction`] and ends with exit code 0.
//! - `PROGRAM evaluate JOB` reads a [`Job`] from the file `JOB`, prints one answer ([`Reply`]), ends with exit code 0.

use std::collections::BTreeMap;

use pgdl_measure::{Detail, LayerDetail};
use serde::{Deserialize, Serialize};

/// The version of the protocol. It rises when a field is added or changes its meaning.
pub const PROTOCOL: u32 = 1;

/// What a program says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    /// The protocol that the program speaks.
    pub protocol: u32,
    /// The measures that it is.
    pub measures: Vec<Description>,
}

/// What a program says of one of its measures; as [`MeasureInfo`](pgdl_measure::MeasureInfo).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The identifier, snake_case.
    pub id: String,
    /// What it is, in one sentence.
    pub title: String,
    /// The formula, with its sign: larger predicts a larger gap.
    pub formula: String,
    /// What must exist besides the network and its training sample.
    #[serde(default)]
    pub needs: Vec<ProgramNeed>,
    /// Whether the value depends on the seed.
    pub stochastic: bool,
    /// The symbols of the formula and their shapes.
    #[serde(default)]
    pub shapes: String,
    /// The source.
    #[serde(default)]
    pub paper: String,
    /// Cost in passes over the sample.
    #[serde(default)]
    pub cost: String,
    /// What is known of its behaviour.
    #[serde(default)]
    pub behaviour: String,
}

/// What a program may need. Test data and true gaps are never given to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramNeed {
    /// The weights before training.
    InitialWeights,
    /// The labels of the training sample.
    Labels,
}

/// One measure to be evaluated on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The protocol: [`PROTOCOL`].
    pub protocol: u32,
    /// The measure's id.
    pub measure: String,
    /// The architecture: JSON in the competition's form or, where that cannot say it, Keras 3's.
    pub config: String,
    /// The weights, as Keras's `save_weights` writes HDF5.
    pub weights: String,
    /// The weights before training in the same form, where the measure needs them.
    pub initial_weights: Option<String>,
    /// The same weights, tensor by tensor.
    pub parameters: Vec<ParameterArray>,
    /// The weights before training, tensor by tensor.
    pub initial_parameters: Option<Vec<ParameterArray>>,
    /// The training sample.
    pub data: JobData,
    /// Where to compute: `cpu`, `cuda:0`.
    pub device: String,
    /// How many threads to compute with.
    pub threads: u32,
    /// Seed of everything random.
    pub seed: u32,
    /// Seconds after which the program is ended; none: no limit.
    pub seconds: Option<f64>,
    /// Samples per pass that fit into memory. No value may depend on it.
    pub batch_size: u64,
    /// A folder to write into; it is empty, and removed afterwards.
    pub scratch: String,
}

/// A tensor of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterArray {
    /// The layer's name.
    pub layer: String,
    /// Keras's name of the tensor: `kernel`, `bias`, `gamma`, ….
    pub name: String,
    /// Whether gradient descent changes it.
    pub trainable: bool,
    /// Its values, in Keras's layout.
    pub array: Array,
}

/// An array in a file: little-endian, in C order, from `offset` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Array {
    /// The file.
    pub file: String,
    /// Where its first value begins, in bytes.
    pub offset: u64,
    /// `float32` or `int32`.
    pub dtype: String,
    /// Lengths of its axes.
    pub shape: Vec<i64>,
}

/// The training sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobData {
    /// float32 `[n, H, W, C]`; the file is a `.npy`.
    pub inputs: Array,
    /// int32 `[n]`; the file is a `.npy`.
    pub labels: Array,
    /// Number of classes: the width of the network's output.
    pub classes: i64,
    /// Size of the training set that the sample comes from.
    pub train_size: u64,
}

/// What a program answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// How it went; `ok` when absent.
    #[serde(default)]
    pub status: ReplyStatus,
    /// The value: larger predicts a larger gap. There exactly when the status is `ok`.
    #[serde(default)]
    pub value: Option<f64>,
    /// Monte-Carlo standard error of the value.
    #[serde(default)]
    pub standard_error: Option<f64>,
    /// What single layers contribute.
    #[serde(default)]
    pub layers: Vec<LayerDetail>,
    /// Further facts by name, numbers or texts.
    #[serde(default)]
    pub details: BTreeMap<String, Detail>,
    /// Why there is no value.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How an evaluation went, as its program says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyStatus {
    /// There is a value.
    #[default]
    Ok,
    /// The formula has no value on this network.
    Undefined,
    /// Something that the measure needs does not exist.
    Unavailable,
    /// The computation broke.
    Failed,
}
