//! The rise of the loss one adaptive step along its gradient.

use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::one_step::rise;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Asam {
    radius: f64,
}

/// What `asam` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "asam",
    family: "sharpness",
    version: 1,
    title: "The rise of the loss after one step along its gradient, in proportion to the size of each weight.",
    formula: "L(w + ρ T² g / ‖T g‖₂) − L(w),  g = ∇L(w), T = diag(|w| + 0.01)",
    shapes: "L: mean cross-entropy over the sample; w, g: [P]",
    paper: "Kwon, Kim, Park, Choi 2021, ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning \
             of Deep Neural Networks, eq. 7, with the element-wise operator and its stabilizer 0.01",
    needs: &[Need::Labels],
    cost: "1 B, 2 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. One step stands for the maximum over the \
             ball: cheaper and lower than `sharpness:adaptive=yes,m=0`. But for the stabilizer it does not change \
             when layers are rescaled. Undefined where the gradient is exactly zero.",
    stochastic: false,
    control: false,
    parameters: &[ParameterInfo {
        name: "rho",
        kind: ParameterKind::Float { default: 0.5, min: 0.0, max: 1e6 },
        doc: "length of the step",
    }],
};

impl Asam {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { radius: parameters.float("rho")? })
    }
}

impl Measure for Asam {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        // T = |w| + 0.01, the paper's stabilizer.
        rise(
            probe,
            self.radius,
            Some(|weights| Ok(weights.f_to_kind(Kind::Double)?.f_abs()?.f_add_scalar(0.01)?)),
        )
    }
}
