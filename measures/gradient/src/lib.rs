//! Gradient measures: how strongly outputs and loss answer to small changes of inputs and weights.

use pgdl_measure::{Registry, RegistryError};

mod fisher;
pub mod fisher_rao;
pub mod gradient_coherence;
pub mod gradient_noise;
pub mod gsnr;
pub mod iiw;
pub mod input_gradient_norm;
mod jackknife;
pub mod jacobian_norm;
mod layer_jacobians;
mod moments;
pub mod tic;

pub use fisher::FisherDiagonal;
pub use jackknife::jackknife;
pub use moments::at_once;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&jacobian_norm::INFO, |parameters| {
        Ok(Box::new(jacobian_norm::JacobianNorm::new(parameters)?))
    })?;
    registry.add(&input_gradient_norm::INFO, |parameters| {
        Ok(Box::new(input_gradient_norm::InputGradientNorm::new(parameters)?))
    })?;
    registry.add(&gradient_noise::INFO, |parameters| {
        Ok(Box::new(gradient_noise::GradientNoise::new(parameters)?))
    })?;
    registry.add(&gsnr::INFO, |parameters| Ok(Box::new(gsnr::Gsnr::new(parameters)?)))?;
    registry.add(&gradient_coherence::INFO, |parameters| {
        Ok(Box::new(gradient_coherence::GradientCoherence::new(parameters)?))
    })?;
    registry.add(&fisher_rao::INFO, |parameters| Ok(Box::new(fisher_rao::FisherRao::new(parameters)?)))?;
    registry.add(&tic::INFO, |parameters| Ok(Box::new(tic::Tic::new(parameters)?)))?;
    registry.add(&iiw::INFO, |parameters| Ok(Box::new(iiw::Iiw::new(parameters)?)))
}
