//! How often a measure orders two settings wrongly, in the worst environments too.

use std::collections::BTreeMap;

use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};
use crate::quantile::quantile_of;

/// The sign error over environments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignError {
    /// Mean over the environments that were kept.
    pub mean: f64,
    /// Their 90th percentile, by linear interpolation ([`crate::quantile::quantile`]).
    pub p90: f64,
    /// Their maximum.
    pub max: f64,
    /// Number of environments that were kept (ordered, hence even).
    pub environments: u64,
    /// Number of environments left out: all weights 0, or an effective sample size below the floor.
    pub left_out: u64,
}

/// The sign error of Dziugaite et al. 2020 ("In Search of Robust Measures of Generalization", arXiv:2010.11924).
///
/// An environment is an ordered pair of settings (values of all hyperparameters) that differ in exactly one. The
/// pairs of networks in it, every network of one setting with every one of the other (repeated trainings count as
/// such whether or not the grid has seeds), have
/// - the error ½(1 − sgn Δμ · sgn Δg): 0, 1, or ½ where either ties;
/// - the weight max(0, w − ½), where w = max(0, 1 − 2·exp(−2n(|Δg|/2)²))², by Hoeffding's inequality the confidence
///   that the sign of Δg is right when the gap is a mean over `test_examples` = n examples.
///
/// The environment's sign error is the weighted mean of the errors. It is kept where some weight is positive and
/// (Σw)²/Σw² ≥ `ess_floor`, the effective number of pairs. Mean, 90th percentile and maximum are over the kept
/// environments, unweighted. Both orders of two settings are environments of equal sign error; that there are two
/// shifts only the interpolation of the percentile. Networks without a value are left out.
///
/// The weights suit gaps of accuracies, which lie in [−1, 1]; for gaps of losses they are a convention without the
/// inequality behind it. Without repeated trainings every environment has one pair, hence an effective sample size
/// of 1: any higher floor leaves nothing.
///
/// # Undefined
/// Where no environment is kept.
pub fn sign_error(observations: &Observations, test_examples: u64, ess_floor: f64) -> Outcome<SignError> {
    let settings = settings(observations);
    // Sign errors of environments, counted: non-negative numbers order as their bits do. Single pairs make only
    // three distinct ones, however many environments there are.
    let mut kept: BTreeMap<u64, u64> = BTreeMap::new();
    let mut left_out = 0;
    for axis in 0..observations.grid().axes().len() {
        for_each_environment(observations, &settings, axis, |first, second| {
            match environment(observations, first, second, test_examples, ess_floor) {
                Some(error) => *kept.entry(error.to_bits()).or_default() += 1,
                None => left_out += 1,
            }
        });
    }
    let distinct: Vec<(f64, u64)> =
        kept.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect();
    let unordered: u64 = distinct.iter().map(|(_, count)| count).sum();
    let environments = 2 * unordered;
    let total: f64 = distinct.iter().map(|&(error, count)| error * count as f64).sum();
    // `ends[i]`: how many ordered environments have at most the i-th error.
    let ends: Vec<u64> = distinct
        .iter()
        .scan(0, |end, (_, count)| {
            *end += 2 * count;
            Some(*end)
        })
        .collect();
    let error_at = |position: usize| distinct[ends.partition_point(|&end| end <= position as u64)].0;
    match (quantile_of(environments as usize, error_at, 0.9), distinct.last()) {
        (Some(p90), Some(&(max, _))) => {
            Ok(SignError { mean: total / unordered as f64, p90, max, environments, left_out: 2 * left_out })
        }
        _ => Err(Undefined::because(if left_out == 0 {
            "no two settings with a value differ in exactly one hyperparameter".to_owned()
        } else {
            format!(
                "none of {} environments has a certain gap and an effective sample size of {ess_floor}",
                2 * left_out
            )
        })),
    }
}

/// Covered networks that agree in all hyperparameters, per setting.
fn settings(observations: &Observations) -> Vec<Vec<usize>> {
    let grid = observations.grid();
    let axes: Vec<usize> = (0..grid.axes().len()).collect();
    let order = grid.sorted_by(&axes, false);
    grid.runs(&order, &axes, false)
        .map(|run| run.iter().copied().filter(|&network| observations.is_covered(network)).collect())
        .filter(|setting: &Vec<usize>| !setting.is_empty())
        .collect()
}

/// Visits the unordered pairs of settings that differ in `axis` only.
fn for_each_environment(
    observations: &Observations,
    settings: &[Vec<usize>],
    axis: usize,
    mut visit: impl FnMut(&[usize], &[usize]),
) {
    let axes = observations.grid().axes();
    let others: Vec<&[u32]> =
        (0..axes.len()).filter(|&other| other != axis).map(|other| axes[other].levels.as_slice()).collect();
    let mut lines: BTreeMap<Vec<u32>, Vec<&[usize]>> = BTreeMap::new();
    for setting in settings {
        let place = others.iter().map(|levels| levels[setting[0]]).collect();
        lines.entry(place).or_default().push(setting);
    }
    for line in lines.values() {
        for (position, first) in line.iter().enumerate() {
            for second in &line[position + 1..] {
                visit(first, second);
            }
        }
    }
}

/// The sign error of an environment, where it is kept.
fn environment(
    observations: &Observations,
    first: &[usize],
    second: &[usize],
    test_examples: u64,
    ess_floor: f64,
) -> Option<f64> {
    let (gap, measure) = (observations.gap(), observations.measure());
    let (mut weights, mut squares, mut wrong) = (0.0, 0.0, 0.0);
    for &a in first {
        for &b in second {
            let weight = weight(gap[a] - gap[b], test_examples);
            let agreement = sign(gap[a], gap[b]) * sign(measure[a], measure[b]);
            weights += weight;
            squares += weight * weight;
            wrong += weight * 0.5 * (1.0 - agreement);
        }
    }
    (weights > 0.0 && weights * weights / squares >= ess_floor).then(|| wrong / weights)
}

/// How much more than half the confidence is that a difference of gaps has the right sign.
fn weight(difference: f64, test_examples: u64) -> f64 {
    let deviation = difference.abs() / 2.0;
    let confidence = (1.0 - 2.0 * (-2.0 * test_examples as f64 * deviation * deviation).exp()).max(0.0);
    (confidence * confidence - 0.5).max(0.0)
}

/// Sign of a − b; unlike the difference, it is right for two infinities.
fn sign(a: f64, b: f64) -> f64 {
    f64::from(i8::from(a > b) - i8::from(a < b))
}
