//! PAC-Bayes measures: how much noise on its weights a network bears, and what bounds follow.

use pgdl_measure::{Registry, RegistryError};

mod certificate;
mod code;
pub mod compression_bound;
mod descent;
mod form;
mod kl;
mod noise_scale;
pub mod pac_bayes_bound;
pub mod pac_bayes_flatness;
pub mod pac_bayes_init;
pub mod pac_bayes_mag_flatness;
pub mod pac_bayes_mag_init;
pub mod pac_bayes_mag_orig;
pub mod pac_bayes_orig;
mod reference;
mod scale_search;

pub use kl::{binary_divergence, expectation_bound, inverse_divergence, risk_bound};
pub use noise_scale::{EPSILON, Noise, NoiseScale};
pub use reference::{Reference, magnitude_divergence};
pub use scale_search::Scale;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&pac_bayes_init::INFO, |parameters| {
        Ok(Box::new(pac_bayes_init::PacBayesInit::new(parameters)?))
    })?;
    registry.add(&pac_bayes_orig::INFO, |parameters| {
        Ok(Box::new(pac_bayes_orig::PacBayesOrig::new(parameters)?))
    })?;
    registry.add(&pac_bayes_flatness::INFO, |parameters| {
        Ok(Box::new(pac_bayes_flatness::PacBayesFlatness::new(parameters)?))
    })?;
    registry.add(&pac_bayes_mag_init::INFO, |parameters| {
        Ok(Box::new(pac_bayes_mag_init::PacBayesMagInit::new(parameters)?))
    })?;
    registry.add(&pac_bayes_mag_orig::INFO, |parameters| {
        Ok(Box::new(pac_bayes_mag_orig::PacBayesMagOrig::new(parameters)?))
    })?;
    registry.add(&pac_bayes_mag_flatness::INFO, |parameters| {
        Ok(Box::new(pac_bayes_mag_flatness::PacBayesMagFlatness::new(parameters)?))
    })?;
    registry.add(&pac_bayes_bound::INFO, |parameters| {
        Ok(Box::new(pac_bayes_bound::PacBayesBound::new(parameters)?))
    })?;
    registry.add(&compression_bound::INFO, |parameters| {
        Ok(Box::new(compression_bound::CompressionBound::new(parameters)?))
    })
}
