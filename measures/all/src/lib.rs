//! Every measure family that comes with pgdl, in one call.

use pgdl_measure::{Registry, RegistryError};

/// Adds all built-in measures to `registry`.
///
/// # Errors
/// An id is taken already, for example by a plugin that was registered first.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    pgdl_measure_controls::register(registry)?;
    pgdl_measure_capacity::register(registry)?;
    pgdl_measure_norms::register(registry)?;
    pgdl_measure_spectral::register(registry)?;
    pgdl_measure_heavy_tails::register(registry)?;
    pgdl_measure_margin::register(registry)?;
    pgdl_measure_representation::register(registry)?;
    pgdl_measure_augmentation::register(registry)?;
    pgdl_measure_calibration::register(registry)?;
    pgdl_measure_gradient::register(registry)?;
    pgdl_measure_sharpness::register(registry)?;
    pgdl_measure_pac_bayes::register(registry)?;
    pgdl_measure_singular::register(registry)?;
    pgdl_measure_robustness::register(registry)?;
    pgdl_measure_description_length::register(registry)?;
    pgdl_measure_stability::register(registry)?;
    pgdl_measure_information::register(registry)?;
    pgdl_measure_learned::register(registry)
}
