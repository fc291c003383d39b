//! Networks that compute the same function with other layers.

use tch::{Kind, Tensor};

use crate::architecture::{Architecture, Node, Source};
use crate::error::Result;
use crate::layer::{Activation, Layer};
use crate::network::Network;
use crate::shape::resolve_axis;

impl Network {
    /// The same function (in evaluation) with fewer layers: each batch normalization over the last axis that
    /// alone reads the output of a `Conv2D`, `DepthwiseConv2D`, `SeparableConv2D` or `Dense` layer without an
    /// activation is multiplied into that layer, which then has a bias. Others stay. Names are kept.
    ///
    /// Products are taken in `f64` and rounded once.
    pub fn fold_batch_norm(&self) -> Result<Network> {
        let mut nodes = self.architecture().nodes.clone();
        let mut weights: Vec<Vec<Tensor>> = self
            .weights()
            .iter()
            .map(|tensors| tensors.iter().map(Tensor::shallow_clone).collect())
            .collect();
        let mut i = 0;
        while i < nodes.len() {
            let Some(linear) = self.foldable(&nodes, i) else {
                i += 1;
                continue;
            };
            let scale_shift = scale_and_shift(&nodes[i].layer, &weights[i])?;
            weights[linear] = fold(&nodes[linear].layer, &weights[linear], &scale_shift, self.kind())?;
            nodes[linear].layer = with_bias(&nodes[linear].layer);
            remove(&mut nodes, i, linear);
            weights.remove(i);
        }
        let folded = Architecture { nodes, ..self.architecture().clone() };
        Network::new(folded, weights)?.to_kind(self.kind())?.to_device(self.device())
    }

    /// The same function with each fused activation in a node of its own (`<name>_activation`), so that
    /// observers see what enters it.
    pub fn split_activations(&self) -> Result<Network> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut weights: Vec<Vec<Tensor>> = Vec::new();
        let mut place = Vec::with_capacity(self.architecture().nodes.len());
        for (node, tensors) in self.architecture().nodes.iter().zip(self.weights()) {
            let inputs = node
                .inputs
                .iter()
                .map(|source| match *source {
                    Source::Input => Source::Input,
                    Source::Node(j) => Source::Node(place[j]),
                })
                .collect();
            let fused = node.layer.activation().filter(|&activation| activation != Activation::Linear);
            let linear = node.layer.with_fused_activation(Activation::Linear);
            weights.push(tensors.iter().map(Tensor::shallow_clone).collect());
            match (fused, linear) {
                (Some(activation), Some(layer)) => {
                    nodes.push(Node { name: node.name.clone(), layer, inputs });
                    let inputs = vec![Source::Node(nodes.len() - 1)];
                    let mut name = format!("{}_activation", node.name);
                    while self.architecture().nodes.iter().any(|other| other.name == name) {
                        name.push('_');
                    }
                    nodes.push(Node { name, layer: Layer::Activation(activation), inputs });
                    weights.push(Vec::new());
                }
                _ => nodes.push(Node { inputs, ..node.clone() }),
            }
            place.push(nodes.len() - 1);
        }
        let split = Architecture { nodes, ..self.architecture().clone() };
        Network::new(split, weights)?.to_kind(self.kind())?.to_device(self.device())
    }

    /// The node that the batch normalization `i` can be folded into.
    fn foldable(&self, nodes: &[Node], i: usize) -> Option<usize> {
        let Layer::BatchNormalization { axis, .. } = nodes[i].layer else { return None };
        let [Source::Node(linear)] = *nodes[i].inputs.as_slice() else { return None };
        let layer = &nodes[linear].layer;
        let readers =
            nodes.iter().flat_map(|node| &node.inputs).filter(|s| **s == Source::Node(linear)).count();
        let is_linear = matches!(
            layer,
            Layer::Conv2d(_) | Layer::DepthwiseConv2d(_) | Layer::SeparableConv2d(_) | Layer::Dense(_)
        ) && layer.activation() == Some(Activation::Linear);
        // Names and shapes outlive the folding of earlier nodes; indices do not.
        let original = self.architecture().nodes.iter().position(|node| node.name == nodes[i].name)?;
        let rank = self.shapes()[original].len() + 1;
        let last_axis = resolve_axis(axis, rank) == Some(rank - 1);
        (is_linear && readers == 1 && last_axis).then_some(linear)
    }
}

/// The map y = scale · x + shift that a batch normalization is in evaluation, in `f64`.
fn scale_and_shift(layer: &Layer, weights: &[Tensor]) -> Result<(Tensor, Tensor)> {
    let Layer::BatchNormalization { scale, center, epsilon, .. } = layer else {
        return Err(crate::shape::layer_error(layer.kind(), "it is no batch normalization"));
    };
    let weights = weights.iter().map(|t| t.f_to_kind(Kind::Double)).collect::<Result<Vec<_>, _>>()?;
    let mut tensors = weights.iter();
    let mut next =
        || tensors.next().ok_or_else(|| crate::shape::layer_error(layer.kind(), "a tensor is missing"));
    let gamma = if *scale { Some(next()?) } else { None };
    let beta = if *center { Some(next()?) } else { None };
    let (mean, variance) = (next()?, next()?);
    let mut factor = variance.f_add_scalar(*epsilon)?.f_rsqrt()?;
    if let Some(gamma) = gamma {
        factor = factor.f_mul(gamma)?;
    }
    let mut shift = mean.f_mul(&factor)?.f_neg()?;
    if let Some(beta) = beta {
        shift = shift.f_add(beta)?;
    }
    Ok((factor, shift))
}

/// The tensors of `layer` followed by y = scale · x + shift.
fn fold(
    layer: &Layer,
    weights: &[Tensor],
    (scale, shift): &(Tensor, Tensor),
    kind: Kind,
) -> Result<Vec<Tensor>> {
    let kernels = if matches!(layer, Layer::SeparableConv2d(_)) { 2 } else { 1 };
    let mut folded: Vec<Tensor> = weights.iter().take(kernels).map(Tensor::shallow_clone).collect();
    if let Some(last) = folded.last_mut() {
        let factor = match layer {
            // The outputs of a depthwise kernel lie in its last two axes.
            Layer::DepthwiseConv2d(_) => scale.f_reshape(&last.size()[2..])?,
            _ => scale.shallow_clone(),
        };
        *last = last.f_to_kind(Kind::Double)?.f_mul(&factor)?.f_to_kind(kind)?;
    }
    let bias = match weights.get(kernels) {
        Some(bias) => bias.f_to_kind(Kind::Double)?.f_mul(scale)?.f_add(shift)?,
        None => shift.shallow_clone(),
    };
    folded.push(bias.f_to_kind(kind)?);
    Ok(folded)
}

fn with_bias(layer: &Layer) -> Layer {
    let mut layer = layer.clone();
    match &mut layer {
        Layer::Conv2d(conv) => conv.use_bias = true,
        Layer::DepthwiseConv2d(conv) => conv.use_bias = true,
        Layer::SeparableConv2d(conv) => conv.use_bias = true,
        Layer::Dense(dense) => dense.use_bias = true,
        _ => {}
    }
    layer
}

/// Removes a node; those that read it read `instead`.
fn remove(nodes: &mut Vec<Node>, i: usize, instead: usize) {
    nodes.remove(i);
    for source in nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        if let Source::Node(j) = source {
            if *j == i {
                *j = instead;
            } else if *j > i {
                *j -= 1;
            }
        }
    }
}
