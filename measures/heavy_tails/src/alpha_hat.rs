//! The exponent weighted by the scale.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Parameters, Probe, RegistryError,
};

use crate::layer_spectra::{VARIANT, mean_over_layers, steps};
use crate::power_law::Steps;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct AlphaHat {
    steps: Steps,
}

/// What `alpha_hat` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "alpha_hat",
    family: "heavy_tails",
    version: 1,
    title: "The mean over the layers of the tail exponent times the logarithm of the largest eigenvalue.",
    formula: "(1/L) Σ_ℓ α_ℓ log₁₀ λ_max,ℓ,  α as in `alpha`",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10",
    paper: "Martin, Peng, Mahoney 2021, Predicting trends in the quality of state-of-the-art neural networks without access to training or testing data: weighted alpha; Clauset, Shalizi, Newman 2009, Power-Law Distributions in Empirical Data, for the fit",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The scale corrects exponents of layers of different size; across architectures it ranks better than `alpha`. It changes sign with the unit of the weights: where λ_max < 1 a heavier tail counts as worse. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[VARIANT],
};

impl AlphaHat {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { steps: steps(parameters)? })
    }
}

impl Measure for AlphaHat {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| Ok(spectrum.tail(self.steps)?.alpha * spectrum.largest().log10()))
    }
}
