//! Heavy-tail measures: the spectra of the weight matrices, and how heavy their tails are.

use pgdl_measure::{Registry, RegistryError};

pub mod alpha;
pub mod alpha_hat;
pub mod effective_rank;
pub mod layer_spectra;
pub mod log_alpha_norm;
pub mod log_spectral_norm;
pub mod mp_soft_rank;
pub mod power_law;
pub mod stable_rank;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&alpha::INFO, |parameters| Ok(Box::new(alpha::Alpha::new(parameters)?)))?;
    registry.add(&alpha_hat::INFO, |parameters| Ok(Box::new(alpha_hat::AlphaHat::new(parameters)?)))?;
    registry.add(&log_alpha_norm::INFO, |parameters| {
        Ok(Box::new(log_alpha_norm::LogAlphaNorm::new(parameters)?))
    })?;
    registry.add(&stable_rank::INFO, |_| Ok(Box::new(stable_rank::StableRank)))?;
    registry.add(&mp_soft_rank::INFO, |_| Ok(Box::new(mp_soft_rank::MpSoftRank)))?;
    registry.add(&log_spectral_norm::INFO, |_| Ok(Box::new(log_spectral_norm::LogSpectralNorm)))?;
    registry.add(&effective_rank::INFO, |_| Ok(Box::new(effective_rank::EffectiveRank)))
}
