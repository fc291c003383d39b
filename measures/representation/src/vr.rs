//! How the label variation changes from layer to layer.

use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::gram::{Grams, samples_parameter};
use crate::hidden_layers::hidden_and_output;
use crate::label_variation::PAPER;
use crate::similarity_graph::{SimilarityGraph, Weights, median, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Vr {
    samples: i64,
    neighbours: usize,
}

/// Representations that are looked at: two changes.
const LAST: usize = 3;

/// Sets of samples, at most.
const SETS: i64 = 10;

/// What `vr` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "vr",
    family: "representation",
    version: 1,
    title: "The variation rate: how much the label variation changes between the last layers.",
    formula: "median over sets of mean over ℓ of |v_{ℓ+1} − v_ℓ|,  v = tr(YᵀLY) on the cosine graph of k = 20 neighbours, L = D \
              − A, as in `label_variation`",
    shapes: "Y: [m, C] labels, one-hot; ℓ: the last three of the hidden representations and the logits; sets: consecutive \
             m = 500 samples, ten at most, a shorter rest left out",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "at most 10 m/n F, m = 500 (1 F up to 5000 samples), and O(m² · dim h)",
    invariances: Invariances::ALL,
    behaviour: "Layers that separate the classes step by step change it little. The details are the medians of v. \
                Undefined with no more than k samples, with fewer than two layers, and where activations are all zero.",
    stochastic: false,
    control: false,
    parameters: &[
        samples_parameter(500),
        ParameterInfo {
            name: "k",
            kind: ParameterKind::Integer { default: 20, min: 1, max: 10_000 },
            doc: "number of neighbours of each sample",
        },
    ],
};

impl Vr {
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

impl Measure for Vr {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let mut layers = hidden_and_output(probe.network());
        let layers = layers.split_off(layers.len().saturating_sub(LAST));
        if layers.len() < 2 {
            return MeasureError::undefined("there is one layer only, and no change between layers");
        }
        let nodes: Vec<usize> = layers.iter().map(|layer| layer.node).collect();
        let all = probe.sample_size() as i64;
        let samples = self.samples.min(all);
        let mut rates = Vec::new();
        let mut variations: Vec<Vec<f64>> = vec![Vec::new(); layers.len()];
        for set in 0..(all / samples).min(SETS) {
            let start = set * samples;
            let labels = Vec::<i64>::try_from(&probe.labels().f_narrow(0, start, samples)?)?;
            let signals = one_hot(&labels, probe.classes());
            let grams = probe.get(&Grams { nodes: nodes.clone(), start, samples })?;
            for (gram, variations) in grams.iter().zip(&mut variations) {
                let graph = SimilarityGraph::new(gram, self.neighbours, Weights::Cosine)?;
                variations.push(graph.variation(&signals, false));
            }
            let last: Vec<f64> = variations.iter().filter_map(|of_layer| of_layer.last().copied()).collect();
            let changes: Vec<f64> = last.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
            rates.push(changes.iter().sum::<f64>() / changes.len() as f64);
        }
        let Some(value) = median(&mut rates) else {
            return MeasureError::undefined("there are no samples");
        };
        let details = layers
            .into_iter()
            .zip(&mut variations)
            .filter_map(|(layer, values)| Some(LayerDetail { layer: layer.layer, value: median(values)? }));
        Ok(Measured::value(value).with_layers(details.collect()))
    }
}
