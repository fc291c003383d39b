//! A complexity measure for pgdl.

pub mod my_measure;

use pgdl_measure::{Registry, RegistryError};

/// Adds the crate's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&my_measure::INFO, |_| Ok(Box::new(my_measure::MyMeasure)))
}
