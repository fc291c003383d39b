//! Whether a zoo is what it says: structure, checksums, finite weights, a complete grid, and the listed accuracies.

use std::collections::BTreeSet;
use std::fmt;

use pgdl_network::{Mode, Network};
use tch::{Device, Kind, Tensor};

use crate::fetch::FetchEvent;
use crate::zoo::{Metrics, Zoo};
use crate::{Dataset, Result, Split, ZooError};

/// How thorough a check is, and where it computes.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// Recompute accuracies (and losses where they are listed).
    pub recompute: bool,
    /// Where to compute.
    pub device: Device,
    /// Samples per forward pass.
    pub batch_size: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        CheckOptions { recompute: true, device: Device::Cpu, batch_size: 256 }
    }
}

/// What a check is at.
#[derive(Debug)]
pub enum CheckEvent<'a> {
    /// A public data set is being fetched.
    Data(FetchEvent<'a>),
    /// A network is done.
    Network {
        /// Its number.
        id: u64,
        /// How many are done, this one included.
        done: usize,
        /// How many there are.
        total: usize,
    },
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckReport {
    /// Every network, by number.
    pub networks: Vec<CheckedNetwork>,
    /// What is wrong; empty for a sound zoo.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// A network's metrics, as listed and as computed.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedNetwork {
    /// Its number.
    pub id: u64,
    /// As listed.
    pub listed: Option<Metrics>,
    /// As computed from its weights and the zoo's data.
    pub computed: Computed,
}

/// Metrics as computed; `None` for what was not, because there are no such samples, because the network is damaged, or
/// because it was not wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Computed {
    /// Share of training samples that are classified rightly.
    pub train_acc: Option<f64>,
    /// Share of test samples that are classified rightly.
    pub test_acc: Option<f64>,
    /// Mean cross-entropy of the training samples, in nats.
    pub train_loss: Option<f64>,
    /// Mean cross-entropy of the test samples, in nats.
    pub test_loss: Option<f64>,
}

/// Something wrong with a zoo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The network it is about, where it is about one.
    pub network: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network {
            Some(id) => write!(formatter, "network {id}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

/// An accuracy is the listed one when the same number of samples is right: nearer than half a sample, and the rounding
/// of a listed 32-bit number.
fn same_accuracy(computed: f64, listed: f64, samples: usize) -> bool {
    const ROUNDING: f64 = 1e-6;
    (computed - listed).abs() <= 0.5 / samples.max(1) as f64 + ROUNDING
}

/// A loss has no such grain. Networks trained on other hardware, with other orders of summation, differ from ours by
/// parts in ten thousand of their loss.
fn same_loss(computed: f64, listed: f64) -> bool {
    (computed - listed).abs() <= 1e-4 + 1e-3 * listed.abs()
}

/// Checks a zoo. What is wrong with it is in the report.
///
/// # Errors
/// When a public data set cannot be fetched, or the device refuses: these say nothing about the zoo.
pub fn check(
    zoo: &Zoo,
    options: &CheckOptions,
    progress: &mut dyn FnMut(CheckEvent<'_>),
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let problems = &mut report.problems;
    let mut problem = |network, message: String| problems.push(Problem { network, message });
    for grid in zoo.listing().grid_problems() {
        problem(None, grid.to_string());
    }
    let listed: BTreeSet<u64> = zoo.networks().iter().map(|network| network.id).collect();
    let folders: BTreeSet<u64> = zoo.model_folders()?.into_iter().collect();
    for id in folders.difference(&listed) {
        problem(Some(*id), "it has a folder, but is not listed".into());
    }
    if folders.is_empty() {
        problem(None, "no network has a folder: the zoo holds listings only".into());
    }
    let mut data = |split: Split, problems: &mut dyn FnMut(Option<u64>, String)| -> Result<Option<Dataset>> {
        if split == Split::Test && !zoo.has_test_data() {
            return Ok(None);
        }
        match zoo.data(split, &mut |event| progress(CheckEvent::Data(event))) {
            Ok(data) => Ok(Some(data)),
            Err(error @ (ZooError::Fetch { .. } | ZooError::Torch(_))) => Err(error),
            Err(error) => {
                problems(None, format!("{split} data: {error}"));
                Ok(None)
            }
        }
    };
    // Read in any case: that verifies the shards' checksums.
    let train = data(Split::Train, &mut problem)?;
    let test = data(Split::Test, &mut problem)?;
    let total = zoo.networks().len();
    for (position, entry) in zoo.networks().iter().enumerate() {
        let mut computed = Computed::default();
        if folders.contains(&entry.id) {
            match zoo.load(entry.id) {
                Ok(network) => {
                    computed =
                        examine(&network, train.as_ref(), test.as_ref(), options).unwrap_or_else(|error| {
                            problem(Some(entry.id), error.to_string());
                            Computed::default()
                        });
                }
                Err(error) => problem(Some(entry.id), error.to_string()),
            }
            if let Err(error) = zoo.load_initial(entry.id) {
                problem(Some(entry.id), error.to_string());
            }
        } else if !folders.is_empty() {
            problem(Some(entry.id), "it is listed, but has no folder".into());
        }
        if entry.metrics.is_none() {
            problem(Some(entry.id), "its accuracies are not listed".into());
        }
        if let Some(listed) = entry.metrics {
            let sizes = [&train, &test].map(|data| data.as_ref().map_or(0, Dataset::len));
            for message in differences(&listed, &computed, sizes) {
                problem(Some(entry.id), message);
            }
        }
        report.networks.push(CheckedNetwork { id: entry.id, listed: entry.metrics, computed });
        progress(CheckEvent::Network { id: entry.id, done: position + 1, total });
    }
    Ok(report)
}

fn differences(listed: &Metrics, computed: &Computed, [train, test]: [usize; 2]) -> Vec<String> {
    let accuracies = [
        ("train_acc", computed.train_acc, listed.train_acc, train),
        ("test_acc", computed.test_acc, listed.test_acc, test),
    ];
    let losses = [
        ("train_loss", computed.train_loss, listed.train_loss),
        ("test_loss", computed.test_loss, listed.test_loss),
    ];
    let mut messages = Vec::new();
    for (name, computed, listed, samples) in accuracies {
        if let Some(computed) = computed
            && !same_accuracy(computed, listed, samples)
        {
            let wrong = ((computed - listed).abs() * samples as f64).round();
            messages.push(format!(
                "{name} is {computed} (listed: {listed}; {wrong} of {samples} samples differ)"
            ));
        }
    }
    for (name, computed, listed) in losses {
        if let (Some(computed), Some(listed)) = (computed, listed)
            && !same_loss(computed, listed)
        {
            messages.push(format!("{name} is {computed} (listed: {listed})"));
        }
    }
    messages
}

/// Checks that the network fits the data, and computes its metrics where that is wanted.
fn examine(
    network: &Network,
    train: Option<&Dataset>,
    test: Option<&Dataset>,
    options: &CheckOptions,
) -> Result<Computed> {
    let architecture = network.architecture();
    let failed = |source| ZooError::network("network", source);
    let classes = architecture.classes().map_err(failed)?;
    for data in train.iter().chain(&test) {
        data.check_fits(&architecture.input_shape, classes)?;
    }
    let mut computed = Computed::default();
    if options.recompute {
        let network = network.to_device(options.device).map_err(failed)?;
        if let Some(train) = train {
            let (accuracy, loss) = evaluate(&network, train, options.batch_size)?;
            (computed.train_acc, computed.train_loss) = (Some(accuracy), Some(loss));
        }
        if let Some(test) = test {
            let (accuracy, loss) = evaluate(&network, test, options.batch_size)?;
            (computed.test_acc, computed.test_loss) = (Some(accuracy), Some(loss));
        }
    }
    Ok(computed)
}

/// Accuracy and mean cross-entropy (in nats) of a network on its own device; sums in 64 bits.
pub fn evaluate(network: &Network, data: &Dataset, batch_size: usize) -> Result<(f64, f64)> {
    let samples = data.len() as i64;
    if samples == 0 || batch_size == 0 {
        return Err(ZooError::Invalid("accuracy needs samples".into()));
    }
    let (mut right, mut loss) = (0_i64, 0.0);
    tch::no_grad(|| -> Result<()> {
        for start in (0..samples).step_by(batch_size) {
            let count = (samples - start).min(batch_size as i64);
            let part = |tensor: &Tensor| tensor.f_narrow(0, start, count)?.f_to_device(network.device());
            let (inputs, labels) = (part(&data.inputs)?, part(&data.labels)?);
            let logits = network
                .forward(&inputs.f_to_kind(network.kind())?, Mode::Evaluate)
                .map_err(|source| ZooError::network("forward pass", source))?
                .f_to_kind(Kind::Double)?;
            right +=
                logits.f_argmax(1, false)?.f_eq_tensor(&labels)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
            let logs = logits.f_log_softmax(1, Kind::Double)?;
            loss -=
                logs.f_gather(1, &labels.f_unsqueeze(1)?, false)?.f_sum(Kind::Double)?.f_double_value(&[])?;
        }
        Ok(())
    })?;
    Ok((right as f64 / samples as f64, loss / samples as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracies_agree_when_the_same_samples_are_right() {
        assert!(same_accuracy(0.875, 0.875, 200));
        assert!(same_accuracy(0.732_891_7, 0.732_891_73, 10_000));
        assert!(!same_accuracy(0.875, 0.88, 200));
        assert!(!same_accuracy(0.7329, 0.7330, 10_000));
    }
}
