//! Recipes: all that determines a zoo, as TOML.
//!
//! ```
//! let recipe = pgdl_train::Recipe::parse(r#"
//!     schema = 1
//!     name = "toy_mlp"
//!     seed = 1
//!     family = "mlp"
//!
//!     [synthetic]                # or [data], for a public data set
//!     shape = [4, 4, 1]
//!     classes = 3
//!     train = 60
//!     test = 60
//!     noise = 0.5
//!
//!     [fixed]                    # settings with one value
//!     lr = 0.01
//!     depth = 1
//!     bs = 20
//!
//!     [[axis]]                   # hyperparameters of the zoo: their product is the grid
//!     name = "width"
//!     values = [8, 16]
//!
//!     [training]
//!     optimizer = "adam"
//!     max_epochs = 50
//! "#)?;
//! assert_eq!(recipe.network_count(), 2);
//! assert_eq!(recipe.settings(1)?.count("width")?, 16);
//! # Ok::<(), pgdl_train::TrainError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pgdl_network::{Architecture, Initializer};
use pgdl_zoo::data::Transform;
use pgdl_zoo::data_reference::Indices;
use pgdl_zoo::{Split, fetch};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainError};
use crate::family::Family;
use crate::settings::{SettingInfo, Settings, TRAINING_SETTINGS};
use crate::synthetic::Synthetic;

/// The version of the form that is read.
const SCHEMA: u32 = 1;
/// A zoo of more networks is a slip of the pen.
const MAX_NETWORKS: usize = 100_000;

/// A checked recipe. Equal recipes have equal [`digest`](Self::digest)s, whatever the layout and comments of their files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    schema: u32,
    /// The zoo's name, `snake_case`.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// The architectures.
    pub family: Family,
    /// The kind of numbers that weights are rounded to: the initial ones before training, the final ones after it.
    #[serde(default)]
    pub stored_precision: Precision,
    /// A public data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<NamedSample>,
    /// Data that are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<Synthetic>,
    /// Settings with one value.
    #[serde(default)]
    pub fixed: BTreeMap<String, f64>,
    /// Hyperparameters of the zoo, the last one varying fastest with the network's number.
    #[serde(rename = "axis")]
    pub axes: Vec<Axis>,
    /// How networks are trained.
    pub training: Training,
}

/// Samples of a public data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedSample {
    /// The data set's name.
    pub dataset: String,
    /// Positions in its training half that networks are trained on: `0-4999`.
    pub train: Indices,
    /// Positions in its test half that they are tested on.
    pub test: Indices,
    /// Bytes to network inputs.
    #[serde(default)]
    pub transform: Transform,
}

/// A hyperparameter of the zoo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Name of a setting.
    pub name: String,
    /// Its values, at least one, all different.
    pub values: Vec<f64>,
}

/// A kind of floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, 24 of them significant.
    #[default]
    Float32,
    /// 16 bits, 8 of them significant, with the range of 32-bit numbers.
    Bfloat16,
}

/// Optimization method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam, with β = (0.9, 0.999), ε = 1e-8 (Kingma and Ba 2015).
    Adam,
}

/// Distribution of initial kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// [`Initializer::GlorotUniform`]
    GlorotUniform,
    /// [`Initializer::HeNormal`]
    #[default]
    HeNormal,
}

impl From<Initial> for Initializer {
    fn from(initial: Initial) -> Self {
        match initial {
            Initial::GlorotUniform => Initializer::GlorotUniform,
            Initial::HeNormal => Initializer::HeNormal,
        }
    }
}

/// How the learning rate falls from its peak to 0 over `max_epochs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// It does not.
    #[default]
    None,
    /// In a straight line.
    Linear,
    /// As the half wave of a cosine.
    Cosine,
}

/// Random changes of the images of each training batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// None.
    #[default]
    None,
    /// What is standard on CIFAR-10 (He et al. 2016, Section 4.2): an image is mirrored left to right with probability ½, and
    /// moved by −4 … 4 pixels in each direction, zeros moving in.
    Standard,
}

impl Augmentation {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What is added to the cross-entropy, or done to its targets. (L2 is the setting `weight_decay`, dropout that of
/// families that have it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regularizer {
    /// Targets that give a share of every label to all classes alike (Szegedy et al. 2016).
    LabelSmoothing,
    /// Convex combinations of inputs and of their labels (Zhang et al. 2018).
    Mixup,
    /// λ·NC, the gap that a trained model of Neural Complexity expects (Lee et al. 2020).
    Nc,
}

/// What regularizer `nc` takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complexity {
    /// The trained model, of form classification: a path from the folder of whoever trains.
    pub checkpoint: PathBuf,
    /// λ.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Epochs over which λ rises from 0 on a line.
    #[serde(default = "default_rise")]
    pub rise_epochs: f64,
    /// Positions of the unlabelled inputs, X_te. Networks should not be trained on them.
    pub queries: Indices,
    /// The half of the data set that these are positions in. With `test` networks are fitted to the very inputs that they
    /// are tested on, though not to their labels: a result of it belongs beside others of that kind only.
    #[serde(default = "training_half", skip_serializing_if = "is_training_half")]
    pub queries_from: Split,
}

fn training_half() -> Split {
    Split::Train
}

fn is_training_half(half: &Split) -> bool {
    *half == Split::Train
}

fn default_weight() -> f64 {
    1.0
}

fn default_rise() -> f64 {
    1.0
}

fn default_smoothing() -> f64 {
    0.1
}

fn is_default_smoothing(value: &f64) -> bool {
    *value == default_smoothing()
}

fn default_mixup_alpha() -> f64 {
    1.0
}

fn is_default_mixup_alpha(value: &f64) -> bool {
    *value == default_mixup_alpha()
}

/// How networks are trained. The settings `lr`, `bs` and `weight_decay` are not here, since they may be axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Optimization method.
    pub optimizer: Method,
    /// Momentum of SGD.
    #[serde(default = "default_momentum")]
    pub momentum: f64,
    /// The peak learning rate is lr · (bs / 32)^this: 0 for the same rate at each batch size, ½ or 1.
    #[serde(default)]
    pub lr_batch_exponent: f64,
    /// Epochs in which the learning rate rises in a straight line from 0 to its peak.
    #[serde(default)]
    pub warmup_epochs: f64,
    /// How it falls.
    #[serde(default)]
    pub decay: Decay,
    /// Kind of numbers that gradients are computed in; weights and updates are 32-bit in any case.
    #[serde(default)]
    pub compute: Precision,
    /// Distribution of initial kernels; biases start at 0.
    #[serde(default)]
    pub initializer: Initial,
    /// Random changes of the training images. Metrics are those of the images as they are.
    // Not written where there is none, so that older recipes keep their digests.
    #[serde(default, skip_serializing_if = "Augmentation::is_none")]
    pub augmentation: Augmentation,
    /// What is added to the cross-entropy, besides the setting `weight_decay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regularizer: Option<Regularizer>,
    /// With regularizer `label_smoothing`: the share of every label that goes to all classes alike.
    #[serde(default = "default_smoothing", skip_serializing_if = "is_default_smoothing")]
    pub smoothing: f64,
    /// With regularizer `mixup`: α of the weights' Beta(α, α) distribution.
    #[serde(default = "default_mixup_alpha", skip_serializing_if = "is_default_mixup_alpha")]
    pub mixup_alpha: f64,
    /// With regularizer `nc`: what it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nc: Option<Complexity>,
    /// Training ends after this many epochs at the latest.
    pub max_epochs: u32,
    /// Training ends after the first epoch in which the cross-entropy of the training sample, of the network as it would be
    /// stored and without dropout, is at most this.
    #[serde(default = "default_target")]
    pub target_cross_entropy: f64,
    /// That cross-entropy is computed after epochs whose running loss (with dropout, while weights move) is at most this.
    #[serde(default = "default_evaluate_below")]
    pub evaluate_below: f64,
}

fn default_momentum() -> f64 {
    0.9
}

fn default_target() -> f64 {
    0.01
}

fn default_evaluate_below() -> f64 {
    f64::INFINITY
}

impl Recipe {
    /// Reads and checks a recipe file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| TrainError::io(path, source))?;
        Self::parse_from(path, &text)
    }

    /// Parses and checks a recipe.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_from(Path::new("text"), text)
    }

    fn parse_from(path: &Path, text: &str) -> Result<Self> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| TrainError::Syntax {
            path: path.to_path_buf(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        recipe.check()?;
        Ok(recipe)
    }

    /// That every value is allowed, and that every network of the grid exists.
    ///
    /// # Errors
    /// [`TrainError::Value`] or [`TrainError::Recipe`], which say what is not.
    pub fn check(&self) -> Result<()> {
        if self.schema != SCHEMA {
            return Err(TrainError::value("schema", self.schema, SCHEMA.to_string()));
        }
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || !self.name.chars().all(letters) {
            return Err(TrainError::value("name", &self.name, "lower-case letters, digits and _"));
        }
        match (&self.data, &self.synthetic) {
            (Some(data), None) => data.check()?,
            (None, Some(synthetic)) => synthetic.check()?,
            _ => return Err(TrainError::Recipe("give one of the tables [data] and [synthetic]".into())),
        }
        self.training.check()?;
        self.check_grid()?;
        // Every network of the grid must exist: families check how their settings fit together.
        let (shape, classes) = self.input()?;
        if self.training.augmentation != Augmentation::None && shape.len() != 3 {
            let message = format!("training.augmentation takes images [H, W, C], not inputs {shape:?}");
            return Err(TrainError::Recipe(message));
        }
        let mut normalized = false;
        for id in self.ids() {
            let architecture = self.family.architecture(&self.settings(id)?, &shape, classes)?;
            normalized |= architecture.nodes.iter().any(|node| node.layer.kind() == "BatchNormalization");
        }
        if normalized && self.training.compute != Precision::Float32 {
            let message = "training.compute must be float32 for networks with batch normalization, whose moving statistics \
                           would lose their small steps";
            return Err(TrainError::Recipe(message.into()));
        }
        Ok(())
    }

    fn check_grid(&self) -> Result<()> {
        let known: Vec<&SettingInfo> = TRAINING_SETTINGS.iter().chain(self.family.settings()).collect();
        let info = |key: String, name: &str| {
            known.iter().find(|info| info.name == name).copied().ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|info| info.name).collect();
                TrainError::value(key, name, format!("one of this family's settings: {}", names.join(", ")))
            })
        };
        let mut given = BTreeSet::new();
        for (name, value) in &self.fixed {
            info("a key of fixed".into(), name)?.check(&format!("fixed.{name}"), *value)?;
            given.insert(name.as_str());
        }
        if self.axes.is_empty() {
            return Err(TrainError::Recipe(
                "there is no [[axis]]: a zoo has at least one hyperparameter".into(),
            ));
        }
        for axis in &self.axes {
            let info = info("axis.name".into(), &axis.name)?;
            if !given.insert(axis.name.as_str()) {
                return Err(TrainError::Recipe(format!("setting `{}` is given twice", axis.name)));
            }
            if axis.values.is_empty() {
                return Err(TrainError::Recipe(format!("axis `{}` has no value", axis.name)));
            }
            for (position, value) in axis.values.iter().enumerate() {
                info.check(&format!("a value of axis {}", axis.name), *value)?;
                if axis.values[..position].contains(value) {
                    return Err(TrainError::Recipe(format!(
                        "axis `{}` has the value {value} twice",
                        axis.name
                    )));
                }
            }
        }
        if let Some(missing) = known.iter().find(|info| info.default.is_none() && !given.contains(info.name))
        {
            return Err(TrainError::Recipe(format!(
                "setting `{}` is missing ({}): give it in [fixed] or as an [[axis]]",
                missing.name, missing.doc
            )));
        }
        let count = self.axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.values.len()));
        match count {
            Some(count) if count <= MAX_NETWORKS => Ok(()),
            _ => Err(TrainError::Recipe(format!("the grid has more than {MAX_NETWORKS} networks"))),
        }
    }

    /// How many networks the grid has.
    pub fn network_count(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// The networks' numbers, from 0.
    pub fn ids(&self) -> std::ops::Range<u64> {
        0..self.network_count() as u64
    }

    /// The values of a network's hyperparameters, in the order of the axes.
    pub fn axis_values(&self, id: u64) -> Result<Vec<f64>> {
        if !self.ids().contains(&id) {
            let last = self.ids().end.saturating_sub(1);
            return Err(TrainError::NoSuchNetwork { recipe: self.name.clone(), id, last });
        }
        let mut rest = id as usize;
        let mut values: Vec<f64> = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            values.push(axis.values[rest % axis.values.len()]);
            rest /= axis.values.len();
        }
        values.reverse();
        Ok(values)
    }

    /// All settings of a network: its place in the grid, what is fixed, and defaults.
    pub fn settings(&self, id: u64) -> Result<Settings> {
        let defaults = TRAINING_SETTINGS
            .iter()
            .chain(self.family.settings())
            .filter(|info| !info.left_out)
            .filter_map(|info| Some((info.name.to_owned(), info.default?)));
        let mut values: BTreeMap<String, f64> = defaults.collect();
        values.extend(self.fixed.iter().map(|(name, value)| (name.clone(), *value)));
        values.extend(self.axes.iter().map(|axis| axis.name.clone()).zip(self.axis_values(id)?));
        Ok(Settings::new(values))
    }

    /// Shape of one input and number of classes.
    pub fn input(&self) -> Result<(Vec<i64>, i64)> {
        match (&self.data, &self.synthetic) {
            (Some(data), _) => {
                let named = fetch::named(&data.dataset)?;
                Ok((named.shape.iter().map(|size| *size as i64).collect(), named.classes as i64))
            }
            (None, Some(synthetic)) => Ok((synthetic.shape.clone(), synthetic.classes)),
            (None, None) => Err(TrainError::Recipe("give one of the tables [data] and [synthetic]".into())),
        }
    }

    /// A network's architecture.
    pub fn architecture(&self, id: u64) -> Result<Architecture> {
        let (shape, classes) = self.input()?;
        self.family.architecture(&self.settings(id)?, &shape, classes)
    }

    /// The seed of one purpose (`initial weights`, `order`, …) of one network. It depends on the recipe's seed and the
    /// network's settings, not on its number, so that a network stays the same when the grid grows.
    pub fn seed_of(&self, id: u64, purpose: &str) -> Result<u64> {
        let mut hash = Sha256::new();
        hash.update(b"pgdl train 1\0");
        hash.update(self.seed.to_le_bytes());
        hash.update(purpose.as_bytes());
        for (name, value) in self.settings(id)?.iter() {
            hash.update([0]);
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update(value.to_bits().to_le_bytes());
        }
        Ok(ChaCha20Rng::from_seed(hash.finalize().into()).next_u64())
    }

    /// SHA-256, in hexadecimal, of all that determines the networks.
    pub fn digest(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|error| TrainError::Recipe(error.to_string()))?;
        Ok(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl NamedSample {
    fn check(&self) -> Result<()> {
        let named = fetch::named(&self.dataset)?;
        self.transform.table(named.shape[2])?;
        for (key, indices) in [("data.train", &self.train), ("data.test", &self.test)] {
            if indices.count().is_none_or(|count| count == 0) {
                return Err(TrainError::value(key, indices, "one or more indices such as `0-4999`"));
            }
        }
        Ok(())
    }
}

impl Training {
    fn check(&self) -> Result<()> {
        let within = |key: &str, value: f64, min: f64, max: f64| {
            if value >= min && value <= max {
                return Ok(());
            }
            Err(TrainError::value(format!("training.{key}"), value, format!("a number from {min} to {max}")))
        };
        within("momentum", self.momentum, 0.0, 0.9999)?;
        within("lr_batch_exponent", self.lr_batch_exponent, 0.0, 1.0)?;
        within("warmup_epochs", self.warmup_epochs, 0.0, f64::from(self.max_epochs))?;
        within("max_epochs", f64::from(self.max_epochs), 1.0, 1e6)?;
        within("smoothing", self.smoothing, 0.0, 1.0)?;
        within("mixup_alpha", self.mixup_alpha, 1e-3, 16.0)?;
        match (self.regularizer, &self.nc) {
            (Some(Regularizer::Nc), Some(nc)) => {
                within("nc.weight", nc.weight, 0.0, 1e6)?;
                within("nc.rise_epochs", nc.rise_epochs, 0.0, f64::from(self.max_epochs))?;
                if nc.queries.count().is_none_or(|count| count == 0) {
                    let allowed = "one or more indices such as `5000-5999`";
                    return Err(TrainError::value("training.nc.queries", &nc.queries, allowed));
                }
            }
            (Some(Regularizer::Nc), None) | (_, Some(_)) => {
                let message = "regularizer = \"nc\" and a table [training.nc] go together";
                return Err(TrainError::Recipe(message.into()));
            }
            (_, None) => {}
        }
        within("target_cross_entropy", self.target_cross_entropy, 0.0, 100.0)?;
        within("evaluate_below", self.evaluate_below, self.target_cross_entropy, f64::INFINITY)
    }
}
