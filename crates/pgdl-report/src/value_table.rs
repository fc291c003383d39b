//! Tables of values computed elsewhere: one row per network, columns of hyperparameters, accuracies and measures.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pgdl_zoo::{HyperValue, Hyperparameter};

use crate::columns::{Columns, RawCell};
use crate::error::{ReportError, Result};
use crate::population::{GapKind, Population, PopulationNetwork};
use crate::predictions::EXCEEDED;
use crate::values::{Entry, MeasureValues, ValueStatus};

/// Which columns of a CSV or Parquet file mean what.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// The file.
    pub path: PathBuf,
    /// The columns of hyperparameters: the axes of the grid, in this order.
    pub hyperparameters: Vec<String>,
    /// The column that tells repetitions of the same hyperparameters apart.
    pub seed: Option<String>,
    /// The column of network ids; without it networks go by their row.
    pub id: Option<String>,
    /// Where the true gap comes from.
    pub gap: GapColumns,
    /// The columns of measures; `None` = every other column that holds numbers.
    pub measures: Option<Vec<String>>,
}

/// The columns that give the true gap.
#[derive(Clone, Debug, PartialEq)]
pub enum GapColumns {
    /// Training and test accuracy; the gap is their difference.
    Accuracies {
        /// The column of training accuracies.
        train: String,
        /// The column of test accuracies.
        test: String,
    },
    /// The gap itself.
    Gap(String),
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueTable {
    /// Its rows, with hyperparameters and gaps.
    pub population: Population,
    /// Its measures, in the order asked for, else in that of the columns.
    pub measures: Vec<MeasureValues>,
    /// Columns that hold no numbers and therefore are no measures, where measures were not named.
    pub passed_over: Vec<String>,
}

const NAME_THE_MEASURES: &str = "name the columns of measures, to leave this one out";

impl TableSpec {
    /// Reads the table.
    ///
    /// In a column of measures an empty cell (or `NA`, `N/A`, `None`, `null`) is a missing value, NaN an undefined one,
    /// and the text `EXCEEDED` says that the budget was used up. An axis has the values that occur in its column,
    /// equal by value, else by text.
    ///
    /// # Errors
    /// When the file is no such table, a column is missing or has two roles, a hyperparameter, seed, id or accuracy is
    /// missing or no number where it must be one, an id occurs twice, or a column of measures holds a text.
    pub fn read(&self) -> Result<ValueTable> {
        let columns = Columns::read(&self.path)?;
        let axes = self.hyperparameters.iter().map(|name| columns.place(name)).collect::<Result<Vec<_>>>()?;
        let seed = self.seed.as_deref().map(|name| columns.place(name)).transpose()?;
        let id = self.id.as_deref().map(|name| columns.place(name)).transpose()?;
        let (gap, gap_columns) = match &self.gap {
            GapColumns::Accuracies { train, test } => {
                (GapKind::Accuracy, vec![columns.place(train)?, columns.place(test)?])
            }
            GapColumns::Gap(name) => (GapKind::Given, vec![columns.place(name)?]),
        };
        let roles: Vec<usize> = axes.iter().chain(&seed).chain(&id).chain(&gap_columns).copied().collect();
        if let Some(twice) = first_repeated(&roles) {
            return Err(ReportError::Invalid {
                message: format!(
                    "{}: column `{}` is given two roles",
                    self.path.display(),
                    columns.names[twice]
                ),
                hint: Some("name each column once".to_owned()),
            });
        }

        let networks = self.networks(&columns, &axes, seed, id, &gap_columns)?;
        let hyperparameters = self
            .hyperparameters
            .iter()
            .enumerate()
            .map(|(place, name)| Hyperparameter {
                name: name.clone(),
                possible_values: occurring(networks.iter().map(|network| &network.hyperparameters[place])),
            })
            .collect();
        let population = Population { name: stem(&self.path), gap, hyperparameters, networks };
        let (measures, passed_over) = self.measures(&columns, &roles)?;
        Ok(ValueTable { population, measures, passed_over })
    }

    fn networks(
        &self,
        columns: &Columns,
        axes: &[usize],
        seed: Option<usize>,
        id: Option<usize>,
        gap: &[usize],
    ) -> Result<Vec<PopulationNetwork>> {
        let mut rows_of_ids: HashMap<u64, usize> = HashMap::new();
        (0..columns.rows())
            .map(|row| {
                let hyperparameters = axes
                    .iter()
                    .map(|&column| hyper_value(columns, row, column))
                    .collect::<Result<Vec<_>>>()?;
                let seed = seed.map(|column| hyper_value(columns, row, column)).transpose()?;
                let id = id.map(|column| network_id(columns, row, column)).transpose()?;
                if let (Some(id), Some(column)) = (id, self.id.as_deref())
                    && let Some(other) = rows_of_ids.insert(id, row)
                {
                    let message =
                        format!("network {id} occurs a second time, first in {}", columns.position(other));
                    return Err(columns.bad_cell(row, columns.place(column)?, message, None));
                }
                let gap = match gap {
                    [train, test] => finite(columns, row, *train)? - finite(columns, row, *test)?,
                    columns_of_gap => columns_of_gap
                        .iter()
                        .map(|&column| finite(columns, row, column))
                        .sum::<Result<f64>>()?,
                };
                let label = id.map_or_else(|| columns.position(row), |id| id.to_string());
                Ok(PopulationNetwork { id, label, hyperparameters, seed, gap })
            })
            .collect()
    }

    /// The measures, and the columns that were passed over.
    fn measures(&self, columns: &Columns, roles: &[usize]) -> Result<(Vec<MeasureValues>, Vec<String>)> {
        if let Some(names) = &self.measures {
            let places = names.iter().map(|name| columns.place(name)).collect::<Result<Vec<_>>>()?;
            if let Some(twice) = first_repeated(&places) {
                return Err(ReportError::Invalid {
                    message: format!("measure `{}` is named twice", columns.names[twice]),
                    hint: Some("name each column once".to_owned()),
                });
            }
            let measures =
                places.iter().map(|&place| measure(columns, place, None)).collect::<Result<_>>()?;
            return Ok((measures, Vec::new()));
        }
        let mut measures = Vec::new();
        let mut passed_over = Vec::new();
        for place in (0..columns.names.len()).filter(|place| !roles.contains(place)) {
            let counts = |cell: &RawCell| matches!(cell, RawCell::Number(_)) || is_exceeded(cell);
            // A column without a name is the index that data-frame libraries write.
            if !columns.names[place].is_empty() && columns.cells[place].iter().any(counts) {
                measures.push(measure(columns, place, Some(NAME_THE_MEASURES))?);
            } else {
                passed_over.push(columns.names[place].clone());
            }
        }
        if measures.is_empty() {
            return Err(ReportError::malformed(&self.path, "no column beside those named holds numbers"));
        }
        Ok((measures, passed_over))
    }
}

fn measure(columns: &Columns, place: usize, hint: Option<&str>) -> Result<MeasureValues> {
    let entries = columns.cells[place]
        .iter()
        .enumerate()
        .map(|(row, cell)| match (cell, cell.number()) {
            (RawCell::Missing, _) => Ok(Entry::missing()),
            (_, Some(number)) => Ok(Entry::number(number)),
            _ if is_exceeded(cell) => Ok(Entry::absent(ValueStatus::Exceeded, "")),
            _ => Err(columns.bad_cell(row, place, not_a_number(cell), hint)),
        })
        .collect::<Result<_>>()?;
    Ok(MeasureValues { measure: columns.names[place].clone(), entries, seconds: None, expression: None })
}

fn is_exceeded(cell: &RawCell) -> bool {
    matches!(cell, RawCell::Text(text) if text == EXCEEDED)
}

fn not_a_number(cell: &RawCell) -> String {
    match cell {
        RawCell::Missing => "is empty".to_owned(),
        RawCell::Number(number) => format!("{number} is not finite"),
        RawCell::Text(text) => {
            let short: String = text.chars().take(40).collect();
            format!("`{short}` is not a number")
        }
    }
}

fn finite(columns: &Columns, row: usize, column: usize) -> Result<f64> {
    let cell = &columns.cells[column][row];
    cell.number()
        .filter(|number| number.is_finite())
        .ok_or_else(|| columns.bad_cell(row, column, not_a_number(cell), None))
}

fn hyper_value(columns: &Columns, row: usize, column: usize) -> Result<HyperValue> {
    match &columns.cells[column][row] {
        RawCell::Number(number) if number.is_finite() => Ok(HyperValue::Number(*number)),
        RawCell::Text(text) => Ok(HyperValue::Text(text.clone())),
        cell => Err(columns.bad_cell(row, column, not_a_number(cell), None)),
    }
}

fn network_id(columns: &Columns, row: usize, column: usize) -> Result<u64> {
    let cell = &columns.cells[column][row];
    let id = match cell {
        RawCell::Number(number) if (0.0..=9.0e15).contains(number) && number.fract() == 0.0 => {
            Some(*number as u64)
        }
        RawCell::Text(text) => text.strip_prefix("model_").unwrap_or(text).parse().ok(),
        RawCell::Number(_) | RawCell::Missing => None,
    };
    id.ok_or_else(|| {
        columns.bad_cell(row, column, "is not a network id (a whole number, or model_<number>)", None)
    })
}

/// The different values, in their own order.
fn occurring<'a>(values: impl Iterator<Item = &'a HyperValue>) -> Vec<HyperValue> {
    let mut values: Vec<HyperValue> = values.cloned().collect();
    values.sort();
    values.dedup();
    values
}

fn first_repeated(places: &[usize]) -> Option<usize> {
    places.iter().enumerate().find(|(at, place)| places[..*at].contains(place)).map(|(_, place)| *place)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
