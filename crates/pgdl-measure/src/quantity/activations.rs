//! Outputs of inner layers.

use tch::Tensor;

use pgdl_network::Mode;

use crate::error::MeasureError;
use crate::probe::Probe;
use crate::quantity::Quantity;

/// The output of one node on the whole sample, in evaluation mode: `[n, …]`, of the network's kind. One forward pass.
///
/// It stays in memory as long as the probe: n times the size of the node's output.
#[derive(Clone, Copy, Debug)]
pub struct Activations {
    /// Index of the node in the architecture.
    pub node: usize,
}

impl Quantity for Activations {
    type Value = Tensor;

    fn name(&self) -> String {
        format!("activations node={}", self.node)
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        let mut parts = Vec::new();
        for batch in probe.batches() {
            let batch = batch?;
            let mut observe = |node: usize, output: &Tensor| {
                if node == self.node {
                    parts.push(output.shallow_clone());
                }
                Ok(())
            };
            let _ = tch::no_grad(|| {
                probe.network().forward_observed(&batch.inputs, Mode::Evaluate, &mut observe)
            })?;
            probe.count_forward(batch.len());
        }
        if parts.is_empty() {
            return MeasureError::failed(format!("the network has no node {}", self.node));
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}
