//! Spectral measures: operator norms of the layers, their products, and the bounds made of them.
//!
//! The operator norm of a convolution is that of the map the network applies, with its stride, padding and map size.

use pgdl_measure::{Registry, RegistryError};
use pgdl_measure_margin::MarginPercentile;

pub mod bartlett_2017;
pub mod covering_number;
pub mod fro_over_spec;
pub mod fro_over_spec_over_margin;
pub mod golowich_2018;
mod input_norms;
mod largest_singular_value;
mod layer_norms;
mod linear_map;
pub mod long_sedghi_2020;
mod named_norms;
pub mod neyshabur_2018;
mod norm;
mod operator_profile;
pub mod rademacher_spectral;
pub mod spectral_distance;
pub mod spectral_distance_over_margin;
pub mod spectral_init;
pub mod spectral_orig;
pub mod spectral_product;
pub mod spectral_product_over_margin;
pub mod spectral_sum;
pub mod spectral_sum_over_margin;

pub use input_norms::{InputNorms, InputSizes};
pub use largest_singular_value::{FAILURE, TOLERANCE, largest_singular_value};
pub use layer_norms::{LayerNorm, LayerNorms, Weights};
pub use linear_map::LinearMap;
pub use named_norms::{circular_norm, reshape_norm};
pub use norm::Norm;
pub use operator_profile::{OperatorLayer, OperatorProfile, Profile};

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&spectral_product::INFO, |p| {
        Ok(Box::new(spectral_product::SpectralProduct { norm: Norm::new(p)? }))
    })?;
    registry.add(&spectral_sum::INFO, |p| Ok(Box::new(spectral_sum::SpectralSum { norm: Norm::new(p)? })))?;
    registry.add(&spectral_distance::INFO, |p| {
        Ok(Box::new(spectral_distance::SpectralDistance { norm: Norm::new(p)? }))
    })?;
    registry
        .add(&fro_over_spec::INFO, |p| Ok(Box::new(fro_over_spec::FroOverSpec { norm: Norm::new(p)? })))?;
    registry.add(&spectral_init::INFO, |p| {
        Ok(Box::new(spectral_init::SpectralInit { norm: Norm::new(p)?, quantile: MarginPercentile::new(p)? }))
    })?;
    registry.add(&spectral_orig::INFO, |p| {
        Ok(Box::new(spectral_orig::SpectralOrig { norm: Norm::new(p)?, quantile: MarginPercentile::new(p)? }))
    })?;
    registry.add(&spectral_product_over_margin::INFO, |p| {
        Ok(Box::new(spectral_product_over_margin::SpectralProductOverMargin {
            norm: Norm::new(p)?,
            quantile: MarginPercentile::new(p)?,
        }))
    })?;
    registry.add(&spectral_sum_over_margin::INFO, |p| {
        Ok(Box::new(spectral_sum_over_margin::SpectralSumOverMargin {
            norm: Norm::new(p)?,
            quantile: MarginPercentile::new(p)?,
        }))
    })?;
    registry.add(&spectral_distance_over_margin::INFO, |p| {
        Ok(Box::new(spectral_distance_over_margin::SpectralDistanceOverMargin {
            norm: Norm::new(p)?,
            quantile: MarginPercentile::new(p)?,
        }))
    })?;
    registry.add(&fro_over_spec_over_margin::INFO, |p| {
        Ok(Box::new(fro_over_spec_over_margin::FroOverSpecOverMargin {
            norm: Norm::new(p)?,
            quantile: MarginPercentile::new(p)?,
        }))
    })?;
    registry.add(&bartlett_2017::INFO, |p| {
        Ok(Box::new(bartlett_2017::Bartlett2017 { quantile: MarginPercentile::new(p)? }))
    })?;
    registry.add(&neyshabur_2018::INFO, |p| {
        Ok(Box::new(neyshabur_2018::Neyshabur2018 { quantile: MarginPercentile::new(p)? }))
    })?;
    registry.add(&golowich_2018::INFO, |p| {
        Ok(Box::new(golowich_2018::Golowich2018 { quantile: MarginPercentile::new(p)? }))
    })?;
    registry.add(&long_sedghi_2020::INFO, |p| {
        Ok(Box::new(long_sedghi_2020::LongSedghi2020 {
            norm: Norm::new(p)?,
            quantile: MarginPercentile::new(p)?,
        }))
    })?;
    registry.add(&rademacher_spectral::INFO, |p| {
        Ok(Box::new(rademacher_spectral::RademacherSpectral { quantile: MarginPercentile::new(p)? }))
    })?;
    registry.add(&covering_number::INFO, |p| {
        Ok(Box::new(covering_number::CoveringNumber { epsilon: p.float("epsilon")? }))
    })
}
