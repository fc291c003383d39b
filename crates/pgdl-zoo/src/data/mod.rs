//! Readers (and for PGDL's own formats writers) of data files.

pub mod cifar;
pub mod images;

pub use images::{Images, Transform};
