//! How a changed network does on the sample.

use pgdl_measure::network::{Mode, Network};
use pgdl_measure::tch::{Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{
    MeasureError, ParameterInfo, ParameterKind, Parameters, Probe, Quantity, RegistryError, correct,
};

/// Number of samples, the first ones.
pub(crate) const SAMPLES: ParameterInfo = ParameterInfo {
    name: "samples",
    kind: ParameterKind::Integer { default: 1000, min: 1, max: i64::MAX },
    doc: "number m of samples, the first ones; all when there are fewer",
};

/// Reads [`SAMPLES`].
pub(crate) fn samples(parameters: &Parameters) -> Result<usize, RegistryError> {
    Ok(usize::try_from(parameters.integer("samples")?).unwrap_or(usize::MAX))
}

/// Accuracy, the number of right answers, and mean cross-entropy, in nats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub accuracy: f64,
    pub right: usize,
    pub loss: f64,
}

/// m, or all when there are fewer.
pub(crate) fn count(probe: &Probe, samples: usize) -> usize {
    probe.labels().numel().min(samples)
}

/// How many of `count` samples an accuracy may lose that falls by no more than `drop`: whole numbers, as shares of samples
/// are rounded.
pub(crate) fn most_lost(drop: f64, count: usize) -> usize {
    (drop * count as f64 + 1e-9).floor() as usize
}

/// Right answers to a batch. An output that is not finite is wrong.
fn right(logits: &Tensor, labels: &Tensor) -> Result<usize, MeasureError> {
    let finite = logits.f_isfinite()?.f_all_dim(1, false)?;
    let found = correct(logits, labels)?.f_logical_and(&finite)?;
    Ok(found.f_sum(Kind::Int64)?.f_int64_value(&[])?.unsigned_abs() as usize)
}

/// Whether a network has at least `least` right answers on the first samples. Ends at the batch that decides it.
pub(crate) fn has_right(
    probe: &Probe,
    network: &Network,
    samples: usize,
    least: usize,
) -> Result<bool, MeasureError> {
    let mut left = count(probe, samples);
    let mut found = 0;
    for batch in probe.batches_of(samples) {
        let batch = batch?;
        let logits = no_grad(|| network.forward(&batch.inputs, Mode::Evaluate))?;
        probe.count_forward(batch.len());
        found += right(&logits, &batch.labels)?;
        left = left.saturating_sub(batch.len().unsigned_abs() as usize);
        if found + left < least {
            return Ok(false);
        }
    }
    Ok(found >= least)
}

/// A network on the first samples. An output that is not finite is wrong, and the loss is not finite with it.
pub(crate) fn fit(probe: &Probe, network: &Network, samples: usize) -> Result<Fit, MeasureError> {
    let (mut all_right, mut loss, mut count) = (0, 0.0, 0.0);
    for batch in probe.batches_of(samples) {
        let batch = batch?;
        let logits = no_grad(|| network.forward(&batch.inputs, Mode::Evaluate))?.f_to_kind(Kind::Double)?;
        probe.count_forward(batch.len());
        all_right += right(&logits, &batch.labels)?;
        loss += logits
            .f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0)?
            .f_double_value(&[])?;
        count += batch.len() as f64;
    }
    Ok(Fit { accuracy: all_right as f64 / count, right: all_right, loss: loss / count })
}

/// The network as it is, BatchNormalization folded, on the first samples. m/n F.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WholeFit {
    /// m, or all when there are fewer.
    pub samples: usize,
}

impl Quantity for WholeFit {
    type Value = Fit;

    fn name(&self) -> String {
        format!("whole_fit samples={}", self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Fit, MeasureError> {
        fit(probe, &*probe.folded()?, self.samples)
    }
}
