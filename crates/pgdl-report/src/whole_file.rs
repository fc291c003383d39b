//! Files that are there in full, or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{ReportError, Result};

/// A file that is being written under another name, and takes its own when it is complete.
///
/// It is opened before the work whose result it is to hold, so that a place where nothing can be written is known early.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    complete: bool,
}

impl WholeFile {
    /// Opens the file. What stands at `path` stays until the new one is complete.
    ///
    /// # Errors
    /// When there is a folder at `path`, or no file can be made beside it.
    pub fn create(path: &Path) -> Result<WholeFile> {
        let name = path.file_name().filter(|_| !path.is_dir()).ok_or_else(|| {
            let source = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            ReportError::Unwritable { path: path.to_path_buf(), source }
        })?;
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}.part", std::process::id()));
        let beside = path.with_file_name(beside);
        let file = File::create(&beside)
            .map_err(|source| ReportError::Unwritable { path: path.to_path_buf(), source })?;
        Ok(WholeFile { path: path.to_path_buf(), beside, file, complete: false })
    }

    /// Writes the file's whole content, and gives it its name.
    ///
    /// # Errors
    /// When the disk is full, or the name cannot be given.
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        self.fill(|file| file.write_all(bytes))
    }

    /// Lets the file's whole content be written, and gives it its name.
    ///
    /// # Errors
    /// When the disk is full, the name cannot be given, or `content` fails.
    pub fn fill(mut self, content: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
        // Not synchronized with the disk: it can be made again, and many files would wait long.
        content(&mut self.file)
            .and_then(|()| fs::rename(&self.beside, &self.path))
            .map_err(|source| ReportError::Unwritable { path: self.path.clone(), source })?;
        self.complete = true;
        Ok(())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.complete {
            // The first error is the one to tell.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Writes a file in full, or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    WholeFile::create(path)?.write(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_until_the_new_file_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        fs::write(&path, "old").unwrap();
        let file = WholeFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        WholeFile::create(&path).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_where_nothing_can_be_written_is_named_early() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_path_buf(), folder.path().join("no/such/folder.html")] {
            let error = WholeFile::create(&path).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert!(error.hint().is_some());
        }
    }
}
