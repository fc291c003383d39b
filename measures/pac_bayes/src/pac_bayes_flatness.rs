//! How little noise the weights bear.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::form::Form;
use crate::noise_scale::{DROP, TOLERANCE, VARIANT};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PacBayesFlatness {
    form: Form,
}

/// What `pac_bayes_flatness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "pac_bayes_flatness",
    family: "pac_bayes",
    version: 1,
    title: "The inverse variance of the weight noise that costs a tenth of the training accuracy.",
    formula: "1 / σ²",
    shapes: "σ: the largest standard deviation of Gaussian noise on the P weights at which the expected training \
             accuracy falls by 0.1",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2020, Fantastic Generalization Measures and Where to Find \
             Them, eq. 53",
    needs: &[Need::Labels],
    cost: "1 F and the search for σ: 100 to 700 draws of noise, each on n/50 samples (32 to 128), at n = 5000 about 4 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers before noise is added to all trainable \
             parameters. σ is the root of a noisy function: the details hold it with its relative standard error, \
             the local exponent of the drop, and the draws spent. Undefined where the accuracy never falls by \
             `drop`: below that accuracy to begin with, or a network that ignores its weights. \
             `variant=as_coded`: common code draws the noise with the paper's variance as its standard deviation, \
             so that the value there is the square root of the one here.",
    stochastic: true,
    control: false,
    parameters: &[DROP, TOLERANCE, VARIANT],
};

impl PacBayesFlatness {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { form: Form::new(parameters)? })
    }
}

impl Measure for PacBayesFlatness {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        self.form.plain(probe, |sigma| Ok(1.0 / (sigma * sigma)))
    }
}
