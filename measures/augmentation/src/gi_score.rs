//! The Gini-like summary of a perturbation response curve.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::mixture_response::{DRAWS, LAYER, MAGNITUDES, MixtureResponse, PERTURBATION, SAMPLES};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct GiScore(MixtureResponse);

/// What `gi_score` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "gi_score",
    family: "augmentation",
    version: 2,
    title: "The area between the cumulative accuracy under growing perturbation and that of a network which is always \
            right.",
    formula: "∫₀¹ (α − C(α)) dα,  C(α) = ∫₀^α A(β) dβ,  A(β) = (1/m) Σᵢ P[argmax f((1 − β/2) hᵢ + (β/2) h_π(i)) = yᵢ]",
    shapes: "f: [m, C] logits; h: [m, …] the place chosen by `layer`, the input by default; π(i): a random sample of \
             another class, or of the same, drawn anew for each β; y: [m] labels; m: the first samples; A: known at β = 0, 1/K, … 1, linear \
             between",
    paper: "Schiff, Quanz, Das, Chen 2021, Predicting Deep Neural Network Generalization with Perturbation Response \
            Curves: Gi-score",
    needs: &[Need::Labels],
    cost: "(K · draws + 1) m/n F, K = 10, m = 500, 2 draws; inside the network as many again, up to `layer`; shared with `pal_score`",
    invariances: Invariances::ALL,
    behaviour: "From 0, where no perturbation changes the label's being right, to ½, where it never is. Like the Gini \
                coefficient, but for a factor of 2, it compares a cumulative curve with the ideal one. The perturbation \
                is a mixture with another sample, whose share grows to a half; the label is the first sample's. \
                Established from the paper: accuracy on a tenth of the training data against a perturbation's magnitude, \
                scaled to [0, 1]; its cumulative curve; the area between it and the ideal network's; mixtures within and \
                between classes. Not established: the number of magnitudes, the layers, how partners are drawn, and \
                whether the area is normalized; here they are parameters, and the area is as it is. Undefined where a \
                sample of another class is wanted and there is none.",
    stochastic: true,
    control: false,
    parameters: &[PERTURBATION, LAYER, SAMPLES, MAGNITUDES, DRAWS],
};

impl GiScore {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self(MixtureResponse::new(parameters)?))
    }
}

impl Measure for GiScore {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        self.0.summary(probe, |curve| Ok(curve.gi()))
    }
}
