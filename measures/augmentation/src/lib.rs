//! Augmentation measures: how a network answers to changed inputs.

use pgdl_measure::{Registry, RegistryError};

pub mod always_generalize;
mod decisions;
mod draws;
pub mod mixup_accuracy;
pub mod noise_response;
mod transforms;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&mixup_accuracy::INFO, |parameters| {
        Ok(Box::new(mixup_accuracy::MixupAccuracy::new(parameters)?))
    })?;
    registry.add(&noise_response::INFO, |parameters| {
        Ok(Box::new(noise_response::NoiseResponse::new(parameters)?))
    })?;
    registry.add(&always_generalize::INFO, |parameters| {
        Ok(Box::new(always_generalize::AlwaysGeneralize::new(parameters)?))
    })
}
