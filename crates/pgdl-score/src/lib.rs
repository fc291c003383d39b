//! Agreement between a measure's ranking of networks and their true generalization gaps.
//!
//! Numbers in, numbers out: a [`Grid`] of hyperparameters, per network the true gap and a measure's value, and
//! [`score()`] gives every statistic with its interval, or the reason why it has none. Each statistic is a function of
//! its own as well:
//!
//! | function | question | source |
//! |---|---|---|
//! | [`cmi_pgdl()`] | does the measure tell more about the gap than any two hyperparameters do? as the competition's program computes it | Jiang et al. 2020 |
//! | [`cmi_pgdl_symmetric()`] | the same, each pair counted in both directions | a later variant |
//! | [`cmi_fgm()`] | the same question, as the paper defines it | Jiang et al. 2019 |
//! | [`kendall_tau_a()`], [`kendall_tau_b()`] | how many pairs of networks does the measure order rightly? | Kendall 1938, 1945; Knight 1966 |
//! | [`granulated_kendall()`] | … when one hyperparameter changes and all others are fixed? | Jiang et al. 2019 |
//! | [`sign_error()`] | how often is the order wrong, and in the worst change of a hyperparameter? | Dziugaite et al. 2020 |
//! | [`spearman()`], [`pearson()`] | rank and linear correlation | Spearman 1904; Pearson 1895 |
//! | [`cross_validated_r2()`] | how well does a line predict the gap? | Allen 1974 |
//! | [`competition_total()`] | the competition's total of a phase | Jiang et al. 2020 |
//!
//! # What holds for all
//! - Larger values predict a larger gap.
//! - A missing number (`None`, NaN) counts as "not larger" in [`cmi_pgdl()`] and [`cmi_pgdl_symmetric()`], as in the
//!   competition; everywhere else the network is left out. [`Scores::covered`] says how many have a value.
//! - Infinite numbers are ranked; [`pearson()`] and [`cross_validated_r2()`] are undefined with them.
//! - Holes in the grid and several networks at one place are allowed and reported ([`Scores::warnings`]).
//! - A seed is an axis for [`granulated_kendall()`] when the grid has seeds, and otherwise only if the caller makes it
//!   one of the grid's axes.

pub mod bootstrap;
mod cells;
mod cmi;
pub mod cmi_fgm;
pub mod cmi_pgdl;
mod cmi_together;
pub mod competition_total;
pub mod cross_validated_r2;
mod error;
pub mod granulated_kendall;
mod grid;
mod information;
pub mod kendall;
mod observations;
mod outcome;
mod paired;
pub mod pearson;
pub mod quantile;
mod scores;
pub mod sign_error;
mod sign_table;
pub mod spearman;

pub use bootstrap::{Interval, KendallIntervals, Resampling, kendall_intervals};
pub use cmi::{Cmi, ConditionedOn};
pub use cmi_fgm::cmi_fgm;
pub use cmi_pgdl::{cmi_pgdl, cmi_pgdl_symmetric};
pub use competition_total::{TaskScore, competition_total};
pub use cross_validated_r2::cross_validated_r2;
pub use error::ScoreError;
pub use granulated_kendall::{AxisKendall, GranulatedKendall, granulated_kendall};
pub use grid::{Axis, Grid, Occupancy};
pub use kendall::{KendallCounts, kendall_counts, kendall_tau_a, kendall_tau_b};
pub use observations::Observations;
pub use outcome::{Outcome, Undefined};
pub use pearson::pearson;
pub use scores::{Options, Scores, score};
pub use sign_error::{SignError, sign_error};
pub use spearman::spearman;
