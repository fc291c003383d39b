//! What can go wrong between files and networks.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::did_you_mean::did_you_mean;

/// Result of this crate.
pub type Result<T, E = ZooError> = std::result::Result<T, E>;

/// An error of a zoo, a model file or a data set. The message names the file or id and the cause;
/// [`ZooError::hint`] says the way out where there is one.
#[derive(Debug, Error)]
pub enum ZooError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its answer.
        source: std::io::Error,
    },
    /// The file is not what its place or its name says: truncated, malformed, contradictory.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and where in it.
        message: String,
    },
    /// A stored checksum differs from that of the bytes.
    #[error("{}: {what}: checksum differs ({expected} stored, {found} computed)", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        what: String,
        /// As stored.
        expected: String,
        /// As computed.
        found: String,
    },
    /// The file is sound, but holds something this crate does not read.
    #[error("{}: {what} is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
        /// What is supported in its place.
        supported: String,
    },
    /// A layer of a class that networks do not have.
    #[error("{}: layer {name} of class {class} is not supported", path.display())]
    UnsupportedLayer {
        /// The file with the architecture.
        path: PathBuf,
        /// The layer's name, or its position.
        name: String,
        /// Its Keras class.
        class: String,
    },
    /// Something that should be there is not.
    #[error("{}: {what} not found", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing.
        what: String,
        /// How to get it.
        hint: Option<String>,
    },
    /// No zoo, network, data set or hyperparameter has this name.
    #[error("unknown {kind} `{name}`")]
    Unknown {
        /// What kind of thing was asked for.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// A name that may have been meant.
        meant: Option<String>,
        /// All names there are, where they are few.
        known: Vec<String>,
    },
    /// A download failed, or there is no network.
    #[error("fetching {what}: {message}")]
    Fetch {
        /// What was being fetched.
        what: String,
        /// Why it failed.
        message: String,
        /// What can be done.
        hint: Option<String>,
    },
    /// The request itself makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The network refused what a file holds.
    #[error("{}: {source}", path.display())]
    Network {
        /// The file the network comes from.
        path: PathBuf,
        /// The network's error.
        source: pgdl_network::NetworkError,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl ZooError {
    /// An [`ZooError::Io`] at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        ZooError::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// A [`ZooError::Malformed`] at `path`.
    pub fn malformed(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        ZooError::Malformed { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// A [`ZooError::Unsupported`] at `path`.
    pub fn unsupported(
        path: impl AsRef<Path>,
        what: impl Into<String>,
        supported: impl Into<String>,
    ) -> Self {
        ZooError::Unsupported {
            path: path.as_ref().to_path_buf(),
            what: what.into(),
            supported: supported.into(),
        }
    }

    /// A [`ZooError::Missing`] at `path`, without a hint.
    pub fn missing(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        ZooError::Missing { path: path.as_ref().to_path_buf(), what: what.into(), hint: None }
    }

    /// A [`ZooError::Unknown`]: nothing among `known` has this name.
    pub fn unknown(kind: &'static str, name: &str, known: impl IntoIterator<Item = String>) -> Self {
        let known: Vec<String> = known.into_iter().collect();
        let meant = did_you_mean(name, known.iter().map(String::as_str)).map(str::to_owned);
        ZooError::Unknown { kind, name: name.to_owned(), meant, known }
    }

    /// A [`ZooError::Network`] at `path`.
    pub fn network(path: impl AsRef<Path>, source: pgdl_network::NetworkError) -> Self {
        ZooError::Network { path: path.as_ref().to_path_buf(), source }
    }

    /// The file or folder that it is about, with which the message then begins.
    pub fn path(&self) -> Option<&Path> {
        match self {
            ZooError::Io { path, .. }
            | ZooError::Malformed { path, .. }
            | ZooError::Checksum { path, .. }
            | ZooError::Unsupported { path, .. }
            | ZooError::UnsupportedLayer { path, .. }
            | ZooError::Missing { path, .. }
            | ZooError::Network { path, .. } => Some(path),
            ZooError::Unknown { .. } | ZooError::Fetch { .. } | ZooError::Invalid(_) | ZooError::Torch(_) => {
                None
            }
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            ZooError::Missing { hint, .. } => {
                Some(hint.clone().unwrap_or_else(|| "check the path; a copy may be incomplete".into()))
            }
            ZooError::Fetch { hint, .. } => hint.clone(),
            ZooError::Malformed { .. } => {
                Some("the file is damaged or was meant for something else: copy or make it again".into())
            }
            ZooError::Checksum { .. } => Some("the file is damaged: fetch or copy it again".into()),
            ZooError::Unsupported { supported, .. } if !supported.is_empty() => {
                Some(format!("supported: {supported}"))
            }
            ZooError::UnsupportedLayer { .. } => {
                Some(format!("supported layers: {}", crate::keras::supported_layers().join(", ")))
            }
            ZooError::Network { source, .. } => source.hint(),
            ZooError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => {
                    Some("free some room on that disk, then run it again".into())
                }
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    Some("check the permissions of that file and its folder".into())
                }
                std::io::ErrorKind::NotFound => Some("check the path; a copy may be incomplete".into()),
                _ => Some("check that this is an ordinary file or folder that can be read".into()),
            },
            ZooError::Unknown { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            ZooError::Unknown { known, .. } if !known.is_empty() => {
                Some(format!("known: {}", known.join(", ")))
            }
            ZooError::Unknown { kind: "zoo", .. } => {
                Some("`pgdl zoo list` shows the zoos there are; any other is named by its folder".into())
            }
            _ => None,
        }
    }
}
