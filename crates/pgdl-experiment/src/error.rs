//! What can go wrong in an experiment.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = ExperimentError> = std::result::Result<T, E>;

/// An error of an experiment; [`ExperimentError::hint`] says the way out where there is one.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// There is no experiment of this name.
    #[error("there is no experiment `{name}`")]
    Unknown {
        /// The name asked for.
        name: String,
        /// One that may have been meant.
        meant: Option<String>,
    },
    /// An option is not one of the experiment's, or its value cannot be used.
    #[error("option --{name}: {message}")]
    Option {
        /// The option's name.
        name: String,
        /// Why, with the legal values.
        message: String,
    },
    /// The folder holds cells of another experiment, setting, seed or option.
    #[error("{} holds cells of another run: {difference}", path.display())]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// What differs, there and here.
        difference: String,
    },
    /// A line of the journal is not what this experiment writes.
    #[error("{}, line {line}: {message}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// Another program is at work in the folder.
    #[error("another run is at work in {}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The user wants to stop.
    #[error("interrupted after {done} cells; the same command goes on from there")]
    Interrupted {
        /// Cells in the journal.
        done: usize,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A result that is not finite, or cannot be kept for another reason.
    #[error("cell `{cell}` {message}")]
    Cell {
        /// Its key.
        cell: String,
        /// What is wrong with it.
        message: String,
    },
    /// The experiment could not be carried out.
    #[error("{0}")]
    Failed(String),
    /// A measure refused.
    #[error(transparent)]
    Measure(#[from] pgdl_measure::MeasureError),
    /// Neural Complexity refused.
    #[error(transparent)]
    Nc(#[from] pgdl_nc::NcError),
    /// A network refused.
    #[error(transparent)]
    Network(#[from] pgdl_network::NetworkError),
    /// A table or figure could not be written.
    #[error(transparent)]
    Report(#[from] pgdl_report::ReportError),
    /// Training refused.
    #[error(transparent)]
    Train(#[from] pgdl_train::TrainError),
    /// A data set refused.
    #[error(transparent)]
    Zoo(#[from] pgdl_zoo::ZooError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl ExperimentError {
    /// An [`ExperimentError::Io`] at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// An [`ExperimentError::Failed`].
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// An [`ExperimentError::Option`].
    pub fn option(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Option { name: name.into(), message: message.into() }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::Unknown { .. } => Some("`pgdl experiment --list` names all".to_owned()),
            Self::OtherRun { .. } => Some("name another folder with --output".to_owned()),
            Self::Damaged { .. } => Some("name another folder with --output, or remove the line".to_owned()),
            Self::Busy { .. } => Some("wait for it, or name another folder with --output".to_owned()),
            Self::Nc(error) => error.hint(),
            Self::Network(error) => error.hint(),
            Self::Report(error) => error.hint(),
            Self::Zoo(error) => error.hint(),
            _ => None,
        }
    }
}
