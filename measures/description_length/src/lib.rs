//! Description length: how few bits, and how few weights, a network can do with.

use pgdl_measure::{Registry, RegistryError};

mod fit;
pub mod intrinsic_dimension;
pub mod prequential;
pub mod pruning_curve;
mod quantize;
pub mod quantized_bits;
mod repeats;
pub mod two_part_code;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&quantized_bits::INFO, |parameters| {
        Ok(Box::new(quantized_bits::QuantizedBits::new(parameters)?))
    })?;
    registry.add(&pruning_curve::INFO, |parameters| {
        Ok(Box::new(pruning_curve::PruningCurve::new(parameters)?))
    })?;
    registry
        .add(&two_part_code::INFO, |parameters| Ok(Box::new(two_part_code::TwoPartCode::new(parameters)?)))?;
    registry
        .add(&prequential::INFO, |parameters| Ok(Box::new(prequential::Prequential::new(parameters)?)))?;
    registry.add(&intrinsic_dimension::INFO, |parameters| {
        Ok(Box::new(intrinsic_dimension::IntrinsicDimension::new(parameters)?))
    })
}
