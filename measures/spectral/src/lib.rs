//! Spectral measures: operator norms of the layers, their products, and the bounds made of them.

use pgdl_measure::{Registry, RegistryError};

/// Adds the family.
///
/// # Errors
/// When an id is taken.
pub fn register(_registry: &mut Registry) -> Result<(), RegistryError> {
    Ok(())
}
