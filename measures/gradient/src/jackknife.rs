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
    let all = value(None)?.value;
    let parts: Vec<f64> =
        (0..draws).map(|draw| Ok(value(Some(draw))?.value)).collect::<Result<_, MeasureError>>()?;
    let count = draws as f64;
    let mean = parts.iter().sum::<f64>() / count;
    let squares: f64 = parts.iter().map(|part| (part - mean).powi(2)).sum();
    Ok(Measured::value(all).with_standard_error(((count - 1.0) / count * squares).sqrt()))
}
