//! The margin of augmented inputs.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::perturbed_margin::{DRAWS, LAYER, Neighbour, PerturbedMargin, SAMPLES, VARIANT};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct AugmentMargin(PerturbedMargin);

/// What `augment_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "augment_margin",
    family: "margin",
    version: 2,
    title: "The negative of the mean first-order distance of augmented inputs to the decision boundary, in \
            units of their spread.",
    formula: "−E mean over i of {(f_y − f_j)(x̃ᵢ) / ‖∇_h(f_y − f_j)(x̃ᵢ)‖₂} / √v,  v = the mean of the \
              coordinates' variances of h, without the 5 % smallest and the 5 % largest",
    shapes: "f: [n, C] logits; j: the strongest class but y; x̃: [n, H, W, channels] the images changed at \
             random; h: [n, …] the place chosen by `layer`, x̃ itself by default; i over the first m samples",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep \
            Learning",
    needs: &[Need::Labels],
    cost: "4 m/n B (one for each draw), m = 1000; `as_coded` m = 500",
    invariances: Invariances::ALL,
    behaviour: "Each image is flipped left to right (half of the time), its contrast multiplied by 0.7 to 1, \
                and (half of the time) a central cutout of 0.85 to 0.99 of its sides stretched to full size. \
                Misclassified samples count with a negative distance. Draws are averaged, also by \
                `as_coded`, whose authors take one. Samples without a gradient are left out and counted. \
                Undefined for inputs that are no images, and where the representation is constant.",
    stochastic: true,
    control: false,
    parameters: &[LAYER, SAMPLES, DRAWS, VARIANT],
};

impl AugmentMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer` or `samples` beside the variant that does not look at them.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self(PerturbedMargin::new(INFO.id, Neighbour::Augmented, parameters)?))
    }
}

impl Measure for AugmentMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        self.0.evaluate(probe)
    }
}
