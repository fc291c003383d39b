//! JSON in files.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::atomic_file::write_bytes;
use crate::{Result, ZooError, ordinary_file};

/// No configuration comes near this; a file that is not meant to be one may.
const LARGEST: u64 = 64 << 20;

/// Reads a whole small file.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>> {
    let file = ordinary_file::open(path)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|source| ZooError::io(path, source))?;
    if bytes.len() as u64 > LARGEST {
        return Err(ZooError::malformed(path, format!("more than {} MiB, too long for JSON", LARGEST >> 20)));
    }
    Ok(bytes)
}

/// Reads a JSON file.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    parse_json(&read_small(path)?, path)
}

/// Parses JSON; errors name `path`, line and column.
pub(crate) fn parse_json(bytes: &[u8], path: &Path) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|error| ZooError::malformed(path, format!("not valid JSON: {error}")))
}

/// Writes a JSON file, indented, in full or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| ZooError::Invalid(format!("{}: {error}", path.display())))?;
    write_bytes(path, format!("{text}\n").as_bytes())
}
