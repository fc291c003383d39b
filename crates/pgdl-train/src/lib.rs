//! Training of networks, and recipes for whole zoos.
//!
//! A [`Recipe`] names data, an architecture [`Family`](family::Family), a grid of hyperparameters and a way of training;
//! [`Build`] turns it into a zoo in PGDL's layout, one process per network. [`train::train`] is the loop
//! itself.

mod batches;
pub mod build;
pub mod error;
pub mod family;
mod label_noise;
mod objective;
pub mod recipe;
pub mod samples;
pub mod settings;
mod store;
pub mod synthetic;
pub mod train;
mod worker;

pub use build::{Build, BuildEvent, Status, Summary};
pub use error::{Result, TrainError};
pub use recipe::Recipe;
pub use store::TrainingRecord;
pub use worker::{WORKER_ARGUMENT, train_worker_main};
