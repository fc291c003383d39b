//! Cells that hold the fit of a model, and tables of them.

use pgdl_nc::Observations;
use pgdl_nc::random::Draws;
use pgdl_report::{Cell, Column, Digits};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::estimate::Estimate;

/// The fit of a model to hypotheses.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Observed {
    /// How many hypotheses.
    pub count: usize,
    /// R², with an interval by resampling tasks.
    pub r2: Estimate,
    /// Mean of |G − NC|, likewise.
    pub mae: Estimate,
    /// Mean of G.
    pub gap: f64,
    /// Mean of NC.
    pub estimate: f64,
}

impl Observed {
    /// The fit of these observations.
    pub fn new(observations: &Observations, seed: u64) -> Result<Observed> {
        let fit = observations.fit()?;
        let [r2, mae] = observations.intervals(&mut Draws::new(seed, "resamples", 0))?;
        Ok(Observed {
            count: observations.gaps.len(),
            r2: Estimate { value: fit.r2, interval: Some(r2) },
            mae: Estimate { value: fit.mae, interval: Some(mae) },
            gap: mean(&observations.gaps),
            estimate: mean(&observations.estimates),
        })
    }

    /// The columns of [`Observed::cells`].
    pub fn columns() -> Vec<Column> {
        vec![
            Column::new("count", "hypotheses"),
            number("r2", "R²").with_interval(),
            number("mae", "mean abs. error").with_interval(),
            number("gap", "mean gap"),
            number("nc", "mean NC"),
        ]
    }

    /// As part of a row.
    pub fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::count(self.count),
            estimate(self.r2),
            estimate(self.mae),
            Cell::number(self.gap),
            Cell::number(self.estimate),
        ]
    }
}

/// A column of numbers to four digits.
pub fn number(key: &str, title: &str) -> Column {
    Column::new(key, title).digits(Digits::Significant(4))
}

/// A number with its interval.
pub fn estimate(estimate: Estimate) -> Cell {
    Cell::number(estimate.value).interval(estimate.interval)
}

/// The mean of one number or more.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
