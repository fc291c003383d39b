//! The files of a zoo under construction.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use pgdl_zoo::{Dataset, HyperValue, Hyperparameter, Listing, Metrics, NetworkEntry, Split, ZooWriter};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::train::{Fit, Stop, Trained};

/// The version of the form that is written, and the only one that counts as finished.
const SCHEMA: u32 = 1;

/// Rounded weights leave half of their bytes empty: compression removes them.
const COMPRESSION: u32 = 9;
const SAMPLES_PER_SHARD: usize = 1_000;

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
                reason: format!(
                    "it belongs to another recipe, or another version of this one (`{}`)",
                    there.name
                ),
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

/// Writes a network's folder. Its record comes last: without it, the network is trained again.
pub(crate) fn write_network(recipe: &Recipe, root: &Path, id: u64, trained: &Trained) -> Result<()> {
    let writer = ZooWriter::create(root)?.compressed(COMPRESSION);
    writer.write_network(id, &trained.network, Some(&trained.initial))?;
    if let Some(labels) = &trained.train_labels {
        writer.write_train_labels(id, labels.clone())?;
    }
    let record = TrainingRecord {
        schema: SCHEMA,
        recipe: recipe.digest()?,
        epochs: trained.epochs,
        stop: trained.stop,
        train: trained.train,
        test: trained.test,
    };
    let path = model_folder(root, id).join("training.json");
    let mut text = serde_json::to_vec_pretty(&record).map_err(|error| TrainError::io(&path, error.into()))?;
    text.push(b'\n');
    replace(&path, &text)
}

/// Writes `dataset_1` with the samples themselves, whole or not at all, unless it is there.
pub(crate) fn write_shards(root: &Path, train: &Dataset, test: &Dataset) -> Result<()> {
    let place = root.join("dataset_1");
    if place.exists() {
        return Ok(());
    }
    let part = root.join(".partial_data");
    match fs::remove_dir_all(&part) {
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(TrainError::io(part, source)),
        _ => {}
    }
    let writer = ZooWriter::create(&part)?;
    writer.write_shards(Split::Train, train, SAMPLES_PER_SHARD)?;
    writer.write_shards(Split::Test, test, SAMPLES_PER_SHARD)?;
    fs::rename(part.join("dataset_1"), &place)
        .and_then(|()| fs::remove_dir(&part))
        .map_err(|source| TrainError::io(&place, source))
}

/// Lists all networks, which must be finished, with their hyperparameters and metrics.
pub(crate) fn write_model_configs(recipe: &Recipe, root: &Path) -> Result<()> {
    let values = |values: &[f64]| values.iter().copied().map(HyperValue::from).collect();
    let hyperparameters = recipe
        .axes
        .iter()
        .map(|axis| Hyperparameter { name: axis.name.clone(), possible_values: values(&axis.values) })
        .collect();
    let mut networks = Vec::with_capacity(recipe.network_count());
    for id in recipe.ids() {
        let Some(record) = finished(recipe, root, id)? else {
            let path = model_folder(root, id);
            return Err(TrainError::OtherContent { path, reason: "it is no finished network".into() });
        };
        networks.push(NetworkEntry {
            id,
            hyperparameters: values(&recipe.axis_values(id)?),
            metrics: Some(Metrics {
                train_acc: record.train.accuracy,
                test_acc: record.test.accuracy,
                train_loss: Some(record.train.cross_entropy),
                test_loss: Some(record.test.cross_entropy),
            }),
            dev_name: None,
        });
    }
    Ok(ZooWriter::create(root)?.write_listing(&Listing { hyperparameters, networks })?)
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
