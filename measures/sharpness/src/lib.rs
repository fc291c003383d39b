//! Sharpness measures: how the loss and the accuracy answer to changed weights.

use pgdl_measure::{Registry, RegistryError};

pub mod asam;
mod ascent;
pub mod average_sharpness;
mod gauss_newton;
pub mod hessian_density;
pub mod hessian_max;
pub mod hessian_trace;
mod lanczos;
mod loss;
pub mod minimum_sharpness;
mod one_step;
mod open;
pub mod relative_flatness;
pub mod sam;
pub mod sharpness;
pub mod sharpness_flatness;
pub mod sharpness_init;
pub mod sharpness_mag_flatness;
pub mod sharpness_mag_init;
pub mod sharpness_mag_orig;
pub mod sharpness_orig;
mod until;
mod worst_scale;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&sharpness::INFO, |parameters| Ok(Box::new(sharpness::Sharpness::new(parameters)?)))?;
    registry.add(&average_sharpness::INFO, |parameters| {
        Ok(Box::new(average_sharpness::AverageSharpness::new(parameters)?))
    })?;
    registry.add(&sharpness_flatness::INFO, |parameters| {
        Ok(Box::new(sharpness_flatness::SharpnessFlatness::new(parameters)?))
    })?;
    registry.add(&sharpness_init::INFO, |parameters| {
        Ok(Box::new(sharpness_init::SharpnessInit::new(parameters)?))
    })?;
    registry.add(&sharpness_orig::INFO, |parameters| {
        Ok(Box::new(sharpness_orig::SharpnessOrig::new(parameters)?))
    })?;
    registry.add(&sharpness_mag_flatness::INFO, |parameters| {
        Ok(Box::new(sharpness_mag_flatness::SharpnessMagFlatness::new(parameters)?))
    })?;
    registry.add(&sharpness_mag_init::INFO, |parameters| {
        Ok(Box::new(sharpness_mag_init::SharpnessMagInit::new(parameters)?))
    })?;
    registry.add(&sharpness_mag_orig::INFO, |parameters| {
        Ok(Box::new(sharpness_mag_orig::SharpnessMagOrig::new(parameters)?))
    })?;
    registry.add(&sam::INFO, |parameters| Ok(Box::new(sam::Sam::new(parameters)?)))?;
    registry.add(&asam::INFO, |parameters| Ok(Box::new(asam::Asam::new(parameters)?)))?;
    registry.add(&hessian_max::INFO, |parameters| Ok(Box::new(hessian_max::HessianMax::new(parameters)?)))?;
    registry.add(&hessian_trace::INFO, |parameters| {
        Ok(Box::new(hessian_trace::HessianTrace::new(parameters)?))
    })?;
    registry.add(&hessian_density::INFO, |parameters| {
        Ok(Box::new(hessian_density::HessianDensity::new(parameters)?))
    })?;
    registry.add(&relative_flatness::INFO, |parameters| {
        Ok(Box::new(relative_flatness::RelativeFlatness::new(parameters)?))
    })?;
    registry.add(&minimum_sharpness::INFO, |parameters| {
        Ok(Box::new(minimum_sharpness::MinimumSharpness::new(parameters)?))
    })
}
