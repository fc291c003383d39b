//! Calibration measures: how sure the network is of its answers on the training sample.

use pgdl_measure::{Registry, RegistryError};

pub mod confidence;
pub mod cross_entropy;
pub mod expected_calibration_error;
pub mod negative_entropy;
mod probabilities;
pub mod temperature;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&cross_entropy::INFO, |_| Ok(Box::new(cross_entropy::CrossEntropy)))?;
    registry.add(&negative_entropy::INFO, |_| Ok(Box::new(negative_entropy::NegativeEntropy)))?;
    registry.add(&expected_calibration_error::INFO, |parameters| {
        let bins = parameters.integer("bins")?;
        Ok(Box::new(expected_calibration_error::ExpectedCalibrationError { bins }))
    })?;
    registry.add(&confidence::INFO, |_| Ok(Box::new(confidence::Confidence)))?;
    registry.add(&temperature::INFO, |_| Ok(Box::new(temperature::Temperature)))
}
