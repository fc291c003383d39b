//! How the labels vary between samples with similar activations.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::gram::{Grams, chosen_labels, samples_parameter};
use crate::hidden_layers::{self, LAYER, layer_parameter};
use crate::similarity_graph::{NeighboursIn, Weights, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LabelVariation {
    graph: Weights,
    neighbours: usize,
    layer: i64,
    samples: i64,
}

/// The paper of the family's graphs.
pub(crate) const PAPER: &str = "Lassance, Béthune, Bontonou, Hamidouche, Gripon 2020, Ranking Deep Learning Generalization \
                                using Label Variation in Latent Geometry Graphs";

/// What `label_variation` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "label_variation",
    family: "representation",
    version: 2,
    title: "The variation of the labels on the graph of nearest neighbours in a hidden layer.",
    formula: "tr(YᵀLY) = Σ over edges of w_ij ‖y_i − y_j‖²,  L = D − A; an edge where i or j is among the k most similar \
              samples of the other",
    shapes: "Y: [m, C] labels, one-hot; A: [m, m] weights w, D its row sums; similar by the cosine s of the activations h, \
             [m, D]; m: samples spread evenly over the sample",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "m/n F and O(m² · dim h), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "Twice the weight between classes: small where similar samples share a label. It grows with m, so that \
                samples of one size only compare. Weights of `rbf` are exp(−d²/(3 std d²)) with d² = 2 − 2s and the \
                standard deviation over all m² pairs; negative cosines weigh 0; neighbours are the same for all three. \
                Undefined with no more than k samples, and for activations that are all zero.",
    stochastic: false,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "graph",
            kind: ParameterKind::Choice { default: "cosine", options: &["cosine", "rbf", "binary"] },
            doc: "the weights of the edges",
        },
        ParameterInfo {
            name: "k",
            kind: ParameterKind::Integer { default: 20, min: 1, max: 10_000 },
            doc: "number of neighbours of each sample",
        },
        LAYER,
        samples_parameter(1000),
    ],
};

impl LabelVariation {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer=0`.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            graph: Weights::named(INFO.id, parameters.choice("graph")?)?,
            neighbours: usize::try_from(parameters.integer("k")?).unwrap_or(usize::MAX),
            layer: layer_parameter(INFO.id, parameters)?,
            samples: parameters.integer("samples")?,
        })
    }
}

impl Measure for LabelVariation {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let representation = hidden_layers::chosen(probe.network(), self.layer)?;
        let grams = Grams::of_node(representation.node, self.samples);
        let neighbours = probe.get(&NeighboursIn { grams, at: 0, count: self.neighbours })?;
        let signals = one_hot(&chosen_labels(probe, self.samples)?, probe.classes())?;
        let value = neighbours.graph(self.graph)?.variation(&signals, false)?;
        Ok(Measured::value(value).with_detail("layer", representation.layer))
    }
}
