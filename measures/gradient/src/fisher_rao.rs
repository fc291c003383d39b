//! The Fisher–Rao norm.

use pgdl_measure::network::Role;
use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Effect, Invariances, Logits, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, kernels,
};

use crate::moments::{GradientMoments, SAMPLES, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FisherRao {
    samples: usize,
    closed: bool,
}

/// What `fisher_rao` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "fisher_rao",
    family: "gradient",
    version: 1,
    title: "The Fisher–Rao norm: the length of the weights in the metric of the (empirical) Fisher information.",
    formula: "‖w‖_fr = √((1/m) Σᵢ ⟨w, ∇_w ℓᵢ⟩²);  form=closed: L √((1/m) Σᵢ ⟨∂ℓᵢ/∂f, f(xᵢ)⟩²)",
    shapes: "w: [P] all trainable parameters, BatchNormalization folded; f: [m, C] logits; L: layers with weights; m: the \
             first samples of the sample",
    paper: "Liang, Poggio, Rakhlin, Stokes 2019, Fisher-Rao Metric, Geometry, and Complexity of Neural Networks, Definition 2 \
            and Theorem 3.1",
    needs: &[Need::Labels],
    cost: "m/n B over copies of the network, one per sample, m = 1000, shared with the other moments of gradients; closed: 1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The two forms agree on chains of layers without biases whose activations are homogeneous (ReLU), where ⟨w, ∇f⟩ = \
                L f; elsewhere the first is the definition and the other an approximation, which lets biases count as if they \
                were weights of the same depth. Layer rescaling moves biases of later layers by no factor and leaves both forms as \
                they are. On data that are fit well the norm goes to 0 with the loss.",
    stochastic: false,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "form",
            kind: ParameterKind::Choice { default: "gradients", options: &["gradients", "closed"] },
            doc: "`gradients` is the definition, `closed` what it becomes for homogeneous networks",
        },
    ],
};

impl FisherRao {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)?, closed: parameters.choice("form")? == "closed" })
    }

    /// L √(mean ⟨∂ℓ/∂f, f⟩²), with ∂ℓ/∂f = softmax(f) − y.
    fn closed(&self, probe: &Probe) -> Result<f64, MeasureError> {
        let count = self.samples.min(probe.sample_size()) as i64;
        let logits = probe.get(&Logits)?.f_narrow(0, 0, count)?.f_to_kind(Kind::Double)?;
        let labels = probe.labels().f_narrow(0, 0, count)?.f_unsqueeze(1)?;
        let expected = logits.f_softmax(1, None)?.f_mul(&logits)?.f_sum_dim_intlist(1, false, None)?;
        let own = logits.f_gather(1, &labels, false)?.f_squeeze_dim(1)?;
        let mean = expected.f_sub(&own)?.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
        let layers =
            kernels(probe.network()).iter().filter(|kernel| kernel.role != Role::PointwiseKernel).count();
        Ok(layers as f64 * mean.sqrt())
    }
}

impl Measure for FisherRao {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let value = if self.closed {
            self.closed(probe)?
        } else {
            let moments = probe.get(&GradientMoments { samples: self.samples })?;
            (moments.along_weights.iter().map(|one| one * one).sum::<f64>() / moments.count()).sqrt()
        };
        Ok(Measured::value(value))
    }
}
