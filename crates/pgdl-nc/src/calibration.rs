//! Estimates in the units of a zoo's gaps.

use serde::{Deserialize, Serialize};

use crate::error::{NcError, Result};

/// How a checkpoint's estimates become gaps of networks of one kind: gap ≈ intercept + slope · NC, by least squares on the
/// networks of a zoo. It changes no order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The zoo's name.
    pub zoo: String,
    /// The gap where NC is 0.
    pub intercept: f64,
    /// Gap per NC: positive.
    pub slope: f64,
    /// The standard deviation of the gaps around the line: √(Σ residual²/(n − 2)).
    pub deviation: f64,
    /// How much of the gaps the line explains: 1 − Σ residual²/Σ(G − Ḡ)².
    pub r2: f64,
    /// What its networks are recognized by. Their gaps are in the line: the estimates of these very networks prove nothing.
    pub networks: Vec<String>,
}

/// A network of the zoo.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrator {
    /// What it is recognized by.
    pub digest: String,
    /// NC.
    pub estimate: f64,
    /// Its true gap.
    pub gap: f64,
}

impl Calibration {
    /// The line through the networks of a zoo.
    ///
    /// # Errors
    /// [`NcError::Undefined`] for fewer than three networks, equal or infinite numbers, or a slope that is not positive: such
    /// estimates do not order these networks as their gaps do.
    pub fn of(zoo: &str, networks: &[Calibrator]) -> Result<Self> {
        let count = networks.len() as f64;
        if networks.len() < 3 {
            return Err(NcError::Undefined(format!("{} networks of {zoo} make no line", networks.len())));
        }
        let mean = |number: &dyn Fn(&Calibrator) -> f64| networks.iter().map(number).sum::<f64>() / count;
        let (centre, level) = (mean(&|one| one.estimate), mean(&|one| one.gap));
        let spread = mean(&|one| (one.estimate - centre).powi(2));
        let gaps = mean(&|one| (one.gap - level).powi(2));
        let both = mean(&|one| (one.estimate - centre) * (one.gap - level));
        // By the numbers themselves: rounding leaves equal ones a variance.
        let differ = |number: &dyn Fn(&Calibrator) -> f64| {
            let first = networks.first().map_or(f64::NAN, number);
            networks.iter().any(|one| number(one) != first)
        };
        let finite = spread.is_finite() && gaps.is_finite();
        if !(finite && differ(&|one| one.estimate) && differ(&|one| one.gap)) {
            return Err(NcError::Undefined(format!(
                "estimates or gaps of {zoo} are all the same, or not finite"
            )));
        }
        let slope = both / spread;
        if slope <= 0.0 {
            return Err(NcError::Undefined(format!(
                "estimates fall with the gaps of {zoo} (slope {slope:.4}): no units make gaps of them"
            )));
        }
        let intercept = level - slope * centre;
        let residual = mean(&|one| (one.gap - intercept - slope * one.estimate).powi(2));
        Ok(Self {
            zoo: zoo.to_owned(),
            intercept,
            slope,
            deviation: (residual * count / (count - 2.0)).sqrt(),
            r2: 1.0 - residual / gaps,
            networks: networks.iter().map(|one| one.digest.clone()).collect(),
        })
    }

    /// Whether the network with this digest is one of those.
    pub fn saw(&self, digest: &str) -> bool {
        self.networks.iter().any(|one| one == digest)
    }

    /// NC in units of the gap.
    pub fn gap(&self, estimate: f64) -> f64 {
        self.intercept + self.slope * estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(points: &[(f64, f64)]) -> Vec<Calibrator> {
        let of = |(at, &(estimate, gap)): (usize, &(f64, f64))| Calibrator {
            digest: at.to_string(),
            estimate,
            gap,
        };
        points.iter().enumerate().map(of).collect()
    }

    /// Normal equations by hand: x̄ = 2, ȳ = 0.4, Sxy = 0.5, Sxx = 5, residuals −0.05, 0.05, 0.05, −0.05.
    #[test]
    fn the_line_is_that_of_least_squares() {
        let line =
            Calibration::of("zoo", &networks(&[(0.5, 0.2), (1.5, 0.4), (2.5, 0.5), (3.5, 0.5)])).unwrap();
        assert!((line.slope - 0.1).abs() < 1e-12 && (line.intercept - 0.2).abs() < 1e-12, "{line:?}");
        assert!((line.deviation - (0.01f64 / 2.0).sqrt()).abs() < 1e-12, "{line:?}");
        assert!((line.r2 - (1.0 - 0.01 / 0.06)).abs() < 1e-12, "{line:?}");
        assert!((line.gap(4.0) - 0.6).abs() < 1e-12);
        assert!(line.saw("3") && !line.saw("4"));
    }

    #[test]
    fn what_makes_no_line() {
        for (points, why) in [
            (&[(0.0, 0.1), (1.0, 0.2)][..], "make no line"),
            (&[(1.0, 0.1), (1.0, 0.2), (1.0, 0.3)], "all the same"),
            (&[(1.0, 0.1), (2.0, 0.1), (3.0, 0.1)], "all the same"),
            (&[(f64::NAN, 0.1), (2.0, 0.1), (3.0, 0.1)], "not finite"),
            (&[(1.0, 0.3), (2.0, 0.2), (3.0, 0.1)], "fall with the gaps"),
        ] {
            let error = Calibration::of("zoo", &networks(points)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
