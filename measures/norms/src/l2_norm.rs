//! The squared norm of everything.

use pgdl_measure::sums::sum_of_squares;
use pgdl_measure::{Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::finite_layers::finite;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct L2Norm;

/// What `l2_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "l2_norm",
    family: "norms",
    version: 1,
    title: "The sum of the squares of all weights.",
    formula: "Σ‖w‖²",
    shapes: "w: every tensor that Keras keeps for the network: kernels, biases, and the γ, β, moving mean and moving \
             variance of normalizations",
    paper: "the sample submission of the 2020 competition's starting kit",
    needs: &[],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "As in the kit BatchNormalization is not folded and its statistics count like weights; `param_norm` is \
                the cleaner form. Weight decay drives it directly, so that it ranks the weight-decay axis whatever \
                the gap does.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for L2Norm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.network();
        let mut layers = Vec::new();
        for (node, tensors) in network.architecture().nodes.iter().zip(network.weights()) {
            let squares: f64 = tensors.iter().map(sum_of_squares).sum::<Result<_, _>>()?;
            if !tensors.is_empty() {
                layers.push(LayerDetail { layer: node.name.clone(), value: squares });
            }
        }
        let layers = finite(layers)?;
        let total = layers.iter().map(|layer| layer.value).sum();
        Ok(Measured::value(total).with_layers(layers))
    }
}
