//! The training loss.

use pgdl_measure::{
    Effect, Invariances, Losses, Measure, MeasureError, MeasureInfo, Measured, Need, Probe, tch::Kind,
};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct TrainLoss;

/// What `train_loss` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "train_loss",
    family: "controls",
    version: 1,
    title: "The mean cross-entropy on the training sample.",
    formula: "(1/n) Σᵢ [ln Σⱼ exp fⱼ(xᵢ) − f_yᵢ(xᵢ)], in nats",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "none: a control",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "In a zoo whose networks are trained to one value of the loss it should tell nothing; what it scores \
                there shows how far the stopping rule gives the gap away.",
    stochastic: false,
    control: true,
    parameters: &[],
};

impl Measure for TrainLoss {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(probe.get(&Losses)?.f_mean(Kind::Double)?.f_double_value(&[])?))
    }
}
