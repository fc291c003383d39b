//! How decided the predictions are.

use pgdl_measure::tch::Kind;
use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::probabilities::LogProbabilities;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct NegativeEntropy;

/// What `negative_entropy` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "negative_entropy",
    family: "calibration",
    version: 1,
    title: "The mean negative entropy of the predicted probabilities.",
    formula: "(1/n) Σᵢ Σⱼ pⱼ(xᵢ) ln pⱼ(xᵢ),  p = softmax f, in nats",
    shapes: "f: [n, C] logits",
    paper: "Pereyra, Tucker, Chorowski, Kaiser, Hinton 2017, Regularizing Neural Networks by Penalizing Confident \
            Output Distributions",
    needs: &[],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "From −ln C (undecided) to 0 (certain). Certain predictions are taken as a sign of overfitting, hence \
                the sign. Networks that fit their sample perfectly all come close to 0.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for NegativeEntropy {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let logarithms = probe.get(&LogProbabilities)?;
        // A probability that underflows to 0 still has a finite logarithm, so that p ln p is 0 and not NaN.
        let terms = logarithms.f_exp()?.f_mul(&logarithms)?.f_sum_dim_intlist(1, false, None)?;
        Ok(Measured::value(terms.f_mean(Kind::Double)?.f_double_value(&[])?))
    }
}
