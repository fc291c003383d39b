//! The length of a code for the data in two parts: the network, and the labels given the network.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::fit::{SAMPLES, fit, samples};
use crate::quantize::{code_length, quantized_network};

/// Bits of a parameter that is no weight, and of a tensor's largest magnitude.
const WHOLE_NUMBER: f64 = 32.0;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct TwoPartCode {
    samples: usize,
}

/// What `two_part_code` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "two_part_code",
    family: "description_length",
    version: 1,
    title: "The shortest of the two-part codes of the training labels that a quantized network gives, in bits per label.",
    formula: "min over k of (1/n) (Σ_W L(Q_k(W)) + 32 · (number of other parameters)) + (1/(m ln 2)) Σᵢ ℓ(Q_k(w); xᵢ, yᵢ),  k = 2, 4, 8 … 4096",
    shapes: "W: kernels and matrices, BatchNormalization folded into them; Q_k as in `quantized_bits`; L(Q_k(W)) = Σ_v −log₂(share of v's \
             grid point) + k log₂(|W| + 1) + 32 bits; ℓ: cross-entropy in nats; n: the size of the training set, m: the first \
             samples of the sample",
    paper: "Rissanen 1978, Modeling by Shortest Data Description; Blier, Ollivier 2018, The Description Length of Deep Learning \
            Models, Section 3.2 (two-part codes)",
    needs: &[Need::Labels],
    cost: "12 m/n F, m = 1000",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "A real code length (a value half-way between two grid points goes to the one of even number): grid points are coded by their frequencies, which are sent too, and so are the largest \
                magnitude of each tensor and all biases in 32 bits. The inputs are known to both sides. For networks with more parameters \
                than the data have labels it is far above log₂ C bits per label, the length without any network (Blier & Ollivier \
                find the same of all two-part codes): then it ranks by size and compressibility of the weights. The details are its two parts. \
                Undefined where no quantized network has a finite loss.",
    stochastic: false,
    control: false,
    parameters: &[SAMPLES],
};

impl TwoPartCode {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)? })
    }
}

impl Measure for TwoPartCode {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.folded()?;
        let labels = probe.train_size() as f64;
        let others: usize = network
            .parameters()
            .filter(|parameter| !parameter.spec.role.is_weight())
            .map(|parameter| parameter.tensor.numel())
            .sum();
        // (total, network, labels, levels)
        let mut best: Option<(f64, f64, f64, f64)> = None;
        for bits in 1..=12u32 {
            let levels = 1i64 << bits;
            let mut length = WHOLE_NUMBER * others as f64;
            for parameter in network.parameters().filter(|parameter| parameter.spec.role.is_weight()) {
                length += code_length(parameter.tensor, levels)? + WHOLE_NUMBER;
            }
            let loss = fit(probe, &quantized_network(&network, levels)?, self.samples)?.loss;
            let (model, data) = (length / labels, loss / std::f64::consts::LN_2);
            let total = model + data;
            if total.is_finite() && best.is_none_or(|(least, ..)| total < least) {
                best = Some((total, model, data, levels as f64));
            }
        }
        match best {
            Some((total, model, data, levels)) => Ok(Measured::value(total)
                .with_detail("network_bits_per_label", model)
                .with_detail("label_bits_per_label", data)
                .with_detail("levels", levels)),
            None => MeasureError::undefined("no quantized network has a finite loss"),
        }
    }
}
