//! A measured number and what is known of its uncertainty.

use pgdl_report::Cell;
use serde::{Deserialize, Serialize};

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its 95 % interval, where it has one.
    pub interval: Option<[f64; 2]>,
}

/// 97.5 % points of Student's t distribution for 1 to 30 degrees of freedom.
const STUDENT_T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Estimate {
    /// A value that has no uncertainty, or of which it is not known.
    pub fn exact(value: f64) -> Estimate {
        Estimate { value, interval: None }
    }

    /// A value with a standard error, taken as normal.
    pub fn normal(value: f64, standard_error: f64) -> Estimate {
        let half = 1.959_964 * standard_error;
        Estimate { value, interval: Some([value - half, value + half]) }
    }

    /// The mean of independent runs, with Student's interval where there are two or more. None without runs.
    pub fn mean(runs: &[f64]) -> Option<Estimate> {
        let count = runs.len() as f64;
        let mean = runs.iter().sum::<f64>() / count;
        if runs.is_empty() {
            return None;
        }
        let freedom = runs.len() - 1;
        if freedom == 0 {
            return Some(Estimate::exact(mean));
        }
        let variance = runs.iter().map(|run| (run - mean).powi(2)).sum::<f64>() / freedom as f64;
        // Beyond the table: the first terms of its expansion in 1/freedom (Abramowitz and Stegun 26.7.5).
        let t = STUDENT_T.get(freedom - 1).copied().unwrap_or(1.959_964 + 2.372_27 / freedom as f64);
        let half = t * (variance / count).sqrt();
        Some(Estimate { value: mean, interval: Some([mean - half, mean + half]) })
    }
}

/// The cell of an estimate, with its interval; an empty one where there is none.
pub(crate) fn cell(estimate: Option<Estimate>) -> Cell {
    estimate.map_or_else(Cell::empty, |estimate| Cell::number(estimate.value).interval(estimate.interval))
}

/// The mean of a number of each run, as [`Estimate::mean`].
pub(crate) fn mean_of<T>(runs: &[T], number: impl Fn(&T) -> f64) -> Option<Estimate> {
    Estimate::mean(&runs.iter().map(number).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Student's own sleep data (1908), drug 2 minus drug 1: mean 1.58, 95 % interval 0.70 to 2.46 (R's t.test).
        let runs = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let estimate = Estimate::mean(&runs).unwrap();
        let [low, high] = estimate.interval.unwrap();
        assert!((estimate.value - 1.58).abs() < 1e-12);
        assert!((low - 0.700_114_2).abs() < 2e-4 && (high - 2.459_885_8).abs() < 2e-4, "{low} {high}");
        assert_eq!(Estimate::mean(&[3.0]), Some(Estimate::exact(3.0)));
        assert_eq!(Estimate::mean(&[]), None);
    }
}
