//! The probability of the decisions.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::probabilities::Confidences;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Confidence;

/// What `confidence` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "confidence",
    family: "calibration",
    version: 1,
    title: "The mean probability that the network gives to its own decisions.",
    formula: "(1/n) Σᵢ maxⱼ pⱼ(xᵢ),  p = softmax f",
    shapes: "f: [n, C] logits",
    paper: "Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks",
    needs: &[],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "From 1/C to 1. Confidence beyond the test accuracy is overconfidence, hence the sign. Networks that \
                fit their sample perfectly all come close to 1.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for Confidence {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let confidences = probe.get(&Confidences)?;
        Ok(Measured::value(confidences.iter().sum::<f64>() / confidences.len() as f64))
    }
}
