//! All scores of one measure at once.

use crate::bootstrap::{
    Interval, KendallIntervals, Resampling, Stream, cmi_interval, granulated_kendall_mean_interval,
    kendall_intervals,
};
use crate::cmi::{Cmi, Definition};
use crate::cmi_fgm::FGM;
use crate::cmi_pgdl::{PGDL, PGDL_SYMMETRIC, gap_varies};
use crate::cmi_together::CmiTogether;
use crate::cross_validated_r2::cross_validated_r2;
use crate::error::ScoreError;
use crate::granulated_kendall::{GranulatedKendall, granulated_kendall};
use crate::grid::Grid;
use crate::kendall::kendall_counts;
use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};
use crate::pearson::pearson;
use crate::sign_error::{SignError, sign_error};
use crate::spearman::spearman;

/// What [`score`] needs to know besides the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Number of bootstrap resamples; 0 for no intervals. Default 1000.
    pub bootstrap: usize,
    /// Seed of the bootstrap. Default 0.
    pub seed: u64,
    /// Share of the resamples within an interval, between 0 and 1. Default 0.95.
    pub confidence: f64,
    /// Number of test examples behind each gap, for the weights of the sign error. Default `None`: unknown, and no
    /// sign error.
    pub test_examples: Option<u64>,
    /// Least effective sample size of an environment of the sign error, at least 0. Default 0.
    pub ess_floor: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { bootstrap: 1000, seed: 0, confidence: 0.95, test_examples: None, ess_floor: 0.0 }
    }
}

impl Options {
    fn check(&self) -> Result<(), ScoreError> {
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(ScoreError::Option {
                name: "confidence",
                found: self.confidence,
                legal: "between 0 and 1",
            });
        }
        if !(self.ess_floor >= 0.0 && self.ess_floor.is_finite()) {
            return Err(ScoreError::Option {
                name: "ess_floor",
                found: self.ess_floor,
                legal: "a finite number, at least 0",
            });
        }
        Ok(())
    }
}

/// The scores of one measure on one zoo.
///
/// Every statistic has a value or the reason why it has none; `*_ci` is `None` where no interval was asked for or
/// none exists. The value of each is defined at the function of the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Number of networks of the grid.
    pub networks: usize,
    /// How many of them have a gap and a value.
    pub covered: usize,
    /// What a reader should know about the data: missing values, holes, duplicates, a score that says nothing.
    pub warnings: Vec<String>,
    /// The competition's score, with its minimising pair and every pair's value. Uncovered networks count as −.
    pub cmi_pgdl: Outcome<Cmi>,
    /// Interval over the cells of the minimising pair.
    pub cmi_pgdl_ci: Option<Interval>,
    /// The symmetrised variant. Uncovered networks count as −.
    pub cmi_pgdl_symmetric: Outcome<Cmi>,
    /// Interval over the cells of the minimising pair.
    pub cmi_pgdl_symmetric_ci: Option<Interval>,
    /// The paper's conditional mutual information, over covered networks.
    pub cmi_fgm: Outcome<Cmi>,
    /// Interval over the cells of the minimising set.
    pub cmi_fgm_ci: Option<Interval>,
    /// Kendall's τ‑a over covered networks.
    pub kendall_tau_a: Outcome,
    /// Interval over networks.
    pub kendall_tau_a_ci: Option<Interval>,
    /// Kendall's τ‑b over covered networks.
    pub kendall_tau_b: Outcome,
    /// Interval over networks.
    pub kendall_tau_b_ci: Option<Interval>,
    /// Kendall's τ‑b along each hyperparameter, and the mean.
    pub granulated_kendall: GranulatedKendall,
    /// Interval of the mean, over cells.
    pub granulated_kendall_mean_ci: Option<Interval>,
    /// Sign error over environments.
    pub sign_error: Outcome<SignError>,
    /// Spearman's ρ over covered networks.
    pub spearman: Outcome,
    /// Pearson's r over covered networks.
    pub pearson: Outcome,
    /// Leave-one-out R² of a line, over covered networks.
    pub r2_cv: Outcome,
}

/// Scores a measure: how well do its values rank the networks by their gaps?
///
/// `gap` and `measure` have one entry per network in the grid's order; `None` and NaN are missing numbers. The result
/// depends on the data and the options only, not on the number of threads.
///
/// Work: n²/2 comparisons per set of at most two hyperparameters, and O(n log n) per resample. Memory:
/// linear in n, apart from the cells of the minimising sets.
///
/// # Errors
/// Lists of another length than the grid, options outside their range.
///
/// ```
/// use pgdl_score::{Axis, Grid, Options, score};
/// // Eight networks: 2 depths × 2 widths × 2 learning rates, and a measure that orders all gaps rightly.
/// let axis = |name: &str, levels: [u32; 8]| Axis {
///     name: name.into(),
///     labels: vec!["low".into(), "high".into()],
///     levels: levels.to_vec(),
/// };
/// let grid = Grid::new(
///     8,
///     vec![
///         axis("depth", [0, 0, 0, 0, 1, 1, 1, 1]),
///         axis("width", [0, 0, 1, 1, 0, 0, 1, 1]),
///         axis("lr", [0, 1, 0, 1, 0, 1, 0, 1]),
///     ],
///     None,
/// )?;
/// let gap = [0.10, 0.12, 0.09, 0.08, 0.21, 0.20, 0.18, 0.15];
/// let measure = gap.map(|gap| Some(f64::exp(gap)));
/// let scores = score(&grid, &gap, &measure, &Options::default())?;
/// assert_eq!(scores.kendall_tau_b, Ok(1.0));
/// assert!((scores.cmi_pgdl.unwrap().value - 1.0).abs() < 1e-9);
/// assert!(scores.sign_error.is_err(), "the number of test examples is not known");
/// # Ok::<(), pgdl_score::ScoreError>(())
/// ```
pub fn score(
    grid: &Grid,
    gap: &[f64],
    measure: &[Option<f64>],
    options: &Options,
) -> Result<Scores, ScoreError> {
    options.check()?;
    let observations = &Observations::new(grid, gap, measure)?;
    let resampling =
        &Resampling { resamples: options.bootstrap, seed: options.seed, confidence: options.confidence };
    let (values, gaps) = observations.covered_values();

    let CmiTogether { pgdl, symmetric, fgm } = CmiTogether::of(observations);
    let interval = |definition: &Definition, cmi: &Outcome<Cmi>, stream: Stream| {
        cmi_interval(definition, observations, cmi, resampling, stream)
    };
    let kendall = kendall_counts(&values, &gaps);
    let KendallIntervals { tau_a, tau_b } = if options.bootstrap == 0 {
        KendallIntervals::default()
    } else {
        kendall_intervals(&values, &gaps, resampling)
    };
    let granulated = granulated_kendall(observations);
    let tau =
        |tau: fn(&crate::kendall::KendallCounts) -> Outcome| kendall.clone().and_then(|counts| tau(&counts));
    let (kendall_tau_a, kendall_tau_b) = (tau(|counts| counts.tau_a()), tau(|counts| counts.tau_b()));

    Ok(Scores {
        networks: grid.networks(),
        covered: values.len(),
        warnings: warnings(observations, &pgdl),
        cmi_pgdl_ci: interval(&PGDL, &pgdl, Stream::PgdlCells),
        cmi_pgdl: pgdl,
        cmi_pgdl_symmetric_ci: interval(&PGDL_SYMMETRIC, &symmetric, Stream::PgdlSymmetricCells),
        cmi_pgdl_symmetric: symmetric,
        cmi_fgm_ci: interval(&FGM, &fgm, Stream::FgmCells),
        cmi_fgm: fgm,
        kendall_tau_a_ci: tau_a.filter(|_| kendall_tau_a.is_ok()),
        kendall_tau_a,
        kendall_tau_b_ci: tau_b.filter(|_| kendall_tau_b.is_ok()),
        kendall_tau_b,
        granulated_kendall_mean_ci: granulated_kendall_mean_interval(&granulated, resampling),
        granulated_kendall: granulated,
        sign_error: match options.test_examples {
            Some(test_examples) => sign_error(observations, test_examples, options.ess_floor),
            None => Err(Undefined::because("the number of test examples is not known")),
        },
        spearman: spearman(&values, &gaps),
        pearson: pearson(&values, &gaps),
        r2_cv: cross_validated_r2(&values, &gaps),
    })
}

fn warnings(observations: &Observations, pgdl: &Outcome<Cmi>) -> Vec<String> {
    let grid = observations.grid();
    let mut warnings = Vec::new();
    let missing = grid.networks() - observations.covered();
    if missing > 0 {
        warnings.push(format!(
            "{missing} of {} networks have no value: cmi_pgdl and cmi_pgdl_symmetric count them as −, all other \
             scores leave them out",
            grid.networks()
        ));
    }
    let occupancy = grid.occupancy();
    let holes = occupancy.combinations - occupancy.occupied;
    if holes > 0 {
        warnings.push(format!(
            "the grid is incomplete: {holes} of {} combinations of hyperparameter values have no network",
            occupancy.combinations
        ));
    }
    if occupancy.duplicates > 0 {
        warnings.push(format!(
            "the grid is not unique: {} networks share all hyperparameter values with another one",
            occupancy.duplicates
        ));
    }
    if let Ok(pgdl) = pgdl
        && pgdl.value == 0.0
        && !gap_varies(observations, &pgdl.argmin)
    {
        warnings.push(format!(
            "cmi_pgdl is 0 for every measure here: within every cell of {}, the gap's sign is certain",
            grid.names(&pgdl.argmin).join(" and ")
        ));
    }
    warnings
}
