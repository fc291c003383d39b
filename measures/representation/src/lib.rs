//! Representation measures: clusters, graphs and dimensions of hidden activations.

use pgdl_measure::{Registry, RegistryError};

/// Adds the family.
///
/// # Errors
/// When an id is taken.
pub fn register(_registry: &mut Registry) -> Result<(), RegistryError> {
    Ok(())
}
