//! The training error.

use pgdl_measure::{Accuracy, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct TrainError;

/// What `train_error` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "train_error",
    family: "controls",
    version: 1,
    title: "The share of the training sample that the network misclassifies.",
    formula: "(1/n) #{i : argmaxⱼ fⱼ(xᵢ) ≠ yᵢ}",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "none: a control",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances::ALL,
    behaviour: "Half of the gap is known to it. Of equal largest logits the first class counts.",
    stochastic: false,
    control: true,
    parameters: &[],
};

impl Measure for TrainError {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(1.0 - *probe.get(&Accuracy)?))
    }
}
