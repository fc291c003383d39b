//! The size-independent bound by Frobenius norms.

use pgdl_measure::network::Node;
use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::operator_profile::OperatorProfile;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Golowich2018 {
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `golowich_2018` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "golowich_2018",
    family: "spectral",
    version: 2,
    title: "The logarithm of the bound on the Rademacher complexity by the product of Frobenius norms, \
            over the margin.",
    formula: "ln [(√(2 ln 2 · L) + 1) ‖X‖_F Π_ℓ ‖A_ℓ‖_F / (γ n)]",
    shapes: "A_ℓ: the matrix of the map that layer ℓ of L applies, [outputs, inputs], BatchNormalization \
            folded in; X: the n training inputs, its norm extrapolated from the sample; γ: the percentile \
            p of the margins",
    paper: "Golowich, Rakhlin, Shamir 2018, Size-Independent Sample Complexity of Neural Networks, Theorem \
            1, before √(Σ‖xᵢ‖²) is bounded by B√n",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "For chains of layers with 1-Lipschitz functions between; biases are left out, and pooling \
                windows are taken not to overlap. The theorem is for one output and positively homogeneous \
                activations, element by element: max pooling is not covered, though a value is given; the number of classes does not enter. The norm of a convolution is that of \
                its matrix, in which a weight stands once for each position. Undefined for networks that \
                branch, where a layer's norm is zero, or γ ≤ 0. So are activations that are not positively \
                homogeneous.",
    stochastic: false,
    control: false,
    parameters: &[P, VARIANT],
};

impl Measure for Golowich2018 {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let profile = probe.get(&OperatorProfile)?;
        check_homogeneous(probe)?;
        let depth = profile.layers.len() as f64;
        let product: f64 = profile.layers.iter().map(|layer| 0.5 * layer.frobenius_squared.ln()).sum();
        let factor = (2.0 * std::f64::consts::LN_2 * depth).sqrt() + 1.0;
        let value = factor.ln() + profile.data_norm.ln() + product - gamma.ln() - profile.n.ln();
        Ok(Measured::value(value))
    }
}

fn check_homogeneous(probe: &Probe) -> Result<(), MeasureError> {
    let network = probe.folded()?;
    let nodes = &network.architecture().nodes;
    let other = |node: &&Node| node.layer.activation().is_some_and(|one| !one.is_positively_homogeneous());
    match nodes.iter().find(other) {
        Some(node) => MeasureError::undefined(format!(
            "the bound is for positively homogeneous activations, and that of layer `{}` is none",
            node.name
        )),
        None => Ok(()),
    }
}
