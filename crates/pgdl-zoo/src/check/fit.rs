//! How well a network does on samples: the forward pass in 32-bit floats, sums in 64 bits.

use pgdl_network::{Mode, Network};
use tch::Tensor;

use super::{ACCURACY_TOLERANCE, LOGIT_TOLERANCE, LOSS_TOLERANCE};
use crate::tensor_memory::with_elements;
use crate::{Dataset, Result, ZooError};

/// A network on samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Number of samples.
    pub samples: usize,
    /// Samples whose label has the largest logit; among equal logits the first counts.
    pub correct: usize,
    /// Samples whose label leads every other class by [`LOGIT_TOLERANCE`] or more.
    pub at_least: usize,
    /// Samples whose label is behind no other class by [`LOGIT_TOLERANCE`] or more.
    pub at_most: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
}

impl Fit {
    /// The share of samples that are classified rightly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }

    /// Whether a listed accuracy can be this network's: within half a sample of a number of right answers that is
    /// possible.
    pub(super) fn agrees_with_accuracy(&self, listed: f64) -> bool {
        let samples = self.samples as f64;
        let slack = 0.5 / samples + ACCURACY_TOLERANCE;
        listed >= self.at_least as f64 / samples - slack && listed <= self.at_most as f64 / samples + slack
    }

    pub(super) fn agrees_with_loss(&self, listed: f64) -> bool {
        (listed - self.loss).abs() <= LOSS_TOLERANCE * (1.0 + self.loss.abs())
    }
}

/// Runs `network` over `data`, `batch_size` samples at a time, on the network's device.
///
/// # Errors
/// When there are no samples, or the forward pass fails or gives something else than finite logits `[N, classes]`. The
/// message names no file.
pub fn evaluate(network: &Network, data: &Dataset, batch_size: usize) -> Result<Fit> {
    if data.is_empty() {
        return Err(ZooError::Invalid("there are no samples".to_owned()));
    }
    let mut fit = Fit { samples: data.len(), correct: 0, at_least: 0, at_most: 0, loss: 0.0 };
    let labels = with_elements(&data.labels, <[i64]>::to_vec)?;
    let batch_size = batch_size.max(1);
    let mut loss = 0.0;
    for (batch, labels) in labels.chunks(batch_size).enumerate() {
        let first = batch * batch_size;
        let inputs = data.inputs.f_narrow(0, first as i64, labels.len() as i64)?;
        let logits = forward(network, &inputs)?;
        let classes = match logits.size().as_slice() {
            [rows, classes] if *rows == labels.len() as i64 && *classes > 0 => *classes as usize,
            shape => {
                return Err(ZooError::Invalid(format!("the output has shape {shape:?}, not [N, classes]")));
            }
        };
        let added = with_elements(&logits, |logits: &[f32]| {
            let mut sum = 0.0;
            for (sample, (logits, label)) in logits.chunks_exact(classes).zip(labels).enumerate() {
                match usize::try_from(*label).ok().filter(|label| *label < classes) {
                    Some(label) => sum += fit.add(logits, label).ok_or(first + sample)?,
                    None => return Err(first + sample),
                }
            }
            Ok(sum)
        })?;
        loss += added
            .map_err(|sample| ZooError::Invalid(format!("the logits of sample {sample} are not finite")))?;
    }
    fit.loss = loss / fit.samples as f64;
    Ok(fit)
}

fn forward(network: &Network, inputs: &Tensor) -> Result<Tensor> {
    let inputs = inputs.f_to_device(network.device())?.f_to_kind(network.kind())?;
    tch::no_grad(|| network.forward(&inputs, Mode::Evaluate))
        .map_err(|error| ZooError::Invalid(format!("the forward pass fails: {error}")))
}

impl Fit {
    /// Counts one sample, and answers its cross-entropy; `None` when a logit is not finite.
    fn add(&mut self, logits: &[f32], label: usize) -> Option<f64> {
        if !logits.iter().all(|logit| logit.is_finite()) {
            return None;
        }
        let own = f64::from(logits[label]);
        let mut largest_other = f64::NEG_INFINITY;
        let mut correct = true;
        for (class, logit) in logits.iter().enumerate().filter(|(class, _)| *class != label) {
            let logit = f64::from(*logit);
            largest_other = largest_other.max(logit);
            correct &= own > logit || (own == logit && label < class);
        }
        self.correct += usize::from(correct);
        self.at_least += usize::from(own - largest_other >= LOGIT_TOLERANCE);
        self.at_most += usize::from(own - largest_other > -LOGIT_TOLERANCE);
        let largest = own.max(largest_other);
        let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum();
        Some(largest + sum.ln() - own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(samples: &[(&[f32], usize)]) -> (Fit, f64) {
        let mut fit = Fit { samples: samples.len(), correct: 0, at_least: 0, at_most: 0, loss: 0.0 };
        let loss: f64 = samples.iter().map(|(logits, label)| fit.add(logits, *label).unwrap()).sum();
        fit.loss = loss / samples.len() as f64;
        (fit, fit.loss)
    }

    #[test]
    fn near_ties_count_either_way() {
        let (fit, _) = counted(&[
            (&[1.0, 0.0, 0.0], 0),
            (&[1.0, 0.0, 0.0], 1),
            (&[1.0, 1.000_001, 0.0], 0),
            (&[1.000_001, 1.0, 0.0], 0),
            (&[1.0, 1.000_001, 0.0], 2),
            (&[2.0, 2.0, 2.0], 0),
            (&[2.0, 2.0, 2.0], 1),
        ]);
        assert_eq!((fit.correct, fit.at_least, fit.at_most), (3, 1, 5));
        for possible in 1..=5 {
            assert!(fit.agrees_with_accuracy(f64::from(possible) / 7.0));
        }
        assert!(!fit.agrees_with_accuracy(0.0));
        assert!(!fit.agrees_with_accuracy(6.0 / 7.0));
    }

    #[test]
    fn cross_entropy_has_its_closed_forms_and_does_not_overflow() {
        let close = |logits: &[f32], label, expected: f64| {
            let (_, loss) = counted(&[(logits, label)]);
            assert!((loss - expected).abs() < 1e-12, "{loss} against {expected}");
        };
        close(&[0.5, 0.5, 0.5, 0.5], 2, 4f64.ln());
        close(&[0.0, 1.0], 1, (1.0 + (-1f64).exp()).ln());
        close(&[3e38, 0.0], 1, f64::from(3e38f32));
        close(&[-1000.0, 0.0], 1, 0.0);
        let mut fit = Fit { samples: 1, correct: 0, at_least: 0, at_most: 0, loss: 0.0 };
        assert_eq!(fit.add(&[0.0, f32::NAN], 0), None);
        assert_eq!(fit.add(&[f32::INFINITY, 0.0], 0), None);
    }

    #[test]
    fn half_a_sample_is_the_limit() {
        let fit = Fit { samples: 100, correct: 90, at_least: 90, at_most: 90, loss: 0.5 };
        for (listed, agrees) in
            [(0.9, true), (0.904, true), (0.896, true), (0.91, false), (0.89, false), (0.906, false)]
        {
            assert_eq!(fit.agrees_with_accuracy(listed), agrees, "{listed}");
        }
        assert!(fit.agrees_with_loss(0.500_1) && !fit.agrees_with_loss(0.500_2));
    }
}
