//! Why a run cannot start, or cannot go on.

use std::io;
use std::path::{Path, PathBuf};

use pgdl_measure::RegistryError;
use pgdl_zoo::ZooError;

/// The result of what a run does.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// Why a run cannot start, or cannot go on. What an evaluation may do (fail, time out, crash) is no error of the run:
/// it is the status of a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file or folder of the run cannot be read, written or locked.
    #[error("cannot {action} {}: {source}", path.display())]
    Storage {
        /// What was tried, as a verb: `read`, `append to`, ….
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is neither `PGDL_RUNS_DIR` nor a home folder to put records in.
    #[error("no folder for the run's records: neither PGDL_RUNS_DIR nor XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// A records file comes from a later version of this program.
    #[error("{} line {line}: schema {found} is newer than {}, the newest this version of pgdl reads", path.display(), crate::SCHEMA)]
    NewerSchema {
        /// The records file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// Its schema.
        found: u32,
    },
    /// A record that breaks the rules of records (a fault of this program).
    #[error("the record of {spec} on network {network} cannot be written: {source}")]
    Unwritable {
        /// The measure.
        spec: String,
        /// The network.
        network: u64,
        /// The broken rule.
        source: crate::LineError,
    },
    /// Text that names no shard.
    #[error("`{text}` is no shard: {reason}")]
    Shard {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A network was asked for that the zoo does not hold.
    #[error("zoo {zoo} has no network {network}")]
    UnknownNetwork {
        /// The zoo.
        zoo: String,
        /// The id.
        network: u64,
    },
    /// The zoo cannot be read.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// A measure cannot be resolved.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A worker process cannot be started at all.
    #[error("cannot start a worker process ({}): {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Workers start, but cannot get ready to work.
    #[error("the workers cannot begin: {message}")]
    Worker {
        /// What happened.
        message: String,
        /// A way out, if the worker knew one.
        hint: Option<String>,
    },
    /// Workers cannot begin because the zoo or its data are damaged.
    #[error("{message}")]
    Data {
        /// The file and the cause.
        message: String,
        /// A way out, if there is one.
        hint: Option<String>,
    },
    /// The device that was asked for cannot be used.
    #[error("{message}")]
    Device {
        /// The device as it was asked for.
        device: String,
        /// Why not.
        message: String,
        /// A way out, if there is one.
        hint: Option<String>,
    },
    /// SLURM is not there, or refuses.
    #[error("{message}")]
    Scheduler {
        /// What was asked of it, and what it said.
        message: String,
        /// A way out, if there is one.
        hint: Option<String>,
    },
    /// Signal handlers cannot be set.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
}

impl RunError {
    /// An error on a file or folder of the run.
    pub(crate) fn storage(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> RunError {
        RunError::Storage { action, path: path.as_ref().to_owned(), source }
    }

    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            RunError::Storage { source, .. } => storage_hint(source).map(str::to_owned),
            RunError::NoHome => Some("set PGDL_RUNS_DIR, or name a folder with --run".to_owned()),
            RunError::NewerSchema { .. } => {
                Some("update pgdl, or name another folder with --run; nothing was changed".to_owned())
            }
            RunError::Shard { .. } => Some("write it I/N with 1 ≤ I ≤ N, as in 2/8".to_owned()),
            RunError::Zoo(error) => error.hint(),
            RunError::Registry(error) => error.hint(),
            RunError::Worker { hint, .. }
            | RunError::Data { hint, .. }
            | RunError::Device { hint, .. }
            | RunError::Scheduler { hint, .. } => hint.clone(),
            RunError::UnknownNetwork { zoo, .. } => Some(format!("`pgdl zoo info {zoo}` lists its networks")),
            RunError::Unwritable { .. } | RunError::Spawn { .. } | RunError::Signals(_) => None,
        }
    }
}

fn storage_hint(source: &io::Error) -> Option<&'static str> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "free some space and give the same command again; or name another folder with --run or PGDL_RUNS_DIR",
        ),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            Some("name a folder you may write to with --run or PGDL_RUNS_DIR")
        }
        io::ErrorKind::Unsupported => Some(
            "this file system has no file locks: name a folder on another one with --run, and merge afterwards",
        ),
        _ => Some("name another folder with --run or PGDL_RUNS_DIR"),
    }
}
