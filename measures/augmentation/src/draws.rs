//! Samples, and averages over random draws.

use pgdl_measure::draws::standard_error_of_mean;
use pgdl_measure::{MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, RegistryError};

/// Number of draws.
pub(crate) const DRAWS: ParameterInfo = draws(4);

/// The parameter `draws` with another default.
pub(crate) const fn draws(default: i64) -> ParameterInfo {
    ParameterInfo {
        name: "draws",
        kind: ParameterKind::Integer { default, min: 2, max: 10_000 },
        doc: "how often each sample is changed at random",
    }
}

/// Number of samples.
pub(crate) const SAMPLES: ParameterInfo = samples(1000);

/// The parameter `samples` with another default.
pub(crate) const fn samples(default: i64) -> ParameterInfo {
    ParameterInfo {
        name: "samples",
        kind: ParameterKind::Integer { default, min: 1, max: i64::MAX },
        doc: "number m of samples, the first ones; all when there are fewer",
    }
}

/// A parameter that counts something.
pub(crate) fn size(parameters: &Parameters, name: &str) -> Result<usize, RegistryError> {
    Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX))
}

/// The mean of the draws' values with its standard error.
pub(crate) fn mean_of_draws(
    draws: usize,
    value: impl FnMut(usize) -> Result<f64, MeasureError>,
) -> Result<Measured, MeasureError> {
    let values = (0..draws).map(value).collect::<Result<Vec<f64>, _>>()?;
    Ok(Measured::mean_of(&values))
}

/// The standard error of the mean over draws of Σ over units of `draws[draw][unit]`, where chance treats every unit by
/// itself: √(Σ s² / draws), s² the unit's variance over the draws. Far steadier than what a few sums say. `None` for a
/// single draw.
pub(crate) fn standard_error_of_sum(draws: &[Vec<f64>]) -> Option<f64> {
    let units = draws.first()?.len();
    let square = |unit: usize| {
        let values: Vec<f64> = draws.iter().map(|draw| draw[unit]).collect();
        Some(standard_error_of_mean(&values)?.powi(2))
    };
    Some((0..units).map(square).sum::<Option<f64>>()?.sqrt())
}
