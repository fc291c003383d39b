//! Margin measures in the output layer. Every margin is signed: f_y − max over j ≠ y of f_j.

use pgdl_measure::{Registry, RegistryError};

pub mod inverse_margin;
pub mod margin;
mod percentile;

pub use percentile::{MarginPercentile, P, VARIANT, percentile};

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&margin::INFO, |parameters| {
        Ok(Box::new(margin::Margin { quantile: percentile::MarginPercentile::new(parameters)? }))
    })?;
    registry.add(&inverse_margin::INFO, |parameters| {
        Ok(Box::new(inverse_margin::InverseMargin {
            quantile: percentile::MarginPercentile::new(parameters)?,
        }))
    })
}
