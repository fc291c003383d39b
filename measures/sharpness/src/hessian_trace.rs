//! The trace of the loss's Hessian.

use std::ops::Range;

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Perturbed, Probe, RegistryError,
};

use crate::gauss_newton::GaussNewton;
use crate::loss::{Blocks, curvatures_along};
use crate::until::{Mean, Until, mean_until};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HessianTrace {
    tolerance: f64,
}

/// What `hessian_trace` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hessian_trace",
    family: "sharpness",
    version: 2,
    title: "The trace of the Hessian of the training loss.",
    formula: "tr H = E_x E_ε ‖Jᵀ B ε‖² where f is piecewise affine in each parameter, else E vᵀ H v,  H = ∇² L(w), v and ε = ±1",
    shapes: "H: [P, P], of the mean cross-entropy over the sample; J: [C, P] the Jacobian of the logits f(x); B Bᵀ = diag(p) − p pᵀ, \
             p the softmax of f; ε: [C]; v: [P]",
    paper: "Hutchinson 1990, A Stochastic Estimator of the Trace of the Influence Matrix; Yao, Gholami, Keutzer, \
             Mahoney 2020, PyHessian: Neural Networks Through the Lens of the Hessian; Martens 2020, New Insights and Perspectives \
             on the Natural Gradient Method (the Gauss–Newton matrix)",
    needs: &[Need::Labels],
    cost: "1 F; 16 to 320 draws, each 1 B on copies of the network, one for each of 16 samples: at n = 5000 0.05 to 1 B; other \
           activations: 48 to 320 draws, each an HVP on n/50 samples (32 to 128): at n = 5000 1 to 6 HVP",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. With ReLU, leaky ReLU and other activations of straight \
             pieces the logits are piecewise affine in each parameter by itself, and the trace is that of the Gauss–Newton matrix: \
             samples are drawn in proportion to 1 − ‖p‖², since those that are fit with certainty hold nothing of it. For other \
             activations, and LayerNormalization, Hutchinson's estimate is taken, on samples in turn through a random order. Each \
             draw has signs and samples of its own, so that the standard error holds both; draws go on until it is small. \
             Undefined where the Hessian is exactly zero.",
    stochastic: true,
    control: false,
    parameters: &[ParameterInfo {
        name: "tolerance",
        kind: ParameterKind::Float { default: 0.02, min: 0.001, max: 10.0 },
        doc: "relative standard error at which it stops (at the latest after 320 draws)",
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

    fn until(self, fewest: usize) -> Until {
        Until { tolerance: self.tolerance, fewest, most: 320 }
    }
}

impl Measure for HessianTrace {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        if moved.network().architecture().is_piecewise_affine() {
            let Some(matrix) = GaussNewton::new(probe, &moved)? else {
                return MeasureError::undefined(FLAT);
            };
            let all = 0..moved.center().numel() as i64;
            let traces =
                |draws| Ok(matrix.traces(std::slice::from_ref(&all), draws)?.into_iter().flatten().collect());
            return Ok(measured(mean_until(probe, self.until(16), traces)?));
        }
        let blocks = Blocks::new(probe, (probe.sample_size() as i64 / 50).clamp(32, 128))?;
        let quadratic_forms = |draws: Range<usize>| -> Result<Vec<f64>, MeasureError> {
            let signs: Vec<Tensor> = draws
                .clone()
                .map(|draw| probe.generator(&format!("draw {draw}")).sign_tensor(&moved.center().size()))
                .collect::<Result<_, _>>()?;
            curvatures_along(probe, &moved, &blocks.rows(draws)?, &Tensor::f_stack(&signs, 0)?)
        };
        let found = mean_until(probe, self.until(48), quadratic_forms)?;
        if found.mean == 0.0 && found.standard_error == 0.0 {
            return MeasureError::undefined(FLAT);
        }
        Ok(measured(found))
    }
}

const FLAT: &str = "the Hessian is exactly zero: the loss is flat in every direction";

fn measured(found: Mean) -> Measured {
    Measured::value(found.mean)
        .with_standard_error(found.standard_error)
        .with_detail("draws", found.draws as f64)
}
