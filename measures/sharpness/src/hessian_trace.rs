//! The trace of the loss's Hessian.

use std::ops::Range;

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Perturbed, Probe, RegistryError,
};

use crate::loss::{Blocks, curvatures_along};
use crate::until::{Until, mean_until};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HessianTrace {
    tolerance: f64,
}

/// What `hessian_trace` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hessian_trace",
    family: "sharpness",
    version: 1,
    title: "The trace of the Hessian of the training loss.",
    formula: "tr H = E vᵀ H v,  H = ∇² L(w), vᵢ = ±1",
    shapes: "H: [P, P], of the mean cross-entropy over the sample; v: [P]",
    paper: "Hutchinson 1990, A Stochastic Estimator of the Trace of the Influence Matrix; Yao, Gholami, Keutzer, \
             Mahoney 2020, PyHessian: Neural Networks Through the Lens of the Hessian",
    needs: &[Need::Labels],
    cost: "48 to 200 draws, each an HVP on n/50 samples (32 to 128): at n = 5000 1 to 4 HVP",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. Each draw has signs and samples of its \
             own, in turn through a random order of the sample, so that the standard error holds both; draws go \
             on until it is small. A few samples with large losses hold much of the trace of a network that fits \
             the rest. Undefined where the Hessian is exactly zero.",
    stochastic: true,
    control: false,
    parameters: &[ParameterInfo {
        name: "tolerance",
        kind: ParameterKind::Float { default: 0.1, min: 0.001, max: 10.0 },
        doc: "relative standard error at which it stops (at the latest after 200 draws)",
    }],
};

impl HessianTrace {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { tolerance: parameters.float("tolerance")? })
    }
}

impl Measure for HessianTrace {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        let blocks = Blocks::new(probe, (probe.sample_size() as i64 / 50).clamp(32, 128))?;
        let quadratic_forms = |draws: Range<usize>| -> Result<Vec<f64>, MeasureError> {
            let signs: Vec<Tensor> = draws
                .clone()
                .map(|draw| probe.generator(&format!("draw {draw}")).sign_tensor(&moved.center().size()))
                .collect::<Result<_, _>>()?;
            curvatures_along(probe, &moved, &blocks.rows(draws)?, &Tensor::f_stack(&signs, 0)?)
        };
        let until = Until { tolerance: self.tolerance, fewest: 48, most: 200 };
        let found = mean_until(probe, until, quadratic_forms)?;
        if found.mean == 0.0 && found.standard_error == 0.0 {
            return MeasureError::undefined(
                "the Hessian is exactly zero: the loss is flat in every direction",
            );
        }
        Ok(Measured::value(found.mean)
            .with_standard_error(found.standard_error)
            .with_detail("draws", found.draws as f64))
    }
}
