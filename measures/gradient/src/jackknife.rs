//! Standard errors of what is computed from several draws.

use pgdl_measure::{MeasureError, Measured};

/// The value of all draws, with the standard error from the values without one of them (Efron 1982). `value` gets the
/// number of the draw that is left out, if any.
///
/// # Errors
/// Those of `value`.
pub fn jackknife(
    draws: usize,
    value: impl Fn(Option<usize>) -> Result<Measured, MeasureError>,
) -> Result<Measured, MeasureError> {
    let Found { all, error, .. } = Found::new(draws, value)?;
    Ok(Measured::value(all).with_standard_error(error))
}

/// As [`jackknife`], less the bias that the values without one draw show: what is of order 1/draws in it is gone
/// (Quenouille 1956).
///
/// # Errors
/// Those of `value`.
pub(crate) fn unbiased_jackknife(
    draws: usize,
    value: impl Fn(Option<usize>) -> Result<Measured, MeasureError>,
) -> Result<Measured, MeasureError> {
    let Found { all, mean, error } = Found::new(draws, value)?;
    let bias = (draws as f64 - 1.0) * (mean - all);
    Ok(Measured::value(all - bias).with_standard_error(error).with_detail("bias_subtracted", bias))
}

struct Found {
    /// The value of all draws.
    all: f64,
    /// The mean of the values without one.
    mean: f64,
    error: f64,
}

impl Found {
    fn new(
        draws: usize,
        value: impl Fn(Option<usize>) -> Result<Measured, MeasureError>,
    ) -> Result<Self, MeasureError> {
        let all = value(None)?.value;
        let parts: Vec<f64> =
            (0..draws).map(|draw| Ok(value(Some(draw))?.value)).collect::<Result<_, MeasureError>>()?;
        let count = draws as f64;
        let mean = parts.iter().sum::<f64>() / count;
        let squares: f64 = parts.iter().map(|part| (part - mean).powi(2)).sum();
        Ok(Self { all, mean, error: ((count - 1.0) / count * squares).sqrt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The square of a mean of n draws is too large by σ²/n, and the jackknife's bias is s²/n exactly.
    #[test]
    fn the_bias_of_a_squared_mean_is_subtracted() {
        let draws = [1.0, 4.0, 2.0, 7.0, 3.5];
        let square = |left_out: Option<usize>| {
            let kept = draws.iter().enumerate().filter(|(draw, _)| Some(*draw) != left_out);
            let (sum, count) =
                kept.fold((0.0, 0.0), |(sum, count): (f64, f64), (_, one)| (sum + one, count + 1.0));
            Ok(Measured::value((sum / count).powi(2)))
        };
        let mean = draws.iter().sum::<f64>() / 5.0;
        let variance = draws.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 4.0;
        let (plain, corrected) = (jackknife(5, square).unwrap(), unbiased_jackknife(5, square).unwrap());
        assert_eq!(plain.value, mean * mean);
        assert!((corrected.value - (mean * mean - variance / 5.0)).abs() < 1e-12);
        assert_eq!(plain.standard_error, corrected.standard_error);
    }
}
