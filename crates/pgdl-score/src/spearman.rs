//! Spearman's rank correlation.

use crate::kendall::compare;
use crate::outcome::Outcome;
use crate::paired::complete_pairs;
use crate::pearson::pearson;

/// Spearman's ρ (1904): Pearson's correlation of ranks, where equal numbers share the mean of their ranks.
///
/// Networks where either number is NaN are left out. Infinite numbers are ranked.
///
/// # Undefined
/// Fewer than two networks with both numbers, a constant list, lists of different length.
pub fn spearman(measure: &[f64], gap: &[f64]) -> Outcome {
    let (x, y) = complete_pairs(measure, gap)?;
    pearson(&mean_ranks(&x), &mean_ranks(&y))
}

/// Ranks from 1; equal values share the mean of theirs.
fn mean_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| compare(values[a], values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (run.len() as f64 + 1.0) / 2.0;
        for &index in run {
            ranks[index] = rank;
        }
        before += run.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_mean_rank() {
        assert_eq!(mean_ranks(&[3.0, 1.0, 3.0, -0.0, 0.0]), [4.5, 3.0, 4.5, 1.5, 1.5]);
    }

    #[test]
    fn ranks_ignore_sizes() {
        let x = [0.0, 1.0, 1e9, f64::INFINITY];
        assert!((spearman(&x, &[1.0, 2.0, 3.0, 4.0]).unwrap() - 1.0).abs() < 1e-15);
    }
}
