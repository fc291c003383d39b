//! What tests of measures find.

use std::fmt;

use pgdl_measure::{MeasureError, RegistryError};
use pgdl_train::TrainError;
use pgdl_zoo::ZooError;
use thiserror::Error;

/// Why a test of measures fails. A test function may return it: what it prints is for people.
#[derive(Error)]
pub enum Broken {
    /// Promises that measures do not keep, one a line.
    #[error("{} promises are not kept:\n{}", .0.len(), .0.join("\n"))]
    Contract(Vec<String>),
    /// `register` adds no measure.
    #[error("`register` adds no measure")]
    Empty,
    /// `register` fails, or there is no such measure.
    #[error("{0}")]
    Registry(#[from] RegistryError),
    /// There is no value.
    #[error("no value ({status}): {0}", status = .0.status())]
    Measure(#[from] MeasureError),
    /// The tiny zoo cannot be trained.
    #[error("the tiny zoo cannot be trained: {0}")]
    Train(#[from] TrainError),
    /// The tiny zoo cannot be written or read.
    #[error("the tiny zoo: {0}")]
    Zoo(#[from] ZooError),
    /// The system gives no temporary folder.
    #[error("no temporary folder: {0}")]
    Folder(#[from] std::io::Error),
}

impl fmt::Debug for Broken {
    /// The same text: it is what a failing test shows.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
