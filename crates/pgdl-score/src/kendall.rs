//! Kendall's rank correlation, τ‑a and τ‑b, by Knight's algorithm.

use std::cmp::Ordering;

use crate::outcome::{Outcome, Undefined};
use crate::paired::complete_pairs;

/// Numbers of unordered pairs of networks: all that Kendall's coefficients need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KendallCounts {
    /// All pairs, n(n−1)/2.
    pub pairs: u64,
    /// Pairs that both lists order, in the same way.
    pub concordant: u64,
    /// Pairs that both lists order, in opposite ways.
    pub discordant: u64,
    /// Pairs tied in the first list, tied in the second or not.
    pub tied_x: u64,
    /// Pairs tied in the second list, tied in the first or not.
    pub tied_y: u64,
}

/// Counts concordant, discordant and tied pairs in O(n log n): sort by x and then y, and count the exchanges that a
/// merge sort by y makes (Knight 1966, J. Am. Stat. Assoc. 61:436–439).
///
/// Networks where either number is NaN are left out. Infinite numbers are ranked, equal ones tie.
///
/// # Undefined
/// Lists of different length.
pub fn kendall_counts(x: &[f64], y: &[f64]) -> Outcome<KendallCounts> {
    let (x, y) = complete_pairs(x, y)?;
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_unstable_by(|&a, &b| compare(x[a], x[b]).then(compare(y[a], y[b])));
    let mut sorted_y: Vec<f64> = order.iter().map(|&index| y[index]).collect();
    let sorted_x: Vec<f64> = order.iter().map(|&index| x[index]).collect();
    Ok(count_sorted(&sorted_x, &mut sorted_y, &mut Vec::new()))
}

/// Kendall's τ‑a = (concordant − discordant) / all pairs (Kendall 1938, Biometrika 30:81–93). In [−1, 1]; with ties
/// the bounds cannot be reached.
///
/// # Undefined
/// Fewer than two networks with both numbers, or lists of different length.
pub fn kendall_tau_a(x: &[f64], y: &[f64]) -> Outcome {
    kendall_counts(x, y)?.tau_a()
}

/// Kendall's τ‑b = (concordant − discordant) / √((pairs − tied in x)(pairs − tied in y)) (Kendall 1945, Biometrika
/// 33:239–251). In [−1, 1]; exactly ±1 for equal and for opposite rankings, ties included.
///
/// # Undefined
/// Fewer than two networks with both numbers, a list that is the same for all of them, or lists of different length.
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Outcome {
    kendall_counts(x, y)?.tau_b()
}

impl KendallCounts {
    fn excess(&self) -> f64 {
        if self.concordant >= self.discordant {
            (self.concordant - self.discordant) as f64
        } else {
            -((self.discordant - self.concordant) as f64)
        }
    }

    /// τ‑a of these counts; see [`kendall_tau_a`].
    ///
    /// # Undefined
    /// Without pairs.
    pub fn tau_a(&self) -> Outcome {
        if self.pairs == 0 {
            return Err(Undefined::because("needs two networks with a value"));
        }
        Ok(self.excess() / self.pairs as f64)
    }

    /// τ‑b of these counts; see [`kendall_tau_b`].
    ///
    /// # Undefined
    /// Without pairs, and where all pairs are tied in one list.
    pub fn tau_b(&self) -> Outcome {
        if self.pairs == 0 {
            return Err(Undefined::because("needs two networks with a value"));
        }
        for (tied, what) in [(self.tied_x, "measure"), (self.tied_y, "gap")] {
            if tied == self.pairs {
                return Err(Undefined::because(format!("the {what} is the same for all networks")));
            }
        }
        let ordered = [self.tied_x, self.tied_y].map(|tied| (self.pairs - tied) as f64);
        // One root of the product: exactly the number of pairs where both are equal.
        Ok(self.excess() / (ordered[0] * ordered[1]).sqrt())
    }
}

/// Order of two numbers, neither of which is NaN; unlike `total_cmp`, −0 equals 0.
pub(crate) fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}

/// Counts the pairs of two lists that are sorted by x and, within equal x, by y. Sorts `y`; `buffer` is scratch.
pub(crate) fn count_sorted(x: &[f64], y: &mut Vec<f64>, buffer: &mut Vec<f64>) -> KendallCounts {
    let tied_x = pairs_in_runs(x.len(), |i| x[i - 1] == x[i]);
    let tied_both = pairs_in_runs(x.len(), |i| x[i - 1] == x[i] && y[i - 1] == y[i]);
    let discordant = sort_counting_exchanges(y, buffer);
    let tied_y = pairs_in_runs(y.len(), |i| y[i - 1] == y[i]);
    let pairs = pairs_among(y.len());
    let concordant = pairs + tied_both - tied_x - tied_y - discordant;
    KendallCounts { pairs, concordant, discordant, tied_x, tied_y }
}

fn pairs_among(n: usize) -> u64 {
    let n = n as u64;
    n * n.saturating_sub(1) / 2
}

/// Number of pairs within runs, where `continues(i)` says that position `i` belongs to the run of `i − 1`.
fn pairs_in_runs(n: usize, continues: impl Fn(usize) -> bool) -> u64 {
    let mut pairs = 0;
    let mut run = 0;
    for i in 1..n {
        run = if continues(i) { run + 1 } else { 0 };
        pairs += run;
    }
    pairs
}

/// Merge sort that returns the number of pairs in strictly descending order.
fn sort_counting_exchanges(values: &mut Vec<f64>, buffer: &mut Vec<f64>) -> u64 {
    let n = values.len();
    buffer.clear();
    buffer.resize(n, 0.0);
    let mut exchanges = 0;
    let mut width = 1;
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let (middle, end) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut left, mut right) = (start, middle);
            for slot in &mut buffer[start..end] {
                if left < middle && (right == end || values[left] <= values[right]) {
                    *slot = values[left];
                    left += 1;
                } else {
                    *slot = values[right];
                    right += 1;
                    exchanges += (middle - left) as u64;
                }
            }
        }
        std::mem::swap(values, buffer);
        width *= 2;
    }
    exchanges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textbook_case_with_ties() {
        // x: 1 1 2 3, y: 1 2 2 1. Pairs: (1,2) tied x; (1,3) +; (1,4) tied y; (2,3) tied y; (2,4) −; (3,4) −.
        let counts = kendall_counts(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 2.0, 1.0]).unwrap();
        let expected = KendallCounts { pairs: 6, concordant: 1, discordant: 2, tied_x: 1, tied_y: 2 };
        assert_eq!(counts, expected);
        assert_eq!(counts.tau_a().unwrap(), -1.0 / 6.0);
        assert_eq!(counts.tau_b().unwrap(), -1.0 / 20f64.sqrt());
    }

    #[test]
    fn equal_and_opposite_rankings_are_exactly_one() {
        let x: Vec<f64> = (0..1000).map(|i| f64::from(i / 3)).collect();
        let opposite: Vec<f64> = x.iter().map(|x| -x).collect();
        assert_eq!(kendall_tau_b(&x, &x), Ok(1.0));
        assert_eq!(kendall_tau_b(&x, &opposite), Ok(-1.0));
    }

    #[test]
    fn undefined_with_the_reason() {
        let reason = |x: &[f64], y: &[f64]| kendall_tau_b(x, y).unwrap_err().0;
        assert_eq!(reason(&[1.0], &[2.0]), "needs two networks with a value");
        assert_eq!(reason(&[1.0, f64::NAN], &[2.0, 1.0]), "needs two networks with a value");
        assert_eq!(reason(&[1.0, 1.0], &[2.0, 3.0]), "the measure is the same for all networks");
        assert_eq!(reason(&[1.0, 2.0], &[3.0, 3.0]), "the gap is the same for all networks");
        assert!(reason(&[1.0, 2.0], &[3.0]).contains("2 and 1 entries"));
        assert_eq!(kendall_tau_a(&[1.0, 1.0], &[2.0, 3.0]), Ok(0.0));
    }

    #[test]
    fn negative_zero_ties_with_zero_and_infinities_are_ranked() {
        assert_eq!(kendall_counts(&[0.0, -0.0], &[1.0, 2.0]).unwrap().tied_x, 1);
        let infinite = [f64::NEG_INFINITY, 0.0, f64::INFINITY];
        assert_eq!(kendall_tau_b(&infinite, &[1.0, 2.0, 3.0]), Ok(1.0));
    }
}
