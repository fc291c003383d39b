//! The bound that a model gives on the true loss (Lee et al. 2020, proposition 1).

use serde::{Deserialize, Serialize};

use crate::error::{NcError, Result};

/// P[L ≤ L̂ + NC + ε] ≥ 1 − |{i : Δᵢ > ε}|/n − 2·√(ln(2/δ)/(2n)), with probability at least 1 − δ over n independent
/// hypotheses with Δᵢ = Gᵢ − NCᵢ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The slack ε.
    pub epsilon: f64,
    /// The chance that the bound does not hold.
    pub delta: f64,
    /// How many hypotheses it rests on.
    pub n: usize,
    /// |{i : Δᵢ > ε}|/n.
    pub exceeding: f64,
    /// The lower bound on the probability. Below 0 it says nothing.
    pub probability: f64,
}

impl Bound {
    /// The bound at a slack, from Δ of independent hypotheses: one per task, as learners of one task are not
    /// independent.
    ///
    /// # Errors
    /// [`NcError::Undefined`] without hypotheses or with a Δ that is NaN, [`NcError::Value`] for a δ outside (0, 1) or an
    /// ε that is NaN.
    pub fn new(differences: &[f64], epsilon: f64, delta: f64) -> Result<Self> {
        if !(delta > 0.0 && delta < 1.0) {
            return Err(NcError::value("delta", delta, "between 0 and 1"));
        }
        if epsilon.is_nan() {
            return Err(NcError::value("epsilon", epsilon, "a number"));
        }
        if differences.is_empty() || differences.iter().any(|difference| difference.is_nan()) {
            return Err(NcError::Undefined("the bound needs one G − NC or more, none of them NaN".into()));
        }
        let n = differences.len();
        let exceeding =
            differences.iter().filter(|difference| **difference > epsilon).count() as f64 / n as f64;
        let probability = 1.0 - exceeding - 2.0 * ((2.0 / delta).ln() / (2.0 * n as f64)).sqrt();
        Ok(Self { epsilon, delta, n, exceeding, probability })
    }

    /// The bound with the smallest slack whose probability is at least this.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`NcError::Undefined`] when n hypotheses are too few for this probability at any slack.
    pub fn at_probability(differences: &[f64], probability: f64, delta: f64) -> Result<Self> {
        let loosest = Self::new(differences, f64::INFINITY, delta)?;
        if loosest.probability < probability {
            return Err(NcError::Undefined(format!(
                "{} hypotheses bound no probability above {:.4} at δ = {delta}",
                loosest.n, loosest.probability
            )));
        }
        let mut sorted = differences.to_vec();
        sorted.sort_by(f64::total_cmp);
        // `exceeding` falls only at the differences themselves, and never rises with ε.
        let first = sorted.partition_point(|&epsilon| {
            Self::new(&sorted, epsilon, delta).is_ok_and(|bound| bound.probability < probability)
        });
        Self::new(&sorted, sorted[first], delta)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// By hand: n = 8, one of them above 0.5, δ = 2/e², so that ln(2/δ) = 2 and the last term is 2·√(2/16).
    #[test]
    fn the_formula_by_hand() {
        let differences = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, -7.0, 9.0];
        let bound = Bound::new(&differences, 0.5, 2.0 / 1f64.exp().powi(2)).unwrap();
        assert_eq!(bound.exceeding, 0.125);
        assert!((bound.probability - (0.875 - 2.0 * 0.125f64.sqrt())).abs() < 1e-12);
    }

    /// Differences are exponential, so that P[Δ ≤ ε] = 1 − e^−ε is known. Of 2,000 bounds at δ = 0.2 at most 20 % may
    /// exceed it (the bound is by two-sided Dvoretzky–Kiefer–Wolfowitz with a factor to spare, so fewer do), and the same
    /// without the last term must fail far more often: the test can tell.
    #[test]
    fn coverage_in_simulation() {
        let (n, delta, epsilon, repetitions) = (50, 0.2, 1.0f64, 2_000);
        let truth = 1.0 - (-epsilon).exp();
        let mut generator = ChaCha20Rng::seed_from_u64(7);
        let (mut wrong, mut wrong_without) = (0, 0);
        for _ in 0..repetitions {
            let differences: Vec<f64> = (0..n).map(|_| -(1.0 - generator.random::<f64>()).ln()).collect();
            let bound = Bound::new(&differences, epsilon, delta).unwrap();
            wrong += usize::from(truth < bound.probability);
            wrong_without += usize::from(truth < 1.0 - bound.exceeding);
        }
        assert!(
            (wrong as f64) < delta * f64::from(repetitions),
            "{wrong} of {repetitions} bounds do not hold"
        );
        assert!(wrong_without > 800, "the empirical share is above the truth in {wrong_without} only");
    }

    #[test]
    fn the_smallest_slack() {
        let differences: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let bound = Bound::at_probability(&differences, 0.5, 0.05).unwrap();
        assert!(bound.probability >= 0.5);
        let tighter = Bound::new(&differences, bound.epsilon - 0.001, 0.05).unwrap();
        assert!(tighter.probability < 0.5);
        assert!(Bound::at_probability(&differences[..10], 0.5, 0.05).is_err());
    }

    #[test]
    fn what_has_no_bound() {
        assert!(Bound::new(&[], 0.0, 0.1).is_err());
        assert!(Bound::new(&[f64::NAN], 0.0, 0.1).is_err());
        assert!(Bound::new(&[0.0], 0.0, 0.0).is_err());
        assert!(Bound::new(&[0.0], f64::NAN, 0.5).is_err());
    }
}
