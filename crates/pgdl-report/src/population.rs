//! The networks to be scored: their hyperparameters and their true gaps.

use pgdl_score::{Axis, Grid};
use pgdl_zoo::{Gap, HyperValue, Hyperparameter, Zoo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{ReportError, Result};

/// What the measures are to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// Training accuracy − test accuracy.
    Accuracy,
    /// Test loss − training loss.
    Loss,
    /// A column of a table that gives the gap itself.
    Given,
}

impl GapKind {
    /// The word for the gap.
    pub fn as_str(self) -> &'static str {
        match self {
            GapKind::Accuracy => "accuracy",
            GapKind::Loss => "loss",
            GapKind::Given => "given",
        }
    }
}

impl From<Gap> for GapKind {
    fn from(gap: Gap) -> Self {
        match gap {
            Gap::Accuracy => GapKind::Accuracy,
            Gap::Loss => GapKind::Loss,
        }
    }
}

/// One network of a [`Population`].
#[derive(Clone, Debug, PartialEq)]
pub struct PopulationNetwork {
    /// Its id in the zoo; `None` in a table without a column of ids.
    pub id: Option<u64>,
    /// What a person calls it: the id, or the row of the table.
    pub label: String,
    /// Its hyperparameters, in the order of [`Population::hyperparameters`].
    pub hyperparameters: Vec<HyperValue>,
    /// Which of several repetitions it is, where repetitions are an axis.
    pub seed: Option<HyperValue>,
    /// Its true gap: finite.
    pub gap: f64,
}

/// The networks of one zoo, or the rows of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// The zoo's name, or the table's.
    pub name: String,
    /// What `gap` is.
    pub gap: GapKind,
    /// The axes of the grid, with all the values they can take.
    pub hyperparameters: Vec<Hyperparameter>,
    /// The networks: by id, or in the order of the table.
    pub networks: Vec<PopulationNetwork>,
}

impl Population {
    /// The networks of a zoo with their true gaps.
    ///
    /// # Errors
    /// When the zoo lists no metrics for a network, or no losses and the gap is that of the losses.
    pub fn from_zoo(zoo: &Zoo, gap: Gap) -> Result<Population> {
        let gaps = zoo.gaps(gap)?;
        let networks = zoo
            .networks()
            .iter()
            .zip(gaps)
            .map(|(network, gap)| PopulationNetwork {
                id: Some(network.id),
                label: network.id.to_string(),
                hyperparameters: network.hyperparameters.clone(),
                seed: None,
                gap,
            })
            .collect();
        Ok(Population {
            name: zoo.name().to_owned(),
            gap: gap.into(),
            hyperparameters: zoo.hyperparameters().to_vec(),
            networks,
        })
    }

    /// The true gaps, in the order of the networks.
    pub fn gaps(&self) -> Vec<f64> {
        self.networks.iter().map(|network| network.gap).collect()
    }

    /// The grid as the scorer takes it: per axis the level of every network.
    ///
    /// # Errors
    /// When a network has a value that its axis does not list, or the networks are on different numbers of axes.
    pub fn grid(&self) -> Result<Grid> {
        let axes = self
            .hyperparameters
            .iter()
            .enumerate()
            .map(|(place, hyperparameter)| {
                let levels = self
                    .networks
                    .iter()
                    .map(|network| {
                        let value = network.hyperparameters.get(place);
                        let level = value.and_then(|value| {
                            hyperparameter.possible_values.iter().position(|possible| possible == value)
                        });
                        level
                            .map(|level| level as u32)
                            .ok_or_else(|| self.off_the_grid(network, hyperparameter, value))
                    })
                    .collect::<Result<Vec<u32>>>()?;
                Ok(Axis {
                    name: hyperparameter.name.clone(),
                    labels: hyperparameter.possible_values.iter().map(HyperValue::to_string).collect(),
                    levels,
                })
            })
            .collect::<Result<Vec<Axis>>>()?;
        Ok(Grid::new(self.networks.len(), axes, self.seeds())?)
    }

    /// The repetitions as levels, in order of first appearance; `None` where they are no axis.
    fn seeds(&self) -> Option<Vec<u32>> {
        let mut known: Vec<&HyperValue> = Vec::new();
        self.networks
            .iter()
            .map(|network| {
                let seed = network.seed.as_ref()?;
                let level = known.iter().position(|other| *other == seed).unwrap_or_else(|| {
                    known.push(seed);
                    known.len() - 1
                });
                Some(level as u32)
            })
            .collect()
    }

    fn off_the_grid(
        &self,
        network: &PopulationNetwork,
        hyperparameter: &Hyperparameter,
        value: Option<&HyperValue>,
    ) -> ReportError {
        let possible: Vec<String> =
            hyperparameter.possible_values.iter().map(HyperValue::to_string).collect();
        ReportError::Invalid {
            message: match value {
                Some(value) => format!(
                    "{}: network {}: {} = {value} is not among its possible values",
                    self.name, network.label, hyperparameter.name
                ),
                None => format!(
                    "{}: network {} has no value of {}",
                    self.name, network.label, hyperparameter.name
                ),
            },
            hint: Some(format!("possible values of {}: {}", hyperparameter.name, possible.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::population;

    #[test]
    fn levels_are_found_by_value_then_by_text() {
        let mut population = population();
        population.networks[0].hyperparameters[1] = HyperValue::Text("64".into());
        let grid = population.grid().unwrap();
        assert_eq!(grid.axes()[1].levels, [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(grid.axes()[2].labels, ["0.01", "0.1"]);
    }

    #[test]
    fn a_value_off_the_grid_is_named() {
        let mut population = population();
        population.networks[2].hyperparameters[0] = HyperValue::Text("deep".into());
        let error = population.grid().unwrap_err();
        assert_eq!(error.to_string(), "tiny: network 30: depth = deep is not among its possible values");
        assert_eq!(error.hint().as_deref(), Some("possible values of depth: 2, 6"));
        population.networks[2].hyperparameters.clear();
        assert_eq!(population.grid().unwrap_err().to_string(), "tiny: network 30 has no value of depth");
    }

    #[test]
    fn seeds_are_an_axis_only_where_every_network_has_one() {
        let mut population = population();
        assert_eq!(population.grid().unwrap().seeds(), None);
        for (place, network) in population.networks.iter_mut().enumerate() {
            network.seed = Some(HyperValue::Number((place % 3) as f64));
        }
        assert_eq!(population.grid().unwrap().seeds(), Some(&[0, 1, 2, 0, 1, 2, 0, 1][..]));
    }
}
