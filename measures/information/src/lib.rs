//! Information: how much the weights, or the predictions, tell of the training data.

use pgdl_measure::{Registry, RegistryError};

pub mod fmi_bound;
pub mod weight_information;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&weight_information::INFO, |parameters| {
        Ok(Box::new(weight_information::WeightInformation::new(parameters)?))
    })?;
    registry.add(&fmi_bound::INFO, |parameters| Ok(Box::new(fmi_bound::FmiBound::new(parameters)?)))
}
