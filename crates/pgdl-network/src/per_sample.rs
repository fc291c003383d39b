//! Gradients of each sample by itself, in one batch.

use tch::Tensor;

use crate::error::{NetworkError, Result};
use crate::gradient::{Graph, gradients};
use crate::network::Network;

/// The outputs of a batch, and what each sample's own loss asks of the parameters.
#[derive(Debug)]
pub struct PerSample {
    /// Outputs, `[b, C]`.
    pub outputs: Tensor,
    /// ∇ of sample i's loss in the trainable parameters ([`Network::trainable_vector`]), `[b, P]`.
    pub gradients: Tensor,
}

/// The gradient of each sample's loss in the trainable parameters, in evaluation mode: each sample runs through a copy of
/// the network of its own ([`Network::forward_copies`]), so that one forward and one backward pass give all rows. Takes
/// b · P numbers of memory a few times over.
///
/// `losses` makes `[b]` from the outputs `[b, C]`; row i must depend on output i alone.
///
/// # Errors
/// The loss depends on no parameter, shapes differ, or libtorch refuses.
pub fn per_sample_gradients(
    network: &Network,
    inputs: &Tensor,
    losses: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<PerSample> {
    let batch = inputs.size().first().copied().unwrap_or(0);
    if batch == 0 {
        return Err(NetworkError::Input("a batch of no samples has no gradients".into()));
    }
    let vector = network.trainable_vector()?;
    let copies =
        vector.f_unsqueeze(0)?.f_expand([batch, -1], false)?.f_detach()?.f_set_requires_grad(true)?;
    let outputs = network.forward_copies(&copies, &inputs.f_unsqueeze(1)?)?.f_squeeze_dim(1)?;
    let losses = losses(&outputs)?;
    let gradients = gradients(&losses.f_sum(None)?, &[&copies], Graph::Free)?.swap_remove(0);
    Ok(PerSample { outputs: outputs.f_detach()?, gradients: gradients.f_detach()? })
}
