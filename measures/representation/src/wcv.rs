//! The worst label variation of the last hidden layers.

use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::gram::{Grams, samples_parameter};
use crate::hidden_layers::{hidden, hidden_and_output};
use crate::label_variation::PAPER;
use crate::similarity_graph::{SimilarityGraph, Weights, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Wcv {
    samples: i64,
    neighbours: usize,
}

/// What `wcv` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "wcv",
    family: "representation",
    version: 1,
    title: "The worst-case variation: the largest label variation among the last third of the hidden layers.",
    formula: "max over ℓ of tr(YᵀLY),  L = I − D^−½ A D^−½ of the binary graph of k = 1 neighbour, edges as in \
              `label_variation`",
    shapes: "Y: [m, C] labels, one-hot; ℓ: the last ⌈H/3⌉ of the H hidden representations; m: the first samples of the \
             sample",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "m/n F, more where the activations of all layers do not fit in 256 MiB, and O(m² · Σ dim h), m = 500",
    invariances: Invariances::ALL,
    behaviour: "With one neighbour it is close to the error of a nearest-neighbour classifier in each layer. The \
                normalization gives hubs less weight, and counts ‖y_i/√d_i − y_j/√d_j‖² also within a class. Undefined \
                with no more than k samples, and where activations are all zero.",
    stochastic: false,
    control: false,
    parameters: &[
        samples_parameter(500),
        ParameterInfo {
            name: "k",
            kind: ParameterKind::Integer { default: 1, min: 1, max: 10_000 },
            doc: "number of neighbours of each sample",
        },
    ],
};

impl Wcv {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// None so far.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            samples: parameters.integer("samples")?,
            neighbours: usize::try_from(parameters.integer("k")?).unwrap_or(usize::MAX),
        })
    }
}

impl Measure for Wcv {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let samples = self.samples.min(probe.sample_size() as i64);
        // All layers, as `cka` takes them: shared.
        let nodes: Vec<usize> = hidden_and_output(probe.network()).iter().map(|layer| layer.node).collect();
        let grams = probe.get(&Grams { nodes: nodes.clone(), start: 0, samples })?;
        let labels = Vec::<i64>::try_from(&probe.labels().f_narrow(0, 0, samples)?)?;
        let signals = one_hot(&labels, probe.classes());
        let layers = hidden(probe.network());
        let first = layers.len() - layers.len().div_ceil(3);
        let mut details = Vec::new();
        for layer in layers.into_iter().skip(first) {
            let Some(gram) = nodes.iter().position(|node| *node == layer.node).and_then(|at| grams.get(at))
            else {
                return MeasureError::failed(format!("the products of layer `{}` are missing", layer.layer));
            };
            let graph = SimilarityGraph::new(gram, self.neighbours, Weights::Binary)?;
            details.push(LayerDetail { layer: layer.layer, value: graph.variation(&signals, true) });
        }
        match details.iter().map(|detail| detail.value).max_by(f64::total_cmp) {
            Some(value) => Ok(Measured::value(value).with_layers(details)),
            None => MeasureError::undefined("the network has no hidden representation"),
        }
    }
}
