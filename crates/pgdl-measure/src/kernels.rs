//! The weight tensors W_ℓ of the formulas: convolution kernels and dense matrices, without biases and normalization.

use pgdl_network::{Layer, Network, Role, Source};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::error::MeasureError;

/// One weight tensor of a network.
#[derive(Debug)]
pub struct Kernel<'a> {
    /// The layer's name; `name/parameter` where the layer has several kernels (a separable convolution).
    pub name: String,
    /// Index of the node in the architecture.
    pub node: usize,
    /// Index among the node's parameters.
    pub index: usize,
    /// The layer.
    pub layer: &'a Layer,
    /// `Kernel`, `DepthwiseKernel` or `PointwiseKernel`.
    pub role: Role,
    /// `[kh, kw, in / groups, out]`, `[kh, kw, in, multiplier]` (depthwise) or `[in, out]`.
    pub tensor: &'a Tensor,
}

/// The weight tensors of `network`, in its order.
pub fn kernels(network: &Network) -> Vec<Kernel<'_>> {
    let weights: Vec<_> = network.parameters().filter(|parameter| parameter.spec.role.is_weight()).collect();
    let several = |node: usize| weights.iter().filter(|other| other.node == node).count() > 1;
    weights
        .iter()
        .map(|parameter| {
            let layer_name = &network.architecture().nodes[parameter.node].name;
            let name = if several(parameter.node) {
                format!("{layer_name}/{}", parameter.spec.name)
            } else {
                layer_name.clone()
            };
            Kernel {
                name,
                node: parameter.node,
                index: parameter.index,
                layer: parameter.layer,
                role: parameter.spec.role,
                tensor: parameter.tensor,
            }
        })
        .collect()
}

/// What a network is recognized by: the first 16 hexadecimal digits of the SHA-256 of its last kernel, as 32-bit numbers in
/// row-major order, little-endian. It depends on no file format, device, or kind of numbers.
///
/// # Errors
/// libtorch refuses.
pub fn digest(network: &Network) -> Result<String, MeasureError> {
    let mut hash = Sha256::new();
    if let Some(kernel) = kernels(network).last() {
        let numbers = kernel.tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
        for number in Vec::<f32>::try_from(&numbers.f_reshape([-1])?)? {
            hash.update(number.to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Of each node, whether its output is a hidden representation or behind one: whether a weight tensor has had a part in
/// it. What only reshapes, pads, drops or normalizes the input has none.
pub fn behind_kernels(network: &Network) -> Vec<bool> {
    let nodes = &network.architecture().nodes;
    let mut behind = vec![false; nodes.len()];
    for kernel in kernels(network) {
        behind[kernel.node] = true;
    }
    for (place, node) in nodes.iter().enumerate() {
        // A node reads earlier ones alone.
        let reads = |source: &Source| matches!(source, Source::Node(before) if behind[*before]);
        behind[place] = behind[place] || node.inputs.iter().any(reads);
    }
    behind
}
