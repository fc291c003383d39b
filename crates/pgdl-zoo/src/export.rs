//! A zoo as a complete competition directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::atomic_file::create_folder;
use crate::atomic_folder::Staging;
use crate::data::shards;
use crate::disk_room::ensure_room;
use crate::fetch::FetchEvent;
use crate::verified_copy::copy_file;
use crate::zoo::{CONFIG, INITIAL_WEIGHTS, LISTING, TRAIN_LABELS, WEIGHTS};
use crate::{Result, Split, Zoo, ZooError};

/// Samples in a shard that is written from a public data set.
const SAMPLES_PER_SHARD: usize = 1000;
/// Bytes of a record beside its input.
const RECORD_EXTRA: u64 = 128;

/// What happens during an export.
#[derive(Clone, Copy, Debug)]
pub enum ExportEvent<'a> {
    /// A public data set is looked up or fetched.
    Fetch(FetchEvent<'a>),
    /// Samples are being written.
    Writing(Split),
    /// A network is written.
    Network {
        /// Networks written.
        done: usize,
        /// Networks in all.
        total: usize,
    },
}

/// Writes the zoo as the competition lays out its tasks, so that the competition's own programs read it:
///
/// ```text
/// <to>/input_data/<zoo>/dataset_1/{train,test}/shard_*.tfrecord
/// <to>/input_data/<zoo>/model_<ID>/{config.json, weights.hdf5, weights_init.hdf5}
/// <to>/reference_data/<zoo>/model_configs.json
/// ```
///
/// Files that the zoo has are copied as they are, and the copies read back. Where it names its data instead of holding
/// them, shards of 1,000 samples are written. `to` appears when it is complete.
///
/// # Errors
/// When `to` is there and not an empty folder, the zoo lacks a file, its data cannot be had, or the disk is full.
pub fn export(zoo: &Zoo, to: &Path, progress: &mut dyn FnMut(ExportEvent<'_>)) -> Result<Zoo> {
    let Some(listing) = zoo.listing_path() else {
        return Err(ZooError::missing(zoo.root(), LISTING));
    };
    let networks = network_files(zoo)?;
    let staging = Staging::begin(to)?;
    let task = staging.folder().join("input_data").join(zoo.name());
    let reference = staging.folder().join("reference_data").join(zoo.name());
    let mut needed = size(listing)?;
    for path in networks.iter().flatten() {
        needed += size(path)?;
    }
    ensure_room(staging.folder(), needed)?;

    create_folder(&reference)?;
    copy_file(listing, &reference.join(LISTING))?;
    for (done, files) in networks.iter().enumerate() {
        for file in files {
            copy_into(file, &task.join(parent_name(file)))?;
        }
        progress(ExportEvent::Network { done: done + 1, total: networks.len() });
    }
    for split in [Split::Train, Split::Test] {
        if split == Split::Train || zoo.has_test_data() {
            write_samples(zoo, split, &task.join("dataset_1").join(split.name()), progress)?;
        }
    }
    staging.commit()?;
    Zoo::open(to)
}

/// The files of every network.
fn network_files(zoo: &Zoo) -> Result<Vec<Vec<PathBuf>>> {
    let files = |id| {
        let folder = zoo.model_folder(id)?;
        let mut files = vec![folder.join(CONFIG), folder.join(WEIGHTS)];
        let more = [INITIAL_WEIGHTS, TRAIN_LABELS].map(|name| folder.join(name));
        files.extend(more.into_iter().filter(|path| path.exists()));
        Ok(files)
    };
    zoo.networks().iter().map(|network| files(network.id)).collect()
}

fn write_samples(
    zoo: &Zoo,
    split: Split,
    folder: &Path,
    progress: &mut dyn FnMut(ExportEvent<'_>),
) -> Result<()> {
    progress(ExportEvent::Writing(split));
    create_folder(folder)?;
    if zoo.data_reference().is_some() {
        let data = zoo.data(split, &mut |event| progress(ExportEvent::Fetch(event)))?;
        ensure_room(folder, 4 * data.inputs.numel() as u64 + RECORD_EXTRA * data.len() as u64)?;
        shards::write(folder, &data, SAMPLES_PER_SHARD)?;
        return Ok(());
    }
    let paths = shards::paths(&zoo.shard_folder(split))?;
    let mut needed = 0;
    for path in &paths {
        needed += size(path)?;
    }
    ensure_room(folder, needed)?;
    paths.iter().try_for_each(|path| copy_into(path, folder))
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    create_folder(folder)?;
    copy_file(file, &folder.join(file.file_name().unwrap_or_default())).map(|_| ())
}

fn parent_name(file: &Path) -> &Path {
    file.parent().and_then(Path::file_name).map_or(Path::new(""), Path::new)
}

fn size(path: &Path) -> Result<u64> {
    fs::metadata(path).map(|metadata| metadata.len()).map_err(|source| ZooError::io(path, source))
}
