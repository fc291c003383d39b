//! Why a zoo cannot be built, or a network not be trained.

use std::path::{Path, PathBuf};

use pgdl_network::NetworkError;
use pgdl_zoo::ZooError;
use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// An error of a recipe, of training or of a build. The message is a fragment that names the file, key or network and
/// the cause; [`TrainError::hint`] says the way out where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A recipe that is no TOML, or lacks a key, or has one that does not exist.
    #[error("recipe {}: {message}", path.display())]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// What the parser says, with the line.
        message: String,
    },
    /// A value in a recipe that is not allowed.
    #[error("recipe: {key} is {found}, but must be {allowed}")]
    Value {
        /// The key, with its table: `training.max_epochs`.
        key: String,
        /// The value.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A recipe that is well formed and makes no sense.
    #[error("recipe: {0}")]
    Recipe(String),
    /// The loss of a network became infinite or NaN.
    #[error("network {id}: training diverged in epoch {epoch}: its loss is {loss}")]
    Diverged {
        /// The network.
        id: u64,
        /// The epoch, counted from 1.
        epoch: u32,
        /// The loss.
        loss: f64,
    },
    /// A recipe has no network of this number.
    #[error("recipe {recipe} has no network {id}: the last one is {last}")]
    NoSuchNetwork {
        /// The recipe's name.
        recipe: String,
        /// The number asked for.
        id: u64,
        /// The largest number there is.
        last: u64,
    },
    /// A folder that holds something else than this recipe's networks.
    #[error("{}: {reason}", path.display())]
    OtherContent {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        reason: String,
    },
    /// Another build works in the same folder.
    #[error("{}: another build works in this folder", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The build was told to stop.
    #[error("interrupted: {finished} of {total} networks are finished")]
    Interrupted {
        /// Networks in the zoo.
        finished: usize,
        /// Networks of the recipe.
        total: usize,
    },
    /// Some networks could not be trained; all others are finished.
    #[error("{} of {total} networks could not be trained: {}", failed.len(), list(failed))]
    Failed {
        /// Number and cause of each.
        failed: Vec<(u64, String)>,
        /// How many networks the recipe has.
        total: usize,
    },
    /// The arguments of a training process.
    #[error("{0}")]
    Arguments(String),
    /// A network refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file format or a data set refused.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// A model of Neural Complexity that cannot be used.
    #[error("regularizer nc: {0}")]
    Nc(Box<pgdl_nc::NcError>),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

fn list(failed: &[(u64, String)]) -> String {
    let named: Vec<String> = failed.iter().map(|(id, reason)| format!("network {id}: {reason}")).collect();
    named.join("; ")
}

impl TrainError {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    pub(crate) fn value(key: impl Into<String>, found: impl ToString, allowed: impl Into<String>) -> Self {
        Self::Value { key: key.into(), found: found.to_string(), allowed: allowed.into() }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged { .. } => {
                Some("lower the learning rate `lr`, or raise training.warmup_epochs".into())
            }
            Self::OtherContent { .. } => Some("give another output folder, or remove this one".into()),
            Self::Failed { .. } | Self::Interrupted { .. } => {
                Some("the same command goes on with the networks that are missing".into())
            }
            Self::Network(error) => error.hint(),
            Self::Zoo(error) => error.hint(),
            _ => None,
        }
    }
}
