//! The rise of the loss one step along its gradient.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::one_step::rise;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Sam {
    radius: f64,
}

/// What `sam` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "sam",
    family: "sharpness",
    version: 1,
    title: "The rise of the loss after one step of a given length along its gradient.",
    formula: "L(w + ρ g / ‖g‖₂) − L(w),  g = ∇L(w)",
    shapes: "L: mean cross-entropy over the sample; w, g: [P]",
    paper: "Foret, Kleiner, Mobahi, Neyshabur 2021, Sharpness-Aware Minimization for Efficiently Improving \
             Generalization, eq. 2, without the m-batches of training",
    needs: &[Need::Labels],
    cost: "1 B, 2 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. One step stands for the maximum over the \
             ball: cheaper and lower than `sharpness:m=0`. It may be negative where the loss curves down. \
             Undefined where the gradient is exactly zero.",
    stochastic: false,
    control: false,
    parameters: &[ParameterInfo {
        name: "rho",
        kind: ParameterKind::Float { default: 0.05, min: 0.0, max: 1e6 },
        doc: "length of the step",
    }],
};

impl Sam {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { radius: parameters.float("rho")? })
    }
}

impl Measure for Sam {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        rise(probe, self.radius, None)
    }
}
