//! What repeated draws say together.

use pgdl_measure::draws::standard_error_of_mean;

/// The middle of the values, or the mean of the two middle ones; `None` when there are none.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[last.div_ceil(2)]))
}

/// The standard error of the median of independent draws that are close to normal: √(π/2) times that of their mean.
pub(crate) fn standard_error_of_median(values: &[f64]) -> Option<f64> {
    standard_error_of_mean(values).map(|error| std::f64::consts::FRAC_PI_2.sqrt() * error)
}
