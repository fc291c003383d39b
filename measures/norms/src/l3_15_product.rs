//! The product of the layers' ℓ₃,₁.₅ norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::group_norm::group_norm_product;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct L315Product;

/// What `l3_15_product` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "l3_15_product",
    family: "norms",
    version: 1,
    title: "The logarithm of the product of the squared ℓ₃,₁.₅ norms of the weight tensors.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²_{3,1.5},  ‖W‖_{p,q} = [Σⱼ (Σᵢ |W_ij|ᵖ)^{q/p}]^{1/q}",
    shapes: "W_ℓ: the L kernels as [incoming weights i, units j], i over kh · kw · in, BatchNormalization folded in",
    paper: "Neyshabur, Tomioka, Srebro 2015, Norm-Based Capacity Control in Neural Networks (p = 3 and its conjugate \
            q = 1.5, where the bound does not grow with the width)",
    needs: &[],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The capacity bound multiplies it by a power of 2 in the depth and by 1/γ², which are not included \
                here. Undefined where a tensor is all zero.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for L315Product {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        group_norm_product(probe, 3.0, 1.5)
    }
}
