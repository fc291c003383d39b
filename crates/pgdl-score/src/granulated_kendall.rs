//! Kendall's coefficient along each hyperparameter, all others held fixed.

use crate::kendall::kendall_tau_b;
use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};

/// The granulated Kendall coefficient per hyperparameter, and their mean.
#[derive(Clone, Debug, PartialEq)]
pub struct GranulatedKendall {
    /// ψ of every axis, in the grid's order.
    pub axes: Vec<AxisKendall>,
    /// Ψ: the unweighted mean of the axes' defined coefficients.
    pub mean: Outcome,
}

/// The granulated Kendall coefficient of one hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisKendall {
    /// ψ: the unweighted mean of `cells`.
    pub value: Outcome,
    /// τ‑b of every cell that has one.
    pub cells: Vec<f64>,
    /// Number of cells without a τ‑b: fewer than two networks with a value, or a measure or gap that is constant
    /// there.
    pub undefined_cells: usize,
}

/// The granulated Kendall coefficient (Jiang et al. 2019, arXiv:1912.02178): for each hyperparameter, ψ is the mean
/// of τ‑b over cells of networks that agree in **all other** hyperparameters, and in their seed where the grid has
/// seeds; Ψ is the mean of ψ over the hyperparameters.
///
/// The paper leaves open what happens with ties; here a cell's coefficient is τ‑b. Cells without one are left out of
/// ψ and counted; a hyperparameter with only such cells (a single value; a measure that does not depend on it) has
/// no ψ and is left out of Ψ. Networks without a value are left out; holes in the grid make cells smaller, several
/// networks at one place (without a seed to tell them apart) make them larger. All means are unweighted.
pub fn granulated_kendall(observations: &Observations) -> GranulatedKendall {
    let grid = observations.grid();
    let axes: Vec<AxisKendall> = (0..grid.axes().len()).map(|axis| along(observations, axis)).collect();
    let defined: Vec<f64> = axes.iter().filter_map(|axis| axis.value.as_ref().ok().copied()).collect();
    let mean =
        mean(&defined).ok_or_else(|| Undefined::because("no hyperparameter has a granulated coefficient"));
    GranulatedKendall { axes, mean }
}

fn along(observations: &Observations, axis: usize) -> AxisKendall {
    let grid = observations.grid();
    let others: Vec<usize> = (0..grid.axes().len()).filter(|&other| other != axis).collect();
    let order = grid.sorted_by(&others, true);
    let mut cells = Vec::new();
    let mut undefined_cells = 0;
    let (mut measure, mut gap) = (Vec::new(), Vec::new());
    for cell in grid.runs(&order, &others, true) {
        measure.clear();
        gap.clear();
        measure.extend(cell.iter().map(|&network| observations.measure()[network]));
        gap.extend(cell.iter().map(|&network| observations.gap()[network]));
        match kendall_tau_b(&measure, &gap) {
            Ok(tau) => cells.push(tau),
            Err(_) => undefined_cells += 1,
        }
    }
    let value = mean(&cells).ok_or_else(|| {
        Undefined::because(
            "in no cell of the other hyperparameters do two networks differ in both measure and gap",
        )
    });
    AxisKendall { value, cells, undefined_cells }
}

/// The mean, where there is anything to average.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
