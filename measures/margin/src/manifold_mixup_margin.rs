//! The margin of mixed representations.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::perturbed_margin::{DRAWS, Neighbour, PerturbedMargin, SAMPLES, size};
use crate::place::Depth;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ManifoldMixupMargin(PerturbedMargin);

/// What `manifold_mixup_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "manifold_mixup_margin",
    family: "margin",
    version: 3,
    title: "The negative of the mean first-order distance of mixed representations to the decision boundary, \
            in units of their spread.",
    formula: "−E mean over i of {(f_y − f_j)(h̃ᵢ) / ‖∇_h̃(f_y − f_j)(h̃ᵢ)‖₂} / √v,  h̃ᵢ = (h(xᵢ) + \
              h(x_π(i))) / 2,  v = the mean of the coordinates' variances of h̃, without the 5 % smallest \
              and the 5 % largest",
    shapes: "f: [n, C] logits; j: the strongest class but y; π: a random permutation within each class; h: \
             [n, …] the representation chosen by `layer`; i over the first m samples",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep \
            Learning",
    needs: &[Need::Labels],
    cost: "4 m/n B and up to 8 m/n F, m = 1000 (for each of 4 draws two parts of a forward pass up to the \
           representation, counted as whole ones, and one forward and one backward pass from there)",
    invariances: Invariances::ALL,
    behaviour: "Misclassified mixtures count with a negative distance. A sample may meet itself. Draws are \
                averaged. The authors' code has no such margin, only the accuracy on such mixtures. In the input this is `mixup_margin`. Samples without a gradient are left out and \
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
        SAMPLES,
        DRAWS,
    ],
};

impl ManifoldMixupMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self(PerturbedMargin {
            neighbour: Neighbour::MixedInside,
            depth: Depth::named(parameters.choice("layer")?),
            samples: size(parameters, "samples")?,
            draws: size(parameters, "draws")?,
            as_coded: false,
        }))
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
