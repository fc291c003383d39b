//! The Schatten norm at the spectrum's own exponent.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Parameters, Probe, RegistryError,
};

use crate::layer_spectra::{LayerSpectrum, VARIANT, mean_over_layers, steps};
use crate::power_law::Steps;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LogAlphaNorm {
    steps: Steps,
}

/// What `log_alpha_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "log_alpha_norm",
    family: "heavy_tails",
    version: 1,
    title: "The mean over the layers of the logarithm of the Schatten norm whose power is the tail exponent.",
    formula: "(1/L) Σ_ℓ log₁₀ Σ λ^α_ℓ,  α as in `alpha`",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10",
    paper: "Martin, Peng, Mahoney 2021, Predicting trends in the quality of state-of-the-art neural networks without access to training or testing data: the log α-norm, log ‖W‖^2α_2α; Clauset, Shalizi, Newman 2009, Power-Law Distributions in Empirical Data, for the fit",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Near `alpha_hat` where one eigenvalue dominates, and never below it. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[VARIANT],
};

impl LogAlphaNorm {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { steps: steps(parameters)? })
    }
}

impl Measure for LogAlphaNorm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| log_norm(spectrum, self.steps))
    }
}

/// log₁₀ Σ λ^α, with λ_max taken out so that no power overflows.
fn log_norm(spectrum: &LayerSpectrum, steps: Steps) -> Result<f64, MeasureError> {
    let alpha = spectrum.tail(steps)?.alpha;
    let largest = spectrum.largest();
    let sum: f64 = spectrum.eigenvalues.iter().map(|lambda| (lambda / largest).powf(alpha)).sum();
    Ok(alpha * largest.log10() + sum.log10())
}
