//! First derivatives, one sample or one layer at a time.

use pgdl_measure::network::{Graph, Mode, Network, Source, gradients, vector_jacobian};
use pgdl_measure::tch::{Kind, Reduction, Tensor};
use pgdl_measure::{Batch, MeasureError, Measured, Probe};

use crate::Found;

/// The gradient of each of the first `samples` samples' cross-entropy in all trainable parameters, `[P]`, one sample after
/// the other.
pub fn each_gradient(
    probe: &Probe,
    samples: usize,
    take: &mut dyn FnMut(i64, &Tensor) -> Result<(), MeasureError>,
) -> Result<(), MeasureError> {
    let network = probe.folded()?;
    let point = network.trainable_vector()?.f_set_requires_grad(true)?;
    let network = network.with_trainable_vector(&point)?;
    for sample in probe.batches_of(samples).at_most(1) {
        let sample = sample?;
        take(sample.start, &gradient(probe, &network, &point, &sample)?)?;
    }
    Ok(())
}

fn gradient(probe: &Probe, network: &Network, point: &Tensor, batch: &Batch) -> Result<Tensor, MeasureError> {
    let logits = network.forward(&batch.inputs, Mode::Evaluate)?;
    let loss = logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0)?;
    let gradient = gradients(&loss, &[point], Graph::Free)?.swap_remove(0);
    probe.count_forward(batch.len());
    probe.count_backward(batch.len());
    Ok(gradient)
}

/// E‖gᵢ − ḡ‖², which is the variance of batches of one sample.
pub fn noise_one_by_one(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let (mut sum, mut squares, mut count) = (None::<Tensor>, 0.0, 0.0);
    each_gradient(probe, 1000, &mut |_, gradient| {
        let gradient = gradient.f_to_kind(Kind::Double)?;
        squares += gradient.f_dot(&gradient)?.f_double_value(&[])?;
        count += 1.0;
        sum = Some(match sum.take() {
            Some(sum) => sum.f_add(&gradient)?,
            None => gradient,
        });
        Ok(())
    })?;
    let Some(sum) = sum else { return MeasureError::undefined("there is no sample") };
    let square_of_mean = sum.f_dot(&sum)?.f_double_value(&[])? / (count * count);
    Ok(Found::exact(squares / count - square_of_mean))
}

/// The competition's Jacobian baseline with backward passes for each layer by itself.
pub fn jacobians_layer_by_layer(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let network = probe.network();
    let nodes = &network.architecture().nodes;
    let (mut sum, mut count) = (0.0, 0.0);
    for batch in probe.batches_of(512).at_most(16) {
        let batch = batch?;
        let input = batch.inputs.f_detach()?.f_set_requires_grad(true)?;
        let mut outputs = Vec::new();
        let logits = network.forward_observed(&input, Mode::Evaluate, &mut |_, output| {
            outputs.push(output.shallow_clone());
            Ok(())
        })?;
        probe.count_forward(batch.len());
        for node in nodes {
            for class in 0..probe.classes() {
                let chosen = logits.f_zeros_like()?.f_detach()?;
                let _ = chosen.f_select(1, class)?.f_fill_(1.0)?;
                let entries: Vec<&Tensor> = node
                    .inputs
                    .iter()
                    .map(|source| match *source {
                        Source::Input => &input,
                        Source::Node(before) => &outputs[before],
                    })
                    .collect();
                let found = vector_jacobian(&logits, &chosen, &entries, Graph::Keep)?;
                probe.count_backward(batch.len());
                let size: usize = entries.iter().map(|entry| entry.numel()).sum();
                let squares = found.iter().map(|part| {
                    Ok(part.f_to_kind(Kind::Double)?.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?)
                });
                let squares: f64 = squares.collect::<Result<Vec<f64>, MeasureError>>()?.iter().sum();
                // size counts the batch's samples too, and so does the mean over them.
                sum += squares / size as f64 * batch.len() as f64;
            }
        }
        count += batch.len() as f64;
    }
    Ok(Found::exact(sum / (count * (nodes.len() as f64) * probe.classes() as f64)))
}
