//! The variance of mini-batch gradients.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::moments::{GradientMoments, SAMPLES, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct GradientNoise {
    samples: usize,
    batch: i64,
}

/// What `gradient_noise` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "gradient_noise",
    family: "gradient",
    version: 1,
    title: "The variance of the gradient of a random mini-batch's loss, at the end of training.",
    formula: "E‖g_B − ḡ‖² = (m − b) / (m b) · tr Σ,  Σ = 1/(m − 1) · Σᵢ (gᵢ − ḡ)(gᵢ − ḡ)ᵀ,  gᵢ = ∇_w ℓᵢ,  ḡ their mean,  B a \
              batch of b of the m samples without repetition",
    shapes: "w: [P] all trainable parameters, BatchNormalization folded; gᵢ: [P]; m: the first samples of the sample",
    paper: "Jiang et al. 2020, Fantastic Generalization Measures and Where to Find Them (gradient noise at the end of \
            training)",
    needs: &[Need::Labels],
    cost: "m/n B over copies of the network, one per sample, m = 1000; shared with the other moments of gradients",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Exact: the variance over all batches follows from the gradients of single samples, and no batch is drawn. \
                Gradients shrink with the loss, so that networks which were trained longer have less of it. Undefined where b \
                reaches m.",
    stochastic: false,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "batch",
            kind: ParameterKind::Integer { default: 1, min: 1, max: 1_000_000 },
            doc: "size b of the batches; 1 gives the variance of single gradients, but for the factor (m − 1)/m",
        },
    ],
};

impl GradientNoise {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)?, batch: parameters.integer("batch")? })
    }
}

impl Measure for GradientNoise {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moments = probe.get(&GradientMoments { samples: self.samples })?;
        let (count, batch) = (moments.count(), self.batch as f64);
        if batch >= count {
            return MeasureError::undefined(format!("batches of {batch} of {count} samples do not vary"));
        }
        let variance = moments.variance()?;
        Ok(Measured::value((count - batch) / (count * batch) * variance).with_detail("trace", variance))
    }
}
