//! Zoos of trained networks: the PGDL task layout, Keras files, data sets.
//!
//! A *zoo* holds the networks of one task: one data set, one architecture family, a grid of hyperparameters.
//! [`Zoo::open`] reads its configurations only; weights stay on disk until [`Zoo::load`].

mod atomic_file;
pub mod data;
pub mod data_reference;
pub mod dataset;
pub mod did_you_mean;
pub mod error;
pub mod fetch;
pub mod hdf5;
pub mod hyperparameter;
mod json_file;
pub mod keras;
mod tensor_memory;
pub mod zoo;

pub use dataset::{Dataset, Split};
pub use error::{Result, ZooError};
pub use hyperparameter::{HyperValue, Hyperparameter};
pub use zoo::{Gap, Listing, Metrics, NetworkEntry, Zoo, ZooLocation};
