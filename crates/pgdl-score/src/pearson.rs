//! Pearson's linear correlation.

use crate::outcome::Outcome;
use crate::paired::{centred, complete_pairs, scaled_pairs};

/// Pearson's product-moment correlation of measure and gap, Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²). In [−1, 1].
///
/// Networks where either number is NaN are left out. Sums are of deviations from the mean, after scaling by powers
/// of two: measures as large as 10³⁰⁰ are fine.
///
/// # Undefined
/// Fewer than two networks with both numbers, an infinite number, a constant list, lists of different length.
pub fn pearson(measure: &[f64], gap: &[f64]) -> Outcome {
    let (x, y) = complete_pairs(measure, gap)?;
    let (x, y) = scaled_pairs(&x, &y, 2)?;
    let (x, y) = (centred(&x), centred(&y));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let correlation = product(&x, &y) / (product(&x, &x).sqrt() * product(&y, &y).sqrt());
    Ok(correlation.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_correlate_fully() {
        let x = [1.0, 2.0, 4.0, 8.0];
        assert!((pearson(&x, &[3.0, 5.0, 9.0, 17.0]).unwrap() - 1.0).abs() < 1e-15);
        assert!((pearson(&x, &[-1.0, -2.0, -4.0, -8.0]).unwrap() + 1.0).abs() < 1e-15);
    }

    #[test]
    fn survives_sizes_whose_squares_do_not() {
        for size in [1e300, 1e-300] {
            let x = [1.0, 2.0, 5.0].map(|x| x * size);
            let r = pearson(&x, &[1.0, 3.0, 2.0]).unwrap();
            assert!(
                (r - pearson(&[1.0, 2.0, 5.0], &[1.0, 3.0, 2.0]).unwrap()).abs() < 1e-14,
                "{size:e}: {r}"
            );
        }
    }

    #[test]
    fn undefined_with_the_reason() {
        let reason = |x: &[f64]| pearson(x, &[1.0, 2.0, 3.0]).unwrap_err().0;
        assert_eq!(reason(&[0.1, 0.1, 0.1]), "the measure is the same for all networks");
        assert_eq!(reason(&[0.1, f64::INFINITY, 0.1]), "the measure is infinite for a network");
        assert_eq!(reason(&[0.1, f64::NAN, f64::NAN]), "needs 2 networks with a value, there are 1");
    }
}
