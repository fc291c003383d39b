//! What standard errors claim, and what repeated runs show.

use crate::draws::mean;
use crate::error::MeasureError;
use crate::probe::{Probe, ProbeInput};
use crate::registry::{Registry, Resolved};

/// How a measure's values scatter over seeds, and how it says that they do.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The variance of the values.
    pub shown: f64,
    /// The mean of the squared standard errors.
    pub claimed: f64,
}

impl Spread {
    /// The variance over what is claimed: 1 where standard errors are right. Of normal values its own relative standard
    /// error is √(2/(seeds − 1)), beside that of the claims.
    pub fn ratio(&self) -> f64 {
        self.shown / self.claimed
    }
}

/// Evaluates a random measure under the seeds 0, 1, …
///
/// # Errors
/// [`MeasureError::Failed`] where a run has a value without a standard error, or there are fewer than two seeds; and what
/// the measure says where it has no value.
///
/// ```
/// # use pgdl_measure::{Registry, RegistryError, contract};
/// # fn check(registry: &Registry) -> Result<(), Box<dyn std::error::Error>> {
/// let specimen = contract::tiny_networks()?.swap_remove(0);
/// let spread = contract::spread_over_seeds(registry, "my_measure:draws=8", 40, || specimen.input())?;
/// assert!((0.4..2.0).contains(&spread.ratio()), "{spread:?}");
/// # Ok(())
/// # }
/// ```
pub fn spread_over_seeds(
    registry: &Registry,
    spec: &str,
    seeds: u64,
    input: impl Fn() -> ProbeInput,
) -> Result<Spread, MeasureError> {
    let resolved = registry.resolve(spec).map_err(|error| MeasureError::Failed(error.to_string()))?;
    let runs = (0..seeds).map(|seed| run(&resolved, ProbeInput { seed, ..input() }));
    let (values, squares): (Vec<f64>, Vec<f64>) = runs.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    if values.len() < 2 {
        return MeasureError::failed("fewer than two seeds have no spread");
    }
    let centre = mean(&values);
    let shown = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / (seeds - 1) as f64;
    Ok(Spread { shown, claimed: mean(&squares) })
}

/// The value and the square of its standard error.
fn run(resolved: &Resolved, input: ProbeInput) -> Result<(f64, f64), MeasureError> {
    let seed = input.seed;
    let measured = Probe::new(input)?.evaluate(resolved).outcome?;
    match measured.standard_error {
        Some(error) => Ok((measured.value, error.powi(2))),
        None => MeasureError::failed(format!("under seed {seed} it has a value without a standard error")),
    }
}
