//! Experiments of the literature, each one command: seeded, resumable, with a quick and a full setting, a table, a
//! figure, and the published values beside the measured ones.
//!
//! An [`Experiment`] says what it is ([`ExperimentInfo`]) and is run within a [`Run`], which holds its setting, its seed
//! and a [`Journal`] of the cells that are finished: what the journal holds is not computed again. It ends in an
//! [`Outcome`], whose tables and figures [`run`] writes beside the journal.

mod data;
mod double_descent;
mod error;
mod estimate;
mod experiment;
mod finite_sample_expressivity;
mod intrinsic_dimension;
mod journal;
mod layer_robustness;
mod llc_deep_linear;
pub mod nc;
mod outcome;
mod random_labels;
mod run;

pub use error::{ExperimentError, Result};
pub use estimate::Estimate;
pub use experiment::{Experiment, ExperimentInfo, OptionInfo};
pub use journal::{Header, Journal};
pub use outcome::{NamedFigure, NamedTable, Outcome, Published};
pub use run::{Event, Run, Settings, run};

/// Every experiment, by name.
pub static EXPERIMENTS: &[&dyn Experiment] = &[
    &llc_deep_linear::LlcDeepLinear,
    &finite_sample_expressivity::FiniteSampleExpressivity,
    &random_labels::RandomLabels,
    &intrinsic_dimension::IntrinsicDimension,
    &double_descent::DoubleDescent,
    &layer_robustness::LayerRobustness,
    &nc::NcSinusoid,
    &nc::NcOutOfDistribution,
    &nc::NcClosedForm,
    &nc::NcDatasetSize,
    &nc::NcMaml,
    &nc::NcLossSurface,
    &nc::NcAblation,
    &nc::NcSingleDataset,
    &nc::NcNetworkSize,
];

/// The experiment of a name.
///
/// # Errors
/// There is none: with a name that may have been meant.
pub fn find(name: &str) -> Result<&'static dyn Experiment> {
    EXPERIMENTS.iter().copied().find(|experiment| experiment.info().name == name).ok_or_else(|| {
        let names = EXPERIMENTS.iter().map(|experiment| experiment.info().name);
        ExperimentError::Unknown {
            name: name.to_owned(),
            meant: pgdl_zoo::did_you_mean::did_you_mean(name, names).map(str::to_owned),
        }
    })
}
