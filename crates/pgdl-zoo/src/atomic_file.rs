//! Files that are there in full, or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::{Result, ZooError};

/// Writes `path` by way of a file beside it that takes its name when it is complete. On failure nothing is left
/// behind, and what stood at `path` stays.
pub(crate) fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(ZooError::Invalid(format!("{} is no name for a file", path.display())));
    };
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let file = File::create(&beside).map_err(|source| ZooError::io(&beside, source))?;
    let mut file = BufWriter::new(file);
    let written = write(&mut file)
        .and_then(|()| file.flush().map_err(|source| ZooError::io(&beside, source)))
        .and_then(|()| file.get_ref().sync_all().map_err(|source| ZooError::io(&beside, source)))
        .and_then(|()| fs::rename(&beside, path).map_err(|source| ZooError::io(path, source)));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Writes `bytes` to `path`, in full or not at all.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_file(path, |file| file.write_all(bytes).map_err(|source| ZooError::io(path, source)))
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| ZooError::io(path, source))
}
