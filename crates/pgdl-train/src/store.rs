//! The files of a zoo under construction.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use pgdl_network::Network;
use pgdl_zoo::Dataset;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::train::{Fit, Stop, Trained};

/// The version of the form that is written, and the only one that counts as finished.
const SCHEMA: u32 = 1;

/// How a network came about: `training.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    schema: u32,
    /// [`Recipe::digest`] of the recipe.
    pub recipe: String,
    /// Epochs of training.
    pub epochs: u32,
    /// Why training ended.
    pub stop: Stop,
    /// The network on the training sample.
    pub train: Fit,
    /// The network on the test sample.
    pub test: Fit,
}

fn model_folder(root: &Path, id: u64) -> PathBuf {
    root.join(format!("model_{id}"))
}

/// Makes `root` the folder of this recipe, by a copy of its file.
///
/// # Errors
/// When the folder belongs to another recipe.
pub(crate) fn claim(recipe: &Recipe, file: &Path, root: &Path) -> Result<()> {
    let path = root.join("recipe.toml");
    if path.exists() {
        let there = Recipe::read(&path)?;
        if there.digest()? != recipe.digest()? {
            return Err(TrainError::OtherContent {
                path: root.to_path_buf(),
                reason: format!("it belongs to another recipe, or another version of this one (`{}`)", there.name),
            });
        }
        return Ok(());
    }
    let text = fs::read(file).map_err(|source| TrainError::io(file, source))?;
    replace(&path, &text)
}

/// The record of a network that is complete and of this recipe.
pub(crate) fn finished(recipe: &Recipe, root: &Path, id: u64) -> Result<Option<TrainingRecord>> {
    let path = model_folder(root, id).join("training.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TrainError::io(path, source)),
    };
    let record = serde_json::from_slice::<TrainingRecord>(&text).ok();
    let digest = recipe.digest()?;
    Ok(record.filter(|record| record.schema == SCHEMA && record.recipe == digest))
}

/// Writes a network's folder: first under another name, then renamed, so that it is complete or absent.
pub(crate) fn write_network(recipe: &Recipe, root: &Path, id: u64, trained: &Trained) -> Result<()> {
    let folder = root.join(format!(".partial_{id}"));
    remove(&folder)?;
    fs::create_dir_all(&folder).map_err(|source| TrainError::io(&folder, source))?;
    for (name, network) in [("final", &trained.network), ("initial", &trained.initial)] {
        write_safetensors(network, &folder.join(format!("{name}.safetensors")))?;
    }
    let record = TrainingRecord {
        schema: SCHEMA,
        recipe: recipe.digest()?,
        epochs: trained.epochs,
        stop: trained.stop,
        train: trained.train,
        test: trained.test,
    };
    let mut text = serde_json::to_vec_pretty(&record).map_err(|error| TrainError::Recipe(error.to_string()))?;
    text.push(b'\n');
    replace(&folder.join("training.json"), &text)?;
    let place = model_folder(root, id);
    remove(&place)?;
    fs::rename(&folder, &place).map_err(|source| TrainError::io(&place, source))
}

fn write_safetensors(network: &Network, path: &Path) -> Result<()> {
    let tensors: Vec<(String, Tensor)> = network
        .parameters()
        .map(|parameter| (format!("{}.{}", parameter.node, parameter.index), parameter.tensor.shallow_clone()))
        .collect();
    Ok(Tensor::write_safetensors(&tensors, path)?)
}

pub(crate) fn write_shards(_root: &Path, _train: &Dataset, _test: &Dataset) -> Result<()> {
    Ok(())
}

pub(crate) fn write_model_configs(_recipe: &Recipe, _root: &Path) -> Result<()> {
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(TrainError::io(folder, source)),
        _ => Ok(()),
    }
}

/// Writes a file under another name, then renames it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| TrainError::io(path, source))
}
