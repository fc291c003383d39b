//! A linear regression on the signatures of the margins in several layers.

use std::sync::LazyLock;

use pgdl_measure::network::Network;
use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, digest,
};
use pgdl_measure_margin::{HiddenMargins, Signature};

use crate::regression::{Fit, Fits};

/// See [`INFO`].
#[derive(Clone, Debug)]
pub struct LinearSignature {
    train: String,
}

/// What `linear_signature` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "linear_signature",
    family: "learned",
    version: 2,
    title: "A linear regression of the gap on the logarithms of quartiles and fences of the distances to the decision boundary \
            at four depths, fitted on networks of other zoos.",
    formula: "a + Σ_{k = 0…3} Σ_{s ∈ S} b_{k,s} ln s{d_h(xᵢ) / √ν_h : d_h(xᵢ) > 0},  h = h_k,  d_h(x) = (f_y − f_j) / ‖∇_h(f_y − \
              f_j)‖₂,  ν_h = tr Cov(h),  j the strongest class but y,  S = {lower fence, q₁, median, q₃, upper fence}",
    shapes: "f: [n, C] logits; y: [n] labels; h: [n, …] the input, or what enters a layer with weights, as of \
             `hidden_margin`; h_k: of those m + 1 places, the input first, number ⌊k·m/3 + 1/2⌋; fences: the extremes of the \
             distances within 1.5 (q₃ − q₁) of the quartiles; a, b: 1 + 20 coefficients of the fit that `train` names",
    paper: "Jiang, Krishnan, Mobahi, Bengio 2019, Predicting the Generalization Gap in Deep Networks with Margin \
            Distributions; fences: McGill, Tukey, Larsen 1978, Variations of Box Plots",
    needs: &[Need::Labels],
    cost: "1 B for all layers together, the same as of `hidden_margin`",
    invariances: Invariances::ALL,
    behaviour: "Misclassified samples, and those whose margin has no gradient, are left out, as in the paper, whose regression is \
                fitted and tested on networks of one data set and architecture. Here it is fitted on the shipped zoos \
                `cifar_vgg`, `fmnist_vgg`, `cifar_nin` and `mnist_width` and meets other ones. Within each zoo features are \
                centred, and gaps centred and brought to variance 1; each zoo counts alike; the ridge's strength is the one \
                that does best on each zoo in turn from the others. So the value is in standard deviations of a zoo's gaps, and \
                only the order means something. No network is valued by coefficients that saw it: `auto` knows the shipped \
                networks by a digest of their last kernel and takes the fit without their zoo, the fit on all zoos for any other \
                network. A network trained anew by a shipped recipe is another network; `train` names the fit that leaves its \
                zoo out. In a network of fewer than three hidden places one serves more than once. Coefficients, what they were \
                fitted on and how to fit them again: `measures/learned/linear_signature`. Undefined where no sample is \
                classified correctly, or a representation is constant over the sample.",
    stochastic: false,
    control: false,
    parameters: &[ParameterInfo {
        name: "train",
        kind: ParameterKind::Choice {
            default: "auto",
            options: &[
                "auto",
                "all",
                "without_cifar_vgg",
                "without_fmnist_vgg",
                "without_cifar_nin",
                "without_mnist_width",
            ],
        },
        doc: "the zoos it was fitted on: `auto` is all but the network's own; unavailable where the network is among them",
    }],
};

/// Depths that are looked at: the input and three more.
pub const DEPTHS: usize = 4;

/// The fits that come with pgdl.
static FITS: LazyLock<Result<Fits, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../linear_signature/fits.json")).map_err(|error| error.to_string())
});

impl LinearSignature {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { train: parameters.choice("train")?.to_owned() })
    }

    fn fit(&self, network: &Network) -> Result<&'static Fit, MeasureError> {
        let fits = FITS.as_ref().map_err(|error| MeasureError::Failed(format!("its fits: {error}")))?;
        let zoo = fits.zoo_of(&digest(network)?);
        let name = match (self.train.as_str(), zoo) {
            ("auto", Some(zoo)) => format!("without_{zoo}"),
            ("auto", None) => "all".to_string(),
            (name, _) => name.to_string(),
        };
        let fit =
            fits.named(&name).ok_or_else(|| MeasureError::Failed(format!("there is no fit `{name}`")))?;
        match zoo.filter(|zoo| fit.zoos.iter().any(|seen| seen == zoo)) {
            Some(zoo) => MeasureError::unavailable(format!(
                "the fit `{name}` saw this network, one of `{zoo}`: `train=auto` takes one that did not"
            )),
            None => Ok(fit),
        }
    }
}

impl Measure for LinearSignature {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let fit = self.fit(probe.network())?;
        let depths = signatures(probe)?;
        let features: Vec<f64> = depths.iter().flat_map(DepthSignature::logarithms).collect();
        if fit.coefficients.len() != features.len() {
            return MeasureError::failed(format!(
                "{} coefficients for {} features",
                fit.coefficients.len(),
                features.len()
            ));
        }
        let mut measured = Measured::value(fit.value(&features))
            .with_detail("fit", fit.name.as_str())
            .with_detail("offset", fit.offset);
        let mut layers: Vec<LayerDetail> = Vec::new();
        for (depth, coefficients) in depths.iter().zip(fit.coefficients.chunks(features.len() / DEPTHS)) {
            let part: f64 =
                depth.logarithms().iter().zip(coefficients).map(|(number, own)| number * own).sum();
            match layers.iter_mut().find(|layer| layer.layer == depth.place) {
                Some(layer) => layer.value += part,
                None => layers.push(LayerDetail { layer: depth.place.clone(), value: part }),
            }
            measured = measured.with_detail(&format!("{}/left_out", depth.place), depth.left_out as f64);
            for (name, number) in depth.signature.parts() {
                measured = measured.with_detail(&format!("{}/{name}", depth.place), number);
            }
        }
        Ok(measured.with_layers(layers))
    }
}

/// The signature of the positive distances at one depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthSignature {
    /// The place's name.
    pub place: String,
    /// Quartiles and whiskers of the distances in units of √tr Cov(h), all positive.
    pub signature: Signature,
    /// Samples without a positive distance.
    pub left_out: usize,
}

impl DepthSignature {
    /// Natural logarithms of its five numbers.
    pub fn logarithms(&self) -> [f64; 5] {
        self.signature.parts().map(|(_, number)| number.ln())
    }
}

/// The signatures at the [`DEPTHS`] depths of a network, the input first.
///
/// # Errors
/// No sample is classified correctly, or a representation is constant over the sample: undefined.
pub fn signatures(probe: &Probe) -> Result<Vec<DepthSignature>, MeasureError> {
    let all = probe.get(&HiddenMargins)?;
    let last = all.places.len().saturating_sub(1);
    (0..DEPTHS)
        .map(|depth| {
            // k·m/3, rounded.
            let entry = &all.places[(2 * depth * last + DEPTHS - 1) / (2 * (DEPTHS - 1))];
            let mut distances = all.distances(entry)?;
            distances.retain(|distance| *distance > 0.0);
            let left_out = all.margins.len() - distances.len();
            match Signature::of_box_plot(&mut distances) {
                Some(signature) => Ok(DepthSignature { place: entry.name.clone(), signature, left_out }),
                None => MeasureError::undefined(
                    "no sample is classified correctly, with a margin that has a gradient",
                ),
            }
        })
        .collect()
}
