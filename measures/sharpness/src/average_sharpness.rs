//! The mean rise of the loss under random perturbations of the weights.

use std::ops::Range;

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Perturbed, Probe, RegistryError,
};

use crate::loss::{Blocks, mean_losses};
use crate::until::{Until, mean_until};

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
    version: 1,
    title: "The mean rise of the loss under Gaussian perturbations of the weights.",
    formula: "E_u L(w + u) − L(w),  u ~ N(0, ρ² diag(r²)), r = 1, or |w| where adaptive",
    shapes: "L: mean cross-entropy; w, u: [P]",
    paper: "Neyshabur, Bhojanapalli, McAllester, Srebro 2017, Exploring Generalization in Deep Learning, \
             expected sharpness; Andriushchenko, Croce, Müller, Hein, Flammarion 2023, A Modern Look at the \
             Relationship between Sharpness and Generalization, average-case sharpness",
    needs: &[Need::Labels],
    cost: "32 to 256 pairs of draws, each on n/50 samples (32 to 128) three times: at n = 5000 2 to 15 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. To second order it is ½ ρ² Σᵢ rᵢ² Hᵢᵢ: \
             for small ρ half the trace of the Hessian times ρ². Draws come in pairs ± u on samples of their own, \
             the same for w and w ± u, and go on until the standard error is small. Undefined where the perturbed \
             loss is not finite, and where all weights are zero and the perturbation is relative.",
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
            kind: ParameterKind::Float { default: 0.1, min: 0.001, max: 10.0 },
            doc: "relative standard error at which it stops (at the latest after 256 pairs)",
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
        let blocks = Blocks::new(probe, (probe.sample_size() as i64 / 50).clamp(32, 128))?;
        // Pairs of opposite perturbations: what is linear in them cancels.
        let rises = |draws: Range<usize>| -> Result<Vec<f64>, MeasureError> {
            let (mut vectors, mut index) = (Vec::new(), Vec::new());
            for draw in draws {
                let noise = probe.generator(&format!("draw {draw}")).normal_tensor(&moved.center().size())?;
                let step = noise.f_mul(&deviations)?;
                let center = moved.center();
                vectors.extend([center.shallow_clone(), center.f_add(&step)?, center.f_sub(&step)?]);
                let samples = blocks.get(draw as i64)?;
                index.extend([samples.shallow_clone(), samples.shallow_clone(), samples]);
            }
            let means =
                mean_losses(probe, &moved, &Tensor::f_stack(&vectors, 0)?, &Tensor::f_stack(&index, 0)?)?;
            Ok(means.chunks_exact(3).map(|each| 0.5 * (each[1] + each[2]) - each[0]).collect())
        };
        let until = Until { tolerance: self.tolerance, fewest: 32, most: 256 };
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
