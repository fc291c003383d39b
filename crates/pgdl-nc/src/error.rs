//! Why Neural Complexity cannot be trained, read or evaluated.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = NcError> = std::result::Result<T, E>;

/// An error of a recipe, a checkpoint or of meta-training. The message is a fragment that names the file or key and the
/// cause; [`NcError::hint`] says the way out where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NcError {
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
    /// A value that is not allowed.
    #[error("{key} is {found}, but must be {allowed}")]
    Value {
        /// The key, with its table: `meta.batch`.
        key: String,
        /// The value.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A file of tensors that is damaged, or of another kind, version or shape.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A folder, or the memory bank in it, that came from another recipe.
    #[error("{}: {reason}", path.display())]
    OtherRecipe {
        /// The folder or file.
        path: PathBuf,
        /// What it holds.
        reason: String,
    },
    /// Tensors of another shape than the model or the bank takes.
    #[error("{what} has shape {found:?}, but must have {wanted}")]
    Shape {
        /// Which tensor.
        what: String,
        /// Its shape.
        found: Vec<i64>,
        /// The shape it must have, in words.
        wanted: String,
    },
    /// Every snapshot of an episode was infinite or NaN.
    #[error("all {snapshots} snapshots of episode {episode} are infinite or NaN: the learners diverge")]
    LearnersDiverged {
        /// The episode, counted from 0.
        episode: u64,
        /// How many snapshots it had.
        snapshots: i64,
    },
    /// The loss of the meta-learner became infinite or NaN.
    #[error("meta-training diverged at step {step}: its loss is {loss}")]
    Diverged {
        /// The meta-step, counted from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The training was told to stop; its state is kept.
    #[error("interrupted after {step} of {total} meta-steps")]
    Interrupted {
        /// Meta-steps done.
        step: u64,
        /// Meta-steps of the recipe.
        total: u64,
    },
    /// A number that has no value: the reason.
    #[error("undefined: {0}")]
    Undefined(String),
    /// Data that cannot be had.
    #[error(transparent)]
    Data(#[from] pgdl_zoo::ZooError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl NcError {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    pub(crate) fn value(key: impl Into<String>, found: impl ToString, allowed: impl Into<String>) -> Self {
        Self::Value { key: key.into(), found: found.to_string(), allowed: allowed.into() }
    }

    pub(crate) fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }

    pub(crate) fn shape(what: impl Into<String>, found: &[i64], wanted: impl Into<String>) -> Self {
        Self::Shape { what: what.into(), found: found.to_vec(), wanted: wanted.into() }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherRecipe { .. } => Some("give another output folder, or remove this one".into()),
            Self::Interrupted { .. } => Some("the same command goes on where it stopped".into()),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Some(
                "make room on that disk: the same command goes on from the state that was last kept".into(),
            ),
            Self::Diverged { .. } => Some("lower meta.lr, or raise meta.warmup".into()),
            Self::LearnersDiverged { .. } => Some("lower learner.lr or meta.lambda".into()),
            _ => None,
        }
    }
}
