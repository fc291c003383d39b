//! Information in the weights.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::moments::{GradientMoments, SAMPLES, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Iiw {
    samples: usize,
}

/// What `iiw` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "iiw",
    family: "gradient",
    version: 1,
    title: "The information that the weights hold about the training data: the squared length of the way from the initial \
            weights in the metric of the (empirical) Fisher information, times the number of samples.",
    formula: "n Δᵀ F Δ = (n/m) Σᵢ ⟨Δ, ∇_w ℓᵢ⟩²,  Δ = w − w₀,  F = (1/m) Σᵢ ∇_w ℓᵢ ∇_w ℓᵢᵀ",
    shapes: "w, w₀: [P] all trainable parameters, BatchNormalization folded; n: the size of the training set; m: the first \
             samples of the sample",
    paper: "Wang, Huang, Kuruoglu, Sun, Chen, Zheng 2022, PAC-Bayes Information Bottleneck",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "m/n B over copies of the network, one per sample, m = 1000; shared with the other moments of gradients",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "F is that of single samples and of all parameters. The authors' published program takes the mean gradient of ten \
                batches in its place, layer by layer and without biases, and so measures how far the last step would lead along \
                Δ; it differs by more than a factor. Constant factors of the paper's information do not change a ranking and \
                are left out.",
    stochastic: false,
    control: false,
    parameters: &[SAMPLES],
};

impl Iiw {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)? })
    }
}

impl Measure for Iiw {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        probe.initial()?;
        let moments = probe.get(&GradientMoments { samples: self.samples })?;
        let Some(along) = &moments.along_training else {
            return MeasureError::unavailable("the zoo keeps no initial weights of this network");
        };
        let mean = along.iter().map(|one| one * one).sum::<f64>() / moments.count();
        Ok(Measured::value(probe.train_size() as f64 * mean))
    }
}
