//! One layer of a network changed, all others as they are.

use pgdl_measure::network::{Mode, Network, Source};
use pgdl_measure::tch::{Kind, Tensor, no_grad};
use pgdl_measure::{
    LayerDetail, MeasureError, ParameterInfo, ParameterKind, Parameters, Probe, Quantity, RegistryError,
    correct,
};

/// Number of samples, the first ones.
pub(crate) const SAMPLES: ParameterInfo = ParameterInfo {
    name: "samples",
    kind: ParameterKind::Integer { default: 500, min: 1, max: i64::MAX },
    doc: "number m of samples, the first ones; all when there are fewer",
};

/// How far accuracy may fall.
pub(crate) const DROP: ParameterInfo = ParameterInfo {
    name: "drop",
    kind: ParameterKind::Float { default: 0.1, min: 0.0, max: 1.0 },
    doc: "a layer is critical when accuracy falls by more than this; for `value=critical_share`",
};

/// What to report.
pub(crate) const REPORT: ParameterInfo = ParameterInfo {
    name: "value",
    kind: ParameterKind::Choice { default: "mean_drop", options: &["mean_drop", "critical_share"] },
    doc: "the mean over all layers of what accuracy loses, or the share of critical layers",
};

/// A parameter that counts something.
pub(crate) fn size(parameters: &Parameters, name: &str) -> Result<usize, RegistryError> {
    Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX))
}

/// How accuracies become a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    drop: f64,
    mean: bool,
}

impl Report {
    /// With the parameters [`DROP`] and [`REPORT`].
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { drop: parameters.float("drop")?, mean: parameters.choice("value")? == "mean_drop" })
    }

    /// The value, from the accuracies without and with each layer changed.
    pub(crate) fn value(self, whole: f64, changed: &[f64]) -> f64 {
        let part = |accuracy: &f64| {
            let lost = whole - accuracy;
            if self.mean {
                lost
            } else {
                // Accuracies are rounded.
                f64::from(u8::from(lost > self.drop + 1e-9))
            }
        };
        changed.iter().map(part).sum::<f64>() / changed.len() as f64
    }
}

/// A layer with parameters of the folded network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: usize,
    /// The node whose output is all that this layer and those behind it see, where there is one.
    entry: Option<usize>,
}

/// The layers with parameters, in the network's order.
pub(crate) fn layers(network: &Network) -> Result<Vec<Layer>, MeasureError> {
    let cuts = network.cut_points();
    let mut found: Vec<Layer> = Vec::new();
    for parameter in network.parameters() {
        let node = &network.architecture().nodes[parameter.node];
        if found.iter().any(|layer| layer.node == parameter.node) {
            continue;
        }
        let entry = match node.inputs[..] {
            [Source::Node(before)] if cuts.binary_search(&before).is_ok() => Some(before),
            _ => None,
        };
        found.push(Layer { name: node.name.clone(), node: parameter.node, entry });
    }
    if found.is_empty() {
        return MeasureError::undefined("the network has no layer with parameters");
    }
    Ok(found)
}

/// `network` with the tensors of one node changed; `change` takes the tensor and its position in the node.
pub(crate) fn with_layer(
    network: &Network,
    node: usize,
    mut change: impl FnMut(&Tensor, usize) -> Result<Tensor, MeasureError>,
) -> Result<Network, MeasureError> {
    let mut weights: Vec<Vec<Tensor>> =
        network.weights().iter().map(|node| node.iter().map(Tensor::shallow_clone).collect()).collect();
    for (index, tensor) in weights[node].iter_mut().enumerate() {
        *tensor = change(tensor, index)?;
    }
    Ok(network.with_weights(weights)?)
}

/// What enters each layer with parameters, on the first m samples, so that a changed layer costs the way behind it alone.
/// One forward pass over them; the representations stay in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerEntries {
    /// m, or all when there are fewer.
    pub samples: usize,
}

/// What [`LayerEntries`] finds.
#[derive(Debug)]
pub(crate) struct Entries {
    /// The layers.
    pub layers: Vec<Layer>,
    /// Share of the samples that the network classifies rightly as it is.
    pub accuracy: f64,
    batches: Vec<Part>,
    samples: f64,
}

#[derive(Debug)]
struct Part {
    labels: Tensor,
    /// For each layer, what the passes start from.
    entries: Vec<Tensor>,
}

impl Quantity for LayerEntries {
    type Value = Entries;

    fn name(&self) -> String {
        format!("layer_entries samples={}", self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Entries, MeasureError> {
        let network = probe.folded()?;
        let layers = layers(&network)?;
        let (mut batches, mut right, mut samples) = (Vec::new(), 0, 0);
        for batch in probe.batches_of(self.samples) {
            let batch = batch?;
            let mut outputs: Vec<Option<Tensor>> = Vec::new();
            let logits = no_grad(|| {
                network.forward_observed(&batch.inputs, Mode::Evaluate, &mut |node, output| {
                    let wanted = layers.iter().any(|layer| layer.entry == Some(node));
                    outputs.push(wanted.then(|| output.shallow_clone()));
                    Ok(())
                })
            })?;
            probe.count_forward(batch.len());
            right += count_right(&logits, &batch.labels)?;
            samples += batch.len();
            let entry = |layer: &Layer| match layer.entry {
                None => Ok(batch.inputs.shallow_clone()),
                Some(node) => {
                    outputs.get(node).and_then(Option::as_ref).map(Tensor::shallow_clone).ok_or_else(|| {
                        MeasureError::Failed(format!("the network has no output of node {node}"))
                    })
                }
            };
            let entries = layers.iter().map(entry).collect::<Result<_, _>>()?;
            batches.push(Part { labels: batch.labels, entries });
        }
        Ok(Entries { layers, accuracy: right as f64 / samples as f64, batches, samples: samples as f64 })
    }
}

impl Entries {
    /// The accuracy of `network`, which differs from the folded one in layer `layer` (a position) alone.
    pub(crate) fn accuracy_with(
        &self,
        probe: &Probe,
        layer: usize,
        network: &Network,
    ) -> Result<f64, MeasureError> {
        let mut right = 0;
        for part in &self.batches {
            probe.check_deadline()?;
            let entry = &part.entries[layer];
            let logits = no_grad(|| match self.layers[layer].entry {
                None => network.forward(entry, Mode::Evaluate),
                Some(node) => network.forward_from(node, entry, Mode::Evaluate),
            })?;
            probe.count_forward(part.labels.numel() as i64);
            right += count_right(&logits, &part.labels)?;
        }
        Ok(right as f64 / self.samples)
    }

    /// A number for each layer, as details.
    pub(crate) fn details(&self, values: &[f64]) -> Vec<LayerDetail> {
        let detail =
            |(layer, value): (&Layer, &f64)| LayerDetail { layer: layer.name.clone(), value: *value };
        self.layers.iter().zip(values).map(detail).collect()
    }
}

/// Samples that are classified rightly. An output that is not finite is wrong: a changed layer may well lead there.
fn count_right(logits: &Tensor, labels: &Tensor) -> Result<i64, MeasureError> {
    let finite = logits.f_isfinite()?.f_all_dim(1, false)?;
    let right = correct(logits, labels)?.f_logical_and(&finite)?;
    Ok(right.f_sum(Kind::Int64)?.f_int64_value(&[])?)
}
