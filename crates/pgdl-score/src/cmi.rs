//! What the three conditional mutual informations have in common: a minimum over sets of hyperparameters.

use rayon::prelude::*;

use crate::cells::{CellRule, Groups, Ranked};
use crate::information::Information;
use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};
use crate::sign_table::PARALLEL_FROM;

/// A normalised conditional mutual information: its minimum over sets of hyperparameters, and every set's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Cmi {
    /// The smallest value, as a fraction (the competition prints × 100).
    pub value: f64,
    /// The set that attains it, as indices of axes in ascending order; the first one where several do.
    pub argmin: Vec<usize>,
    /// Every set, in ascending order of axes, the smaller sets first.
    pub sets: Vec<ConditionedOn>,
}

/// The value of one set of hyperparameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionedOn {
    /// Indices of the axes that are held fixed, ascending.
    pub axes: Vec<usize>,
    /// Mutual information over entropy, given these axes.
    pub value: Outcome,
}

/// How a conditional mutual information is put together from cells.
#[derive(Clone, Copy)]
pub(crate) struct Definition {
    /// Whether networks without a value are left out before pairs are formed.
    pub only_covered: bool,
    /// The information of the cells of two groups.
    pub rule: CellRule,
    /// The value of a sum over cells.
    pub quotient: fn(Information) -> Outcome,
}

impl Definition {
    /// The minimum over `sets` of at most two axes.
    pub fn minimum(&self, observations: &Observations, sets: &[Vec<usize>]) -> Outcome<Cmi> {
        let [sets] = values(&Ranked::new(observations, self.only_covered)?, [self], sets);
        Cmi::least(sets)
    }

    /// The cells of one set, for resampling; `None` where they are more than `limit`.
    pub fn cells(
        &self,
        observations: &Observations,
        axes: &[usize],
        limit: usize,
    ) -> Option<Vec<Information>> {
        let groups = Groups::new(&Ranked::new(observations, self.only_covered).ok()?, axes);
        (groups.len().saturating_mul(groups.len()) <= limit).then(|| groups.list(self.rule))
    }
}

impl Cmi {
    /// The first set with the smallest value.
    pub(crate) fn least(sets: Vec<ConditionedOn>) -> Outcome<Self> {
        let mut least: Option<(f64, &[usize])> = None;
        for set in &sets {
            if let Ok(value) = set.value
                && least.is_none_or(|(smallest, _)| value < smallest)
            {
                least = Some((value, &set.axes));
            }
        }
        match least {
            Some((value, argmin)) => Ok(Self { value, argmin: argmin.to_vec(), sets }),
            None => Err(sets
                .into_iter()
                .find_map(|set| set.value.err())
                .unwrap_or_else(|| Undefined::because("there is no set of hyperparameters to condition on"))),
        }
    }
}

/// The values of `sets` under several definitions, from one comparison of all networks per set.
pub(crate) fn values<const D: usize>(
    ranked: &Ranked,
    definitions: [&Definition; D],
    sets: &[Vec<usize>],
) -> [Vec<ConditionedOn>; D] {
    let rules = definitions.map(|definition| definition.rule);
    let sums_of = |axes: &Vec<usize>| Groups::new(ranked, axes).sums(rules);
    let sums: Vec<[Information; D]> =
        if ranked.comparisons().saturating_mul(sets.len() as u64) < PARALLEL_FROM {
            sets.iter().map(sums_of).collect()
        } else {
            sets.par_iter().map(sums_of).collect()
        };
    std::array::from_fn(|which| {
        let values = sums.iter().map(|sums| (definitions[which].quotient)(sums[which]));
        sets.iter().zip(values).map(|(axes, value)| ConditionedOn { axes: axes.clone(), value }).collect()
    })
}

/// All pairs of axes, in ascending order.
pub(crate) fn pairs_of_axes(axes: usize) -> Vec<Vec<usize>> {
    (0..axes).flat_map(|first| (first + 1..axes).map(move |second| vec![first, second])).collect()
}
