//! Capacity measures: what the architecture alone says.

use pgdl_measure::{Registry, RegistryError};

pub mod depth;
mod levels;
pub mod params;
pub mod vc_dim;
pub mod vc_dim_fgm;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&params::INFO, |_| Ok(Box::new(params::Params)))?;
    registry.add(&depth::INFO, |_| Ok(Box::new(depth::Depth)))?;
    registry.add(&vc_dim::INFO, |_| Ok(Box::new(vc_dim::VcDim)))?;
    registry.add(&vc_dim_fgm::INFO, |_| Ok(Box::new(vc_dim_fgm::VcDimFgm)))
}
