//! Gradients through fallible calls.

use std::borrow::Borrow;

use tch::Tensor;

use crate::error::{NetworkError, Result};

/// What becomes of the graph that a gradient was taken through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Graph {
    /// It is freed.
    Free,
    /// It is kept, so that another gradient can be taken through it.
    Keep,
    /// It is kept, and the gradients have a graph of their own: for second derivatives.
    Differentiable,
}

/// ∂`loss` / ∂`inputs`, each of its input's shape; zero where the loss does not depend on the input.
///
/// `loss` has one value. The inputs require gradients: leaves (see
/// [`Network::trainable`](crate::Network::trainable)), or values in between.
pub fn gradients<T: Borrow<Tensor>>(loss: &Tensor, inputs: &[T], graph: Graph) -> Result<Vec<Tensor>> {
    if !loss.defined() || loss.numel() != 1 {
        return Err(NetworkError::Gradient("the loss must be one number".into()));
    }
    if !loss.requires_grad() {
        return Err(NetworkError::Gradient("the loss depends on nothing that requires gradients".into()));
    }
    if let Some(i) = inputs.iter().position(|input| !input.borrow().requires_grad()) {
        return Err(NetworkError::Gradient(format!("input {i} does not require gradients")));
    }
    if inputs.is_empty() {
        return Ok(Vec::new());
    }
    let found =
        Tensor::f_run_backward(&[loss], inputs, graph != Graph::Free, graph == Graph::Differentiable)?;
    found
        .into_iter()
        .zip(inputs)
        .map(
            |(gradient, input)| {
                if gradient.defined() { Ok(gradient) } else { Ok(input.borrow().f_zeros_like()?) }
            },
        )
        .collect()
}

/// `vector`ᵀ · ∂`outputs` / ∂`inputs`; `vector` has the shape of `outputs` and is taken as constant.
pub fn vector_jacobian<T: Borrow<Tensor>>(
    outputs: &Tensor,
    vector: &Tensor,
    inputs: &[T],
    graph: Graph,
) -> Result<Vec<Tensor>> {
    if outputs.size() != vector.size() {
        let (outputs, vector) = (outputs.size(), vector.size());
        return Err(NetworkError::Gradient(format!("outputs are {outputs:?}, but the vector is {vector:?}")));
    }
    let loss = outputs.f_mul(&vector.f_detach()?)?.f_sum(None)?;
    gradients(&loss, inputs, graph)
}
