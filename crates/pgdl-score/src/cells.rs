//! Pairs of networks, sorted into cells by the hyperparameter values of both.

use rayon::prelude::*;

use crate::information::Information;
use crate::kendall::compare;
use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};
use crate::sign_table::{Group, PARALLEL_FROM, SignTable};

/// All that comparisons need to know: places and ranks of the networks.
pub(crate) struct Ranked<'a> {
    /// Levels of every axis.
    levels: Vec<&'a [u32]>,
    networks: Vec<Rank>,
}

/// A network's position in the grid, and its ranks; equal numbers have equal ranks, a missing one has NaN.
#[derive(Clone, Copy)]
struct Rank {
    network: u32,
    gap: f32,
    measure: f32,
}

impl<'a> Ranked<'a> {
    /// Ranks of all networks, or of the covered ones.
    ///
    /// # Undefined
    /// Without covered networks; with more than 2²⁴, up to which ranks are exact.
    pub fn new(observations: &Observations<'a>, only_covered: bool) -> Outcome<Self> {
        if observations.covered() == 0 {
            return Err(Undefined::because("no network has a value"));
        }
        let all = observations.gap().len();
        if all > 1 << f32::MANTISSA_DIGITS {
            return Err(Undefined::because("the grid has more than 2^24 networks"));
        }
        let (gap, measure) = (ranks(observations.gap()), ranks(observations.measure()));
        let networks = (0..all)
            .filter(|&network| !only_covered || observations.is_covered(network))
            .map(|network| Rank { network: network as u32, gap: gap[network], measure: measure[network] });
        Ok(Self {
            networks: networks.collect(),
            levels: observations.grid().axes().iter().map(|axis| axis.levels.as_slice()).collect(),
        })
    }

    /// Number of comparisons for one set of hyperparameters, up to a factor of two.
    pub fn comparisons(&self) -> u64 {
        (self.networks.len() as u64).pow(2)
    }
}

/// Ranks from 0 without gaps.
fn ranks(values: &[f64]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&index| !values[index].is_nan()).collect();
    order.sort_unstable_by(|&a, &b| compare(values[a], values[b]));
    let mut ranks = vec![f32::NAN; values.len()];
    for (rank, equal) in order.chunk_by(|&a, &b| values[a] == values[b]).enumerate() {
        for &index in equal {
            ranks[index] = rank as f32;
        }
    }
    ranks
}

/// Networks grouped by their values on at most two axes: a cell is an ordered pair of groups.
///
/// Only values that occur make groups. A combination of possible values that no pair of networks takes has no
/// mutual information and no entropy, so it adds nothing to either mean.
pub(crate) struct Groups {
    gap: Vec<f32>,
    measure: Vec<f32>,
    /// Group `k` holds positions `bounds[k]..bounds[k + 1]`.
    bounds: Vec<usize>,
    comparisons: u64,
}

/// Two groups' comparison. Each unordered pair of groups is handed over once.
pub(crate) struct Comparison {
    /// The pairs (a, b), a from the first group and b from the second; with self-pairs where they are the same.
    pub table: SignTable,
    /// Number of networks, where both groups are the same.
    pub same: Option<u64>,
}

/// Turns a comparison into the information of its cells: how many they are is up to the definition.
pub(crate) type CellRule = fn(&Comparison, &mut dyn FnMut(Information));

impl Groups {
    /// Groups by the values on `axes`.
    pub fn new(ranked: &Ranked, axes: &[usize]) -> Self {
        let place = |network: &Rank| {
            axes.iter().fold(0u64, |place, &axis| {
                place << 32 | u64::from(ranked.levels[axis][network.network as usize])
            })
        };
        let mut networks: Vec<(u64, Rank)> =
            ranked.networks.iter().map(|rank| (place(rank), *rank)).collect();
        networks.sort_unstable_by_key(|(place, rank)| (*place, rank.network));
        let mut bounds = vec![0];
        for group in networks.chunk_by(|a, b| a.0 == b.0) {
            bounds.push(bounds[bounds.len() - 1] + group.len());
        }
        Self {
            gap: networks.iter().map(|(_, rank)| rank.gap).collect(),
            measure: networks.iter().map(|(_, rank)| rank.measure).collect(),
            bounds,
            comparisons: ranked.comparisons(),
        }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    fn group(&self, index: usize) -> Group<'_> {
        let positions = self.bounds[index]..self.bounds[index + 1];
        Group { gap: &self.gap[positions.clone()], measure: &self.measure[positions] }
    }

    fn compare(&self, first: usize, second: usize) -> Comparison {
        let (a, b) = (self.group(first), self.group(second));
        Comparison { table: SignTable::count(a, b), same: (first == second).then_some(a.gap.len() as u64) }
    }

    /// Sums over all cells, one for each rule, in an order that does not depend on the number of threads.
    ///
    /// n²/2 comparisons; memory for the sums of each group.
    pub fn sums<const RULES: usize>(&self, rules: [CellRule; RULES]) -> [Information; RULES] {
        let sums_from = |first: usize| {
            let mut sums = [Information::default(); RULES];
            for second in first..self.len() {
                let comparison = self.compare(first, second);
                for (sum, rule) in sums.iter_mut().zip(rules) {
                    rule(&comparison, &mut |cell| *sum += cell);
                }
            }
            sums
        };
        let partial: Vec<_> = if self.comparisons < PARALLEL_FROM {
            (0..self.len()).map(sums_from).collect()
        } else {
            (0..self.len()).into_par_iter().map(sums_from).collect()
        };
        let mut sums = [Information::default(); RULES];
        for part in partial {
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += part;
            }
        }
        sums
    }

    /// Every cell's information, one by one; memory for len² of them.
    pub fn list(&self, rule: CellRule) -> Vec<Information> {
        let mut cells = Vec::new();
        for first in 0..self.len() {
            for second in first..self.len() {
                rule(&self.compare(first, second), &mut |cell| cells.push(cell));
            }
        }
        cells
    }
}
