//! Readers (and for PGDL's own formats writers) of data files.

pub mod cifar;
pub mod idx;
pub mod images;
pub mod matlab;
pub mod svhn;

pub use images::{Images, Transform};
