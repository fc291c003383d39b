//! The gradient of the training loss.

use pgdl_network::{Graph, Mode, gradients};
use tch::{Kind, Reduction, Tensor};

use crate::error::MeasureError;
use crate::probe::Probe;
use crate::quantity::Quantity;

/// The gradient of the mean cross-entropy over the whole sample with respect to the trainable parameters, in
/// evaluation mode. One forward and one backward pass; batches are summed in f64.
#[derive(Clone, Copy, Debug)]
pub struct LossGradient;

/// A tensor for each trainable parameter.
#[derive(Debug)]
pub struct Gradient {
    /// Per node, per parameter of the node: f64, of the parameter's shape; nothing where it is not trainable.
    pub tensors: Vec<Vec<Option<Tensor>>>,
}

impl Quantity for LossGradient {
    type Value = Gradient;

    fn name(&self) -> String {
        "loss_gradient".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Gradient, MeasureError> {
        let network = probe.network().trainable()?;
        let places: Vec<(usize, usize)> = network
            .parameters()
            .filter(|parameter| parameter.spec.role.trainable())
            .map(|parameter| (parameter.node, parameter.index))
            .collect();
        let weights = network.weights();
        let leaves: Vec<&Tensor> = places.iter().map(|&(node, index)| &weights[node][index]).collect();
        let mut sums: Vec<Tensor> = leaves
            .iter()
            .map(|leaf| leaf.f_detach()?.f_to_kind(Kind::Double)?.f_zeros_like())
            .collect::<Result<_, _>>()?;
        let samples = probe.sample_size() as f64;
        for batch in probe.batches() {
            let batch = batch?;
            let logits = network.forward(&batch.inputs, Mode::Evaluate)?;
            let loss =
                logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0)?;
            probe.count_forward(batch.len());
            for (sum, gradient) in sums.iter_mut().zip(gradients(&loss, &leaves, Graph::Free)?) {
                *sum = sum.f_add(&gradient.f_to_kind(Kind::Double)?)?;
            }
            probe.count_backward(batch.len());
        }
        let mut tensors: Vec<Vec<Option<Tensor>>> =
            weights.iter().map(|node| node.iter().map(|_| None).collect()).collect();
        for (&(node, index), sum) in places.iter().zip(&sums) {
            tensors[node][index] = Some(sum.f_div_scalar(samples)?);
        }
        Ok(Gradient { tensors })
    }
}
