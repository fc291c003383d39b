//! The same number for every network.

use pgdl_measure::{Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Constant;

/// What `constant` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "constant",
    family: "controls",
    version: 1,
    title: "The same number for every network.",
    formula: "0",
    shapes: "none",
    paper: "none: a control",
    needs: &[],
    cost: "O(1)",
    invariances: Invariances::ALL,
    behaviour: "It ranks nothing, so every statistic of agreement must give it its value for no information: a CMI of \
                0, an undefined rank correlation. A board where it scores otherwise is broken.",
    stochastic: false,
    control: true,
    parameters: &[],
};

impl Measure for Constant {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, _: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(0.0))
    }
}
