//! The product of the layers' ℓ₁,∞ norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::group_norm::group_norm_product;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct L1InfProduct;

/// What `l1_inf_product` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "l1_inf_product",
    family: "norms",
    version: 1,
    title: "The logarithm of the product of the squared ℓ₁,∞ norms of the weight tensors.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²_{1,∞},  ‖W‖_{1,∞} = maxⱼ Σᵢ |W_ij|",
    shapes: "W_ℓ: the L kernels as [incoming weights i, units j], i over kh · kw · in, BatchNormalization folded in",
    paper: "Bartlett and Mendelson 2002, Rademacher and Gaussian Complexities; Neyshabur, Tomioka, Srebro 2015, \
            Norm-Based Capacity Control in Neural Networks (p = 1, q = ∞)",
    needs: &[],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The capacity bound multiplies it by 4ᴸ / γ², which is not included here. It grows with depth and \
                width. Undefined where a tensor is all zero.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for L1InfProduct {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        group_norm_product(probe, 1.0, f64::INFINITY)
    }
}
