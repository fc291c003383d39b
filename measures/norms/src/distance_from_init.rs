//! How far training went.

use pgdl_measure::sums::sum_of_squared_differences;
use pgdl_measure::{
    Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, Probe,
};

use crate::finite_layers::finite;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct DistanceFromInit;

/// What `distance_from_init` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "distance_from_init",
    family: "norms",
    version: 1,
    title: "The squared distance of all weights from their initial values.",
    formula: "Σ‖w − w₀‖²",
    shapes: "w, w₀: every tensor that Keras keeps for the network, as in `l2_norm`",
    paper: "a baseline of the 2020 competition's starting kit; after Nagarajan and Kolter 2019, Generalization in \
            Deep Networks: The Role of Distance from Initialization",
    needs: &[Need::InitialWeights],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "As in the kit BatchNormalization is not folded and its statistics count like weights; \
                `frobenius_distance` is the cleaner form. Unavailable where a zoo keeps no initial weights.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for DistanceFromInit {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.network();
        let mut layers = Vec::new();
        let pairs = network.weights().iter().zip(probe.initial()?.weights());
        for (node, (tensors, initial)) in network.architecture().nodes.iter().zip(pairs) {
            let differences =
                tensors.iter().zip(initial).map(|(now, then)| sum_of_squared_differences(now, then));
            let squares: f64 = differences.sum::<Result<_, _>>()?;
            if !tensors.is_empty() {
                layers.push(LayerDetail { layer: node.name.clone(), value: squares });
            }
        }
        let layers = finite(layers)?;
        let total = layers.iter().map(|layer| layer.value).sum();
        Ok(Measured::value(total).with_layers(layers))
    }
}
