//! What can go wrong between records, files of values, and reports.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = ReportError> = std::result::Result<T, E>;

/// An error of a report or of a file of values. The message names the file and the cause;
/// [`ReportError::hint`] says the way out where there is one.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not what its place or its name says.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where in it.
        message: String,
    },
    /// A table has no column of this name.
    #[error("{}: no column `{name}`", path.display())]
    UnknownColumn {
        /// The table.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// A column that may have been meant.
        meant: Option<String>,
        /// The columns there are, where they are few.
        known: Vec<String>,
    },
    /// A cell of a table does not hold what its column must hold.
    #[error("{}: {row}, column `{column}`: {message}", path.display())]
    Cell {
        /// The table.
        path: PathBuf,
        /// The row, as a person finds it: `line 7` or `row 6`.
        row: String,
        /// The column's name.
        column: String,
        /// What is wrong with the cell.
        message: String,
        /// The way out, where there is one.
        hint: Option<String>,
    },
    /// Values were given for networks that are not among those to be scored.
    #[error("{}: values for {} that {population} does not have: {}", path.display(), count_networks(*count), first.join(", "))]
    ForeignNetworks {
        /// The file of values.
        path: PathBuf,
        /// The zoo.
        population: String,
        /// How many such networks the file names.
        count: usize,
        /// The first few of them.
        first: Vec<String>,
    },
    /// The request itself makes no sense, or asks for what is not defined.
    #[error("{message}")]
    Invalid {
        /// Why.
        message: String,
        /// The way out, where there is one.
        hint: Option<String>,
    },
    /// The zoo refused.
    #[error(transparent)]
    Zoo(#[from] pgdl_zoo::ZooError),
    /// The scorer refused.
    #[error(transparent)]
    Score(#[from] pgdl_score::ScoreError),
    /// A data frame refused.
    #[error("data frame: {0}")]
    Frame(#[from] polars::error::PolarsError),
}

impl ReportError {
    /// A [`ReportError::Io`] at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        ReportError::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// A [`ReportError::Malformed`] at `path`.
    pub fn malformed(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        ReportError::Malformed { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// A [`ReportError::Invalid`] without a hint.
    pub fn invalid(message: impl Into<String>) -> Self {
        ReportError::Invalid { message: message.into(), hint: None }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            ReportError::UnknownColumn { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            ReportError::UnknownColumn { known, .. } if !known.is_empty() => {
                Some(format!("its columns: {}", known.join(", ")))
            }
            ReportError::ForeignNetworks { population, .. } => {
                Some(format!("check that the file belongs to {population}"))
            }
            ReportError::Cell { hint, .. } | ReportError::Invalid { hint, .. } => hint.clone(),
            ReportError::Io { .. } => Some("check that this is an ordinary file that can be read".to_owned()),
            ReportError::Unwritable { .. } => Some(
                "name a file in a folder that exists, that you may write to, and that has room".to_owned(),
            ),
            ReportError::Malformed { .. } => {
                Some("the file is damaged or was meant for something else: copy or make it again".to_owned())
            }
            ReportError::Zoo(error) => error.hint(),
            ReportError::Score(error) => error.hint(),
            _ => None,
        }
    }
}

fn count_networks(count: usize) -> String {
    if count == 1 { "a network".to_owned() } else { format!("{count} networks") }
}
