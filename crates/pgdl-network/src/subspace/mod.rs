//! Training in a random subspace of a network's parameters: w = w₀ + P z (Li et al. 2018).

mod adam;
mod descent;
mod hadamard;
mod projection;
mod stream;
mod threshold;

pub use adam::Adam;
pub use descent::{Batch, Descent, Subspace};
pub use hadamard::hadamard_transform;
pub use projection::{Projection, ProjectionKind};
pub use threshold::{Threshold, ThresholdSearch};
