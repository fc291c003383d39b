//! Gradient measures: how strongly outputs and loss answer to small changes.

use pgdl_measure::{Registry, RegistryError};

pub mod jacobian_norm;
mod layer_jacobians;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry
        .add(&jacobian_norm::INFO, |parameters| Ok(Box::new(jacobian_norm::JacobianNorm::new(parameters)?)))
}
