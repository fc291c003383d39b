//! The margin of mixed representations.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::perturbed_margin::{DRAWS, Neighbour, PerturbedMargin};
use crate::place::Depth;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ManifoldMixupMargin(PerturbedMargin);

/// What `manifold_mixup_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "manifold_mixup_margin",
    family: "margin",
    version: 1,
    title: "The negative of the mean first-order distance of mixed representations to the decision boundary, \
            in units of their spread.",
    formula: "−E mean over i of {(f_y − f_j)(h̃ᵢ) / ‖∇_h̃(f_y − f_j)(h̃ᵢ)‖₂} / √v,  h̃ᵢ = (h(xᵢ) + \
              h(x_π(i))) / 2,  v = the mean of the coordinates' variances of h̃, without the 5 % smallest \
              and the 5 % largest",
    shapes: "f: [n, C] logits; j: the strongest class but y; π: a random permutation within each class; h: \
             [n, …] the representation chosen by `layer`",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep \
            Learning",
    needs: &[Need::Labels],
    cost: "12 F and 4 backward passes (3 F and a backward pass for each draw; 1 B = F + one backward pass)",
    invariances: Invariances::ALL,
    behaviour: "Misclassified mixtures count with a negative distance. A sample may meet itself. Draws are \
                averaged. In the input this is `mixup_margin`. Samples without a gradient are left out and \
                counted. Undefined without a hidden representation, and where it is constant.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "layer",
            kind: ParameterKind::Choice { default: "first", options: &["first", "middle", "last"] },
            doc: "which representations are mixed: what enters the second, a middle or the last layer with \
                  weights",
        },
        DRAWS,
    ],
};

impl ManifoldMixupMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let draws = usize::try_from(parameters.integer("draws")?).unwrap_or(usize::MAX);
        let depth = Depth::named(parameters.choice("layer")?);
        Ok(Self(PerturbedMargin { neighbour: Neighbour::MixedInside, depth, draws, as_coded: false }))
    }
}

impl Measure for ManifoldMixupMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        self.0.evaluate(probe)
    }
}
