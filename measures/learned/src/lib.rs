//! Learned measures: what other networks taught of the gap.

use pgdl_measure::{Registry, RegistryError};

pub mod linear_signature;
pub mod nc;
pub mod regression;
pub mod table;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&nc::INFO, |parameters| Ok(Box::new(nc::NeuralComplexity::new(parameters)?)))?;
    registry.add(&linear_signature::INFO, |parameters| {
        Ok(Box::new(linear_signature::LinearSignature::new(parameters)?))
    })
}
