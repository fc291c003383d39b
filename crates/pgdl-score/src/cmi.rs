//! What the three conditional mutual informations have in common: a minimum over sets of hyperparameters.

use rayon::prelude::*;

use crate::cells::{CellRule, Groups};
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
pub(crate) struct Definition<R: CellRule, Q: Fn(Information) -> Outcome + Sync> {
    /// Whether networks without a value are left out before pairs are formed.
    pub only_covered: bool,
    /// The information of the cells of two groups.
    pub rule: R,
    /// The value of a sum over cells.
    pub quotient: Q,
}

impl<R: CellRule, Q: Fn(Information) -> Outcome + Sync> Definition<R, Q> {
    /// The minimum over `sets`, which must not be empty.
    pub fn minimum(&self, observations: &Observations, sets: Vec<Vec<usize>>) -> Outcome<Cmi> {
        if observations.covered() == 0 {
            return Err(Undefined::because("no network has a value"));
        }
        let value = |axes: &Vec<usize>| {
            let groups = Groups::new(observations, axes, self.only_covered);
            (self.quotient)(groups.sum(&self.rule))
        };
        let work = (observations.gap().len() as u64).pow(2).saturating_mul(sets.len() as u64);
        let values: Vec<Outcome> = if work < PARALLEL_FROM {
            sets.iter().map(value).collect()
        } else {
            sets.par_iter().map(value).collect()
        };
        let sets: Vec<ConditionedOn> =
            sets.into_iter().zip(values).map(|(axes, value)| ConditionedOn { axes, value }).collect();
        let mut least: Option<(f64, &[usize])> = None;
        for set in &sets {
            if let Ok(value) = set.value
                && least.is_none_or(|(smallest, _)| value < smallest)
            {
                least = Some((value, &set.axes));
            }
        }
        match least {
            Some((value, argmin)) => Ok(Cmi { value, argmin: argmin.to_vec(), sets }),
            None => Err(sets
                .into_iter()
                .find_map(|set| set.value.err())
                .unwrap_or_else(|| Undefined::because("there is no set of hyperparameters to condition on"))),
        }
    }

    /// The cells of one set, for resampling; `None` where they are more than `limit`.
    pub fn cells(
        &self,
        observations: &Observations,
        axes: &[usize],
        limit: usize,
    ) -> Option<Vec<Information>> {
        let groups = Groups::new(observations, axes, self.only_covered);
        (groups.len().saturating_mul(groups.len()) <= limit).then(|| groups.list(&self.rule))
    }
}

/// All pairs of axes, in ascending order.
pub(crate) fn pairs_of_axes(axes: usize) -> Vec<Vec<usize>> {
    (0..axes).flat_map(|first| (first + 1..axes).map(move |second| vec![first, second])).collect()
}
