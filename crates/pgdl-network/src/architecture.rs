//! A network's graph of layers, without its weights.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::error::{NetworkError, Result};
use crate::layer::{Activation, Layer};
use crate::parameters::ParameterSpec;
use crate::shape::checked_elements;

/// Where a node's input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The network's input.
    Input,
    /// The output of an earlier node.
    Node(usize),
}

/// One layer in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name, unique in the network.
    pub name: String,
    /// What it does.
    pub layer: Layer,
    /// What it reads.
    pub inputs: Vec<Source>,
}

/// A graph of layers with one input and one output, which is that of the last node.
///
/// Fields are public for reading; an architecture that was put together by hand is checked where it is
/// used ([`shapes`](Self::shapes) and all that follows from them).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The input's shape without the batch axis: `[H, W, C]` for images.
    pub input_shape: Vec<i64>,
    /// The layers, each after those it reads.
    pub nodes: Vec<Node>,
    /// Whether a final softmax was taken off, so that outputs are logits.
    pub stripped_softmax: bool,
}

impl Architecture {
    /// A chain of layers, named as Keras names them (`conv2d`, `conv2d_1`, `dense`, …).
    pub fn sequential(input_shape: Vec<i64>, layers: Vec<Layer>) -> Result<Self> {
        let mut seen: HashMap<&'static str, usize> = HashMap::new();
        let nodes = layers
            .into_iter()
            .enumerate()
            .map(|(i, layer)| {
                let count = seen.entry(layer.kind()).or_insert(0);
                let base = snake_case(layer.kind());
                let name = if *count == 0 { base } else { format!("{base}_{count}") };
                *count += 1;
                let source = if i == 0 { Source::Input } else { Source::Node(i - 1) };
                Node { name, layer, inputs: vec![source] }
            })
            .collect();
        Self::graph(input_shape, nodes)
    }

    /// Any graph of layers. Checks that it is one network and that all shapes fit.
    pub fn graph(input_shape: Vec<i64>, nodes: Vec<Node>) -> Result<Self> {
        let architecture = Self { input_shape, nodes, stripped_softmax: false };
        architecture.parameter_specs()?;
        Ok(architecture)
    }

    /// Takes a final softmax off, where there is one, so that outputs are logits.
    pub fn strip_softmax(mut self) -> Self {
        let Some(last) = self.nodes.pop() else { return self };
        if last.layer.activation() != Some(Activation::Softmax) {
            self.nodes.push(last);
            return self;
        }
        match last.layer.with_fused_activation(Activation::Linear) {
            Some(layer) => self.nodes.push(Node { layer, ..last }),
            // Only the last node can read the one before it, so that one is the output now.
            None if !self.nodes.is_empty() => {}
            None => self.nodes.push(Node { layer: Layer::Activation(Activation::Linear), ..last }),
        }
        self.stripped_softmax = true;
        self
    }

    /// Every node's output shape, without the batch axis.
    pub fn shapes(&self) -> Result<Vec<Vec<i64>>> {
        self.check_graph()?;
        let mut shapes: Vec<Vec<i64>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs = self.input_shapes(node, &shapes);
            shapes.push(node.layer.output_shape(&inputs).map_err(|error| error.at_node(&node.name))?);
        }
        Ok(shapes)
    }

    /// Every node's parameters, in Keras's weight order.
    pub fn parameter_specs(&self) -> Result<Vec<Vec<ParameterSpec>>> {
        let shapes = self.shapes()?;
        self.nodes
            .iter()
            .map(|node| {
                let inputs = self.input_shapes(node, &shapes);
                node.layer.parameters(&inputs).map_err(|error| error.at_node(&node.name))
            })
            .collect()
    }

    /// Number of values in all parameters, moving statistics included.
    pub fn parameter_count(&self) -> Result<i64> {
        self.count(|_| true)
    }

    /// Number of values in the trainable parameters.
    pub fn trainable_count(&self) -> Result<i64> {
        self.count(|spec| spec.role.trainable())
    }

    fn count(&self, select: impl Fn(&ParameterSpec) -> bool) -> Result<i64> {
        self.parameter_specs()?
            .iter()
            .flatten()
            .filter(|spec| select(spec))
            .try_fold(0i64, |total, spec| total.checked_add(spec.shape.iter().product()))
            .ok_or_else(|| NetworkError::Graph("the number of parameters overflows".into()))
    }

    /// Whether every node reads its predecessor alone.
    pub fn is_sequential(&self) -> bool {
        self.nodes.iter().enumerate().all(|(i, node)| {
            let expected = if i == 0 { Source::Input } else { Source::Node(i - 1) };
            node.inputs == [expected]
        })
    }

    /// Whether the outputs, in evaluation mode, are piecewise affine in each parameter and each input by itself.
    pub fn is_piecewise_affine(&self) -> bool {
        self.nodes.iter().all(|node| match &node.layer {
            Layer::LayerNormalization { .. } => false,
            layer => layer.activation().is_none_or(Activation::is_piecewise_affine),
        })
    }

    /// Number of outputs per sample. Fails where the output is not a vector.
    pub fn classes(&self) -> Result<i64> {
        match self.shapes()?.last().map(Vec::as_slice) {
            Some([classes]) => Ok(*classes),
            other => Err(NetworkError::Graph(format!(
                "the output must be one vector per sample, but has shape {other:?}"
            ))),
        }
    }

    /// Nodes whose output is all that later nodes read, directly or not: the network can be cut there.
    /// The last node is one.
    pub fn cut_points(&self) -> Vec<usize> {
        // earliest[i]: the earliest source that any node from i on reads; the input counts as −1.
        let mut cuts = Vec::new();
        let mut earliest = i64::MAX;
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if earliest >= i as i64 {
                cuts.push(i);
            }
            for source in &node.inputs {
                let at = match source {
                    Source::Input => -1,
                    Source::Node(j) => *j as i64,
                };
                earliest = earliest.min(at);
            }
        }
        cuts.reverse();
        cuts
    }

    /// The shapes of a node's inputs, given those of all earlier nodes.
    pub(crate) fn input_shapes(&self, node: &Node, shapes: &[Vec<i64>]) -> Vec<Vec<i64>> {
        node.inputs
            .iter()
            .map(|source| match source {
                Source::Input => self.input_shape.clone(),
                Source::Node(j) => shapes[*j].clone(),
            })
            .collect()
    }

    fn check_graph(&self) -> Result<()> {
        checked_elements("Input", &self.input_shape)?;
        if self.input_shape.is_empty() {
            return Err(NetworkError::Graph("the input has no axis beside the batch".into()));
        }
        if self.nodes.is_empty() {
            return Err(NetworkError::Graph("there is no layer".into()));
        }
        let mut names = HashSet::new();
        let mut read = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            if !names.insert(node.name.as_str()) {
                return Err(NetworkError::Graph(format!("two layers are named `{}`", node.name)));
            }
            if node.inputs.is_empty() {
                return Err(NetworkError::Graph(format!("layer `{}` has no input", node.name)));
            }
            for source in &node.inputs {
                match *source {
                    Source::Input => {}
                    Source::Node(j) if j < i => read[j] = true,
                    Source::Node(j) => {
                        return Err(NetworkError::Graph(format!(
                            "layer `{}` (node {i}) reads node {j}, which does not come before it",
                            node.name
                        )));
                    }
                }
            }
        }
        let unread = read.iter().take(self.nodes.len() - 1).position(|read| !read);
        match unread {
            Some(i) => {
                let name = &self.nodes[i].name;
                Err(NetworkError::Graph(format!("nothing reads layer `{name}`, and it is not the last")))
            }
            None => Ok(()),
        }
    }
}

/// Keras's default name of a class: `GlobalAveragePooling2D` → `global_average_pooling2d`.
fn snake_case(class: &str) -> String {
    let characters: Vec<char> = class.chars().collect();
    let mut name = String::with_capacity(class.len() + 4);
    for (i, &c) in characters.iter().enumerate() {
        let lower =
            |j: Option<usize>| j.and_then(|j| characters.get(j)).is_some_and(char::is_ascii_lowercase);
        let begins_word = i > 0 && c.is_ascii_uppercase() && (lower(i.checked_sub(1)) || lower(Some(i + 1)));
        if begins_word {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_are_those_of_keras() {
        let expected = [
            ("Conv2D", "conv2d"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("BatchNormalization", "batch_normalization"),
            ("PReLU", "p_re_lu"),
            ("Dense", "dense"),
        ];
        for (class, name) in expected {
            assert_eq!(snake_case(class), name);
        }
    }
}
