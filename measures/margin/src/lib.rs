//! Margin measures: how far samples are from the decision boundary, in the output, in hidden representations and in
//! the input. Every margin is signed: negative where the network errs.

use pgdl_measure::{Registry, RegistryError};

pub mod adversarial_radius;
mod assignment;
pub mod augment_margin;
mod augmentation;
mod boundary;
pub mod constrained_margin;
mod distance;
pub mod hidden_margin;
mod hidden_margins;
pub mod inverse_margin;
mod k_variance;
mod k_variance_margin;
pub mod kv_gn_margin;
pub mod kv_margin;
pub mod manifold_mixup_margin;
pub mod margin;
pub mod mixup_margin;
mod percentile;
mod perturbed_margin;
mod place;
mod principal_components;
mod signature;
mod variation;

pub use assignment::least_assignment;
pub use hidden_margins::{HiddenMargins, MarginsAtPlace, MarginsAtPlaces};
pub use percentile::{MarginPercentile, P, VARIANT, percentile};
pub use place::{Depth, Place};
pub use signature::Signature;
pub use variation::trimmed_mean;

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
    })?;
    registry.add(&hidden_margin::INFO, |parameters| {
        Ok(Box::new(hidden_margin::HiddenMargin::new(parameters)?))
    })?;
    registry.add(&augment_margin::INFO, |parameters| {
        Ok(Box::new(augment_margin::AugmentMargin::new(parameters)?))
    })?;
    registry
        .add(&mixup_margin::INFO, |parameters| Ok(Box::new(mixup_margin::MixupMargin::new(parameters)?)))?;
    registry.add(&manifold_mixup_margin::INFO, |parameters| {
        Ok(Box::new(manifold_mixup_margin::ManifoldMixupMargin::new(parameters)?))
    })?;
    registry.add(&kv_margin::INFO, |parameters| Ok(Box::new(kv_margin::KvMargin::new(parameters)?)))?;
    registry
        .add(&kv_gn_margin::INFO, |parameters| Ok(Box::new(kv_gn_margin::KvGnMargin::new(parameters)?)))?;
    registry.add(&adversarial_radius::INFO, |parameters| {
        Ok(Box::new(adversarial_radius::AdversarialRadius::new(parameters)?))
    })?;
    registry.add(&constrained_margin::INFO, |parameters| {
        Ok(Box::new(constrained_margin::ConstrainedMargin::new(parameters)?))
    })
}
