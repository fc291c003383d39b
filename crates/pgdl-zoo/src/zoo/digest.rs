//! What a zoo is, as SHA-256 over the bytes of its files: never over paths or times.

use std::io::Read;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::data::shards;
use crate::zoo::{CONFIG, INITIAL_WEIGHTS, TRAIN_LABELS, WEIGHTS, Zoo};
use crate::{Result, Split, ZooError, ordinary_file};

/// What stands for the digest of a network whose files are missing or cannot be read.
pub const UNREADABLE: &str = "unreadable";

impl Zoo {
    /// Digest of a network: its configuration, final and initial weights, and its own training labels. In hexadecimal.
    ///
    /// # Errors
    /// When the network has no folder, or a file cannot be read.
    pub fn weights_digest(&self, id: u64) -> Result<String> {
        let known = &self.weights_digests[self.position(id)?];
        if let Some(digest) = known.get() {
            return Ok(digest.clone());
        }
        let folder = self.model_folder(id)?;
        let mut hash = Sha256::new();
        for (name, needed) in
            [(CONFIG, true), (WEIGHTS, true), (INITIAL_WEIGHTS, false), (TRAIN_LABELS, false)]
        {
            let path = folder.join(name);
            if needed || path.exists() {
                add(&mut hash, name, &path)?;
            }
        }
        Ok(known.get_or_init(|| hexadecimal(hash)).clone())
    }

    /// [`Zoo::weights_digest`], or [`UNREADABLE`] where a file of the network is missing or cannot be read: one
    /// damaged network must not stand in the way of the others.
    ///
    /// # Errors
    /// When the zoo does not list the network.
    pub fn weights_digest_or_unreadable(&self, id: u64) -> Result<String> {
        self.position(id)?;
        Ok(self.weights_digest(id).unwrap_or_else(|_| UNREADABLE.to_owned()))
    }

    /// Digest of the data: every shard, or what the zoo says of the public data set it names.
    ///
    /// # Errors
    /// When there are no data, or a file cannot be read.
    pub fn data_digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        match self.data_reference() {
            // The samples themselves are in it, by their digests.
            Some(_) => add(&mut hash, "data.json", &self.root().join("dataset_1/data.json"))?,
            None => {
                for split in [Split::Train, Split::Test] {
                    let folder = self.shard_folder(split);
                    if split == Split::Test && !folder.is_dir() {
                        continue;
                    }
                    for path in shards::paths(&folder)? {
                        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                        add(&mut hash, &format!("{}/{name}", split.name()), &path)?;
                    }
                }
            }
        }
        Ok(hexadecimal(hash))
    }

    /// Digest of the whole zoo: what it lists, every network, and the data.
    ///
    /// # Errors
    /// As [`Zoo::data_digest`]. A network that cannot be read is part of the digest as such.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        if let Some(path) = &self.listing_path {
            add(&mut hash, "model_configs.json", path)?;
        }
        let networks = self.networks().par_iter();
        let weights: Vec<String> =
            networks.map(|network| self.weights_digest_or_unreadable(network.id)).collect::<Result<_>>()?;
        for (network, digest) in self.networks().iter().zip(weights) {
            hash.update(format!("model_{} {digest}\n", network.id));
        }
        hash.update(format!("data {}\n", self.data_digest()?));
        Ok(hexadecimal(hash))
    }
}

/// Adds a file: its name and length, so that no two lists of files give the same bytes, then its content.
fn add(hash: &mut Sha256, name: &str, path: &Path) -> Result<()> {
    let failed = |source| ZooError::io(path, source);
    let mut file = ordinary_file::open(path)?;
    let length = file.metadata().map_err(failed)?.len();
    hash.update(format!("{name} {length}\n"));
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(&buffer[..read]);
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
