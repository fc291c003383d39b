//! The singular fluctuation.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::{LocalPosterior, singular_fluctuation};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SingularFluctuation {
    posterior: LocalPosterior,
}

/// What `singular_fluctuation` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "singular_fluctuation",
    family: "singular",
    version: 2,
    title: "The singular fluctuation ν: how much the losses of single samples vary over the local posterior.",
    formula: "(β/2) V,  V = (n/m) Σᵢ Var ℓᵢ(w),  w ~ exp(−nβ L(w) − γ‖w − w*‖²/2), β = 1/ln n, n the size of \
            the training set",
    shapes: "L: mean cross-entropy over the sample; w: [P] the trainable parameters, w* the trained ones; the \
            moving statistics of BatchNormalization stay; ℓᵢ: loss of sample i of m",
    paper: "Watanabe 2018, Mathematical Theory of Bayesian Statistics; Watanabe 2010, Asymptotic \
            Equivalence of Bayes Cross Validation",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "Shares its chains with `llc`, which says how they are run. P/2 for a regular model that can \
            express the truth. The variance of each sample's loss is over the draws in whose batch it was; \
            samples that were in fewer than two are left out. The standard error is by the jackknife over \
            chains. Undefined where R̂ is above 1.1, the chains diverge, or n < 3.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl SingularFluctuation {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for SingularFluctuation {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        posterior.measured(singular_fluctuation(probe, &posterior)?)
    }
}
