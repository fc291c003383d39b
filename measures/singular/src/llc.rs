//! The local learning coefficient.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::parameters::PARAMETERS;
use crate::posterior::LocalPosterior;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Llc {
    posterior: LocalPosterior,
}

/// What `llc` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "llc",
    family: "singular",
    version: 2,
    title: "The local learning coefficient λ̂ of the trained weights: how fast the volume of nearly as good \
            weights around them shrinks.",
    formula: "nβ (E L(w) − L(w*)),  w ~ exp(−nβ L(w) − γ‖w − w*‖²/2), β = 1/ln n, n the size of the training \
            set",
    shapes: "L: mean cross-entropy over the sample; w: [P] the trainable parameters, w* the trained ones; the \
            moving statistics of BatchNormalization stay",
    paper: "Lau, Furman, Wang, Murfet, Wei 2023, The Local Learning Coefficient (after Watanabe 2013); sampler: Leimkuhler, Matthews 2013, Rational Construction of Stochastic Numerical Methods \
            for Molecular Sampling",
    needs: &[Need::Labels],
    cost: "K (b + d) m/n B (K chains, b + d ≤ draws · 1.5 steps, m samples in a batch) and 1 F; shared by \
            the whole family",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "P/2 for a regular model, less where directions are degenerate. Chains run side by side from w*, \
            each on its own mini-batches; the loss of a batch is compared with that of w* on the same batch, \
            which takes most of the noise off. The step size follows the largest curvature that the chains \
            meet and the gradient's noise along it; the localization γ, the same for all networks of one \
            scale of weights, displaces the weights by a third of their norm. λ̂ falls as γ rises, without \
            end where most directions are flat: compare networks under one γ. What only the localization holds needs \
            some 1.5/(hγ) steps of size h to spread: no burn-in is shorter, batches grow where their noise keeps h \
            small, and where they would cost more than ten times the draws (more in networks of less than 200,000 parameters) there is no value. Chains end when the standard \
            error is below `tolerance` of the value, or the value five of them below zero. The standard error is by the effective sample size. \
            Undefined where the value is negative (the trained weights are no local minimum), R̂ of the loss \
            is above 1.1 and the standard error, in which differences between chains are, above 15 % of the value, they would spread too slowly or diverge, or \
            n < 3; the reason then holds the diagnostics: of the networks of `cifar_vgg` that were tried 15 of 16 with four \
            convolutions have a value, and 1 of 11 with six. Every value holds R̂, effective sample size, step size, γ and hγ \
            summed over the burn-in (`spread`) in its details.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl Llc {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { posterior: LocalPosterior::new(parameters)? })
    }
}

impl Measure for Llc {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let posterior = self.posterior.of(probe)?;
        posterior.measured(posterior.positive_learning_coefficient()?)
    }
}
