//! The exponent of the spectra's tails.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Parameters, Probe, RegistryError,
};

use crate::layer_spectra::{VARIANT, mean_over_layers, steps};
use crate::power_law::Steps;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Alpha {
    steps: Steps,
}

/// What `alpha` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "alpha",
    family: "heavy_tails",
    version: 1,
    title: "The mean exponent of power laws fitted to the tails of the weight matrices' eigenvalue spectra.",
    formula: "(1/L) Σ_ℓ α_ℓ,  α = 1 + n / Σ ln(λ/λ_min) over the n eigenvalues λ ≥ λ_min,  λ_min the one with the least Kolmogorov–Smirnov distance",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10",
    paper: "Martin, Mahoney 2021, Implicit Self-Regularization in Deep Neural Networks (JMLR); Clauset, Shalizi, Newman 2009, Power-Law Distributions in Empirical Data, for the fit",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "Heavier tails (smaller α) go with better trained networks; well-trained large ones lie between 2 and 6. With few eigenvalues the fit is noisy: the standard error of a layer is (α − 1)/√n. The distance is taken on both sides of each step of the empirical distribution, and so is at least 1/n: tails of very few values lose. Common code looks below the steps alone (`variant=as_coded`), which for matrices as small as here often takes another λ_min. WeightWatcher also cuts convolution kernels into kh · kw matrices, which is not done here. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[VARIANT],
};

impl Alpha {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { steps: steps(parameters)? })
    }
}

impl Measure for Alpha {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| Ok(spectrum.tail(self.steps)?.alpha))
    }
}
