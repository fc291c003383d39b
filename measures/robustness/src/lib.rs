//! Robustness measures: what becomes of a network when one of its layers is set back, drawn afresh or moved.

use pgdl_measure::{Registry, RegistryError};

pub mod layer_reinit;
pub mod layer_rerandomize;
mod layers;
pub mod module_criticality;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry
        .add(&layer_reinit::INFO, |parameters| Ok(Box::new(layer_reinit::LayerReinit::new(parameters)?)))?;
    registry.add(&layer_rerandomize::INFO, |parameters| {
        Ok(Box::new(layer_rerandomize::LayerRerandomize::new(parameters)?))
    })?;
    registry.add(&module_criticality::INFO, |parameters| {
        Ok(Box::new(module_criticality::ModuleCriticality::new(parameters)?))
    })
}
