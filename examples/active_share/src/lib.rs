//! How many units of a network are active: an example of a plugin.

pub mod active_share;
pub mod activity;

use pgdl_measure::{Registry, RegistryError};

/// Adds the crate's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&active_share::INFO, |parameters| {
        Ok(Box::new(active_share::ActiveShare { last: parameters.choice("layers")? == "last" }))
    })
}
