//! Whether a zoo is what it says: its files, its grid, its data, and the accuracies it lists.
//!
//! A check does not stop at the first problem. What it finds is a list of [`Finding`]s, and a row per network.

mod fit;
mod networks;
mod samples;
mod structure;

use std::fmt;
use std::path::PathBuf;

use tch::Device;

pub use fit::{Fit, evaluate};
pub(crate) use structure::examine as examine_structure;

use crate::fetch::FetchEvent;
use crate::zoo::{Metrics, Zoo};
use crate::{Result, Split, ZooError};

/// Two logits that are closer than this may change places between one implementation of the same network and
/// another: sums of floats depend on their order.
pub const LOGIT_TOLERANCE: f64 = 1e-5;
/// What a listed accuracy may have lost in print, beside half a sample.
pub const ACCURACY_TOLERANCE: f64 = 1e-6;
/// How far a listed loss may be from the recomputed one: so much, plus so large a share of it.
pub const LOSS_TOLERANCE: f64 = 1e-4;

/// How a zoo is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Recompute accuracies and losses.
    pub accuracy: bool,
    /// Where the networks run.
    pub device: Device,
    /// Samples per forward pass.
    pub batch_size: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        CheckOptions { accuracy: true, device: Device::Cpu, batch_size: 256 }
    }
}

/// What happens during a check.
#[derive(Clone, Copy, Debug)]
pub enum CheckEvent<'a> {
    /// A public data set is looked up or fetched.
    Fetch(FetchEvent<'a>),
    /// Samples are being read.
    Reading(Split),
    /// A network is done.
    Network {
        /// Its number.
        id: u64,
        /// Networks done.
        done: usize,
        /// Networks in all.
        total: usize,
    },
}

/// Something that is wrong with a zoo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The network it concerns, where it is about one.
    pub network: Option<u64>,
    /// The file or folder, where it is in one.
    pub file: Option<PathBuf>,
    /// What is wrong: a fragment that names neither.
    pub problem: String,
}

impl Finding {
    fn new(problem: impl Into<String>) -> Finding {
        Finding { network: None, file: None, problem: problem.into() }
    }

    fn at(file: impl Into<PathBuf>, problem: impl Into<String>) -> Finding {
        Finding { network: None, file: Some(file.into()), problem: problem.into() }
    }

    fn of(self, network: u64) -> Finding {
        Finding { network: Some(network), ..self }
    }
}

impl From<&ZooError> for Finding {
    fn from(error: &ZooError) -> Self {
        let text = error.to_string();
        match error.path() {
            Some(path) => {
                let problem = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text);
                Finding::at(path, problem)
            }
            None => Finding::new(text),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(network) = self.network {
            write!(formatter, "network {network}: ")?;
        }
        if let Some(file) = &self.file {
            write!(formatter, "{}: ", file.display())?;
        }
        formatter.write_str(&self.problem)
    }
}

/// What became of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// Everything that was looked at is right.
    Ok,
    /// What was recomputed is not what is listed.
    Differs,
    /// A file is missing or damaged, or nothing could be recomputed.
    Failed,
}

impl CheckStatus {
    /// `ok`, `differs` or `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckStatus::Ok => "ok",
            CheckStatus::Differs => "differs",
            CheckStatus::Failed => "failed",
        }
    }
}

/// One network, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkCheck {
    /// Its number.
    pub id: u64,
    /// What the zoo lists.
    pub listed: Option<Metrics>,
    /// The network on the training samples, recomputed.
    pub train: Option<Fit>,
    /// The network on the test samples, recomputed.
    pub test: Option<Fit>,
    /// What became of it.
    pub status: CheckStatus,
    /// Why it is not ok.
    pub reason: Option<String>,
}

/// Everything that a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// A row per listed network, by number.
    pub networks: Vec<NetworkCheck>,
    /// What is wrong. Every network that is not ok has its findings here.
    pub findings: Vec<Finding>,
    /// What is worth knowing, and not wrong.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks a zoo: structure; every checksum of its shards; labels and input shapes against the networks; weights
/// (readable, finite, of the architecture's shapes); the grid (every combination of possible values once); and the
/// accuracies and cross-entropies of every network, recomputed in 32-bit floats, with sums in 64 bits.
///
/// A listed accuracy agrees when it is that of some number of right answers, give or take half a sample (it may be
/// rounded), where samples whose label is within [`LOGIT_TOLERANCE`] of being, or not being, the largest logit count
/// either way. A listed loss agrees within [`LOSS_TOLERANCE`].
///
/// Data are read once; one network is in memory at a time.
///
/// # Errors
/// When a public data set that the zoo names cannot be had, which says nothing about the zoo.
pub fn check(
    zoo: &Zoo,
    options: &CheckOptions,
    progress: &mut dyn FnMut(CheckEvent<'_>),
) -> Result<CheckReport> {
    let mut findings = structure::examine(zoo);
    let mut notes = Vec::new();
    findings.extend(zoo.listing().grid_problems().iter().map(|problem| Finding::new(problem.to_string())));
    let single = zoo.hyperparameters().iter().filter(|axis| axis.possible_values.len() == 1);
    notes.extend(single.map(|axis| format!("{} has one value only: {}", axis.name, axis.possible_values[0])));
    if zoo.hyperparameters().is_empty() {
        notes.push("the networks have no hyperparameters: there is no grid".to_owned());
    }
    if !structure::has_networks(zoo) {
        let reason = "the zoo holds no files of networks".to_owned();
        let networks = zoo.networks().iter().map(|network| NetworkCheck {
            id: network.id,
            listed: network.metrics,
            train: None,
            test: None,
            status: CheckStatus::Failed,
            reason: Some(reason.clone()),
        });
        return Ok(CheckReport { networks: networks.collect(), findings, notes });
    }
    let samples = samples::read(zoo, options, &mut findings, progress)?;
    let networks = networks::examine(zoo, &samples, options, &mut findings, progress);
    let open: usize = networks
        .iter()
        .flat_map(|network| [&network.train, &network.test])
        .flatten()
        .map(|fit| fit.at_most - fit.at_least)
        .sum();
    if open > 0 {
        notes.push(format!(
            "{open} answers hang on differences of logits below {LOGIT_TOLERANCE:e}, and count either way"
        ));
    }
    Ok(CheckReport { networks, findings, notes })
}
