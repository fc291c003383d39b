//! The product of the layers' Frobenius norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::frobenius_norms::FrobeniusNorms;
use crate::logarithms::{logarithms, total};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FrobeniusProduct;

/// What `frobenius_product` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "frobenius_product",
    family: "norms",
    version: 1,
    title: "The logarithm of the product of the squared Frobenius norms of the weight tensors.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²_F",
    shapes: "W_ℓ: the L kernels, [kh, kw, in, out] or [in, out], BatchNormalization folded in",
    paper: "Neyshabur, Tomioka, Srebro 2015, Norm-Based Capacity Control in Neural Networks; Jiang, Neyshabur, \
            Mobahi, Krishnan, Bengio 2019, eq. 37, as a logarithm",
    needs: &[],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "It grows with depth whatever the gap does; `frobenius_sum` takes the depth out. Undefined where a \
                tensor is all zero.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for FrobeniusProduct {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let layers = logarithms(&probe.get(&FrobeniusNorms)?)?;
        Ok(Measured::value(total(&layers)).with_layers(layers))
    }
}
