//! How small a worst perturbation in proportion to the weights does harm.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::worst_scale::{DROP, STARTS, STEPS, WorstScale};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SharpnessMagFlatness {
    scale: WorstScale,
}

/// What `sharpness_mag_flatness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "sharpness_mag_flatness",
    family: "sharpness",
    version: 3,
    title: "The inverse squared radius of the worst magnitude-aware perturbation that costs a tenth of the \
             training accuracy.",
    formula: "1 / α′²",
    shapes: "α′: the largest radius at which the worst perturbation |uᵢ| ≤ α′ |wᵢ| + ε of the P weights that \
             ascent finds lowers the training accuracy by 0.1, ε = 10⁻³",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2020, Fantastic Generalization Measures and Where to Find \
             Them, eq. 62",
    needs: &[Need::Labels],
    cost: "1 F, about 2 F and 16 · 500/n B to find the neighbourhood of α, 1 to 4 times 6 to 12 F and 24 to 48 · 500/n B there, and \
           1 to 4 times as much again with 6 to 12 B more: on cifar_vgg/0 (n = 5000) 121 F and 48 B",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. The cross-entropy, and from \
             every other start a smooth share of errors, is climbed to the corner of the ball along the signs of the \
             slope, again and again, on 500 other samples (at most half of all) at each step, from the weights themselves and from random \
             points of the ball, until the whole sample's accuracy falls no further; from the radius on at which that is the target, \
             up to four steps on the whole sample follow, from the weights and from the best point. The largest drop of the whole \
             sample's accuracy on the way counts, so that α is an upper bound of the true one: on mnist_width/0, \
             cifar_vgg/0 and cifar_nin/5 other searches of 15 to 30 steps on the whole sample find drops of 0.100 to 0.102 there. α is interpolated by a power law \
             between two radii, or from one whose drop is within a tenth of the target. The details say what was found; the spread over the starts \
             among them is no standard error, and there is none. Undefined where ε alone lowers the accuracy by `drop`, or it never \
             falls by that. Under rescaling of layers only ε changes the value.",
    stochastic: true,
    control: false,
    parameters: &[DROP, STARTS, STEPS],
};

impl SharpnessMagFlatness {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { scale: WorstScale::new(parameters, true)? })
    }
}

impl Measure for SharpnessMagFlatness {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        probe.get(&self.scale)?.measured(|alpha| Ok(1.0 / (alpha * alpha)))
    }
}
