//! Checkpoints: a trained model with all that is known of its training, in one safetensors file.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::calibration::Calibration;
use crate::error::{NcError, Result};
use crate::files;
use crate::meta::{Header, Point};
use crate::model::Model;
use crate::recipe::{Form, Recipe};

/// The version of the form that is written and read.
const SCHEMA: u32 = 1;

/// What a model was trained on, how and how far. It stands, as JSON, in the header of the checkpoint's file, under the
/// key `pgdl_nc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    schema: u32,
    kind: String,
    /// The version of pgdl that trained it.
    pub pgdl: String,
    /// What it was trained on, in words.
    pub trained_on: String,
    /// Digest of the recipe.
    pub recipe_digest: String,
    /// The whole recipe, with its seed.
    pub recipe: Recipe,
    /// Meta-steps done.
    pub steps: u64,
    /// Episodes, groups of tasks that were learned.
    pub episodes: u64,
    /// Snapshots that went to the memory bank.
    pub snapshots: i64,
    /// Snapshots left out, because a number of theirs was infinite or NaN.
    pub left_out: i64,
    /// The last point of its curve.
    pub held_out: Option<Point>,
    /// What the training began from, where that was no random model: all that it was trained on counts here too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_from: Option<Box<Description>>,
    /// The zoo whose gaps gave its estimates their units. No other network of a zoo has a part in a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Description {
    pub(crate) fn new(
        recipe: Recipe,
        steps: u64,
        episodes: u64,
        snapshots: i64,
        left_out: i64,
        held_out: Option<Point>,
    ) -> Result<Self> {
        let trained_on = match recipe.form {
            Form::Regression => recipe.regression()?.0.in_words(),
            Form::Classification => recipe.classification()?.0.in_words(),
        };
        Ok(Self {
            schema: SCHEMA,
            kind: "checkpoint".into(),
            pgdl: env!("CARGO_PKG_VERSION").into(),
            trained_on,
            recipe_digest: recipe.digest()?,
            recipe,
            steps,
            episodes,
            snapshots,
            left_out,
            held_out,
            begun_from: None,
            calibration: None,
        })
    }
}

/// A trained model and its description.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it was trained on.
    pub description: Description,
    /// The model.
    pub model: Model,
}

impl Checkpoint {
    /// Writes it: one tensor per parameter, named as in [`Shape::parameters`](crate::model::Shape::parameters).
    pub fn write(&self, path: &Path) -> Result<()> {
        let named = self.model.named_parameters()?;
        let tensors: Vec<(&str, &Tensor)> =
            named.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        files::write(path, &tensors, &self.description)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`NcError::File`] when the file is damaged, no checkpoint, of another version, or when its
    /// tensors are not those of the model it describes.
    pub fn read(path: &Path, device: Device) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| NcError::io(path, source))?;
        Self::from_bytes(path, &bytes, device)
    }

    /// The same of a file's bytes; `path` is its name in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(path: &Path, bytes: &[u8], device: Device) -> Result<Self> {
        let header: files::Contents<Header> = files::parse(path, bytes)?;
        header.description.check(path, "checkpoint", SCHEMA)?;
        let mut contents: files::Contents<Description> = files::parse(path, bytes)?;
        let shape = contents.description.recipe.model.clone();
        shape.check()?;
        let mut parts = Vec::new();
        for (name, size) in shape.parameters() {
            parts.push(contents.take(path, &name, &size, Kind::Float)?.f_reshape([-1])?);
        }
        let parameters = Tensor::f_cat(&parts, 0)?.f_to_device(device)?;
        Ok(Self { description: contents.finish(path)?, model: Model::from_parameters(shape, parameters)? })
    }
}
