//! Products of a loss's Hessian with vectors, by differentiating twice.

use tch::Tensor;

use crate::error::Result;
use crate::gradient::{Graph, gradients};
use crate::network::Network;

/// Gradient and Hessian products of a loss in the trainable parameters.
#[derive(Debug)]
pub struct SecondOrder {
    /// ∇L, `[P]`.
    pub gradient: Tensor,
    /// H vᵢ for each vector, `[P]`.
    pub products: Vec<Tensor>,
}

/// ∇L and H vᵢ of `loss` at the network's trainable parameters, exact to rounding (Pearlmutter 1994).
///
/// `loss` gives one number for a network whose parameters are views of one vector; `vectors` are `[P]` of the
/// network's kind. The forward pass and the first backward pass are shared: k products take 1 forward and 1 + k
/// backward passes, of which the k are twice as long. Where the loss is piecewise linear in the parameters, H is zero.
///
/// # Errors
/// The loss depends on no parameter, shapes differ, or libtorch refuses.
pub fn hessian_products(
    network: &Network,
    loss: impl FnOnce(&Network) -> Result<Tensor>,
    vectors: &[Tensor],
) -> Result<SecondOrder> {
    let point = network.trainable_vector()?.f_set_requires_grad(true)?;
    let loss = loss(&network.with_trainable_vector(&point)?)?;
    let graph = if vectors.is_empty() { Graph::Free } else { Graph::Differentiable };
    let gradient = gradients(&loss, &[&point], graph)?.swap_remove(0);
    let products = vectors
        .iter()
        .map(|vector| {
            if !gradient.requires_grad() {
                return Ok(vector.f_zeros_like()?);
            }
            let along = gradient.f_mul(&vector.f_detach()?)?.f_sum(None)?;
            Ok(gradients(&along, &[&point], Graph::Keep)?.swap_remove(0).f_detach()?)
        })
        .collect::<Result<_>>()?;
    Ok(SecondOrder { gradient: gradient.f_detach()?, products })
}
