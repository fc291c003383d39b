//! The run folder: the records of a zoo, the locks of those who write them, and the context they were made in.
//!
//! ```text
//! <run>/records.jsonl          one record a line, appended
//! <run>/records.jsonl.damaged  half-written lines, moved aside
//! <run>/run.json               zoo, options, versions and machine of the last invocation
//! <run>/locks/                 append, and one per network that a process is at work on
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::journal::{Contents, Journal, read_records};

/// The environment variable that names the folder of all run folders.
pub const RUNS_DIR_VARIABLE: &str = "PGDL_RUNS_DIR";

/// The name of the records file in a run folder.
pub const RECORDS_FILE: &str = "records.jsonl";

/// The context in which records were made, as `run.json` keeps it: for people; no decision rests on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunContext {
    /// The format of this file.
    pub schema: u32,
    /// The zoo's name.
    pub zoo: String,
    /// Where the zoo was.
    pub zoo_root: PathBuf,
    /// SHA-256 of the zoo.
    pub zoo_digest: String,
    /// SHA-256 of the zoo's data.
    pub data_digest: String,
    /// The measures, as a user writes them.
    pub measures: Vec<String>,
    /// Seed of the run.
    pub seed: u64,
    /// Number of training samples.
    pub sample: u64,
    /// Floating-point type.
    pub dtype: String,
    /// Batch size of full-sample passes.
    pub batch_size: u64,
    /// The devices that were asked for.
    pub devices: Vec<String>,
    /// Worker processes side by side.
    pub jobs: u64,
    /// Threads per worker.
    pub threads: u64,
    /// The part of the networks, as `i/n`, where it is not all.
    pub shard: Option<String>,
    /// The budget in words, if there is one.
    pub budget: Option<String>,
    /// The command line.
    pub command: Vec<String>,
    /// Version of this program.
    pub pgdl_version: String,
    /// Version of libtorch.
    pub libtorch_version: String,
    /// Logical processors of the machine.
    pub processors: u64,
    /// When the invocation began: RFC 3339, in UTC.
    pub utc: String,
}

/// A run folder that is open for appending.
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    journal: Mutex<Journal>,
}

/// The sole right to work on one network in one run folder. It ends with this value, or with the process.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

/// Where runs are kept: `$PGDL_RUNS_DIR`, else `pgdl/runs` in the user's data folder.
///
/// # Errors
/// [`RunError::NoHome`] if the environment names no such place.
pub fn runs_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    variable(RUNS_DIR_VARIABLE)
        .map(PathBuf::from)
        .or_else(|| {
            let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
            data.or_else(home).map(|data| data.join("pgdl/runs"))
        })
        .ok_or(RunError::NoHome)
}

impl RunFolder {
    /// The folder for a zoo's records when none is named: `<name>-<12 digits of its digest>` in [`runs_dir`].
    ///
    /// # Errors
    /// [`RunError::NoHome`] if the environment names no such place.
    pub fn default_dir(zoo: &str, zoo_digest: &str) -> Result<PathBuf> {
        Ok(runs_dir()?.join(folder_name(zoo, zoo_digest)))
    }

    /// Opens a run folder, and makes it if need be. A half-written last record is moved aside.
    ///
    /// # Errors
    /// [`RunError::Storage`] if something cannot be made, read or locked; [`RunError::NewerSchema`].
    pub fn open(dir: &Path) -> Result<RunFolder> {
        let locks = dir.join("locks");
        fs::create_dir_all(&locks).map_err(|source| RunError::storage("make", &locks, source))?;
        let journal = Journal::open(&dir.join(RECORDS_FILE), &locks.join("append"))?;
        Ok(RunFolder { dir: dir.to_owned(), journal: Mutex::new(journal) })
    }

    /// Reads the records of a run without changing anything: `path` is a run folder or a records file.
    ///
    /// # Errors
    /// [`RunError::Storage`] if there is no such file, [`RunError::NewerSchema`].
    pub fn read(path: &Path) -> Result<Contents> {
        // Not by asking first what `path` is: it may be made meanwhile.
        match read_records(&path.join(RECORDS_FILE)) {
            Err(RunError::Storage { source, .. }) if source.kind() == std::io::ErrorKind::NotADirectory => {
                read_records(path)
            }
            Err(RunError::Storage { action, source, .. })
                if source.kind() == std::io::ErrorKind::NotFound && !path.exists() =>
            {
                Err(RunError::storage(action, path, source))
            }
            result => result,
        }
    }

    /// Reads the records of a run folder that need not exist yet, without changing anything.
    ///
    /// # Errors
    /// As [`RunFolder::read`], except that no file means no records.
    pub fn look(dir: &Path) -> Result<Contents> {
        match RunFolder::read(dir) {
            Err(RunError::Storage { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(Contents::default())
            }
            result => result,
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The records file.
    pub fn records_path(&self) -> PathBuf {
        self.dir.join(RECORDS_FILE)
    }

    /// All records now in the folder, in the order in which they were written.
    ///
    /// # Errors
    /// As [`RunFolder::read`].
    pub fn contents(&self) -> Result<Contents> {
        read_records(&self.records_path())
    }

    /// Writes `run.json`, whole or not at all.
    ///
    /// # Errors
    /// [`RunError::Storage`].
    pub fn write_context(&self, context: &RunContext) -> Result<()> {
        let path = self.dir.join("run.json");
        let failed = |source| RunError::storage("write", &path, source);
        let mut text = serde_json::to_string_pretty(context).map_err(|error| failed(error.into()))?;
        text.push('\n');
        write_whole(&path, text.as_bytes()).map_err(failed)
    }

    /// Claims a network, so that no other process evaluates it at the same time; `None` if another one does.
    ///
    /// # Errors
    /// [`RunError::Storage`] if the lock cannot be had for another reason.
    pub fn claim(&self, network: u64) -> Result<Option<Claim>> {
        let path = self.dir.join("locks").join(format!("network-{network}"));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| RunError::storage("open", &path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Claim { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(RunError::storage("lock", &path, source)),
        }
    }

    /// The records file, for reading what is new and for appending.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        // A journal holds no half-made state between its calls: a panic elsewhere does not spoil it.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn folder_name(zoo: &str, zoo_digest: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let name: String = zoo.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    let digest: String = zoo_digest.chars().take(12).collect();
    format!("{}-{digest}", name.trim_start_matches('.'))
}

/// Writes a file under another name and then renames it, so that no reader ever sees half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_data()
    });
    let result = written.and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_after_the_zoo_and_its_digest() {
        let digest = "0123456789abcdef".repeat(4);
        assert_eq!(folder_name("cifar_vgg", &digest), "cifar_vgg-0123456789ab");
        assert_eq!(folder_name("../a zoo/é", &digest), "_a_zoo__-0123456789ab");
    }

    #[test]
    fn a_network_is_claimed_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (RunFolder::open(dir.path()).unwrap(), RunFolder::open(dir.path()).unwrap());
        let claim = one.claim(7).unwrap().unwrap();
        assert!(other.claim(7).unwrap().is_none());
        assert!(other.claim(8).unwrap().is_some());
        drop(claim);
        assert!(other.claim(7).unwrap().is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = RunFolder::open(&file.join("run")).unwrap_err();
        assert!(error.to_string().contains("file/run"), "{error}");
        assert!(error.hint().is_some(), "{error:?}");
    }
}
