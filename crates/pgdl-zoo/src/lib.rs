//! Zoos of trained networks: the PGDL task layout, Keras files, data sets.
//!
//! A *zoo* holds the networks of one task: one data set, one architecture family, a grid of hyperparameters.
//! [`Zoo::open`] reads its configurations only; weights stay on disk until [`Zoo::load`].

mod atomic_file;
mod atomic_folder;
pub mod check;
pub mod data;
pub mod data_reference;
pub mod dataset;
pub mod did_you_mean;
mod disk_room;
pub mod error;
pub mod export;
pub mod fetch;
pub mod grid;
pub mod hdf5;
pub mod hyperparameter;
pub mod import;
mod json_file;
pub mod keras;
mod ordinary_file;
mod tensor_memory;
mod verified_copy;
pub mod writer;
pub mod zoo;

pub use check::{CheckEvent, CheckOptions, CheckReport, CheckStatus, Finding, NetworkCheck, check};
pub use dataset::{Dataset, Split};
pub use error::{Result, ZooError};
pub use export::{ExportEvent, export};
pub use hyperparameter::{HyperValue, Hyperparameter};
pub use import::{ImportEvent, Imported, ImportedTask, ImportedZoo, import_competition, import_keras};
pub use writer::ZooWriter;
pub use zoo::{Gap, Listing, Metrics, NetworkEntry, Zoo, ZooLocation};
