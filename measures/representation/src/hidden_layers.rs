//! Which layers' outputs the family looks at.

use pgdl_measure::network::{Architecture, Layer, Network, Node, Source};
use pgdl_measure::{
    MeasureError, ParameterInfo, ParameterKind, Parameters, RegistryError, behind_kernels, kernels,
};

/// One representation of the inputs inside the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representation {
    /// Name of the node whose output it is.
    pub layer: String,
    /// Index of that node.
    pub node: usize,
}

/// The hidden representations, in the network's order: what enters each layer with weights, but for the network's
/// input, whether or not it was flattened before. Activation, normalization, pooling and flattening behind a layer belong to
/// its representation.
pub fn hidden(network: &Network) -> Vec<Representation> {
    let architecture = network.architecture();
    let behind = behind_kernels(network);
    let mut found: Vec<Representation> = Vec::new();
    for kernel in kernels(network) {
        for source in &architecture.nodes[kernel.node].inputs {
            if let Source::Node(node) = *source
                && behind[node]
                && found.iter().all(|other| other.node != node)
            {
                found.push(representation(architecture, node));
            }
        }
    }
    found.sort_by_key(|one| one.node);
    found
}

/// The hidden representations, and the network's output behind them.
pub fn hidden_and_output(network: &Network) -> Vec<Representation> {
    let architecture = network.architecture();
    let mut all = hidden(network);
    if let Some(last) = architecture.nodes.len().checked_sub(1)
        && all.iter().all(|other| other.node != last)
    {
        all.push(representation(architecture, last));
    }
    all
}

/// The outputs of the neurons, layer by layer: of each layer with weights, with the normalization and the activation
/// right behind it.
pub fn neurons(network: &Network) -> Vec<Representation> {
    let architecture = network.architecture();
    let nodes = &architecture.nodes;
    let readers =
        |node: usize| nodes.iter().filter(|other| other.inputs.contains(&Source::Node(node))).count();
    let mut found: Vec<Representation> = Vec::new();
    for kernel in kernels(network) {
        let mut node = kernel.node;
        while let Some(next) = nodes.get(node + 1)
            && next.inputs == [Source::Node(node)]
            && readers(node) == 1
            && matches!(
                next.layer,
                Layer::BatchNormalization { .. }
                    | Layer::LayerNormalization { .. }
                    | Layer::Activation(_)
                    | Layer::PRelu { .. }
            )
        {
            node += 1;
        }
        if found.iter().all(|other| other.node != node) {
            found.push(representation(architecture, node));
        }
    }
    found
}

/// What the last `count` layers of any kind read, as the competition's kit kept it for each layer: dropout, flattening
/// and pooling are layers, too.
///
/// # Errors
/// One of them reads more than one tensor: unavailable.
pub(crate) fn inputs_of_last(network: &Network, count: usize) -> Result<Vec<(String, Source)>, MeasureError> {
    let nodes = &network.architecture().nodes;
    let input = |node: &Node| match node.inputs.as_slice() {
        [source] => Ok((format!("into {}", node.name), *source)),
        _ => MeasureError::unavailable(format!(
            "layer `{}` reads {} tensors: the team's program knew chains of layers only",
            node.name,
            node.inputs.len()
        )),
    };
    nodes[nodes.len().saturating_sub(count)..].iter().map(input).collect()
}

fn representation(architecture: &Architecture, node: usize) -> Representation {
    Representation { layer: architecture.nodes[node].name.clone(), node }
}

/// The parameter `layer` of every measure of one representation.
pub(crate) const LAYER: ParameterInfo = ParameterInfo {
    name: "layer",
    kind: ParameterKind::Integer { default: -1, min: -10_000, max: 10_000 },
    doc: "which hidden representation: 1 the first, −1 the last (what enters the last layer with weights)",
};

/// Reads [`LAYER`].
pub(crate) fn layer_parameter(id: &str, parameters: &Parameters) -> Result<i64, RegistryError> {
    match parameters.integer("layer")? {
        0 => Err(RegistryError::IllegalCombination {
            id: id.to_string(),
            reason: "`layer=0` is no hidden representation: they count from 1, or back from −1".to_string(),
        }),
        layer => Ok(layer),
    }
}

/// The representation that [`LAYER`] names.
///
/// # Errors
/// The network has none such: undefined.
pub(crate) fn chosen(network: &Network, layer: i64) -> Result<Representation, MeasureError> {
    let mut all = hidden(network);
    let count = all.len() as i64;
    let position = if layer < 0 { count + layer } else { layer - 1 };
    if (0..count).contains(&position) {
        return Ok(all.swap_remove(position as usize));
    }
    MeasureError::undefined(format!(
        "the network has {count} hidden representations, none of them is `layer={layer}`"
    ))
}
