//! Decisions that noise changes.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind, Parameters,
    Probe, RegistryError,
};

use crate::decisions::{PlainDecisions, decisions};
use crate::draws::{DRAWS, SAMPLES, mean_of_draws, size};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct NoiseResponse {
    sigma: f64,
    samples: usize,
    draws: usize,
}

/// What `noise_response` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "noise_response",
    family: "augmentation",
    version: 2,
    title: "The share of inputs whose class changes under Gaussian noise.",
    formula: "E (1/m) Σᵢ [argmax f(xᵢ + σ s ε) ≠ argmax f(xᵢ)],  ε ~ N(0, 1) for each number",
    shapes: "f: [m, C] logits; ε: of the input's shape; s: the standard deviation of all numbers in the inputs; m: the \
             first samples",
    paper: "defined here; compare Arora, Ge, Neyshabur, Zhang 2018, Stronger Generalization Bounds for Deep Nets via a \
            Compression Approach, on noise stability",
    needs: &[],
    cost: "5 m/n F (one, and one for each draw), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "It needs no labels. Noise in units of the inputs' own spread makes it independent of their scale. \
                Undefined where all inputs are the same number.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "sigma",
            kind: ParameterKind::Float { default: 0.3, min: 0.0, max: 1000.0 },
            doc: "standard deviation of the noise in units of the inputs'",
        },
        SAMPLES,
        DRAWS,
    ],
};

impl NoiseResponse {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let sigma = parameters.float("sigma")?;
        Ok(Self { sigma, samples: size(parameters, "samples")?, draws: size(parameters, "draws")? })
    }
}

impl Measure for NoiseResponse {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let spread = spread(probe, self.samples)?;
        let plain = probe.get(&PlainDecisions { samples: self.samples })?;
        mean_of_draws(self.draws, |draw| {
            let mut generator = probe.generator(&format!("draw {draw}"));
            let mut changed = 0;
            for batch in probe.batches_of(self.samples) {
                let batch = batch?;
                let mut noise = Vec::new();
                let mut shape = batch.inputs.size();
                shape[0] = 1;
                // Sample by sample: the stream does not depend on the batches.
                for _ in 0..batch.len() {
                    noise.push(generator.normal_tensor(&shape)?);
                }
                let noise = Tensor::f_cat(&noise, 0)?.f_mul_scalar(self.sigma * spread)?;
                let found = decisions(&probe.forward(&batch.inputs.f_add(&noise)?)?)?.classes;
                let before = &plain.classes[batch.start as usize..];
                changed += found.iter().zip(before).filter(|(one, other)| one != other).count();
            }
            Ok(changed as f64 / plain.classes.len() as f64)
        })
    }
}

/// The standard deviation of all numbers in the first inputs.
fn spread(probe: &Probe, samples: usize) -> Result<f64, MeasureError> {
    let mean_of = |shift: f64, power: f64| -> Result<f64, MeasureError> {
        let (mut sum, mut count) = (0.0, 0.0);
        for batch in probe.batches_of(samples) {
            let numbers = batch?.inputs.f_to_kind(Kind::Double)?.f_sub_scalar(shift)?;
            sum += numbers.f_pow_tensor_scalar(power)?.f_sum(None)?.f_double_value(&[])?;
            count += numbers.numel() as f64;
        }
        Ok(sum / count)
    };
    let spread = mean_of(mean_of(0.0, 1.0)?, 2.0)?.sqrt();
    if spread <= 0.0 || !spread.is_finite() {
        return MeasureError::undefined(format!(
            "the inputs have the standard deviation {spread:e}, the noise's unit"
        ));
    }
    Ok(spread)
}
