//! The grid of hyperparameters: every combination once.

use std::collections::{BTreeMap, HashSet};

use crate::hyperparameter::HyperValue;
use crate::zoo::Listing;

/// More combinations than this are counted, not named.
const NAMED_COMBINATIONS: usize = 1 << 20;

/// What keeps a zoo's networks from being a complete grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GridProblem {
    /// Networks with the same hyperparameters.
    Duplicate {
        /// Their numbers.
        networks: Vec<u64>,
    },
    /// Combinations without a network.
    Holes {
        /// How many there are.
        count: usize,
        /// One of them, in words.
        example: Option<String>,
    },
}

impl std::fmt::Display for GridProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GridProblem::Duplicate { networks } => {
                let ids: Vec<String> = networks.iter().map(u64::to_string).collect();
                write!(formatter, "networks {} have the same hyperparameters", ids.join(", "))
            }
            GridProblem::Holes { count, example } => {
                write!(formatter, "the grid is not complete: {count} combinations have no network")?;
                example.as_ref().map_or(Ok(()), |example| write!(formatter, ", such as {example}"))
            }
        }
    }
}

impl Listing {
    /// Compares the networks with the grid of all possible values: each combination should have one network.
    pub fn grid_problems(&self) -> Vec<GridProblem> {
        let axes = &self.hyperparameters;
        if axes.is_empty() {
            return Vec::new();
        }
        let mut places: BTreeMap<&[HyperValue], Vec<u64>> = BTreeMap::new();
        for network in &self.networks {
            places.entry(&network.hyperparameters).or_default().push(network.id);
        }
        let mut problems: Vec<GridProblem> = places
            .values()
            .filter(|networks| networks.len() > 1)
            .map(|networks| GridProblem::Duplicate { networks: networks.clone() })
            .collect();
        let combinations =
            axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.possible_values.len()));
        let count = combinations.map_or(usize::MAX, |combinations| combinations.saturating_sub(places.len()));
        if count > 0 {
            let known: HashSet<&[HyperValue]> = places.keys().copied().collect();
            let example = combinations.filter(|combinations| *combinations <= NAMED_COMBINATIONS);
            let example = example.and_then(|combinations| {
                (0..combinations)
                    .map(|index| self.combination(index))
                    .find(|values| !known.contains(values.as_slice()))
            });
            let example = example.map(|values| {
                let words = axes.iter().zip(values).map(|(axis, value)| format!("{} = {value}", axis.name));
                words.collect::<Vec<_>>().join(", ")
            });
            problems.push(GridProblem::Holes { count, example });
        }
        problems
    }

    /// The combination at `index`, the last axis running fastest.
    fn combination(&self, mut index: usize) -> Vec<HyperValue> {
        let mut values = Vec::with_capacity(self.hyperparameters.len());
        for axis in self.hyperparameters.iter().rev() {
            let count = axis.possible_values.len().max(1);
            values.extend(axis.possible_values.get(index % count).cloned());
            index /= count;
        }
        values.reverse();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameter::Hyperparameter;
    use crate::zoo::NetworkEntry;

    fn listing(networks: &[(u64, f64, &str)]) -> Listing {
        let axis = |name: &str, possible_values| Hyperparameter { name: name.into(), possible_values };
        let text = |text: &str| HyperValue::Text(text.into());
        Listing {
            hyperparameters: vec![
                axis("bs", vec![32.0.into(), 512.0.into()]),
                axis("wd", vec![text("on"), text("off")]),
            ],
            networks: networks
                .iter()
                .map(|(id, bs, wd)| NetworkEntry {
                    id: *id,
                    hyperparameters: vec![(*bs).into(), text(wd)],
                    metrics: None,
                    dev_name: None,
                })
                .collect(),
        }
    }

    #[test]
    fn a_complete_grid_has_no_problems() {
        let complete = [(1, 32.0, "on"), (2, 32.0, "off"), (7, 512.0, "on"), (9, 512.0, "off")];
        assert_eq!(listing(&complete).grid_problems(), []);
    }

    #[test]
    fn holes_and_duplicates_are_named() {
        let broken = [(1, 32.0, "on"), (2, 32.0, "off"), (7, 512.0, "off"), (9, 512.0, "off")];
        let problems = listing(&broken).grid_problems();
        assert_eq!(
            problems,
            [
                GridProblem::Duplicate { networks: vec![7, 9] },
                GridProblem::Holes { count: 1, example: Some("bs = 512, wd = on".into()) },
            ]
        );
    }
}
