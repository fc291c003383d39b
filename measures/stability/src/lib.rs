//! Stability: how much the network hangs on single samples and on the seed, and what labels its functions could fit.

use pgdl_measure::{Registry, RegistryError};

pub mod disagreement;
pub mod empirical_rademacher;
mod influence;
pub mod influence_trace;
mod last_layer;
pub mod leave_one_out;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry
        .add(&leave_one_out::INFO, |parameters| Ok(Box::new(leave_one_out::LeaveOneOut::new(parameters)?)))?;
    registry.add(&influence_trace::INFO, |parameters| {
        Ok(Box::new(influence_trace::InfluenceTrace::new(parameters)?))
    })?;
    registry.add(&empirical_rademacher::INFO, |parameters| {
        Ok(Box::new(empirical_rademacher::EmpiricalRademacher::new(parameters)?))
    })?;
    registry.add(&disagreement::INFO, |parameters| Ok(Box::new(disagreement::Disagreement::new(parameters)?)))
}
