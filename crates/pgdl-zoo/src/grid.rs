//! The grid of hyperparameters: every combination once.

use std::collections::BTreeMap;

use crate::hyperparameter::HyperValue;
use crate::zoo::Listing;

/// More combinations than this are counted, not named.
const NAMED_COMBINATIONS: usize = 1 << 20;

/// Combinations without a network that are named; further ones are counted.
const NAMED_HOLES: usize = 20;

/// What keeps a zoo's networks from being a complete grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GridProblem {
    /// Networks with the same hyperparameters.
    Duplicate {
        /// Their numbers.
        networks: Vec<u64>,
        /// Their hyperparameters, in words.
        combination: String,
    },
    /// A possible value that no network has.
    Unused {
        /// The hyperparameter.
        name: String,
        /// The value.
        value: HyperValue,
    },
    /// Combinations of values that occur, without a network.
    Holes {
        /// How many there are, where that is a number.
        count: Option<usize>,
        /// Some of them, in words.
        named: Vec<String>,
    },
}

impl std::fmt::Display for GridProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GridProblem::Duplicate { networks, combination } => {
                let ids: Vec<String> = networks.iter().map(u64::to_string).collect();
                write!(formatter, "networks {} have the same hyperparameters ({combination})", ids.join(", "))
            }
            GridProblem::Unused { name, value } => {
                write!(formatter, "{value} is a possible value of {name}, and no network has it")
            }
            GridProblem::Holes { count, named } => {
                let count = count.map_or("very many".to_owned(), |count| count.to_string());
                write!(formatter, "the grid is not complete: {count} combinations have no network")?;
                if !named.is_empty() {
                    write!(formatter, ", such as {}", named.join("; "))?;
                }
                Ok(())
            }
        }
    }
}

impl Listing {
    /// Compares the networks with the grid of all possible values: each combination should have one network. A value
    /// that no network has is one problem, however many combinations it is part of.
    pub fn grid_problems(&self) -> Vec<GridProblem> {
        if self.hyperparameters.is_empty() {
            return Vec::new();
        }
        let mut problems = Vec::new();
        let mut axes: Vec<Vec<&HyperValue>> = Vec::new();
        for (at, axis) in self.hyperparameters.iter().enumerate() {
            let has = |value: &&HyperValue| {
                self.networks.iter().any(|network| network.hyperparameters.get(at) == Some(*value))
            };
            let (used, unused): (Vec<_>, Vec<_>) = axis.possible_values.iter().partition(has);
            let unused = unused.into_iter().cloned();
            problems.extend(unused.map(|value| GridProblem::Unused { name: axis.name.clone(), value }));
            axes.push(used);
        }
        let mut places: BTreeMap<Vec<&HyperValue>, Vec<u64>> = BTreeMap::new();
        for network in &self.networks {
            places.entry(network.hyperparameters.iter().collect()).or_default().push(network.id);
        }
        let shared = places.iter().filter(|(_, networks)| networks.len() > 1);
        problems.extend(shared.map(|(values, networks)| GridProblem::Duplicate {
            networks: networks.clone(),
            combination: self.in_words(values),
        }));
        let combinations = axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.len()));
        let count = combinations.map(|combinations| combinations.saturating_sub(places.len()));
        if count != Some(0) {
            let searched =
                combinations.filter(|combinations| *combinations <= NAMED_COMBINATIONS).unwrap_or(0);
            let holes = (0..searched).map(|index| combination(&axes, index));
            let holes = holes.filter(|values| !places.contains_key(values)).take(NAMED_HOLES);
            let named = holes.map(|values| self.in_words(&values)).collect();
            problems.push(GridProblem::Holes { count, named });
        }
        problems
    }

    /// `lr = 0.1, depth = 4`
    fn in_words(&self, values: &[&HyperValue]) -> String {
        let words =
            self.hyperparameters.iter().zip(values).map(|(axis, value)| format!("{} = {value}", axis.name));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The combination at `index`, the last axis running fastest.
fn combination<'v>(axes: &[Vec<&'v HyperValue>], mut index: usize) -> Vec<&'v HyperValue> {
    let mut values = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        let count = axis.len().max(1);
        values.extend(axis.get(index % count));
        index /= count;
    }
    values.reverse();
    values
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
                GridProblem::Duplicate { networks: vec![7, 9], combination: "bs = 512, wd = off".into() },
                GridProblem::Holes { count: Some(1), named: vec!["bs = 512, wd = on".into()] },
            ]
        );
    }

    #[test]
    fn a_value_that_never_occurs_is_one_problem() {
        let broken = listing(&[(1, 32.0, "on"), (2, 32.0, "off")]);
        assert_eq!(broken.grid_problems(), [GridProblem::Unused { name: "bs".into(), value: 512.0.into() }]);
    }

    #[test]
    fn many_holes_are_counted_and_no_grid_is_too_large() {
        let diagonal = |axes: usize| Listing {
            hyperparameters: (0..axes)
                .map(|axis| Hyperparameter {
                    name: format!("h{axis}"),
                    possible_values: (0..30).map(|value| f64::from(value).into()).collect(),
                })
                .collect(),
            networks: (0..30)
                .map(|id: u32| NetworkEntry {
                    id: id.into(),
                    hyperparameters: vec![f64::from(id).into(); axes],
                    metrics: None,
                    dev_name: None,
                })
                .collect(),
        };
        let holes = |axes: usize| match diagonal(axes).grid_problems().as_slice() {
            [GridProblem::Holes { count, named }] => (*count, named.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(holes(2), (Some(870), NAMED_HOLES));
        assert_eq!(holes(12), (Some(30usize.pow(12) - 30), 0));
        assert_eq!(holes(20), (None, 0));
    }

    #[test]
    fn without_hyperparameters_there_is_no_grid() {
        assert_eq!(Listing::default().grid_problems(), []);
    }
}
