//! One network after the other: its files, whether it fits the data, and how well it does.

use super::fit::{Fit, evaluate};
use super::samples::Samples;
use super::{CheckEvent, CheckOptions, CheckStatus, Finding, NetworkCheck};
use crate::zoo::WEIGHTS;
use crate::{Metrics, NetworkEntry, Split, Zoo, ZooError};

/// Examines every listed network. What `findings` has against it already counts.
pub(super) fn examine(
    zoo: &Zoo,
    samples: &Samples,
    options: &CheckOptions,
    findings: &mut Vec<Finding>,
    progress: &mut dyn FnMut(CheckEvent<'_>),
) -> Vec<NetworkCheck> {
    let total = zoo.networks().len();
    let mut interface = None;
    let mut rows = Vec::with_capacity(total);
    for entry in zoo.networks() {
        let mut examination = Examination::new(zoo, entry);
        for finding in findings.iter().filter(|finding| finding.network == Some(entry.id)) {
            examination.reason(CheckStatus::Failed, in_a_row(finding));
        }
        examination.run(samples, options, &mut interface);
        let (row, found) = examination.finish();
        rows.push(row);
        findings.extend(found);
        progress(CheckEvent::Network { id: entry.id, done: rows.len(), total });
    }
    rows
}

/// A finding as a network's row tells it: with the file's name, without its folders.
fn in_a_row(finding: &Finding) -> String {
    match finding.file.as_ref().and_then(|file| file.file_name()) {
        Some(name) => format!("{}: {}", name.to_string_lossy(), finding.problem),
        None => finding.problem.clone(),
    }
}

/// What all networks of a zoo share: the shape of an input, and the number of classes.
#[derive(Clone, PartialEq)]
struct Interface {
    input_shape: Vec<i64>,
    classes: i64,
}

struct Examination<'z> {
    zoo: &'z Zoo,
    entry: &'z NetworkEntry,
    row: NetworkCheck,
    findings: Vec<Finding>,
}

impl<'z> Examination<'z> {
    fn new(zoo: &'z Zoo, entry: &'z NetworkEntry) -> Self {
        let row = NetworkCheck {
            id: entry.id,
            listed: entry.metrics,
            train: None,
            test: None,
            status: CheckStatus::Ok,
            reason: None,
        };
        Examination { zoo, entry, row, findings: Vec::new() }
    }

    fn finish(self) -> (NetworkCheck, Vec<Finding>) {
        (self.row, self.findings)
    }

    /// Notes a problem; the first of the gravest is the row's reason.
    fn note(&mut self, status: CheckStatus, finding: Finding) {
        self.reason(status, in_a_row(&finding));
        let finding = finding.of(self.entry.id);
        // Initial and final weights share a configuration, and what is wrong with it.
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn reason(&mut self, status: CheckStatus, reason: String) {
        let graver = status == CheckStatus::Failed && self.row.status == CheckStatus::Differs;
        if self.row.status == CheckStatus::Ok || graver {
            self.row.status = status;
            self.row.reason = Some(reason);
        }
    }

    fn failed(&mut self, error: &ZooError) {
        self.note(CheckStatus::Failed, Finding::from(error));
    }

    fn run(&mut self, samples: &Samples, options: &CheckOptions, interface: &mut Option<(u64, Interface)>) {
        let id = self.entry.id;
        let folder = match self.zoo.model_folder(id) {
            Ok(folder) => folder,
            // Its folders' findings say so already.
            Err(_) => return,
        };
        if let Err(error) = self.zoo.load_initial(id) {
            self.failed(&error);
        }
        let network = match self.zoo.load(id) {
            Ok(network) => network,
            Err(error) => return self.failed(&error),
        };
        let own = match network.classes() {
            Ok(classes) => Interface { input_shape: network.architecture().input_shape.clone(), classes },
            Err(source) => return self.failed(&ZooError::network(folder, source)),
        };
        match interface {
            None => *interface = Some((id, own.clone())),
            Some((first, shared)) if *shared != own => {
                let problem = format!(
                    "inputs of shape {:?} and {} classes, where network {first} has {:?} and {}",
                    own.input_shape, own.classes, shared.input_shape, shared.classes
                );
                self.note(CheckStatus::Failed, Finding::at(folder.clone(), problem));
            }
            Some(_) => {}
        }
        if self.entry.metrics.is_none() && self.zoo.listing_path().is_some() {
            self.note(CheckStatus::Differs, Finding::new("no accuracies are listed"));
        }
        let mut usable = [None, None];
        for (slot, (split, data)) in
            usable.iter_mut().zip([(Split::Train, &samples.train), (Split::Test, &samples.test)])
        {
            let Some(data) = data else { continue };
            let data = match split {
                Split::Train => self.zoo.as_trained(id, data),
                Split::Test => Ok(data.shallow_clone()),
            };
            let data = match data {
                Ok(data) => data,
                Err(error) => {
                    self.failed(&error);
                    continue;
                }
            };
            match data.check_fits(&own.input_shape, own.classes) {
                Ok(()) => *slot = Some((split, data)),
                Err(error) => {
                    self.note(CheckStatus::Failed, Finding::new(format!("{split} samples: {error}")))
                }
            }
        }
        if !options.accuracy {
            return;
        }
        if samples.train.is_none() || samples.test.is_none() {
            self.reason(
                CheckStatus::Failed,
                "there are no samples to recompute every accuracy on".to_owned(),
            );
        }
        let network = match network.to_device(options.device) {
            Ok(network) => network,
            Err(source) => return self.failed(&ZooError::network(folder, source)),
        };
        for (split, data) in usable.into_iter().flatten() {
            match evaluate(&network, &data, options.batch_size) {
                Ok(fit) => self.compare(split, fit),
                Err(error) => {
                    let finding = Finding::at(folder.join(WEIGHTS), format!("{split} samples: {error}"));
                    self.note(CheckStatus::Failed, finding);
                }
            }
        }
    }

    fn compare(&mut self, split: Split, fit: Fit) {
        let (name, listed, listed_loss) = match (split, self.entry.metrics) {
            (Split::Train, Some(Metrics { train_acc, train_loss, .. })) => {
                ("train", Some(train_acc), train_loss)
            }
            (Split::Test, Some(Metrics { test_acc, test_loss, .. })) => ("test", Some(test_acc), test_loss),
            (_, None) => (split.name(), None, None),
        };
        if let Some(listed) = listed.filter(|listed| !fit.agrees_with_accuracy(*listed)) {
            let problem = format!(
                "{name}_acc is listed as {listed} and is {} ({} of {} samples)",
                fit.accuracy(),
                fit.correct,
                fit.samples
            );
            self.note(CheckStatus::Differs, Finding::new(problem));
        }
        if let Some(listed) = listed_loss.filter(|listed| !fit.agrees_with_loss(*listed)) {
            let problem = format!("{name}_loss is listed as {listed} and is {:.6}", fit.loss);
            self.note(CheckStatus::Differs, Finding::new(problem));
        }
        match split {
            Split::Train => self.row.train = Some(fit),
            Split::Test => self.row.test = Some(fit),
        }
    }
}
