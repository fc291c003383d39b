//! The worst label variation of the last hidden layers.

use pgdl_measure::network::Source;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::as_coded;
use crate::gram::{Grams, Samples, chosen_labels, grams, samples_parameter};
use crate::hidden_layers::{hidden, hidden_and_output, inputs_of_last};
use crate::label_variation::PAPER;
use crate::similarity_graph::{NeighboursIn, Weights, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Wcv {
    samples: i64,
    neighbours: i64,
    as_coded: bool,
}

const DEFAULT_SAMPLES: i64 = 500;
const DEFAULT_NEIGHBOURS: i64 = 1;

/// As published: classes, and samples of each.
const PUBLISHED_CLASSES: i64 = 10;
const PUBLISHED_PER_CLASS: usize = 50;

/// What `wcv` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "wcv",
    family: "representation",
    version: 3,
    title: "The worst-case variation: the largest label variation among the last third of the hidden layers.",
    formula: "max over ℓ of tr(YᵀLY),  L = I − D^−½ A D^−½ of the binary graph of k = 1 neighbour, edges as in \
              `label_variation`",
    shapes: "Y: [m, C] labels, one-hot; ℓ: the last ⌈H/3⌉ of the H hidden representations; m: samples spread evenly over the \
             sample",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "m/n F, more where the activations of all layers do not fit in 256 MiB, and O(m² · Σ dim h), m = 500",
    invariances: Invariances::ALL,
    behaviour: "With one neighbour it is close to the error of a nearest-neighbour classifier in each layer. The \
                normalization gives hubs less weight, and counts ‖y_i/√d_i − y_j/√d_j‖² also within a class. `as_coded`: \
                ℓ are what the last ⌊T/3⌋ + 1 of all T layers of any kind read; the first 50 samples of each of the \
                first ten classes; equally near samples all count as neighbours; the variation is divided by 2000 and \
                clipped to [0, 1000]. (The team's program stops where a class has fewer than 50 samples, or where there \
                are fewer than ten classes; here those there are do.) Undefined with no more than k samples, and where \
                activations are all zero; `as_coded` also where they are all alike.",
    stochastic: false,
    control: false,
    parameters: &[
        samples_parameter(DEFAULT_SAMPLES),
        ParameterInfo {
            name: "k",
            kind: ParameterKind::Integer { default: DEFAULT_NEIGHBOURS, min: 1, max: 10_000 },
            doc: "number of neighbours of each sample",
        },
        ParameterInfo {
            name: "variant",
            kind: ParameterKind::Choice { default: "paper", options: &["paper", "as_coded"] },
            doc: "`as_coded` takes the layers, the samples and the graph of the team's program, and not `samples` and `k`",
        },
    ],
};

impl Wcv {
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

    fn of_layers(&self, probe: &Probe) -> Result<Vec<LayerDetail>, MeasureError> {
        // All layers, as `cka` takes them: shared.
        let sources: Vec<Source> =
            hidden_and_output(probe.network()).iter().map(|layer| Source::Node(layer.node)).collect();
        let grams = Grams { sources: sources.clone(), samples: Samples::Spread(self.samples) };
        let signals = one_hot(&chosen_labels(probe, self.samples)?, probe.classes())?;
        let layers = hidden(probe.network());
        let first = layers.len() - layers.len().div_ceil(3);
        let count = usize::try_from(self.neighbours).unwrap_or(usize::MAX);
        let mut details = Vec::new();
        for layer in layers.into_iter().skip(first) {
            let Some(at) = sources.iter().position(|source| *source == Source::Node(layer.node)) else {
                return MeasureError::failed(format!("the products of layer `{}` are missing", layer.layer));
            };
            let neighbours = probe.get(&NeighboursIn { grams: grams.clone(), at, count })?;
            let value = neighbours.graph(Weights::Binary)?.variation(&signals, true)?;
            details.push(LayerDetail { layer: layer.layer, value });
        }
        Ok(details)
    }

    fn of_layers_as_coded(&self, probe: &Probe) -> Result<Vec<LayerDetail>, MeasureError> {
        let labels = Vec::<i64>::try_from(probe.labels())?;
        let mut samples = Vec::new();
        for class in 0..PUBLISHED_CLASSES {
            let own = (0..labels.len() as i64).zip(&labels).filter(|(_, label)| **label == class);
            samples.extend(own.map(|(sample, _)| sample).take(PUBLISHED_PER_CLASS));
        }
        let own_labels: Vec<i64> = samples.iter().map(|&sample| labels[sample as usize]).collect();
        let signals = one_hot(&own_labels, probe.classes())?;
        let indices = Tensor::f_from_slice(&samples)?.f_to_device(probe.device())?;
        let inputs = probe.inputs().f_index_select(0, &indices)?;
        let layers = inputs_of_last(probe.network(), probe.network().architecture().nodes.len() / 3 + 1)?;
        let grams = grams(probe, &inputs, &as_coded::sources(&layers))?;
        let mut details = Vec::new();
        for ((layer, _), gram) in layers.into_iter().zip(&grams) {
            let variation = as_coded::binary(gram, self.neighbours, true)?.variation(&signals, true)?;
            details.push(LayerDetail { layer, value: as_coded::of_binary(variation) });
        }
        Ok(details)
    }
}

impl Measure for Wcv {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let details = if self.as_coded { self.of_layers_as_coded(probe)? } else { self.of_layers(probe)? };
        match details.iter().map(|detail| detail.value).max_by(f64::total_cmp) {
            Some(value) => Ok(Measured::value(value).with_layers(details)),
            None => MeasureError::undefined("the network has no hidden representation"),
        }
    }
}
