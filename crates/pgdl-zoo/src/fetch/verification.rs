//! Checksums of data files, and the memory of which files were verified.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::catalogue::DataFile;
use crate::dataset::hexadecimal;
use crate::json_file::write_json;
use crate::{Result, ZooError};

/// The name of the file that remembers verified files.
const MEMORY: &str = ".verified.json";

/// A file as it was when its checksum agreed. While size and modification time stay, it is not hashed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    md5: String,
    size: u64,
    modified_ns: u128,
}

impl Stamp {
    fn of(path: &Path, md5: &str) -> std::io::Result<Stamp> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Stamp { md5: md5.to_owned(), size: metadata.len(), modified_ns: modified.as_nanos() })
    }
}

/// What became of a file's verification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is no such file.
    Absent,
    /// The file holds what it should.
    Sound,
    /// The file has another checksum.
    Differs,
}

/// The verified files of one folder.
#[derive(Debug)]
pub(super) struct Verified {
    folder: PathBuf,
    stamps: BTreeMap<String, Stamp>,
}

impl Verified {
    /// What is remembered in `folder`. A damaged memory is an empty one.
    pub(super) fn load(folder: &Path) -> Self {
        let stamps = fs::read(folder.join(MEMORY))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Verified { folder: folder.to_path_buf(), stamps }
    }

    /// Whether `file` was verified before and has not changed since. Reads no contents.
    pub(super) fn remembers(&self, file: &DataFile) -> bool {
        let current = Stamp::of(&self.folder.join(file.name), file.md5).ok();
        current.is_some() && self.stamps.get(file.name) == current.as_ref()
    }

    /// Hashes `file` unless it is remembered as sound; `progress` gets the bytes done and in all.
    pub(super) fn verify(&mut self, file: &DataFile, mut progress: impl FnMut(u64, u64)) -> Result<Verdict> {
        let path = self.folder.join(file.name);
        if !path.exists() {
            return Ok(Verdict::Absent);
        }
        if self.remembers(file) {
            return Ok(Verdict::Sound);
        }
        let stamp = Stamp::of(&path, file.md5).map_err(|source| ZooError::io(&path, source))?;
        if md5_of(&path, &mut progress)? != file.md5 {
            return Ok(Verdict::Differs);
        }
        self.keep(file, stamp);
        Ok(Verdict::Sound)
    }

    /// Notes that `file`, just stored there, is sound.
    pub(super) fn remember(&mut self, file: &DataFile) {
        if let Ok(stamp) = Stamp::of(&self.folder.join(file.name), file.md5) {
            self.keep(file, stamp);
        }
    }

    /// Writes the memory. Where the folder cannot be written, nothing is remembered, and files are hashed each time.
    fn keep(&mut self, file: &DataFile, stamp: Stamp) {
        self.stamps.insert(file.name.to_owned(), stamp);
        let _ = write_json(&self.folder.join(MEMORY), &self.stamps);
    }
}

/// MD5 of a file's bytes, in hexadecimal.
fn md5_of(path: &Path, progress: &mut impl FnMut(u64, u64)) -> Result<String> {
    let io = |source| ZooError::io(path, source);
    let mut file = File::open(path).map_err(io)?;
    let total = file.metadata().map_err(io)?.len();
    let (mut hash, mut block, mut done) = (Md5::new(), vec![0; 1 << 20], 0);
    loop {
        let count = file.read(&mut block).map_err(io)?;
        if count == 0 {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(&block[..count]);
        done += count as u64;
        progress(done, total);
    }
}
