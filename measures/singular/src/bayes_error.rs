//! The expected Bayes generalization error.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::{Estimated, LocalPosterior};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct BayesError {
    posterior: LocalPosterior,
}

/// What `bayes_error` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "bayes_error",
    family: "singular",
    version: 2,
    title: "The expected Bayes generalization error over the entropy, to first order: λ̂/n.",
    formula: "λ̂/n",
    shapes: "λ̂: `llc`; n: size of the training set",
    paper: "Watanabe 2018, Mathematical Theory of Bayesian Statistics (at β = 1)",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "Shares its chains with `llc`, which says how they are run: at β = 1/ln n, where the theorem is for β = 1. The λ of the theorem is the model's \
            at its true parameter; here it is that of the trained weights. Undefined where `llc` is.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl BayesError {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for BayesError {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        let coefficient = posterior.positive_learning_coefficient()?;
        let n = probe.train_size() as f64;
        posterior.measured(Estimated {
            value: coefficient.value / n,
            standard_error: coefficient.standard_error / n,
        })
    }
}
