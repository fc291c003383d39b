//! Controls: measures that run on every board as its zero marks and upper marks.

use pgdl_measure::{Registry, RegistryError};

pub mod constant;
pub mod hyperparameters_only;
mod least_squares;
pub mod noisy_oracle;
pub mod random;
pub mod train_error;
pub mod train_loss;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&constant::INFO, |_| Ok(Box::new(constant::Constant)))?;
    registry.add(&random::INFO, |_| Ok(Box::new(random::Random)))?;
    registry.add(&hyperparameters_only::INFO, |parameters| {
        Ok(Box::new(hyperparameters_only::HyperparametersOnly::new(parameters)?))
    })?;
    registry.add(&noisy_oracle::INFO, |parameters| {
        Ok(Box::new(noisy_oracle::NoisyOracle { sigma: parameters.float("sigma")? }))
    })?;
    registry.add(&train_loss::INFO, |_| Ok(Box::new(train_loss::TrainLoss)))?;
    registry.add(&train_error::INFO, |_| Ok(Box::new(train_error::TrainError)))
}
