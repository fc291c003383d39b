//! Means of independent draws, to a given relative standard error.

use std::ops::Range;

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::{MeasureError, Probe};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// Relative standard error.
    pub tolerance: f64,
    /// Draws before it may stop.
    pub fewest: usize,
    /// Draws after which it stops in any case.
    pub most: usize,
}

/// A mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub mean: f64,
    pub standard_error: f64,
    pub draws: usize,
}

impl Mean {
    fn of(draws: &[f64]) -> Self {
        let standard_error = standard_error_of_mean(draws).unwrap_or(f64::NAN);
        Self { mean: mean(draws), standard_error, draws: draws.len() }
    }
}

/// Draws that are made side by side, and after which the standard error is looked at.
const BATCH: usize = 8;

/// The mean of the draws 0, 1, …, of which `draw` gives those of a range; it looks at the standard error after every
/// eighth.
///
/// # Errors
/// Those of `draw`, and time is up: with the mean so far.
pub(crate) fn mean_until(
    probe: &Probe,
    until: Until,
    mut draw: impl FnMut(Range<usize>) -> Result<Vec<f64>, MeasureError>,
) -> Result<Mean, MeasureError> {
    let mut draws = Vec::new();
    while draws.len() < until.most {
        let next = draws.len()..(draws.len() + BATCH).min(until.most);
        let drawn = probe.check_deadline().and_then(|()| draw(next));
        draws.extend(drawn.map_err(|error| match error {
            MeasureError::Timeout(reason) if draws.len() > 1 => {
                let Mean { mean, standard_error, draws } = Mean::of(&draws);
                MeasureError::Timeout(format!(
                    "{reason}; after {draws} draws: {mean:.4e} ± {standard_error:.1e}"
                ))
            }
            other => other,
        })?);
        if draws.len() >= until.fewest {
            let found = Mean::of(&draws);
            if found.standard_error <= until.tolerance * found.mean.abs() {
                return Ok(found);
            }
        }
    }
    Ok(Mean::of(&draws))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_and_its_standard_error() {
        let found = Mean::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found.mean, 2.5);
        assert!((found.standard_error - (5.0 / 3.0 / 4.0f64).sqrt()).abs() < 1e-15);
    }
}
