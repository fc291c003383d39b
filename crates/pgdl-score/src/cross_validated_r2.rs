//! How well a line through the other networks predicts a network's gap.

use crate::outcome::{Outcome, Undefined};
use crate::paired::{centred, complete_pairs, scaled_pairs};

/// Cross-validated R² of the least-squares line gap ≈ α + β·measure: 1 − Σ(g_i − ĝ_i)² / Σ(g_i − ḡ)², where ĝ_i is
/// predicted by the line through all **other** networks, and ḡ is the mean of all.
///
/// Each network is a fold of its own (leave-one-out; the sum is Allen's PRESS statistic, 1974, Technometrics
/// 16:125–127). So there is nothing to draw, and the order of the networks does not matter. At most 1; negative
/// where the line predicts worse than the mean gap. The sign of β is free: R² cannot tell a measure that rises with
/// the gap from one that falls.
///
/// Networks where either number is NaN are left out.
///
/// # Undefined
/// Fewer than three networks with both numbers, an infinite number, a constant list, a measure that is constant
/// after leaving one network out, lists of different length.
pub fn cross_validated_r2(measure: &[f64], gap: &[f64]) -> Outcome {
    let (x, y) = complete_pairs(measure, gap)?;
    let (scaled_x, scaled_y) = scaled_pairs(&x, &y, 3)?;
    let (x, y) = (centred(&scaled_x), centred(&scaled_y));
    let n = x.len() as f64;
    let (sxx, sxy, syy) = x
        .iter()
        .zip(&y)
        .fold((0.0, 0.0, 0.0), |(sxx, sxy, syy), (x, y)| (sxx + x * x, sxy + x * y, syy + y * y));
    let mut squares = 0.0;
    for (i, (&xi, &yi)) in x.iter().zip(&y).enumerate() {
        let leverage = 1.0 / n + xi * xi / sxx;
        // The residual of the line through all, over 1 − leverage, is the residual of the line through the others.
        // At most three networks have a leverage above one half (leverages sum to 2); near 1 the division loses
        // all digits, so for those the line is fitted again.
        let residual = if leverage < 0.5 {
            (yi - sxy / sxx * xi) / (1.0 - leverage)
        } else {
            residual_of_the_others(&scaled_x, &scaled_y, i).ok_or_else(|| {
                Undefined::because("without one of the networks, the measure is the same for all")
            })?
        };
        squares += residual * residual;
    }
    Ok(1.0 - squares / syy)
}

/// Residual of point `left_out` under the line through the other points; `None` where those share their x.
fn residual_of_the_others(x: &[f64], y: &[f64], left_out: usize) -> Option<f64> {
    let others = || x.iter().zip(y).enumerate().filter(|&(i, _)| i != left_out).map(|(_, point)| point);
    let first = others().next()?.0;
    if others().all(|(x, _)| x == first) {
        return None;
    }
    let n = (x.len() - 1) as f64;
    let mean_x = others().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = others().map(|(_, y)| y).sum::<f64>() / n;
    let (sxx, sxy) = others().fold((0.0, 0.0), |(sxx, sxy), (x, y)| {
        (sxx + (x - mean_x) * (x - mean_x), sxy + (x - mean_x) * (y - mean_y))
    });
    (sxx > 0.0).then(|| y[left_out] - mean_y - sxy / sxx * (x[left_out] - mean_x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_predicted_fully() {
        assert_eq!(cross_validated_r2(&[1.0, 2.0, 4.0, 8.0], &[0.5, 1.0, 2.0, 4.0]), Ok(1.0));
    }

    #[test]
    fn three_points_by_hand() {
        // (0,0) (1,1) (2,0). Lines through two: left out 0 → 2 − x, predicts 2; 1 → 0; 2 → x, predicts 2.
        // Squares 4 + 1 + 4 = 9; around the mean ⅓: 2/3. R² = 1 − 13.5.
        let r2 = cross_validated_r2(&[0.0, 1.0, 2.0], &[0.0, 1.0, 0.0]).unwrap();
        assert!((r2 + 12.5).abs() < 1e-12, "{r2}");
    }

    #[test]
    fn undefined_when_one_network_alone_makes_the_measure_vary() {
        let reason = cross_validated_r2(&[1.0, 1.0, 1.0, 2.0], &[1.0, 2.0, 3.0, 4.0]).unwrap_err().0;
        assert_eq!(reason, "without one of the networks, the measure is the same for all");
    }
}
