//! Short training on a part of the sample, for priors and subspaces.

use pgdl_measure::network::{Adam, Graph, Mode, Network, gradients};
use pgdl_measure::tch::{Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{MeasureError, Probe, correct};

/// Samples of a step.
const BATCH: usize = 50;

/// Epochs after which more steps gain nothing.
const EPOCHS: usize = 20;

/// Steps on this many samples: `most`, or 20 epochs if those are fewer.
pub(crate) fn steps(most: usize, samples: usize) -> usize {
    most.min((EPOCHS * samples).div_ceil(BATCH))
}

/// Minimizes the mean cross-entropy over the samples `index`, by `steps` steps of Adam from `start`; `weights` makes the
/// network's trainable parameters of the point. Batches follow random orders of the samples.
///
/// # Errors
/// Time is up, or libtorch refuses.
pub(crate) fn descend(
    probe: &Probe,
    network: &Network,
    index: &[i64],
    start: Tensor,
    (steps, rate): (usize, f64),
    weights: &dyn Fn(&Tensor) -> Result<Tensor, MeasureError>,
) -> Result<Tensor, MeasureError> {
    let mut adam = Adam::new(&start, rate)?;
    let mut point = start.f_detach()?;
    let mut random = probe.generator("batches");
    let batch = BATCH.min(index.len());
    let mut order: Vec<i64> = Vec::new();
    for step in 0..steps {
        probe.check_deadline().map_err(|error| match error {
            MeasureError::Timeout(reason) => {
                MeasureError::Timeout(format!("{reason}; after {step} of {steps} steps of training"))
            }
            other => other,
        })?;
        if order.len() < batch {
            order = random.permutation(index.len());
        }
        let chosen: Vec<i64> = order.drain(..batch).map(|at| index[at as usize]).collect();
        let rows = Tensor::f_from_slice(&chosen)?.f_to_device(probe.device())?;
        let leaf = point.f_detach_copy()?.f_set_requires_grad(true)?;
        let loss = mean_loss(probe, &network.with_trainable_vector(&weights(&leaf)?)?, &rows)?;
        let gradient = gradients(&loss, &[&leaf], Graph::Free)?.swap_remove(0);
        probe.count_backward(batch as i64);
        // A falling rate: the last steps average the noise of the batches away.
        adam.set_rate(rate * (1.0 - step as f64 / steps as f64));
        point = adam.step(&point, &gradient)?;
    }
    Ok(point)
}

/// Mean cross-entropy over the samples `rows`, with a graph.
pub(crate) fn mean_loss(probe: &Probe, network: &Network, rows: &Tensor) -> Result<Tensor, MeasureError> {
    let inputs = probe.inputs().f_index_select(0, rows)?;
    let labels = probe.labels().f_index_select(0, rows)?;
    probe.count_forward(rows.numel() as i64);
    let logits = network.forward(&inputs, Mode::Evaluate)?;
    Ok(logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)?)
}

/// Share of the samples `rows` that a network with the trainable parameters `vector` gets wrong.
pub(crate) fn error_rate(
    probe: &Probe,
    network: &Network,
    vector: &Tensor,
    rows: &Tensor,
) -> Result<f64, MeasureError> {
    let network = network.with_trainable_vector(vector)?;
    let (mut right, count, length) = (0.0, rows.numel() as i64, probe.batch_size().max(64));
    let mut start = 0;
    while start < count {
        probe.check_deadline()?;
        let part = rows.f_narrow(0, start, length.min(count - start))?;
        let inputs = probe.inputs().f_index_select(0, &part)?;
        let logits = no_grad(|| network.forward(&inputs, Mode::Evaluate))?;
        probe.count_forward(part.numel() as i64);
        let found = correct(&logits, &probe.labels().f_index_select(0, &part)?)?;
        right += found.f_sum(Kind::Double)?.f_double_value(&[])?;
        start += length;
    }
    Ok(1.0 - right / count as f64)
}
