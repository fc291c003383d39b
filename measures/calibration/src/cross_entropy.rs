//! The training cross-entropy.

use pgdl_measure::tch::Kind;
use pgdl_measure::{Effect, Invariances, Losses, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy;

/// What `cross_entropy` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "cross_entropy",
    family: "calibration",
    version: 1,
    title: "The mean cross-entropy between labels and predicted probabilities.",
    formula: "−(1/n) Σᵢ ln p_yᵢ(xᵢ),  p = softmax f, in nats",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them: its final cross-entropy",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The same number as the control `train_loss`: what is left of the loss when training stops. Computed \
                in f64 from the logits, so that small losses keep their digits.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for CrossEntropy {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(probe.get(&Losses)?.f_mean(Kind::Double)?.f_double_value(&[])?))
    }
}
