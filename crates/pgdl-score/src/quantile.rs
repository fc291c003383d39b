//! Quantiles of a sorted sample.

/// The quantile of a sorted, non-empty sample by linear interpolation between order statistics
/// (Hyndman & Fan 1996, type 7): position `probability · (n − 1)`.
///
/// `None` for an empty sample.
pub fn quantile(sorted: &[f64], probability: f64) -> Option<f64> {
    quantile_of(sorted.len(), |position| sorted[position], probability)
}

/// [`quantile`] of `len` sorted values that `value` gives by position.
pub(crate) fn quantile_of(len: usize, value: impl Fn(usize) -> f64, probability: f64) -> Option<f64> {
    let last = len.checked_sub(1)?;
    let position = probability.clamp(0.0, 1.0) * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (low, high) = (value(below), value(above));
    // Equal neighbours first: infinite ones must not give ∞ − ∞.
    Some(if low == high { low } else { low + (position - below as f64) * (high - low) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_order_statistics() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.0), Some(1.0));
        assert_eq!(quantile(&sorted, 0.5), Some(3.0));
        assert_eq!(quantile(&sorted, 1.0), Some(8.0));
        // numpy.quantile([1, 2, 4, 8], 0.9) = 6.8
        assert!((quantile(&sorted, 0.9).unwrap() - 6.8).abs() < 1e-15);
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.9), Some(3.0));
    }
}
