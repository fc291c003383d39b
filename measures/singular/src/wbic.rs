//! The widely applicable Bayesian information criterion.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::{Estimated, LocalPosterior, log_size};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Wbic {
    posterior: LocalPosterior,
}

/// What `wbic` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "wbic",
    family: "singular",
    version: 2,
    title: "The widely applicable Bayesian information criterion: the free energy of the training set around \
            the trained weights.",
    formula: "n E L(w),  w ~ exp(−nβ L(w) − γ‖w − w*‖²/2), β = 1/ln n, n the size of the training set",
    shapes: "L: mean cross-entropy over the sample; w: [P] the trainable parameters, w* the trained ones; the \
            moving statistics of BatchNormalization stay",
    paper: "Watanabe 2013, A Widely Applicable Bayesian Information Criterion",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "Shares its chains with `llc`, which says how they are run. n L(w*) + λ̂ ln n: the training loss \
            and the price of its parameters. Undefined where R̂ is above 1.1, the chains diverge, or n < 3.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl Wbic {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for Wbic {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        let coefficient = posterior.learning_coefficient()?;
        let log_size = log_size(probe)?;
        posterior.measured(Estimated {
            value: probe.train_size() as f64 * posterior.centre_loss()? + log_size * coefficient.value,
            standard_error: log_size * coefficient.standard_error,
        })
    }
}
