//! What follows from the outputs alone.

use pgdl_network::{Mode, Source};
use tch::{Kind, Tensor};

use crate::error::MeasureError;
use crate::kernels::kernels;
use crate::probe::Probe;
use crate::quantity::Quantity;

/// Bytes of late representations that are kept, at most.
const ROOM: i64 = 1 << 26;

/// What one forward pass over the sample leaves: the outputs, and what it showed of the last layers, which is small in
/// most networks.
#[derive(Clone, Copy, Debug)]
pub struct Outputs;

/// The network's answers to the sample, in evaluation mode, of the network's kind, on its device.
#[derive(Debug)]
pub struct Answers {
    /// The outputs: `[n, C]`.
    pub logits: Tensor,
    /// Index of each node that is kept, with its output `[n, …]`; the logits' own is the first.
    kept: Vec<(usize, Tensor)>,
}

impl Answers {
    /// The output of a node, if it is one of [`Outputs::nodes`]: `[n, …]`.
    pub fn of_node(&self, node: usize) -> Option<&Tensor> {
        self.kept.iter().find(|(kept, _)| *kept == node).map(|(_, output)| output)
    }
}

impl Outputs {
    /// The nodes whose outputs are kept: the last, and those that enter the last two layers with weights, from the last
    /// layer backwards as far as 64 MiB reach.
    pub fn nodes(probe: &Probe) -> Vec<usize> {
        let network = probe.network();
        let mut found = vec![network.architecture().nodes.len().saturating_sub(1)];
        let mut room = ROOM / (probe.sample_size() * probe.kind().elt_size_in_bytes()) as i64;
        for kernel in kernels(network).iter().rev().take(2) {
            for source in &network.architecture().nodes[kernel.node].inputs {
                if let Source::Node(node) = *source
                    && !found.contains(&node)
                {
                    room -= network.shapes()[node].iter().product::<i64>();
                    if room < 0 {
                        return found;
                    }
                    found.push(node);
                }
            }
        }
        found
    }
}

impl Quantity for Outputs {
    type Value = Answers;

    fn name(&self) -> String {
        "outputs".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Answers, MeasureError> {
        let nodes = Self::nodes(probe);
        let mut parts: Vec<Vec<Tensor>> = nodes.iter().map(|_| Vec::new()).collect();
        for batch in probe.batches() {
            let batch = batch?;
            let _ = tch::no_grad(|| {
                probe.network().forward_observed(&batch.inputs, Mode::Evaluate, &mut |node, output| {
                    if let Some(place) = nodes.iter().position(|kept| *kept == node) {
                        parts[place].push(output.shallow_clone());
                    }
                    Ok(())
                })
            })?;
            probe.count_forward(batch.len());
        }
        let whole = |(node, parts): (usize, Vec<Tensor>)| Ok((node, Tensor::f_cat(&parts, 0)?));
        let kept = nodes.into_iter().zip(parts).map(whole).collect::<Result<Vec<_>, MeasureError>>()?;
        match kept.first() {
            Some((_, logits)) => Ok(Answers { logits: logits.shallow_clone(), kept }),
            None => MeasureError::failed("the network has no node"),
        }
    }
}

/// The network's outputs on the sample, all of them finite: `[n, C]`, of the network's kind, on its device. One forward
/// pass.
#[derive(Clone, Copy, Debug)]
pub struct Logits;

impl Quantity for Logits {
    type Value = Tensor;

    fn name(&self) -> String {
        "logits".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        let logits = probe.get(&Outputs)?.logits.shallow_clone();
        let finite = logits.f_isfinite()?.f_all_dim(1, false)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        let samples = probe.sample_size() as i64;
        if finite != samples {
            return MeasureError::undefined(format!(
                "the network's output is not finite on {} of {samples} samples",
                samples - finite
            ));
        }
        Ok(logits)
    }
}

/// Signed margins in the output, f_y − max over j ≠ y of f_j: `[n]`, f64; negative where the network errs.
#[derive(Clone, Copy, Debug)]
pub struct Margins;

impl Quantity for Margins {
    type Value = Tensor;

    fn name(&self) -> String {
        "margins".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        if probe.classes() < 2 {
            return MeasureError::undefined("a margin needs at least two classes");
        }
        let logits = probe.get(&Logits)?.f_to_kind(Kind::Double)?;
        let labels = probe.labels().f_unsqueeze(1)?;
        let own = logits.f_gather(1, &labels, false)?;
        let others = logits.f_scatter_value(1, &labels, f64::NEG_INFINITY)?.f_amax([1], true)?;
        Ok(own.f_sub(&others)?.f_squeeze_dim(1)?)
    }
}

/// Cross-entropies ln Σ_j exp f_j − f_y, in nats, one per sample: `[n]`, f64, computed in f64 from the logits.
#[derive(Clone, Copy, Debug)]
pub struct Losses;

impl Quantity for Losses {
    type Value = Tensor;

    fn name(&self) -> String {
        "losses".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        let log_probabilities = probe.get(&Logits)?.f_log_softmax(1, Kind::Double)?;
        let own = log_probabilities.f_gather(1, &probe.labels().f_unsqueeze(1)?, false)?;
        Ok(own.f_squeeze_dim(1)?.f_neg()?)
    }
}

/// Whether the largest output is the label's: `[n]`, bool. Of equal outputs the first class counts, as in Keras.
#[derive(Clone, Copy, Debug)]
pub struct Correct;

impl Quantity for Correct {
    type Value = Tensor;

    fn name(&self) -> String {
        "correct".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        correct(&*probe.get(&Logits)?, probe.labels())
    }
}

/// Whether the largest of the logits `[n, C]` is that of the label `[n]`: `[n]`, bool. Of equal outputs the first class
/// counts, as in Keras; rows with NaN are wrong.
///
/// # Errors
/// The shapes do not fit.
pub fn correct(logits: &Tensor, labels: &Tensor) -> Result<Tensor, MeasureError> {
    Ok(first_largest(logits)?.f_gather(1, &labels.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?)
}

/// The class of the largest of the logits `[…, C]`: `[…]`, i64. Of equal outputs the first class counts, as in
/// [`correct`]; rows with NaN have no class that means anything.
///
/// # Errors
/// libtorch refuses.
pub fn decisions(logits: &Tensor) -> Result<Tensor, MeasureError> {
    // One is true.
    Ok(first_largest(logits)?.f_to_kind(Kind::Int8)?.f_argmax(-1, false)?)
}

/// Where the first class is that attains the maximum: on every device, which `argmax` does not promise.
fn first_largest(logits: &Tensor) -> Result<Tensor, MeasureError> {
    let largest = logits.f_eq_tensor(&logits.f_amax([-1], true)?)?;
    Ok(largest.f_to_kind(Kind::Int8)?.f_cumsum(-1, Kind::Int64)?.f_eq(1)?.f_logical_and(&largest)?)
}

/// Share of the sample that the network classifies correctly.
#[derive(Clone, Copy, Debug)]
pub struct Accuracy;

impl Quantity for Accuracy {
    type Value = f64;

    fn name(&self) -> String {
        "accuracy".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<f64, MeasureError> {
        let correct = probe.get(&Correct)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        Ok(correct as f64 / probe.sample_size() as f64)
    }
}
