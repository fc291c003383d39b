//! A complexity measure for pgdl.

pub mod my_measure;

use pgdl_measure::{Registry, RegistryError};

use crate::my_measure::{INFO, MarginSpread};

/// Adds the crate's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&INFO, |_| Ok(Box::new(MarginSpread)))
}
