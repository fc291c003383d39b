//! From what a source delivers to verified files: streaming, hashed on the way, renamed when they agree.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};

use super::catalogue::{DataFile, Source};
use super::verification::Verified;
use super::{FetchEvent, Progress, SourceError};
use crate::ZooError;
use crate::dataset::hexadecimal;

/// Room for what an archive holds besides the wanted files.
const ARCHIVE_EXTRA: u64 = 64 << 20;

/// A folder that is being filled with the files still missing.
pub(super) struct Unpacking<'a> {
    folder: &'a Path,
    scratch: &'a Path,
    missing: Vec<&'a DataFile>,
    verified: Verified,
}

impl<'a> Unpacking<'a> {
    pub(super) fn new(
        folder: &'a Path,
        scratch: &'a Path,
        missing: Vec<&'a DataFile>,
        verified: Verified,
    ) -> Self {
        Unpacking { folder, scratch, missing, verified }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    pub(super) fn missing(&self) -> Vec<&'a DataFile> {
        self.missing.clone()
    }

    pub(super) fn missing_names(&self) -> String {
        self.missing.iter().map(|file| file.name).collect::<Vec<_>>().join(", ")
    }

    /// The most bytes that an archive of the missing files may have.
    pub(super) fn largest_archive(&self) -> u64 {
        self.missing.iter().map(|file| file.at_most).sum::<u64>() * 2 + ARCHIVE_EXTRA
    }

    /// Where the download of `url` is collected.
    pub(super) fn part(&self, url: &str) -> PathBuf {
        self.scratch.join(format!("{}.part", last_component(url)))
    }

    /// Unpacks a finished download and removes it, also when it turns out to be wrong.
    pub(super) fn consume(
        &mut self,
        part: &Path,
        unpack: impl FnOnce(&mut Self, &Path) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let outcome = unpack(self, part);
        if !matches!(outcome, Err(SourceError::Local(_))) {
            let _ = fs::remove_file(part);
        }
        outcome
    }

    /// What the user put into the data set's folder in another form: compressed, in a subfolder, as the archive.
    /// Files there that do not serve are no reason to stop; only an error of this machine is.
    pub(super) fn take_users_files(
        &mut self,
        sources: &[Source],
        progress: Progress<'_>,
    ) -> Result<(), ZooError> {
        let mut folders = vec![self.folder.to_path_buf()];
        let entries = fs::read_dir(self.folder).map_err(|error| ZooError::io(self.folder, error))?;
        folders.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()));
        folders.retain(|path| path != self.scratch);
        folders.sort();
        for folder in &folders {
            let mut outcomes = vec![self.take_folder(folder, progress)];
            for source in sources {
                let Source::Archive(url) = source else { continue };
                let archive = folder.join(last_component(url));
                if !self.is_complete() && archive.is_file() {
                    outcomes.push(self.take_gzip_tar(&archive, progress));
                }
            }
            for outcome in outcomes {
                if let Err(SourceError::Local(error)) = outcome {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Copies from a folder that holds the files, plain or with the suffix `.gz`.
    pub(super) fn take_folder(&mut self, from: &Path, progress: Progress<'_>) -> Result<(), SourceError> {
        let mut worst = Ok(());
        for file in self.missing() {
            let plain = from.join(file.name);
            let compressed = from.join(format!("{}.gz", file.name));
            let outcome = if from != self.folder && plain.is_file() {
                self.store_from(file, &plain, false, progress)
            } else if compressed.is_file() {
                self.store_from(file, &compressed, true, progress)
            } else {
                continue;
            };
            match outcome {
                Err(SourceError::Local(error)) => return Err(SourceError::Local(error)),
                Err(error) => worst = Err(error),
                Ok(()) => {}
            }
        }
        worst
    }

    /// Stores the missing files that a gzip-compressed tar holds.
    pub(super) fn take_gzip_tar(
        &mut self,
        archive: &Path,
        progress: Progress<'_>,
    ) -> Result<(), SourceError> {
        let opened = File::open(archive).map_err(|error| SourceError::local(archive, error))?;
        self.take_tar(&mut MultiGzDecoder::new(BufReader::new(opened)), progress)
    }

    /// Stores the missing files that a tar holds, in whatever folder of it.
    pub(super) fn take_tar(&mut self, tar: &mut dyn Read, progress: Progress<'_>) -> Result<(), SourceError> {
        let broken = |error: std::io::Error| SourceError::Remote(format!("the archive is damaged: {error}"));
        let mut archive = tar::Archive::new(tar.take(self.largest_archive()));
        for entry in archive.entries().map_err(broken)? {
            if self.is_complete() {
                return Ok(());
            }
            let mut entry = entry.map_err(broken)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path_bytes().into_owned();
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&path);
            let plain = name.strip_suffix(b".gz");
            let Some(file) = self.missing.iter().copied().find(|file| {
                let wanted = file.name.as_bytes();
                wanted == name || Some(wanted) == plain
            }) else {
                continue;
            };
            if file.name.as_bytes() == name {
                self.store(file, &mut entry, progress)?;
            } else {
                self.store(file, &mut MultiGzDecoder::new(BufReader::new(entry)), progress)?;
            }
        }
        Ok(())
    }

    /// Stores `file` from the file at `path`.
    pub(super) fn store_from(
        &mut self,
        file: &'a DataFile,
        path: &Path,
        compressed: bool,
        progress: Progress<'_>,
    ) -> Result<(), SourceError> {
        let opened =
            File::open(path).map_err(|error| SourceError::Remote(format!("{}: {error}", path.display())))?;
        let mut reader = BufReader::new(opened);
        if compressed {
            self.store(file, &mut MultiGzDecoder::new(reader), progress)
        } else {
            self.store(file, &mut reader, progress)
        }
    }

    /// Stores `file` from its bytes: into a temporary file, which takes its name only when the checksum agrees.
    fn store(
        &mut self,
        file: &'a DataFile,
        bytes: &mut dyn Read,
        progress: Progress<'_>,
    ) -> Result<(), SourceError> {
        let temporary = self.scratch.join(format!("{}.tmp", file.name));
        let outcome = write_hashed(file, bytes, &temporary, progress);
        if outcome.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        let found = outcome?;
        if found != file.md5 {
            let _ = fs::remove_file(&temporary);
            return Err(SourceError::Remote(format!(
                "{} has the wrong checksum (md5 {found}, not {})",
                file.name, file.md5
            )));
        }
        let target = self.folder.join(file.name);
        fs::rename(&temporary, &target).map_err(|error| SourceError::local(&target, error))?;
        self.verified.remember(file);
        self.missing.retain(|other| other.name != file.name);
        progress(FetchEvent::Stored { file: file.name });
        Ok(())
    }
}

/// Writes at most the expected number of `bytes` to `target` and returns their MD5.
fn write_hashed(
    file: &DataFile,
    bytes: &mut dyn Read,
    target: &Path,
    progress: Progress<'_>,
) -> Result<String, SourceError> {
    let local = |error| SourceError::local(target, error);
    let mut output = File::create(target).map_err(local)?;
    let (mut hash, mut block, mut done) = (Md5::new(), vec![0; 1 << 18], 0);
    loop {
        let count = match bytes.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(SourceError::Remote(format!("{} is damaged: {error}", file.name))),
        };
        done += count as u64;
        if done > file.at_most {
            return Err(SourceError::Remote(format!("{} is larger than {} bytes", file.name, file.at_most)));
        }
        hash.update(&block[..count]);
        output.write_all(&block[..count]).map_err(local)?;
        progress(FetchEvent::Unpacking { file: file.name, done });
    }
    output.sync_all().map_err(local)?;
    Ok(hexadecimal(&hash.finalize()))
}

fn last_component(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
