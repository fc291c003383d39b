//! What every statistic looks at: per network its place in the grid, its true gap and the measure's value.

use std::borrow::Cow;

use crate::error::ScoreError;
use crate::grid::Grid;

/// A grid of networks with their true gaps and one measure's values.
///
/// NaN stands for a missing number. A network is *covered* when it has both numbers. Infinite values are values:
/// they can be ranked, though not averaged.
#[derive(Clone, Debug)]
pub struct Observations<'a> {
    grid: &'a Grid,
    gap: &'a [f64],
    measure: Cow<'a, [f64]>,
}

impl<'a> Observations<'a> {
    /// Gaps and values (`None` = no value), one per network in the grid's order.
    ///
    /// # Errors
    /// [`ScoreError::Length`] when a list has another length than the grid.
    pub fn new(grid: &'a Grid, gap: &'a [f64], measure: &[Option<f64>]) -> Result<Self, ScoreError> {
        let measure: Vec<f64> = measure.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        Self::checked(grid, gap, Cow::Owned(measure))
    }

    /// The same from plain numbers, where NaN = no value.
    ///
    /// # Errors
    /// [`ScoreError::Length`] when a list has another length than the grid.
    pub fn from_numbers(grid: &'a Grid, gap: &'a [f64], measure: &'a [f64]) -> Result<Self, ScoreError> {
        Self::checked(grid, gap, Cow::Borrowed(measure))
    }

    fn checked(grid: &'a Grid, gap: &'a [f64], measure: Cow<'a, [f64]>) -> Result<Self, ScoreError> {
        for (what, found) in [("gap", gap.len()), ("measure", measure.len())] {
            if found != grid.networks() {
                return Err(ScoreError::Length { what: what.into(), expected: grid.networks(), found });
            }
        }
        Ok(Self { grid, gap, measure })
    }

    /// The grid.
    pub fn grid(&self) -> &'a Grid {
        self.grid
    }

    /// The true gaps, one per network.
    pub fn gap(&self) -> &[f64] {
        self.gap
    }

    /// The measure's values, one per network; NaN = no value.
    pub fn measure(&self) -> &[f64] {
        &self.measure
    }

    /// Whether the network at this position has both a gap and a value.
    pub fn is_covered(&self, network: usize) -> bool {
        !self.gap[network].is_nan() && !self.measure[network].is_nan()
    }

    /// Number of covered networks.
    pub fn covered(&self) -> usize {
        (0..self.grid.networks()).filter(|&network| self.is_covered(network)).count()
    }

    /// Measure and gap of the covered networks.
    pub(crate) fn covered_values(&self) -> (Vec<f64>, Vec<f64>) {
        let covered = (0..self.grid.networks()).filter(|&network| self.is_covered(network));
        covered.map(|network| (self.measure[network], self.gap[network])).unzip()
    }
}
