//! Neural Complexity (Lee et al. 2020): a network that learns to estimate the generalization gap of a hypothesis from its
//! behaviour on data, and that can be added to a training loss as a regularizer.
//!
//! A [`Recipe`] names a model, tasks and learners; [`MetaTraining`] trains the model on snapshots of learners, which it
//! keeps in a memory [`Bank`]; a [`Checkpoint`] is the trained model with all that is known of its training.

mod adam;
pub mod bank;
pub mod bound;
pub mod calibration;
pub mod checkpoint;
pub mod classifier;
pub mod closed_form;
pub mod error;
mod files;
pub mod fit;
pub mod hypotheses;
pub mod images;
pub mod learner;
pub mod maml;
pub mod meta;
pub mod model;
pub mod random;
pub mod recipe;
pub mod snapshots;
mod spill;
pub mod task;

pub use bank::Bank;
pub use bound::Bound;
pub use calibration::{Calibration, Calibrator};
pub use checkpoint::{Checkpoint, Description};
pub use error::{NcError, Result};
pub use fit::{Fit, Observations};
pub use hypotheses::{Half, Hypotheses};
pub use meta::{MetaTraining, Point};
pub use recipe::Recipe;
