//! The margin in hidden representations.

use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::hidden_margins::{HiddenMargins, MarginsAtPlace};
use crate::percentile::percentile;
use crate::place::Depth;
use crate::signature::Signature;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HiddenMargin {
    /// One place, or the mean over all.
    depth: Option<Depth>,
    p: f64,
}

/// What `hidden_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hidden_margin",
    family: "margin",
    version: 2,
    title: "The negative of the typical first-order distance to the decision boundary in the network's \
            representations, in units of their spread.",
    formula: "−(1/|H|) Σ_{h ∈ H} percentile_p of {d_h(xᵢ) / √ν_h},  d_h(x) = (f_y − f_j) / ‖∇_h(f_y − f_j)‖₂,  ν_h = \
              tr Cov(h),  j the strongest class but y",
    shapes: "f: [n, C] logits; h: [n, …] what enters a layer with weights, behind normalization, activation and \
             pooling; H: the places chosen by `layer`; y: [n] labels",
    paper: "Jiang, Krishnan, Mobahi, Bengio 2018, Predicting the Generalization Gap in Deep Networks with Margin \
            Distributions, eqs. 3–5",
    needs: &[Need::Labels],
    cost: "1 B for all layers together",
    invariances: Invariances::ALL,
    behaviour: "Misclassified samples count with a negative distance (the paper leaves them out). The paper regresses \
                the gap on the signature of each layer, which stands in the details: quartiles and fences of the \
                normalized distances, a fence being, as in common code, the outlier next to q ± 1.5 (q₃ − q₁), or the extreme \
                value where nothing lies beyond; `linear_signature` takes the whiskers, within those bounds. Samples whose margin has no gradient have no distance to first order; they are \
                left out and counted. A place counts only where all that follows depends on it alone: not inside \
                residual blocks. Undefined where a representation is constant over the sample.",
    stochastic: false,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "layer",
            kind: ParameterKind::Choice {
                default: "all",
                options: &["all", "input", "first", "middle", "last"],
            },
            doc: "the place: `all` averages over the input and all hidden ones",
        },
        ParameterInfo {
            name: "p",
            kind: ParameterKind::Float { default: 50.0, min: 0.0, max: 100.0 },
            doc: "which percentile of the distances; 50 is the median",
        },
    ],
};

impl HiddenMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let word = parameters.choice("layer")?;
        let depth = (word != "all").then(|| Depth::named(word));
        Ok(Self { depth, p: parameters.float("p")? })
    }
}

impl Measure for HiddenMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let all = probe.get(&HiddenMargins)?;
        let chosen: Vec<&MarginsAtPlace> = match self.depth {
            Some(depth) => vec![all.at(depth.place(probe.network())?)?],
            None => all.places.iter().collect(),
        };
        let mut layers = Vec::new();
        let mut details = Vec::new();
        for entry in chosen {
            let mut distances = all.distances(entry)?;
            details.push((format!("{}/left_out", entry.name), (all.margins.len() - distances.len()) as f64));
            let (Some(value), Some(signature)) =
                (percentile(&mut distances, self.p), Signature::of(&mut distances))
            else {
                return MeasureError::undefined("there are no margins");
            };
            layers.push(LayerDetail { layer: entry.name.clone(), value: -value });
            for (part, number) in signature.parts() {
                details.push((format!("{}/{part}", entry.name), number));
            }
        }
        let value = layers.iter().map(|layer| layer.value).sum::<f64>() / layers.len() as f64;
        let measured = Measured::value(value).with_layers(layers);
        Ok(details.into_iter().fold(measured, |measured, (name, number)| measured.with_detail(&name, number)))
    }
}
