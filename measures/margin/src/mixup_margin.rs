//! The margin of mixed inputs.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::perturbed_margin::{DRAWS, LAYER, Neighbour, PerturbedMargin, SAMPLES, VARIANT};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MixupMargin(PerturbedMargin);

/// What `mixup_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "mixup_margin",
    family: "margin",
    version: 2,
    title: "The negative of the mean first-order distance of mixed inputs to the decision boundary, in units \
            of their spread.",
    formula: "−E mean over i of {(f_y − f_j)(x̃ᵢ) / ‖∇_h(f_y − f_j)(x̃ᵢ)‖₂} / √v,  x̃ᵢ = (xᵢ + x_π(i)) / 2,  \
              v = the mean of the coordinates' variances of h, without the 5 % smallest and the 5 % \
              largest",
    shapes: "f: [n, C] logits; j: the strongest class but y; π: a random permutation within each class; h: \
             [n, …] the place chosen by `layer`, x̃ itself by default; i over the first m samples",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep \
            Learning",
    needs: &[Need::Labels],
    cost: "4 m/n B (one for each draw), m = 1000; `as_coded` m = 500",
    invariances: Invariances::ALL,
    behaviour: "Misclassified mixtures count with a negative distance. A sample may meet itself, as in the \
                published code. Draws are averaged, also by `as_coded`, whose authors take one. Samples \
                without a gradient are left out and counted. Undefined where the representation is \
                constant.",
    stochastic: true,
    control: false,
    parameters: &[LAYER, SAMPLES, DRAWS, VARIANT],
};

impl MixupMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer` or `samples` beside the variant that does not look at them.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self(PerturbedMargin::new(INFO.id, Neighbour::Mixed, parameters)?))
    }
}

impl Measure for MixupMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        self.0.evaluate(probe)
    }
}
