//! The number of layers.

use pgdl_measure::{Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::levels::levels;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Depth;

/// What `depth` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "depth",
    family: "capacity",
    version: 1,
    title: "The number of weight tensors on the longest path from input to output.",
    formula: "d",
    shapes: "counted are convolution kernels and dense matrices; a separable convolution has two",
    paper: "none: a baseline",
    needs: &[],
    cost: "O(1): the architecture alone",
    invariances: Invariances::ALL,
    behaviour: "Networks of one architecture tie. Whether depth helps depends on the family.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for Depth {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let deepest = levels(probe.network().architecture())?.last().copied().unwrap_or(0);
        Ok(Measured::value(deepest as f64))
    }
}
