//! The bits a weight needs.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::fit::{SAMPLES, WholeFit, count, has_right, most_lost, samples};
use crate::quantize::{MOST_LEVELS, quantized_network};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct QuantizedBits {
    samples: usize,
    drop: f64,
}

/// What `quantized_bits` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "quantized_bits",
    family: "description_length",
    version: 2,
    title: "How many bits each weight needs for the network to stay as good on its training data as it is, almost.",
    formula: "log₂ min { k : A(w) − A(Q_k(w)) ≤ drop },  Q_k: each value of a weight tensor W at the nearest of k equidistant values from −max|W| \
              to max|W|",
    shapes: "A: accuracy on the first m samples; W: kernels and matrices, BatchNormalization folded into them; biases stay as they \
             are",
    paper: "the post hoc form of a description length (MacKay 2003, Information Theory, Inference, and Learning Algorithms, chapter \
            28: weights are worth sending to the precision that the data ask for)",
    needs: &[Need::Labels],
    cost: "2 m/n F, m = 1000, and for each k below the one that is found a batch of them or more",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "k runs over all whole numbers from 2 to 65,536, so that bits come in fractions, and networks that differ little do \
                not tie. Accuracy rises with k, but not with each: all are tried from 2 on, each until as many samples are lost as \
                decide it. A value half-way between two of the grid goes to \
                the one of even number. One large value of a tensor coarsens the grid of all others. Undefined where 16 bits are \
                too few.",
    stochastic: false,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "drop",
            kind: ParameterKind::Float { default: 0.01, min: 0.0, max: 1.0 },
            doc: "how much accuracy may be lost",
        },
    ],
};

impl QuantizedBits {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)?, drop: parameters.float("drop")? })
    }
}

impl Measure for QuantizedBits {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.folded()?;
        let whole = probe.get(&WholeFit { samples: self.samples })?.right;
        let least = whole.saturating_sub(most_lost(self.drop, count(probe, self.samples)));
        let enough = |levels: i64| -> Result<bool, MeasureError> {
            probe.check_deadline()?;
            has_right(probe, &quantized_network(&network, levels)?, self.samples, least)
        };
        if !enough(MOST_LEVELS)? {
            return MeasureError::undefined(format!("{MOST_LEVELS} values for each tensor are too few"));
        }
        let mut levels = 2;
        while levels < MOST_LEVELS && !enough(levels)? {
            levels += 1;
        }
        Ok(Measured::value((levels as f64).log2()).with_detail("levels", levels as f64))
    }
}
