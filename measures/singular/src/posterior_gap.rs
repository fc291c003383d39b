//! The expected gap of the posterior.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::{Estimated, LocalPosterior, singular_fluctuation};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PosteriorGap {
    posterior: LocalPosterior,
}

/// What `posterior_gap` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "posterior_gap",
    family: "singular",
    version: 2,
    title: "The expected generalization error minus the training error, the same for Bayes and Gibbs, to \
            first order: 2ν/n.",
    formula: "2ν/n",
    shapes: "ν: `singular_fluctuation`; n: size of the training set",
    paper: "Watanabe 2010, Asymptotic Equivalence of Bayes Cross Validation (equations of state, at β \
            = 1)",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "Shares its chains with `llc`, which says how they are run: at β = 1/ln n, where the theorem is for β = 1. The only one of the family that \
            predicts the gap itself. Undefined where `singular_fluctuation` is.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl PosteriorGap {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for PosteriorGap {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        let fluctuation = singular_fluctuation(probe, &posterior)?;
        let n = probe.train_size() as f64;
        posterior.measured(Estimated {
            value: 2.0 * fluctuation.value / n,
            standard_error: 2.0 * fluctuation.standard_error / n,
        })
    }
}
