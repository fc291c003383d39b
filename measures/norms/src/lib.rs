//! Norms of the weights and their distance from the initial ones. All sums are taken in f64.

use pgdl_measure::{Registry, RegistryError};
use pgdl_measure_margin::MarginPercentile;

pub mod distance_from_init;
mod finite_layers;
pub mod frobenius_distance;
mod frobenius_norms;
pub mod frobenius_product;
pub mod frobenius_sum;
mod group_norm;
pub mod l1_inf_product;
pub mod l2_norm;
pub mod l3_15_product;
mod logarithms;
pub mod param_norm;
pub mod path_norm;
pub mod path_norm_over_margin;
mod path_sum;

pub use group_norm::log_squared_group_norm;
pub use path_sum::PathSum;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&l2_norm::INFO, |_| Ok(Box::new(l2_norm::L2Norm)))?;
    registry.add(&distance_from_init::INFO, |_| Ok(Box::new(distance_from_init::DistanceFromInit)))?;
    registry.add(&param_norm::INFO, |_| Ok(Box::new(param_norm::ParamNorm)))?;
    registry.add(&frobenius_distance::INFO, |_| Ok(Box::new(frobenius_distance::FrobeniusDistance)))?;
    registry.add(&frobenius_product::INFO, |_| Ok(Box::new(frobenius_product::FrobeniusProduct)))?;
    registry.add(&frobenius_sum::INFO, |_| Ok(Box::new(frobenius_sum::FrobeniusSum)))?;
    registry.add(&l1_inf_product::INFO, |_| Ok(Box::new(l1_inf_product::L1InfProduct)))?;
    registry.add(&l3_15_product::INFO, |_| Ok(Box::new(l3_15_product::L315Product)))?;
    registry.add(&path_norm::INFO, |parameters| {
        Ok(Box::new(path_norm::PathNorm { paths: PathSum::new(parameters)? }))
    })?;
    registry.add(&path_norm_over_margin::INFO, |parameters| {
        Ok(Box::new(path_norm_over_margin::PathNormOverMargin {
            paths: PathSum::new(parameters)?,
            quantile: MarginPercentile::new(parameters)?,
        }))
    })
}
