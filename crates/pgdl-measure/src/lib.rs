//! What a complexity measure is, and all that it needs.
//!
//! A measure implements [`Measure`]: it says what it is ([`MeasureInfo`]) and computes a value from a [`Probe`], one
//! network under examination with its training sample. A [`Registry`] collects measures by explicit calls. Built-in
//! families and plugins use the same door, and need no other crate than this one: [`tch`], [`network`] and [`rand`] are
//! re-exported.

pub mod contract;
pub mod draws;
pub mod error;
pub mod explain;
pub mod expression;
pub mod generator;
pub mod info;
pub mod kernels;
pub mod measure;
pub mod measured;
pub mod parameter;
pub mod perturbed;
pub mod probe;
pub mod quantity;
pub mod registry;
pub mod request;
pub mod retraining;
mod shared;
pub mod spec;
pub mod sums;
pub mod truth;

pub use pgdl_network as network;
pub use pgdl_zoo::did_you_mean;
pub use pgdl_zoo::{Dataset, HyperValue};
pub use rand;
pub use tch;

pub use error::{MeasureError, RegistryError};
pub use expression::{Estimate, Expression};
pub use generator::Generator;
pub use info::{Effect, Invariances, MeasureInfo, Need};
pub use kernels::{Kernel, behind_kernels, digest, kernels};
pub use measure::Measure;
pub use measured::{Detail, LayerDetail, Measured};
pub use parameter::{ParameterInfo, ParameterKind, ParameterValue, Parameters};
pub use perturbed::Perturbed;
pub use probe::{Batch, Evaluation, Probe, ProbeInput};
pub use quantity::{
    Accuracy, Activations, Answers, Correct, FoldedInitial, FoldedNetwork, Gradient, Logits, LossGradient,
    Losses, Margins, Outputs, Quantity, correct, decisions,
};
pub use registry::{Registry, Resolved};
pub use request::{Asked, Composite, Request};
pub use retraining::{Retraining, Schedule, Training};
pub use shared::Passes;
pub use spec::MeasureSpec;
pub use truth::{TrueNetwork, Truth};
