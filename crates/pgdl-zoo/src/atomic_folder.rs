//! A folder under construction: hidden beside the place it is for, whose name it takes when it is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::atomic_file::create_folder;
use crate::{Result, ZooError};

const LOCK: &str = ".lock";

/// A folder under construction. Dropped before [`Staging::commit`], it is removed, unless it is to be resumed.
#[derive(Debug)]
pub(crate) struct Staging {
    target: PathBuf,
    folder: PathBuf,
    /// Held while the folder is being filled.
    _lock: File,
    keep: bool,
    done: bool,
}

impl Staging {
    /// Begins the folder `target` anew; what an interrupted attempt left behind is removed.
    ///
    /// # Errors
    /// When `target` is there and not an empty folder, or another process is making it.
    pub(crate) fn begin(target: &Path) -> Result<Staging> {
        let mut staging = Staging::open(target)?;
        staging.keep = false;
        for entry in fs::read_dir(&staging.folder).map_err(|source| ZooError::io(&staging.folder, source))? {
            let path = entry.map_err(|source| ZooError::io(&staging.folder, source))?.path();
            if path.file_name().is_some_and(|name| name == LOCK) {
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|source| ZooError::io(&path, source))?;
        }
        Ok(staging)
    }

    /// Goes on with the folder `target` where an interrupted attempt stopped.
    ///
    /// # Errors
    /// As [`Staging::begin`].
    pub(crate) fn resume(target: &Path) -> Result<Staging> {
        Staging::open(target)
    }

    fn open(target: &Path) -> Result<Staging> {
        refuse_occupied(target)?;
        let Some(name) = target.file_name() else {
            return Err(ZooError::Invalid(format!("{} is no name for a new folder", target.display())));
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let folder = target.with_file_name(hidden);
        create_folder(&folder)?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).map_err(|source| ZooError::io(&path, source))?;
        if lock.try_lock().is_err() {
            return Err(ZooError::Invalid(format!("another process is writing {}", target.display())));
        }
        Ok(Staging { target: target.to_path_buf(), folder, _lock: lock, keep: true, done: false })
    }

    /// Where files go for now.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// When something came to be there in the meantime, or the system refuses.
    pub(crate) fn commit(mut self) -> Result<()> {
        let lock = self.folder.join(LOCK);
        fs::remove_file(&lock).map_err(|source| ZooError::io(&lock, source))?;
        // Takes the place of an empty folder, and of nothing else.
        fs::rename(&self.folder, &self.target).map_err(|source| ZooError::io(&self.target, source))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // An error is on its way to the user already, and tells more than these could.
        if self.keep {
            let _ = fs::remove_file(self.folder.join(LOCK));
            // Succeeds where there is nothing to go on with.
            let _ = fs::remove_dir(&self.folder);
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn refuse_occupied(target: &Path) -> Result<()> {
    let mut entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ZooError::io(target, source)),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(ZooError::Invalid(format!("{} is not empty: nothing is overwritten", target.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_when_it_is_complete() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("zoo");
        for occupied_by_nothing in [false, true] {
            if occupied_by_nothing {
                fs::remove_dir_all(&target).unwrap();
                fs::create_dir(&target).unwrap();
            }
            let staging = Staging::begin(&target).unwrap();
            fs::write(staging.folder().join("file"), b"content").unwrap();
            assert!(!target.join("file").exists());
            staging.commit().unwrap();
            let names: Vec<_> =
                fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["file"]);
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        }
        assert!(Staging::begin(&target).unwrap_err().to_string().contains("not empty"));
    }

    #[test]
    fn what_is_not_completed_is_removed_or_kept_as_asked() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("zoo");
        let staging = Staging::resume(&target).unwrap();
        fs::write(staging.folder().join("file"), b"content").unwrap();
        assert!(Staging::resume(&target).is_err(), "locked");
        drop(staging);
        let staging = Staging::resume(&target).unwrap();
        assert!(staging.folder().join("file").exists());
        drop(staging);
        let staging = Staging::begin(&target).unwrap();
        assert!(!staging.folder().join("file").exists());
        drop(staging);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
