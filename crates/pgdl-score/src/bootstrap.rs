//! Percentile intervals by resampling (Efron 1979, Ann. Statist. 7:1–26).
//!
//! Every resample has its own random stream, given by the seed, the statistic and the resample's number: intervals
//! depend on the seed alone, not on the number of threads.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::cmi::{Cmi, Definition};
use crate::granulated_kendall::{GranulatedKendall, mean};
use crate::information::Information;
use crate::kendall::{KendallCounts, compare, count_sorted};
use crate::observations::Observations;
use crate::outcome::Outcome;
use crate::paired::complete_pairs;
use crate::quantile::quantile;

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Number of resamples; 0 for no intervals.
    pub resamples: usize,
    /// Seed of the random streams.
    pub seed: u64,
    /// Share of the resamples within the interval, such as 0.95.
    pub confidence: f64,
}

/// A percentile interval: quantiles (1 ∓ confidence)/2 of the resampled statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Number of resamples on which the statistic was defined; the interval is of these.
    pub resamples: usize,
}

/// Intervals of Kendall's coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KendallIntervals {
    /// Of τ‑a.
    pub tau_a: Option<Interval>,
    /// Of τ‑b.
    pub tau_b: Option<Interval>,
}

/// Sets of more cells than this are not resampled: drawing them would take longer than all else together.
pub const MOST_CELLS: usize = 100_000;

/// Which statistic a random stream belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Networks = 1,
    PgdlCells = 2,
    PgdlSymmetricCells = 3,
    FgmCells = 4,
    GranulatedCells = 5,
}

/// Resamples **networks** (those with both numbers) with replacement, and recomputes τ‑a and τ‑b. A network drawn
/// twice ties with itself in both lists. Resamples without a τ (all draws equal) are dropped.
///
/// `None` without resamples that have one, or with fewer than two networks.
pub fn kendall_intervals(x: &[f64], y: &[f64], resampling: &Resampling) -> KendallIntervals {
    let Ok((x, y)) = complete_pairs(x, y) else {
        return KendallIntervals::default();
    };
    let n = x.len();
    if n < 2 {
        return KendallIntervals::default();
    }
    // Sorted once; each resample repeats entries in place and stays sorted.
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_unstable_by(|&a, &b| compare(x[a], x[b]).then(compare(y[a], y[b])));
    let sorted: Vec<(f64, f64)> = order.iter().map(|&index| (x[index], y[index])).collect();
    let counts: Vec<KendallCounts> = (0..resampling.resamples)
        .into_par_iter()
        .with_min_len(16)
        .map_init(Draw::default, |draw, number| {
            let mut generator = generator(resampling, Stream::Networks, number);
            draw.times.clear();
            draw.times.resize(n, 0);
            for _ in 0..n {
                draw.times[generator.random_range(0..n)] += 1;
            }
            draw.x.clear();
            draw.y.clear();
            for (&(x, y), &times) in sorted.iter().zip(&draw.times) {
                for _ in 0..times {
                    draw.x.push(x);
                    draw.y.push(y);
                }
            }
            count_sorted(&draw.x, &mut draw.y, &mut draw.buffer)
        })
        .collect();
    KendallIntervals {
        tau_a: interval(counts.iter().map(|counts| counts.tau_a().ok()), resampling),
        tau_b: interval(counts.iter().map(|counts| counts.tau_b().ok()), resampling),
    }
}

/// Resamples each hyperparameter's defined **cells** with replacement, independently of the other hyperparameters',
/// and recomputes Ψ. Cells are taken as they are; that cells of different hyperparameters share networks is not
/// accounted for.
///
/// `None` where no hyperparameter has two cells.
pub fn granulated_kendall_mean_interval(
    granulated: &GranulatedKendall,
    resampling: &Resampling,
) -> Option<Interval> {
    let axes: Vec<&[f64]> =
        granulated.axes.iter().map(|axis| axis.cells.as_slice()).filter(|cells| !cells.is_empty()).collect();
    if axes.iter().all(|cells| cells.len() < 2) {
        return None;
    }
    resample(resampling, Stream::GranulatedCells, |generator| {
        let means: Vec<f64> = axes
            .iter()
            .map(|cells| {
                let sum: f64 = cells.iter().map(|_| cells[generator.random_range(0..cells.len())]).sum();
                sum / cells.len() as f64
            })
            .collect();
        mean(&means)
    })
}

/// Resamples the **cells** of the minimising set with replacement (those that hold a pair of networks), and recomputes
/// the quotient of their sums. The set stays the one that attains the minimum on the data.
///
/// `None` with fewer than two or more than [`MOST_CELLS`] cells.
pub(crate) fn cmi_interval(
    definition: &Definition,
    observations: &Observations,
    cmi: &Outcome<Cmi>,
    resampling: &Resampling,
    stream: Stream,
) -> Option<Interval> {
    if resampling.resamples == 0 {
        return None;
    }
    let argmin = &cmi.as_ref().ok()?.argmin;
    let cells = definition.cells(observations, argmin, MOST_CELLS)?;
    if cells.len() < 2 {
        return None;
    }
    resample(resampling, stream, |generator| {
        let mut sum = Information::default();
        for _ in 0..cells.len() {
            sum += cells[generator.random_range(0..cells.len())];
        }
        (definition.quotient)(sum).ok()
    })
}

#[derive(Default)]
struct Draw {
    times: Vec<u32>,
    x: Vec<f64>,
    y: Vec<f64>,
    buffer: Vec<f64>,
}

fn generator(resampling: &Resampling, stream: Stream, number: usize) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(resampling.seed);
    generator.set_stream((stream as u64) << 48 | number as u64);
    generator
}

fn resample(
    resampling: &Resampling,
    stream: Stream,
    statistic: impl Fn(&mut ChaCha8Rng) -> Option<f64> + Sync,
) -> Option<Interval> {
    let values: Vec<Option<f64>> = (0..resampling.resamples)
        .into_par_iter()
        .with_min_len(16)
        .map(|number| statistic(&mut generator(resampling, stream, number)))
        .collect();
    interval(values.into_iter(), resampling)
}

fn interval(values: impl Iterator<Item = Option<f64>>, resampling: &Resampling) -> Option<Interval> {
    let mut defined: Vec<f64> = values.flatten().collect();
    defined.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - resampling.confidence) / 2.0;
    Some(Interval {
        low: quantile(&defined, tail)?,
        high: quantile(&defined, 1.0 - tail)?,
        resamples: defined.len(),
    })
}
