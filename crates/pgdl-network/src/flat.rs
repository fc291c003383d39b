//! All trainable parameters as one vector.

use tch::Tensor;

use crate::error::{NetworkError, Result};
use crate::network::Network;

impl Network {
    /// The trainable parameters in the order of [`parameters`](Self::parameters), flattened and joined: a detached
    /// copy, `[P]`.
    pub fn trainable_vector(&self) -> Result<Tensor> {
        let parts: Vec<Tensor> = self
            .parameters()
            .filter(|parameter| parameter.spec.role.trainable())
            .map(|parameter| Ok(parameter.tensor.f_detach()?.f_reshape([-1])?))
            .collect::<Result<_>>()?;
        if parts.is_empty() {
            return Ok(Tensor::f_zeros([0], (self.kind(), self.device()))?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// The same network with the trainable parameters taken from `vector`, `[P]`, as views: gradients flow into it.
    /// Moving statistics are shared.
    pub fn with_trainable_vector(&self, vector: &Tensor) -> Result<Network> {
        let mut parts = self.split_trainable(vector, &[])?.into_iter();
        self.map_weights(|parameter| match parameter.spec.role.trainable() {
            true => parts.next().ok_or_else(|| mismatch(&vector.size(), &[])),
            false => Ok(parameter.tensor.shallow_clone()),
        })
    }

    /// Cuts `[…leading, P]` into the trainable parameters, `[…leading, …shape]` each.
    pub(crate) fn split_trainable(&self, vectors: &Tensor, leading: &[i64]) -> Result<Vec<Tensor>> {
        let shapes: Vec<&Vec<i64>> = self
            .parameters()
            .filter(|parameter| parameter.spec.role.trainable())
            .map(|parameter| &parameter.spec.shape)
            .collect();
        let counts: Vec<i64> = shapes.iter().map(|shape| shape.iter().product()).collect();
        let whole = [leading, &[counts.iter().sum()]].concat();
        if vectors.size() != whole {
            return Err(mismatch(&vectors.size(), &whole));
        }
        if shapes.is_empty() {
            return Ok(Vec::new());
        }
        let parts = vectors.f_split_with_sizes(counts, -1)?;
        let shaped = parts.iter().zip(shapes);
        shaped.map(|(part, shape)| Ok(part.f_reshape([leading, shape.as_slice()].concat())?)).collect()
    }
}

fn mismatch(found: &[i64], expected: &[i64]) -> NetworkError {
    NetworkError::Input(format!(
        "trainable parameters of shape {found:?} do not fit; {expected:?} are needed"
    ))
}
