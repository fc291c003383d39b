//! Recipes: all that determines a model of Neural Complexity, as TOML.
//!
//! ```
//! let recipe = pgdl_nc::Recipe::parse(r#"
//!     schema = 1
//!     name = "toy"
//!     seed = 1
//!     form = "regression"
//!
//!     [model]                    # every table may be left out: its defaults are the paper's
//!     width = 32
//!     heads = 4
//!
//!     [meta]
//!     steps = 100
//!     batch = 16
//!     fill = 2000
//!     bank = 4000
//! "#)?;
//! let (tasks, learner) = recipe.regression()?;
//! assert_eq!(learner.steps, 16);
//! assert_eq!(tasks.train, 10);
//! # Ok::<(), pgdl_nc::NcError>(())
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::classifier::Classifier;
use crate::error::{NcError, Result};
use crate::images::Images;
use crate::learner::Learner;
use crate::model::{Precision, Shape};
use crate::task::Sinusoids;

/// The version of the form that is read.
const SCHEMA: u32 = 1;

/// What kind of hypotheses a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Hypotheses whose outputs are numbers.
    Regression,
    /// Hypotheses whose outputs are probabilities of classes, on images.
    Classification,
}

/// A checked recipe. Equal recipes have equal [`digest`](Self::digest)s, whatever the layout and comments of their files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    schema: u32,
    /// Its name, `snake_case`.
    pub name: String,
    /// Everything random follows from it.
    pub seed: u64,
    /// The kind of hypotheses.
    pub form: Form,
    /// A checkpoint to begin from, instead of random parameters: a path from the folder of whoever trains. It must be of
    /// the same model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// The model.
    #[serde(default)]
    pub model: Shape,
    /// The tasks it is trained on, of form regression; their defaults where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Sinusoids>,
    /// The learners it is trained on, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learner: Option<Learner>,
    /// The tasks it is trained on, of form classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// The learners it is trained on, likewise; their defaults where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<Classifier>,
    /// How it is trained.
    #[serde(default)]
    pub meta: Meta,
    /// How its training is watched.
    #[serde(default)]
    pub watch: Watch,
}

/// How the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Not at all.
    #[default]
    Constant,
    /// To 0 on a line.
    Linear,
    /// To 0 on half a cosine.
    Cosine,
}

/// Meta-training. The defaults are the paper's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meta {
    /// Meta-steps: batches that the model is trained on.
    pub steps: u64,
    /// Snapshots per batch.
    pub batch: i64,
    /// Adam's learning rate, after the warm-up.
    pub lr: f64,
    /// Meta-steps over which the learning rate rises from 0.
    pub warmup: u64,
    /// What it does after that.
    pub decay: Decay,
    /// Where the Huber loss turns from a square to a line.
    pub huber: f64,
    /// Tasks that are learned at the same time: an episode.
    pub parallel: i64,
    /// Meta-steps between episodes.
    pub every: u64,
    /// Snapshots that the memory bank holds.
    pub bank: i64,
    /// Snapshots that come into it before the first meta-step.
    pub fill: i64,
    /// NC's weight λ in the learners' loss, once it has risen.
    pub lambda: f64,
    /// Meta-steps over which λ rises from 0 on a line.
    pub lambda_steps: u64,
    /// The kind of numbers that the model computes with in training.
    pub precision: Precision,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            steps: 500_000,
            batch: 512,
            lr: 5e-4,
            warmup: 0,
            decay: Decay::Constant,
            huber: 1.0,
            parallel: 64,
            every: 10,
            bank: 1_000_000,
            fill: 100_000,
            lambda: 1.0,
            lambda_steps: 50_000,
            precision: Precision::Float32,
        }
    }
}

/// How training is watched and kept. Nothing here changes the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// Meta-steps between points of the curve.
    pub every: u64,
    /// Held-out tasks that a point is measured on.
    pub tasks: i64,
    /// Meta-steps between saved states.
    pub save: u64,
    /// Bytes that the memory bank may take in memory; what would be beyond is in a file.
    #[serde(skip_serializing_if = "is_default_memory")]
    pub bank_memory: u64,
}

/// 4 GB.
const BANK_MEMORY: u64 = 4_000_000_000;

fn is_default_memory(bytes: &u64) -> bool {
    *bytes == BANK_MEMORY
}

impl Default for Watch {
    fn default() -> Self {
        Self { every: 500, tasks: 128, save: 2_500, bank_memory: BANK_MEMORY }
    }
}

impl Recipe {
    /// A recipe's text.
    ///
    /// # Errors
    /// [`NcError::Syntax`] for what is no recipe, [`NcError::Value`] for a value that is not allowed.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_as(text, Path::new("(text)"))
    }

    /// A recipe's file.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| NcError::io(path, source))?;
        Self::parse_as(&text, path)
    }

    fn parse_as(text: &str, path: &Path) -> Result<Self> {
        let mut recipe: Self = toml::from_str(text).map_err(|error| NcError::Syntax {
            path: path.to_path_buf(),
            message: error.to_string().trim_end().to_string(),
        })?;
        match recipe.form {
            Form::Regression => {
                recipe.tasks.get_or_insert_default();
                recipe.learner.get_or_insert_default();
            }
            Form::Classification => {
                recipe.classifier.get_or_insert_default();
            }
        }
        recipe.check()?;
        Ok(recipe)
    }

    /// That every value is allowed.
    ///
    /// # Errors
    /// [`NcError::Value`], with the key and what is allowed.
    pub fn check(&self) -> Result<()> {
        if self.schema != SCHEMA {
            return Err(NcError::value("schema", self.schema, SCHEMA.to_string()));
        }
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || !self.name.chars().all(named) {
            return Err(NcError::value("name", &self.name, "snake_case"));
        }
        self.model.check()?;
        let (inputs, outputs, moments) = match self.form {
            Form::Regression => {
                let (tasks, learner) = self.regression()?;
                tasks.check()?;
                learner.check()?;
                (1, 1, learner.steps)
            }
            Form::Classification => {
                let (images, classifier) = self.classification()?;
                images.check()?;
                classifier.check()?;
                if self.model.looks != images.look.count() {
                    let allowed = format!("{}, as of images.look", images.look.count());
                    return Err(NcError::value("model.looks", self.model.looks, allowed));
                }
                if self.model.looks > 1 && self.meta.lambda != 0.0 {
                    let allowed = "0 where the model looks more than once: such a model is no regularizer";
                    return Err(NcError::value("meta.lambda", self.meta.lambda, allowed));
                }
                (images.view.numbers(), images.classes, classifier.moments())
            }
        };
        if (self.model.inputs, self.model.outputs) != (inputs, outputs) {
            let found = format!("{} → {}", self.model.inputs, self.model.outputs);
            let allowed = format!("{inputs} → {outputs}, as of the tasks");
            return Err(NcError::value("model.inputs → model.outputs", found, allowed));
        }
        self.meta.check(moments)?;
        for (key, value) in
            [("every", self.watch.every), ("tasks", self.watch.tasks as u64), ("save", self.watch.save)]
        {
            if !(1..=1 << 40).contains(&value) {
                return Err(NcError::value(format!("watch.{key}"), value, "at least 1"));
            }
        }
        Ok(())
    }

    /// Snapshots of an episode, at most.
    pub(crate) fn episode(&self) -> Result<i64> {
        let moments = match self.form {
            Form::Regression => self.regression()?.1.steps,
            Form::Classification => self.classification()?.1.moments(),
        };
        Ok(self.meta.parallel.saturating_mul(moments as i64))
    }

    /// Tasks and learners of form regression.
    ///
    /// # Errors
    /// When the recipe is of another form, or also has tables of another.
    pub fn regression(&self) -> Result<(&Sinusoids, &Learner)> {
        match (self.form, &self.tasks, &self.learner, &self.images, &self.classifier) {
            (Form::Regression, Some(tasks), Some(learner), None, None) => Ok((tasks, learner)),
            _ => Err(self.other_form("regression, with tables [tasks] and [learner] alone")),
        }
    }

    /// Tasks and learners of form classification.
    ///
    /// # Errors
    /// As of [`regression`](Self::regression).
    pub fn classification(&self) -> Result<(&Images, &Classifier)> {
        match (self.form, &self.tasks, &self.learner, &self.images, &self.classifier) {
            (Form::Classification, None, None, Some(images), Some(classifier)) => Ok((images, classifier)),
            _ => Err(self.other_form("classification, with a table [images] (and [classifier]) alone")),
        }
    }

    fn other_form(&self, allowed: &str) -> NcError {
        let form = match self.form {
            Form::Regression => "regression",
            Form::Classification => "classification",
        };
        let tables = [
            ("tasks", self.tasks.is_some()),
            ("learner", self.learner.is_some()),
            ("images", self.images.is_some()),
            ("classifier", self.classifier.is_some()),
        ];
        let given: Vec<String> =
            tables.iter().filter(|table| table.1).map(|table| format!("[{}]", table.0)).collect();
        NcError::value("form", format!("{form}, with {}", given.join(" ")), allowed)
    }

    /// SHA-256, in hexadecimal, of all that determines the model.
    pub fn digest(&self) -> Result<String> {
        let determining = Self { watch: Watch::default(), ..self.clone() };
        let text = toml::to_string(&determining).map_err(|error| NcError::Syntax {
            path: self.name.clone().into(),
            message: error.to_string(),
        })?;
        Ok(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Meta {
    fn check(&self, learner_steps: u64) -> Result<()> {
        let positive = [("lr", self.lr), ("huber", self.huber)];
        for (key, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(NcError::value(format!("meta.{key}"), value, "positive and finite"));
            }
        }
        if !(self.lambda.is_finite() && self.lambda >= 0.0) {
            return Err(NcError::value("meta.lambda", self.lambda, "0 or more, and finite"));
        }
        let counts = [
            ("steps", self.steps as i64),
            ("batch", self.batch),
            ("parallel", self.parallel),
            ("every", self.every as i64),
            ("bank", self.bank),
            ("fill", self.fill),
        ];
        for (key, value) in counts {
            if !(1..=1 << 32).contains(&value) {
                return Err(NcError::value(format!("meta.{key}"), value, "between 1 and 2³²"));
            }
        }
        if self.fill > self.bank {
            return Err(NcError::value("meta.fill", self.fill, format!("at most meta.bank, {}", self.bank)));
        }
        if self.parallel.saturating_mul(learner_steps as i64) > self.bank {
            let allowed = format!("at most meta.bank / learner.steps, {}", self.bank / learner_steps as i64);
            return Err(NcError::value("meta.parallel", self.parallel, allowed));
        }
        Ok(())
    }

    /// The learning rate of meta-step `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let risen = if step < self.warmup { (step + 1) as f64 / self.warmup as f64 } else { 1.0 };
        let along = step as f64 / self.steps as f64;
        let left = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - along,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * along).cos()),
        };
        self.lr * risen * left
    }

    /// λ of the episode before meta-step `step`, counted from 0.
    pub fn weight(&self, step: u64) -> f64 {
        if step >= self.lambda_steps {
            return self.lambda;
        }
        self.lambda * step as f64 / self.lambda_steps as f64
    }
}
