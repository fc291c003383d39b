//! Readers (and for PGDL's own formats writers) of data files.

pub mod cifar;
pub mod example;
pub mod idx;
pub mod images;
pub mod matlab;
pub mod npy;
pub mod omniglot;
pub mod shards;
pub mod svhn;
pub mod tfrecord;

pub use images::{Images, Transform};
