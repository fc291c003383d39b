//! Augmentation measures: how a network answers to changed inputs.

use pgdl_measure::{Registry, RegistryError};

pub mod always_generalize;
mod decisions;
mod draws;
pub mod gi_score;
mod mixture_response;
pub mod mixup_accuracy;
pub mod noise_response;
pub mod pal_score;
mod response_curve;
mod transforms;

pub use response_curve::ResponseCurve;

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
    })?;
    registry.add(&gi_score::INFO, |parameters| Ok(Box::new(gi_score::GiScore::new(parameters)?)))?;
    registry.add(&pal_score::INFO, |parameters| Ok(Box::new(pal_score::PalScore::new(parameters)?)))
}
