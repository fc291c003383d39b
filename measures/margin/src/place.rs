//! Places in a network where distances to the decision boundary are taken and inputs are mixed.

use pgdl_measure::network::{Mode, Network, Source};
use pgdl_measure::tch::{Tensor, no_grad};
use pgdl_measure::{MeasureError, Probe, behind_kernels, kernels};

/// A representation h of the input, through which everything that follows is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The network's input.
    Input,
    /// The output of a node.
    Node(usize),
}

/// Which places of a network, in words that hold for every architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// The network's input.
    Input,
    /// The first hidden representation.
    First,
    /// The hidden representation half-way (of two, the later).
    Middle,
    /// The last hidden representation.
    Last,
    /// The output of the first layer with weights, as it leaves that layer.
    FirstOutput,
}

impl Depth {
    /// A depth from its word: `input`, `first`, `middle` or `last`; the input for any other.
    pub fn named(word: &str) -> Self {
        match word {
            "first" => Self::First,
            "middle" => Self::Middle,
            "last" => Self::Last,
            _ => Self::Input,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::First => "first",
            Self::Middle => "middle",
            Self::Last => "last",
            Self::FirstOutput => "first_output",
        }
    }

    /// The place in `network`.
    ///
    /// # Errors
    /// The network has no such place: undefined.
    pub fn place(self, network: &Network) -> Result<Place, MeasureError> {
        if self == Self::Input {
            return Ok(Place::Input);
        }
        if self == Self::FirstOutput {
            return match kernels(network).first() {
                Some(kernel) => Ok(Place::Node(kernel.node)),
                None => MeasureError::undefined("the network has no layer with weights"),
            };
        }
        let hidden: Vec<Place> =
            places(network).into_iter().filter(|place| matches!(place, Place::Node(_))).collect();
        let index = match self {
            Self::First => Some(0),
            Self::Middle => Some(hidden.len() / 2),
            _ => hidden.len().checked_sub(1),
        };
        match index.and_then(|index| hidden.get(index)) {
            Some(place) => Ok(*place),
            None => MeasureError::undefined(
                "the network has no hidden representation between layers with weights",
            ),
        }
    }
}

impl Place {
    /// Its name: `input`, or the node's.
    pub fn name(self, network: &Network) -> String {
        match self {
            Self::Input => "input".to_string(),
            Self::Node(node) => {
                network.architecture().nodes.get(node).map_or_else(String::new, |node| node.name.clone())
            }
        }
    }

    /// The representation `[b, …]` of a batch of inputs at this place, without gradients. Where it is a hidden one, the
    /// passes up to it are counted as forward passes.
    ///
    /// # Errors
    /// The network or libtorch refuses.
    pub fn representation(self, probe: &Probe, inputs: &Tensor) -> Result<Tensor, MeasureError> {
        match self {
            Self::Input => Ok(inputs.shallow_clone()),
            Self::Node(node) => {
                let found = no_grad(|| probe.network().forward_to(node, inputs, Mode::Evaluate))?;
                probe.count_forward(inputs.size().first().copied().unwrap_or(0));
                Ok(found)
            }
        }
    }

    /// The outputs `[b, C]` for representations `[b, …]` at this place, with the graph of the representations. Counted
    /// as forward passes.
    ///
    /// # Errors
    /// The network or libtorch refuses.
    pub fn logits(self, probe: &Probe, representations: &Tensor) -> Result<Tensor, MeasureError> {
        let network = probe.network();
        let logits = match self {
            Self::Input => network.forward(representations, Mode::Evaluate)?,
            Self::Node(node) => network.forward_from(node, representations, Mode::Evaluate)?,
        };
        probe.count_forward(representations.size().first().copied().unwrap_or(0));
        Ok(logits)
    }

    /// The tensor at this place, from a leaf and the outputs of the nodes that follow.
    pub(crate) fn tensor<'a>(
        self,
        leaf: &'a Tensor,
        outputs: &'a [Tensor],
    ) -> Result<&'a Tensor, MeasureError> {
        match self {
            Self::Input => Ok(leaf),
            Self::Node(node) => outputs
                .get(node)
                .ok_or_else(|| MeasureError::Failed(format!("the network has no output of node {node}"))),
        }
    }
}

/// What enters each layer with weights, where all that follows depends on nothing else; the input first. Behind
/// normalization, activation and pooling, so that rescaling a layer rescales its representation as a whole. What stands
/// before the first of these layers, as flattening, is the input still.
pub(crate) fn places(network: &Network) -> Vec<Place> {
    let cuts = network.cut_points();
    let behind = behind_kernels(network);
    let mut found = vec![Place::Input];
    for kernel in kernels(network) {
        let [Source::Node(node)] = network.architecture().nodes[kernel.node].inputs[..] else { continue };
        let place = Place::Node(node);
        if behind[node] && cuts.binary_search(&node).is_ok() && !found.contains(&place) {
            found.push(place);
        }
    }
    found
}
