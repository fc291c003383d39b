//! Information: how much the weights, or the predictions, tell of the training data.
//!
//! The evaluated conditional mutual information of the predictions (Steinke & Zakynthinou 2020) is not here: it is taken over
//! super-samples, of which each half trains a network of its own. A zoo has one network per training sample; and the labels of
//! held-out data, which would stand in for the other half, are the gap itself.

use pgdl_measure::{Registry, RegistryError};

pub mod weight_information;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&weight_information::INFO, |parameters| {
        Ok(Box::new(weight_information::WeightInformation::new(parameters)?))
    })
}
