//! The expected Gibbs generalization error.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::{Estimated, LocalPosterior, singular_fluctuation};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct GibbsError {
    posterior: LocalPosterior,
}

/// What `gibbs_error` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "gibbs_error",
    family: "singular",
    version: 2,
    title: "The expected Gibbs generalization error over the entropy, to first order: (λ̂ + ν)/n.",
    formula: "(λ̂ + ν)/n",
    shapes: "λ̂: `llc`; ν: `singular_fluctuation`; n: size of the training set",
    paper: "Watanabe 2018, Mathematical Theory of Bayesian Statistics (at β = 1)",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "Shares its chains with `llc`, which says how they are run: at β = 1/ln n, where the theorem is for β = 1. The error of one network drawn from \
            the posterior, where `bayes_error` is that of their mean prediction. The standard error takes λ̂ \
            and ν as perfectly correlated, which errs on the large side. Undefined where `llc` is.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl GibbsError {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for GibbsError {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        let coefficient = posterior.positive_learning_coefficient()?;
        let fluctuation = singular_fluctuation(probe, &posterior)?;
        let n = probe.train_size() as f64;
        posterior.measured(Estimated {
            value: (coefficient.value + fluctuation.value) / n,
            standard_error: (coefficient.standard_error + fluctuation.standard_error) / n,
        })
    }
}
