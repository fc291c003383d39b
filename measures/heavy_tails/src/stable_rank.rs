//! How many directions carry the Frobenius norm.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_spectra::mean_over_layers;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct StableRank;

/// What `stable_rank` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "stable_rank",
    family: "heavy_tails",
    version: 1,
    title: "The mean stable rank of the weight matrices.",
    formula: "(1/L) Σ_ℓ ‖W_ℓ‖²_F / ‖W_ℓ‖²₂ = (1/L) Σ_ℓ Σ λ / λ_max",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10",
    paper: "Rudelson, Vershynin 2007, Sampling from large matrices; Martin, Mahoney 2021, Implicit Self-Regularization in Deep Neural Networks (JMLR)",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "From 1 to the rank. It is the size-free part of spectrally normalized bounds. The spectral norm is that of the kernel as a matrix, not of the convolution. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for StableRank {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| Ok(spectrum.trace() / spectrum.largest()))
    }
}
