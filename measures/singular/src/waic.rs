//! The widely applicable information criterion.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::{LocalPosterior, log_size};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Waic {
    posterior: LocalPosterior,
}

/// What `waic` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "waic",
    family: "singular",
    version: 2,
    title: "The widely applicable information criterion of the local posterior at temperature ln n: its \
            estimate of the test loss.",
    formula: "−(1/m) Σᵢ ln E exp(−ℓᵢ(w)) + (β/m) Σᵢ Var ℓᵢ(w),  w ~ exp(−nβ L(w) − γ‖w − w*‖²/2), β = 1/ln n, \
            n the size of the training set",
    shapes: "L: mean cross-entropy over the sample; w: [P] the trainable parameters, w* the trained ones; the \
            moving statistics of BatchNormalization stay; ℓᵢ: loss of sample i of m",
    paper: "Watanabe 2010, Asymptotic Equivalence of Bayes Cross Validation and Widely Applicable \
            Information Criterion (at inverse temperature β)",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "Shares its chains with `llc`, which says how they are run. The first sum is the Bayes training \
            loss, the second the functional variance V/n. Mean and variance of each sample's loss are over \
            the draws in whose batch it was; samples that were in fewer than two are left out. The standard \
            error is by the jackknife over chains. Undefined where R̂ is above 1.1, the chains diverge, or n \
            < 3.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl Waic {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for Waic {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        let beta = 1.0 / log_size(probe)?;
        let found = posterior.predictive(|found| found.training_loss + beta * found.variance)?;
        posterior.measured(found)
    }
}
