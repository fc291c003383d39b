//! PGDL task directories, as Keras and the competition's kit read them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pgdl_network::Network;

use crate::atomic_file::create_folder;
use crate::data::idx::{self, IdxArray};
use crate::data::shards;
use crate::data_reference::DataReference;
use crate::hdf5::Storage;
use crate::json_file::write_json;
use crate::keras::{Dialect, to_keras_json, to_pgdl_json, write_weights_named};
use crate::zoo::{CONFIG, INITIAL_WEIGHTS, Listing, TRAIN_LABELS, WEIGHTS};
use crate::{Dataset, Result, Split, ZooError};

/// Writes a zoo into a folder, network by network.
#[derive(Debug, Clone)]
pub struct ZooWriter {
    root: PathBuf,
    storage: Storage,
}

impl ZooWriter {
    /// A writer into `root`, which is created when missing. What is in it stays until it is replaced.
    pub fn create(root: impl Into<PathBuf>) -> Result<ZooWriter> {
        let root = root.into();
        create_folder(&root)?;
        Ok(ZooWriter { root, storage: Storage::Plain })
    }

    /// Writes weights with HDF5's filters shuffle and gzip, at this level (1 to 9).
    pub fn compressed(self, level: u32) -> ZooWriter {
        ZooWriter { storage: Storage::Compressed(level.clamp(1, 9)), ..self }
    }

    /// The zoo's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes `model_<id>`, in full or not at all; one that is there already is replaced.
    ///
    /// # Errors
    /// As [`write_network`].
    pub fn write_network(&self, id: u64, network: &Network, initial: Option<&Network>) -> Result<()> {
        let place = self.root.join(format!("model_{id}"));
        let part = self.root.join(format!(".model_{id}.{}.part", std::process::id()));
        remove_folder(&part)?;
        let written = write_network(&part, network, initial, self.storage)
            .and_then(|()| remove_folder(&place))
            .and_then(|()| fs::rename(&part, &place).map_err(|source| ZooError::io(&place, source)));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = remove_folder(&part);
        }
        written
    }

    /// Writes the labels that network `id`, which is there already, was trained on in place of the training set's.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_train_labels(&self, id: u64, labels: Vec<u8>) -> Result<()> {
        let path = self.root.join(format!("model_{id}")).join(TRAIN_LABELS);
        idx::write(&path, &IdxArray { shape: vec![labels.len()], values: labels })
    }

    /// Writes `model_configs.json`.
    pub fn write_listing(&self, listing: &Listing) -> Result<()> {
        listing.write(&self.root.join("model_configs.json"))
    }

    /// Writes samples as shards of `per_shard` samples each.
    pub fn write_shards(&self, split: Split, data: &Dataset, per_shard: usize) -> Result<()> {
        shards::write(&self.root.join("dataset_1").join(split.name()), data, per_shard).map(drop)
    }

    /// Names the zoo's data in place of shards.
    pub fn write_data_reference(&self, reference: &DataReference) -> Result<()> {
        let folder = self.root.join("dataset_1");
        create_folder(&folder)?;
        reference.write(&folder.join("data.json"))
    }
}

/// Writes a network into `folder`: `config.json`, `weights.hdf5`, and, with initial weights, `weights_init.hdf5`.
///
/// The configuration has PGDL's form, which the competition's kit reads. A network that this form cannot express (one
/// with residual connections, or with an activation that Keras 2 lacks) gets the JSON of a Keras 3 model, which
/// [`Zoo`](crate::Zoo) and Keras 3 read.
///
/// # Errors
/// When a layer cannot be written, when the initial network has another architecture, or the system refuses.
pub fn write_network(
    folder: &Path,
    network: &Network,
    initial: Option<&Network>,
    storage: Storage,
) -> Result<()> {
    let architecture = network.architecture();
    if initial.is_some_and(|initial| initial.architecture() != architecture) {
        return Err(ZooError::Invalid(format!(
            "{}: the initial network has another architecture than the final one",
            folder.display()
        )));
    }
    create_folder(folder)?;
    let config = folder.join(CONFIG);
    let written = match to_pgdl_json(architecture, &config) {
        Err(ZooError::Unsupported { .. }) => to_keras_json(architecture, Dialect::Keras3, &config)?,
        written => written?,
    };
    write_json(&config, &written.json)?;
    if let Some(initial) = initial {
        write_weights_named(&folder.join(INITIAL_WEIGHTS), initial, &written, storage)?;
    }
    write_weights_named(&folder.join(WEIGHTS), network, &written, storage)
}

/// Removes a folder, if it is there.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(ZooError::io(folder, source)),
        _ => Ok(()),
    }
}
