//! How much the gradients of different samples agree.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::moments::{GradientMoments, SAMPLES, ratio, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct GradientCoherence {
    samples: usize,
}

/// What `gradient_coherence` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "gradient_coherence",
    family: "gradient",
    version: 1,
    title: "The negative of the coherence of the samples' gradients: the share of their mean square that their mean keeps.",
    formula: "−α,  α = ‖(1/m) Σᵢ gᵢ‖² / ((1/m) Σᵢ ‖gᵢ‖²),  gᵢ = ∇_w ℓᵢ",
    shapes: "w: [P] all trainable parameters, BatchNormalization folded; gᵢ: [P]; m: the first samples of the sample",
    paper: "Chatterjee, Zielinski 2020, Making Coherence Out of Nothing At All: Measuring the Evolution of Gradient \
            Alignment (m-coherence is m α)",
    needs: &[Need::Labels],
    cost: "m/n B over copies of the network, one per sample, m = 1000; shared with the other moments of gradients",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "α is 1 where all gradients are the same, 1/m where they are orthogonal and of one length, 0 where they cancel. \
                Networks that fit their data have small gradients on most samples, and α is that of the few that are left. \
                Undefined where all gradients are zero.",
    stochastic: false,
    control: false,
    parameters: &[SAMPLES],
};

impl GradientCoherence {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)? })
    }
}

impl Measure for GradientCoherence {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moments = probe.get(&GradientMoments { samples: self.samples })?;
        let coherence =
            ratio(moments.square_of_mean()?, moments.trace(), "the mean square of the gradients")?;
        Ok(Measured::value(-coherence.value).with_detail("m_coherence", moments.count() * coherence.value))
    }
}
