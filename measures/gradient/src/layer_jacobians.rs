//! Jacobians of the logits with respect to every layer's input.

use pgdl_measure::network::{Graph, Mode, Source, vector_jacobian};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

/// Mean squared entry of ∂f / ∂h_ℓ for each of the first `samples` samples and each layer ℓ with input h_ℓ: `[samples,
/// layers]`, f64, on the CPU.
///
/// One forward pass, then one backward pass for each class, which gives the gradients of that logit with respect to
/// the inputs of all layers at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerJacobians {
    pub samples: usize,
}

/// Samples at a time: graph, gradients of all layers and their squares in f64 are in memory together.
const BATCH: i64 = 64;

impl Quantity for LayerJacobians {
    type Value = Vec<Vec<f64>>;

    fn name(&self) -> String {
        format!("layer_jacobians samples={}", self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<Vec<f64>>, MeasureError> {
        let mut rows = Vec::new();
        for batch in probe.batches_of(self.samples).at_most(BATCH) {
            let batch = batch?;
            let squares = batch_squares(probe, &batch.inputs)?;
            let sizes = input_sizes(probe);
            for sample in 0..batch.len() as usize {
                let row = squares
                    .iter()
                    .zip(&sizes)
                    .map(|(layer, size)| layer[sample] / (*size as f64 * probe.classes() as f64));
                rows.push(row.collect());
            }
        }
        Ok(rows)
    }
}

/// Number of values that enter each layer, over all its inputs.
fn input_sizes(probe: &Probe) -> Vec<i64> {
    let (architecture, shapes) = (probe.network().architecture(), probe.network().shapes());
    let size = |source: &Source| match source {
        Source::Input => architecture.input_shape.iter().product::<i64>(),
        Source::Node(node) => shapes[*node].iter().product(),
    };
    architecture.nodes.iter().map(|node| node.inputs.iter().map(size).sum()).collect()
}

/// Σ over classes and entries of (∂f_c / ∂h_ℓ)², per layer and sample of a batch.
fn batch_squares(probe: &Probe, inputs: &Tensor) -> Result<Vec<Vec<f64>>, MeasureError> {
    let network = probe.network();
    let input = inputs.f_detach()?.f_set_requires_grad(true)?;
    let mut outputs = Vec::new();
    let logits = network.forward_observed(&input, Mode::Evaluate, &mut |_, output| {
        outputs.push(output.shallow_clone());
        Ok(())
    })?;
    let count = inputs.size()[0];
    probe.count_forward(count);

    // Index 0 is the network's input, index ℓ + 1 the output of node ℓ. The last node's is no layer's input.
    outputs.pop();
    outputs.insert(0, input);
    let mut squares = vec![vec![0.0; count as usize]; outputs.len()];
    let classes = probe.classes();
    for class in 0..classes {
        probe.check_deadline()?;
        let chosen = logits.f_zeros_like()?.f_detach()?;
        let _ = chosen.f_select(1, class)?.f_fill_(1.0)?;
        let graph = if class + 1 < classes { Graph::Keep } else { Graph::Free };
        for (sums, gradient) in squares.iter_mut().zip(vector_jacobian(&logits, &chosen, &outputs, graph)?) {
            let gradient = gradient.f_reshape([count, -1])?.f_to_kind(Kind::Double)?;
            let norms = Vec::<f64>::try_from(&gradient.f_square()?.f_sum_dim_intlist(1, false, None)?)?;
            sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm);
        }
        probe.count_backward(count);
    }

    let entering = |source: &Source| match source {
        Source::Input => &squares[0],
        Source::Node(node) => &squares[node + 1],
    };
    let layers = network.architecture().nodes.iter().map(|node| {
        let sum_over_inputs =
            |sample: usize| node.inputs.iter().map(|source| entering(source)[sample]).sum::<f64>();
        (0..count as usize).map(sum_over_inputs).collect()
    });
    Ok(layers.collect())
}
