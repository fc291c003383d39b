//! The squared norm of the weight tensors.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::frobenius_norms::FrobeniusNorms;
use crate::logarithms::total;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ParamNorm;

/// What `param_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "param_norm",
    family: "norms",
    version: 1,
    title: "The sum of the squared Frobenius norms of the weight tensors.",
    formula: "Σ_ℓ ‖W_ℓ‖²_F",
    shapes: "W_ℓ: the L kernels, [kh, kw, in, out] or [in, out], BatchNormalization folded in",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them, eq. 42",
    needs: &[],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Weight decay drives it directly. It is a size of the parameters, not of the function: rescaling \
                layers against each other changes it at will.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for ParamNorm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let layers = probe.get(&FrobeniusNorms)?.to_vec();
        Ok(Measured::value(total(&layers)).with_layers(layers))
    }
}
