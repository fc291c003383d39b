//! `.keras` archives: a zip of `config.json`, `metadata.json` and `model.weights.h5`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use zip::{CompressionMethod, ZipArchive, read::ZipFile, result::ZipError};

use super::Model;
use crate::hdf5;
use crate::json_file::parse_json;
use crate::{Result, ZooError};

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";

/// No architecture's JSON comes near this.
const LARGEST_CONFIG: u64 = 64 << 20;

/// Bytes of an HDF5 file per layer beside its values: headers, trees, heaps of a few groups.
const OVERHEAD_PER_LAYER: u64 = 1 << 16;

/// Copies of each value that a file may hold: the weights, and an optimizer's slots, in 64 bits.
const LARGEST_COPIES: u64 = 8;

/// A `.keras` archive.
pub(super) struct Archive<'p> {
    zip: ZipArchive<File>,
    path: &'p Path,
}

impl<'p> Archive<'p> {
    pub(super) fn open(path: &'p Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| ZooError::io(path, source))?;
        let zip = ZipArchive::new(file).map_err(|error| damaged(path, "zip archive", error))?;
        Ok(Archive { zip, path })
    }

    /// The model's JSON, with the version of Keras that wrote it.
    pub(super) fn config(&mut self) -> Result<Value> {
        let mut config = self.json(CONFIG)?;
        let version = self.json(METADATA).ok().and_then(|metadata| metadata.get("keras_version").cloned());
        if let (Some(config), Some(version)) = (config.as_object_mut(), version) {
            config.entry("keras_version").or_insert(version);
        }
        Ok(config)
    }

    fn json(&mut self, name: &str) -> Result<Value> {
        let path = self.path;
        let entry = self.entry(name)?;
        let bytes = read_bounded(entry, LARGEST_CONFIG).map_err(|error| unreadable(path, name, error))?;
        parse_json(&bytes, &path.join(name))
    }

    /// The file with the weights. Stored as it is, it is read in its place; compressed, it is unpacked in memory,
    /// up to the size that weights of this model can have.
    pub(super) fn weights(mut self, model: &Model) -> Result<hdf5::File> {
        let path = self.path;
        let inner = path.join(WEIGHTS);
        let mut entry = self.entry(WEIGHTS)?;
        let length = entry.size();
        if entry.compression() != CompressionMethod::Stored {
            let parameters =
                model.architecture.parameter_count().map_err(|source| ZooError::network(path, source))?;
            let values = (parameters as u64).saturating_mul(8 * LARGEST_COPIES);
            let limit = values.saturating_add((model.layers.len() as u64 + 16) * OVERHEAD_PER_LAYER);
            let bytes = read_bounded(entry, limit).map_err(|error| unreadable(path, WEIGHTS, error))?;
            return hdf5::File::from_source(hdf5::Source::Memory(bytes), &inner);
        }
        // Reading to the end compares the checksum; nothing is kept.
        let copied =
            io::copy(&mut entry, &mut io::sink()).map_err(|error| unreadable(path, WEIGHTS, error))?;
        if copied != length {
            return Err(ZooError::malformed(
                path,
                format!("{WEIGHTS} has {copied} bytes in place of {length}"),
            ));
        }
        let start = entry.data_start();
        drop(entry);
        let file = File::open(path).map_err(|source| ZooError::io(path, source))?;
        hdf5::File::from_source(hdf5::Source::File { file, start, length }, &inner)
    }

    fn entry(&mut self, name: &str) -> Result<ZipFile<'_, File>> {
        let path = self.path;
        let known: Vec<String> = self.zip.file_names().map(str::to_owned).collect();
        self.zip.by_name(name).map_err(|error| match error {
            ZipError::FileNotFound => ZooError::malformed(
                path,
                format!("not a `.keras` archive: no {name} in it (it holds {})", known.join(", ")),
            ),
            error => damaged(path, name, error),
        })
    }
}

/// Reads to the end, but never more than `limit` bytes.
fn read_bounded(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("larger than it can be ({limit} bytes)"),
        ));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, entry: &str, error: io::Error) -> ZooError {
    ZooError::malformed(path, format!("{entry}: {error}"))
}

fn damaged(path: &Path, what: &str, error: ZipError) -> ZooError {
    match error {
        ZipError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => ZooError::io(path, source),
        error => ZooError::malformed(path, format!("{what}: {error}")),
    }
}
