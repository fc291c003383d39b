//! Singular learning theory (Watanabe): what the local posterior around the trained weights says. All measures of the
//! family come from the same chains, [`LocalPosterior`], on a shared [`Potential`].

use pgdl_measure::{Registry, RegistryError};

pub mod bayes_error;
mod curvature;
pub mod deep_linear;
pub mod diagnostics;
pub mod gibbs_error;
pub mod llc;
mod network_potential;
mod parameters;
mod per_sample;
mod posterior;
pub mod posterior_gap;
mod potential;
mod sampler;
pub mod singular_fluctuation;
pub mod waic;
pub mod wbic;

pub use network_potential::NetworkPotential;
pub use per_sample::{PerSample, Predictive};
pub use posterior::{Estimated, LocalPosterior, MOST_R_HAT, Posterior};
pub use potential::Potential;
pub use sampler::Sampling;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&llc::INFO, |parameters| Ok(Box::new(llc::Llc::new(parameters)?)))?;
    registry.add(&wbic::INFO, |parameters| Ok(Box::new(wbic::Wbic::new(parameters)?)))?;
    registry.add(&waic::INFO, |parameters| Ok(Box::new(waic::Waic::new(parameters)?)))?;
    registry.add(&singular_fluctuation::INFO, |parameters| {
        Ok(Box::new(singular_fluctuation::SingularFluctuation::new(parameters)?))
    })?;
    registry.add(&bayes_error::INFO, |parameters| Ok(Box::new(bayes_error::BayesError::new(parameters)?)))?;
    registry.add(&gibbs_error::INFO, |parameters| Ok(Box::new(gibbs_error::GibbsError::new(parameters)?)))?;
    registry
        .add(&posterior_gap::INFO, |parameters| Ok(Box::new(posterior_gap::PosteriorGap::new(parameters)?)))
}
