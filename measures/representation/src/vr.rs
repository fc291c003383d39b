//! How the label variation changes from layer to layer.

use pgdl_measure::draws::mean;
use pgdl_measure::network::Source;
use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::as_coded;
use crate::draws::median;
use crate::gram::{Grams, Samples};
use crate::hidden_layers::{hidden_and_output, inputs_of_last};
use crate::label_variation::PAPER;
use crate::similarity_graph::{NeighboursIn, Weights, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Vr {
    samples: i64,
    neighbours: i64,
    as_coded: bool,
}

/// Representations that are looked at: two changes.
const LAST: usize = 3;

/// Sets of samples, at most.
const SETS: i64 = 10;
const PUBLISHED_SETS: i64 = 11;

const DEFAULT_SAMPLES: i64 = as_coded::GRAPH;
const DEFAULT_NEIGHBOURS: i64 = 20;

/// What `vr` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "vr",
    family: "representation",
    version: 3,
    title: "The variation rate: how much the label variation changes between the last layers.",
    formula: "median over sets of mean over ℓ of |v_{ℓ+1} − v_ℓ|,  v = tr(YᵀLY) on the cosine graph of k = 20 neighbours, L = D \
              − A, as in `label_variation`",
    shapes: "Y: [m, C] labels, one-hot; ℓ: the last three of the hidden representations and the logits; sets: consecutive \
             m = 500 samples, ten at most, a shorter rest left out",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "at most 10 m/n F, m = 500, or the pass for the outputs where that is shorter than two of these, and O(m² · dim h)",
    invariances: Invariances::ALL,
    behaviour: "Layers that separate the classes step by step change it little. The details are the medians of v. \
                `as_coded`: ℓ are what the last two layers of any kind read, and the logits, so that behind dropout, \
                which does nothing here, one of the two changes is 0; eleven sets; equally similar samples all count \
                as neighbours; v is divided by 100 000. (The team's program leaves a last set of fewer than 500 out, and \
                so has no value on a smaller sample; here that is one set.) Undefined with no more than k samples, with \
                fewer than two layers, and where activations are all zero.",
    stochastic: false,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: DEFAULT_SAMPLES, min: 2, max: 20_000 },
            doc: "number m of samples in each set; all when there are fewer",
        },
        ParameterInfo {
            name: "k",
            kind: ParameterKind::Integer { default: DEFAULT_NEIGHBOURS, min: 1, max: 10_000 },
            doc: "number of neighbours of each sample",
        },
        ParameterInfo {
            name: "variant",
            kind: ParameterKind::Choice { default: "paper", options: &["paper", "as_coded"] },
            doc: "`as_coded` takes the layers and the graph of the team's program, and not `samples` and `k`",
        },
    ],
};

impl Vr {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `samples` or `k` beside the variant that does not look at them.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let (samples, neighbours) = (parameters.integer("samples")?, parameters.integer("k")?);
        let as_coded = parameters.choice("variant")? == "as_coded";
        if as_coded {
            let changed = (samples, neighbours) != (DEFAULT_SAMPLES, DEFAULT_NEIGHBOURS);
            as_coded::refuse(INFO.id, changed, "`samples` and `k`")?;
        }
        Ok(Self { samples, neighbours, as_coded })
    }

    fn layers(&self, probe: &Probe) -> Result<Vec<(String, Source)>, MeasureError> {
        let named = |layer: crate::hidden_layers::Representation| (layer.layer, Source::Node(layer.node));
        let mut layers: Vec<(String, Source)> =
            hidden_and_output(probe.network()).into_iter().map(named).collect();
        if self.as_coded {
            let output = layers.split_off(layers.len().saturating_sub(1));
            layers = inputs_of_last(probe.network(), LAST - 1)?;
            layers.extend(output);
        }
        let layers = layers.split_off(layers.len().saturating_sub(LAST));
        if layers.len() < 2 {
            return MeasureError::undefined("there is one layer only, and no change between layers");
        }
        Ok(layers)
    }
}

impl Measure for Vr {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let layers = self.layers(probe)?;
        let all = probe.sample_size() as i64;
        let count = self.samples.min(all);
        let sets = if self.as_coded { PUBLISHED_SETS } else { SETS };
        let looked_at = (all / count).min(sets);
        let of_all = 2 * looked_at * count >= all;
        let mut rates = Vec::new();
        let mut variations: Vec<Vec<f64>> = vec![Vec::new(); layers.len()];
        for set in 0..looked_at {
            let start = set * count;
            let labels = Vec::<i64>::try_from(&probe.labels().f_narrow(0, start, count)?)?;
            let signals = one_hot(&labels, probe.classes())?;
            let grams = Grams {
                sources: as_coded::sources(&layers),
                samples: Samples::Consecutive { start, count, of_all },
            };
            let mut of_set = Vec::new();
            for (at, variations) in variations.iter_mut().enumerate() {
                let value = if self.as_coded {
                    let graph = as_coded::cosine(&probe.get(&grams)?[at], self.neighbours)?;
                    as_coded::of_cosine(graph.variation(&signals, false)?)
                } else {
                    let count = usize::try_from(self.neighbours).unwrap_or(usize::MAX);
                    let neighbours = probe.get(&NeighboursIn { grams: grams.clone(), at, count })?;
                    neighbours.graph(Weights::Cosine)?.variation(&signals, false)?
                };
                variations.push(value);
                of_set.push(value);
            }
            let changes: Vec<f64> = of_set.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
            rates.push(mean(&changes));
        }
        let Some(value) = median(&mut rates) else {
            return MeasureError::undefined("there are no samples");
        };
        let details = layers
            .into_iter()
            .zip(&mut variations)
            .filter_map(|((layer, _), values)| Some(LayerDetail { layer, value: median(values)? }));
        Ok(Measured::value(value).with_layers(details.collect()))
    }
}
