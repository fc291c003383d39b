//! The mean rise of the loss under random perturbations of the weights.

use std::ops::Range;

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Generator, Invariances, Losses, Measure, MeasureError, MeasureInfo, Measured, Need,
    ParameterInfo, ParameterKind, Parameters, Perturbed, Probe, RegistryError,
};

use crate::loss::losses_of;
use crate::open::Open;
use crate::until::{Until, mean_until};

/// Share of the samples that are drawn in proportion to what the predictions leave open.
const SHARE: f64 = 0.5;

/// Samples of a draw.
const SAMPLES: usize = 32;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct AverageSharpness {
    adaptive: bool,
    deviation: f64,
    tolerance: f64,
}

/// What `average_sharpness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "average_sharpness",
    family: "sharpness",
    version: 2,
    title: "The mean rise of the loss under Gaussian perturbations of the weights.",
    formula: "E_u L(w + u) − L(w),  u ~ N(0, ρ² diag(r²)), r = 1, or |w| where adaptive",
    shapes: "L: mean cross-entropy; w, u: [P]",
    paper: "Neyshabur, Bhojanapalli, McAllester, Srebro 2017, Exploring Generalization in Deep Learning, \
             expected sharpness; Andriushchenko, Croce, Müller, Hein, Flammarion 2023, A Modern Look at the \
             Relationship between Sharpness and Generalization, average-case sharpness",
    needs: &[Need::Labels],
    cost: "1 F; 64 to 1024 pairs of draws, each on 32 samples twice: at n = 5000 0.8 to 13 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. To second order it is ½ ρ² Σᵢ rᵢ² Hᵢᵢ: \
             for small ρ half the trace of the Hessian times ρ². Draws come in pairs ± u on samples of their own: \
             half of these are drawn in proportion to 1 − ‖p‖², p the softmax, since losses that rise are few where the \
             network fits the rest with certainty, and weighted by 1/(n q). Draws go on until the standard error is \
             small. Undefined where the perturbed loss is not finite, and where all weights are zero and the perturbation is relative.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "adaptive",
            kind: ParameterKind::Choice { default: "no", options: &["no", "yes"] },
            doc: "perturbations in proportion to the weights",
        },
        ParameterInfo {
            name: "rho",
            kind: ParameterKind::Float { default: 0.0, min: 0.0, max: 1e6 },
            doc: "standard deviation of a weight's perturbation; 0: 0.01, and 0.1 where adaptive",
        },
        ParameterInfo {
            name: "tolerance",
            kind: ParameterKind::Float { default: 0.05, min: 0.001, max: 10.0 },
            doc: "relative standard error at which it stops (at the latest after 1024 pairs)",
        },
    ],
};

impl AverageSharpness {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let adaptive = parameters.choice("adaptive")? == "yes";
        let given = parameters.float("rho")?;
        let usual = if adaptive { 0.1 } else { 0.01 };
        Ok(Self {
            adaptive,
            deviation: if given == 0.0 { usual } else { given },
            tolerance: parameters.float("tolerance")?,
        })
    }
}

impl Measure for AverageSharpness {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        let size = moved.center().f_abs()?;
        if self.adaptive && size.f_max()?.f_double_value(&[])? == 0.0 {
            return MeasureError::undefined("every weight is zero: a relative perturbation moves nothing");
        }
        let deviations =
            if self.adaptive { size } else { size.f_ones_like()? }.f_mul_scalar(self.deviation)?;
        let open = Open::new(probe)?;
        let before = probe.get(&Losses)?;
        // Pairs of opposite perturbations: what is linear in them cancels.
        let rises = |draws: Range<usize>| -> Result<Vec<f64>, MeasureError> {
            let (mut vectors, mut index, mut weights) = (Vec::new(), Vec::new(), Vec::new());
            for draw in draws {
                let mut random = probe.generator(&format!("draw {draw}"));
                let noise = random.normal_tensor(&moved.center().size())?;
                let step = noise.f_mul(&deviations)?;
                vectors.extend([moved.center().f_add(&step)?, moved.center().f_sub(&step)?]);
                let (drawn, weight) = mixture(&open, &mut random);
                let drawn = Tensor::f_from_slice(&drawn)?.f_to_device(probe.device())?;
                index.extend([drawn.shallow_clone(), drawn]);
                weights.push(Tensor::f_from_slice(&weight)?.f_to_device(probe.device())?);
            }
            let index = Tensor::f_stack(&index, 0)?;
            let after = losses_of(probe, &moved, &Tensor::f_stack(&vectors, 0)?, &index)?;
            let rises = after.f_sub(&before.f_take(&index)?)?;
            let pairs =
                rises.f_reshape([-1, 2, SAMPLES as i64])?.f_mean_dim([1i64].as_slice(), false, None)?;
            let means =
                pairs.f_mul(&Tensor::f_stack(&weights, 0)?)?.f_mean_dim([1i64].as_slice(), false, None)?;
            Ok(Vec::<f64>::try_from(&means)?)
        };
        let until = Until { tolerance: self.tolerance, fewest: 64, most: 1024 };
        let found = mean_until(probe, until, rises)?;
        if !(found.mean.is_finite() && found.standard_error.is_finite()) {
            return MeasureError::undefined("the loss of perturbed weights is not finite");
        }
        Ok(Measured::value(found.mean)
            .with_standard_error(found.standard_error)
            .with_detail("rho", self.deviation)
            .with_detail("pairs", found.draws as f64))
    }
}

/// Drawn samples, half of them in proportion to what they leave open and half evenly, with 1/(n q) for their probability q.
fn mixture(open: &Open, random: &mut Generator) -> (Vec<i64>, Vec<f64>) {
    let count = open.len();
    let share = if open.total() > 0.0 { SHARE } else { 0.0 };
    let drawn = (0..SAMPLES).map(|_| {
        let evenly = random.random::<f64>() >= share;
        let sample = if evenly { random.random_range(0..count) } else { open.draw(random) };
        let relative = if share > 0.0 { open.of(sample) / open.total() * count as f64 } else { 0.0 };
        (sample as i64, 1.0 / (share * relative + (1.0 - share)))
    });
    drawn.unzip()
}
