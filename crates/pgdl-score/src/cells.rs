//! Pairs of networks, sorted into cells by the hyperparameter values of both.

use rayon::prelude::*;

use crate::information::Information;
use crate::observations::Observations;
use crate::sign_table::{Group, PARALLEL_FROM, SignTable};

/// Networks grouped by their values on some axes: a cell is an ordered pair of groups.
///
/// Only values that occur make groups. A combination of possible values that no pair of networks takes has no
/// mutual information and no entropy, so it adds nothing to either mean.
pub(crate) struct Groups {
    gap: Vec<f64>,
    measure: Vec<f64>,
    /// Group `k` holds positions `bounds[k]..bounds[k + 1]`.
    bounds: Vec<usize>,
}

/// Two groups' comparison. Each unordered pair of groups is handed over once.
pub(crate) struct Comparison {
    /// The pairs (a, b), a from the first group and b from the second; with self-pairs where they are the same.
    pub table: SignTable,
    /// Number of networks, where both groups are the same.
    pub same: Option<u64>,
}

/// Turns a comparison into the information of its cells: how many they are is up to the definition.
pub(crate) trait CellRule: Fn(&Comparison, &mut dyn FnMut(Information)) + Sync {}
impl<F: Fn(&Comparison, &mut dyn FnMut(Information)) + Sync> CellRule for F {}

impl Groups {
    /// Groups by `axes`, of all networks or of the covered ones.
    pub fn new(observations: &Observations, axes: &[usize], only_covered: bool) -> Self {
        let grid = observations.grid();
        let order = grid.sorted_by(axes, false);
        let mut groups = Self {
            gap: Vec::with_capacity(order.len()),
            measure: Vec::with_capacity(order.len()),
            bounds: vec![0],
        };
        for run in grid.runs(&order, axes, false) {
            for &network in run.iter().filter(|&&network| !only_covered || observations.is_covered(network)) {
                groups.gap.push(observations.gap()[network]);
                groups.measure.push(observations.measure()[network]);
            }
            if groups.bounds.last() != Some(&groups.gap.len()) {
                groups.bounds.push(groups.gap.len());
            }
        }
        groups
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

    /// Sum over all cells, in an order that does not depend on the number of threads.
    ///
    /// n²/2 comparisons; memory for one sum per group.
    pub fn sum(&self, rule: &impl CellRule) -> Information {
        let sum_from = |first: usize| {
            let mut sum = Information::default();
            for second in first..self.len() {
                rule(&self.compare(first, second), &mut |cell| sum += cell);
            }
            sum
        };
        let partial: Vec<Information> = if (self.gap.len() as u64).pow(2) < PARALLEL_FROM {
            (0..self.len()).map(sum_from).collect()
        } else {
            (0..self.len()).into_par_iter().map(sum_from).collect()
        };
        partial.into_iter().fold(Information::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }

    /// Every cell's information, one by one; memory for len² of them.
    pub fn list(&self, rule: &impl CellRule) -> Vec<Information> {
        let mut cells = Vec::new();
        for first in 0..self.len() {
            for second in first..self.len() {
                rule(&self.compare(first, second), &mut |cell| cells.push(cell));
            }
        }
        cells
    }
}
