//! A run of an experiment: its settings, its seed, its journal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tch::Device;

use crate::error::{ExperimentError, Result};
use crate::experiment::Experiment;
use crate::journal::{Header, Journal};
use crate::outcome::Outcome;

/// The name of the journal in a run's folder.
const JOURNAL: &str = "journal.jsonl";

/// How an experiment is to be run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The quick setting instead of the full one.
    pub quick: bool,
    /// The run's seed.
    pub seed: u64,
    /// Threads of libtorch.
    pub threads: u32,
    /// Where to compute.
    pub device: Device,
    /// The folder for journal, tables and figures. Made if it is not there.
    pub output: PathBuf,
    /// The experiment's own options, as given.
    pub options: BTreeMap<String, String>,
}

/// What happens in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// Something to tell the user.
    Note(&'a str),
    /// A cell begins; those in the journal are told of too.
    Cell {
        /// Its key.
        cell: &'a str,
        /// How many cells were asked for before it.
        done: usize,
        /// How many there are in all, where the experiment said so.
        total: Option<usize>,
    },
}

/// A run of an experiment.
pub struct Run<'a> {
    settings: &'a Settings,
    name: &'static str,
    journal: Journal,
    asked: usize,
    total: Option<usize>,
    stop: &'a AtomicBool,
    observe: &'a mut dyn FnMut(Event<'_>),
}

impl Settings {
    /// `quick` or `full`.
    pub fn name(&self) -> &'static str {
        if self.quick { "quick" } else { "full" }
    }

    /// An option of the experiment, if it was given.
    ///
    /// # Errors
    /// Its value is not of the kind.
    pub fn option<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.options.get(name) else { return Ok(None) };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|error| ExperimentError::option(name, format!("{text}: {error}")))
    }

    /// An option that is a list, `a,b,…`, if it was given.
    ///
    /// # Errors
    /// One of its values is not of the kind.
    pub fn list<T: FromStr>(&self, name: &str) -> Result<Option<Vec<T>>>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.options.get(name) else { return Ok(None) };
        let parse = |item: &str| {
            item.trim().parse().map_err(|error| ExperimentError::option(name, format!("{item}: {error}")))
        };
        text.split(',').map(parse).collect::<Result<Vec<T>>>().map(Some)
    }
}

/// Runs an experiment and writes its tables and figures into the output folder. When `stop` becomes true, it ends
/// after the cell in progress, or within it where the experiment looks.
///
/// # Errors
/// The options or the folder cannot be used, a cell fails, or the run is interrupted.
pub fn run(
    experiment: &dyn Experiment,
    settings: &Settings,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome> {
    let info = experiment.info();
    for name in settings.options.keys() {
        if !info.options.iter().any(|option| option.name == name) {
            return Err(ExperimentError::option(name, format!("`{}` has no such option", info.name)));
        }
    }
    std::fs::create_dir_all(&settings.output)
        .map_err(|source| ExperimentError::io(&settings.output, source))?;
    let journal = Journal::open(&settings.output.join(JOURNAL), &Header::new(info, settings))?;
    tch::set_num_threads(i32::try_from(settings.threads).unwrap_or(i32::MAX));
    let mut run = Run { settings, name: info.name, journal, asked: 0, total: None, stop, observe };
    let outcome = experiment.run(&mut run)?;
    outcome.write(info, settings, run.journal.seconds())?;
    Ok(outcome)
}

impl Run<'_> {
    /// Whether this is the quick setting.
    pub fn quick(&self) -> bool {
        self.settings.quick
    }

    /// Where to compute.
    pub fn device(&self) -> Device {
        self.settings.device
    }

    /// The run's folder: for checkpoints of long cells; tables and figures are written there at the end.
    pub fn folder(&self) -> &std::path::Path {
        &self.settings.output
    }

    /// Becomes true when the user wants to stop: for long cells that watch it themselves.
    pub fn stop(&self) -> &AtomicBool {
        self.stop
    }

    /// A seed that depends on the run's seed, the experiment and `purpose` alone.
    pub fn seed(&self, purpose: &str) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.settings.seed.to_le_bytes());
        hash.update(self.name.as_bytes());
        hash.update([0]);
        hash.update(purpose.as_bytes());
        let digest = hash.finalize();
        u64::from_le_bytes(std::array::from_fn(|place| digest[place]))
    }

    /// As [`Settings::option`].
    ///
    /// # Errors
    /// Its value is not of the kind.
    pub fn option<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        self.settings.option(name)
    }

    /// As [`Settings::list`].
    ///
    /// # Errors
    /// One of its values is not of the kind.
    pub fn list<T: FromStr>(&self, name: &str) -> Result<Option<Vec<T>>>
    where
        T::Err: std::fmt::Display,
    {
        self.settings.list(name)
    }

    /// How the experiment is run.
    pub fn settings(&self) -> &Settings {
        self.settings
    }

    /// Says how many cells there are in all.
    pub fn expect(&mut self, cells: usize) {
        self.total = Some(cells);
    }

    /// Tells the user something.
    pub fn note(&mut self, text: &str) {
        (self.observe)(Event::Note(text));
    }

    /// Time to stop? Long cells ask now and then.
    ///
    /// # Errors
    /// The user wants to stop.
    pub fn check_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(ExperimentError::Interrupted { done: self.journal.len() });
        }
        Ok(())
    }

    /// The result of a cell: from the journal, or else computed now and kept. What comes back is what the journal
    /// holds, so that a run in one go and a resumed one are the same.
    ///
    /// # Errors
    /// The computation fails, its result cannot be kept (it holds a number that is not finite), or the run is
    /// interrupted.
    pub fn cell<T: Serialize + DeserializeOwned>(
        &mut self,
        key: &str,
        compute: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        (self.observe)(Event::Cell { cell: key, done: self.asked, total: self.total });
        self.asked += 1;
        if let Some(result) = self.journal.get(key)? {
            return Ok(result);
        }
        self.check_stop()?;
        let start = Instant::now();
        let result = compute(self)?;
        let unfit = |error: serde_json::Error| ExperimentError::Cell {
            cell: key.to_owned(),
            message: format!(
                "has a result that cannot be kept, perhaps a number that is not finite: {error}"
            ),
        };
        let value = serde_json::to_value(&result).map_err(unfit)?;
        let kept = serde_json::from_value(value.clone()).map_err(unfit)?;
        self.journal.keep(key, start.elapsed().as_secs_f64(), value)?;
        Ok(kept)
    }
}
