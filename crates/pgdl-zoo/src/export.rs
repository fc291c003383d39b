//! A zoo as a complete competition directory, shards included.

use std::fs;
use std::path::{Path, PathBuf};

use crate::atomic_file::create_folder;
use crate::data::shards;
use crate::fetch::Progress;
use crate::writer::{ZooWriter, remove_folder};
use crate::zoo::{CONFIG, INITIAL_WEIGHTS, WEIGHTS, Zoo};
use crate::{Result, Split, ZooError};

/// Samples per shard.
const PER_SHARD: usize = 5000;

/// Writes a zoo into the folder `to` as the competition lays out its tasks:
/// `input_data/<task>/{dataset_1, model_<ID>}` and `reference_data/<task>/model_configs.json`. Networks are copied as
/// they are; data that the zoo only names become shards. The folder is there in full or not at all.
///
/// Returns the task's folder in `input_data`.
///
/// # Errors
/// When `to` holds something, when a file is missing, when the data cannot be had, or the system refuses.
pub fn export(zoo: &Zoo, to: &Path, progress: Progress<'_>) -> Result<PathBuf> {
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ZooError::Invalid(format!("{} is not empty", to.display())));
    }
    let Some(name) = to.file_name() else {
        return Err(ZooError::Invalid(format!("{} is no name for a folder", to.display())));
    };
    let part = to.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    remove_folder(&part)?;
    let written = write(zoo, &part, progress)
        .and_then(|()| fs::rename(&part, to).map_err(|source| ZooError::io(to, source)));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = remove_folder(&part);
    }
    written.map(|()| to.join("input_data").join(zoo.name()))
}

fn write(zoo: &Zoo, to: &Path, progress: Progress<'_>) -> Result<()> {
    let inputs = ZooWriter::create(to.join("input_data").join(zoo.name()))?;
    for network in zoo.networks() {
        let folder = zoo.model_folder(network.id)?;
        let place = inputs.root().join(format!("model_{}", network.id));
        create_folder(&place)?;
        for (file, needed) in [(CONFIG, true), (WEIGHTS, true), (INITIAL_WEIGHTS, false)] {
            if needed || folder.join(file).exists() {
                copy(&folder.join(file), &place.join(file))?;
            }
        }
    }
    for split in [Split::Train, Split::Test] {
        if split == Split::Test && !zoo.has_test_data() {
            continue;
        }
        match zoo.data_reference() {
            Some(_) => inputs.write_shards(split, &zoo.data(split, progress)?, PER_SHARD)?,
            None => {
                copy_shards(&zoo.shard_folder(split), &inputs.root().join("dataset_1").join(split.name()))?
            }
        }
    }
    ZooWriter::create(to.join("reference_data").join(zoo.name()))?.write_listing(zoo.listing())
}

/// Copies all shards in a folder.
pub(crate) fn copy_shards(from: &Path, to: &Path) -> Result<()> {
    create_folder(to)?;
    for shard in shards::paths(from)? {
        if let Some(name) = shard.file_name() {
            copy(&shard, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|source| {
        // Which of the two it is about the system does not say.
        if from.is_file() { ZooError::io(to, source) } else { ZooError::io(from, source) }
    })
}
