//! What an experiment is.

use crate::error::Result;
use crate::outcome::Outcome;
use crate::run::{Run, Settings};

/// An experiment of the literature.
///
/// It is made of *cells* (a width, a seed, a method), each computed through [`Run::cell`], so that an interrupted run
/// goes on where it stopped.
pub trait Experiment: Sync {
    /// What the experiment says of itself.
    fn info(&self) -> &'static ExperimentInfo;

    /// The data sets that it needs with these settings, by their names in the catalogue.
    ///
    /// # Errors
    /// An option is not of its kind.
    fn data(&self, _settings: &Settings) -> Result<Vec<&'static str>> {
        Ok(self.info().data.to_vec())
    }

    /// Carries it out.
    ///
    /// # Errors
    /// A cell failed, or the run was interrupted.
    fn run(&self, run: &mut Run<'_>) -> Result<Outcome>;
}

/// What an experiment says of itself: all that `pgdl experiment --list` and the reports show.
#[derive(Debug)]
pub struct ExperimentInfo {
    /// Its name, snake_case.
    pub name: &'static str,
    /// One sentence.
    pub title: &'static str,
    /// Who made it first: authors, year, title.
    pub paper: &'static str,
    /// Rises when cells are computed differently: those of an earlier version are not taken over.
    pub version: u32,
    /// What the quick setting does, and how long it takes on two CPU cores.
    pub quick: &'static str,
    /// What the full setting does.
    pub full: &'static str,
    /// The data sets that it needs with default options, by their names in the catalogue.
    pub data: &'static [&'static str],
    /// Options of its own.
    pub options: &'static [OptionInfo],
}

/// An option of an experiment: `--name VALUE`.
#[derive(Clone, Copy, Debug)]
pub struct OptionInfo {
    /// Its name, kebab-case.
    pub name: &'static str,
    /// What it means, its legal values and its default.
    pub doc: &'static str,
}
