//! The size of the largest singular values.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_spectra::mean_over_layers;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LogSpectralNorm;

/// What `log_spectral_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "log_spectral_norm",
    family: "heavy_tails",
    version: 1,
    title: "The mean logarithm of the squared spectral norms of the weight matrices.",
    formula: "(1/L) Σ_ℓ log₁₀ λ_max,ℓ",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10",
    paper: "Martin, Peng, Mahoney 2021, Predicting trends in the quality of state-of-the-art neural networks without access to training or testing data: the log spectral norm",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Rescaling two layers against each other leaves it as long as both count. The norm is that of the kernel as a matrix, not of the convolution. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for LogSpectralNorm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| Ok(spectrum.largest().log10()))
    }
}
