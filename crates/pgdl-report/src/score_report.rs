//! The scores of measures on one zoo, as `--format json` prints them.

use std::collections::BTreeMap;

use pgdl_score::{Cmi, Grid, Interval, Options, Outcome, Scores, TaskScore};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::population::{GapKind, Population};
use crate::ranking::ranking;
use crate::values::{MeasureValues, ValueStatus};

/// The format of the reports this build writes. It rises when a field is added or changes its meaning.
pub const SCORE_REPORT_SCHEMA: u32 = 2;

/// How well measures rank the networks of one zoo by their true generalization gaps.
///
/// Every statistic is in its own units: conditional mutual information as a fraction between 0 and 1 (tables for people
/// print it times 100), correlations between −1 and 1. A statistic that has no value is null, and `undefined` says why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreReport {
    /// The format of this object.
    pub schema: u32,
    /// The zoo's name, or that of the table of values.
    pub zoo: String,
    /// Number of networks that were to be ranked.
    pub networks: usize,
    /// What the measures are to predict.
    pub gap: GapKind,
    /// One entry per measure, in the order asked for.
    pub scores: Vec<MeasureScore>,
    /// With `--ranking`: the networks in the order that each measure gives them, largest predicted gap first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    /// With `--competition-total`: what the competition would have given each measure on this zoo alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub competition_totals: Option<Vec<CompetitionTotal>>,
}

/// What the competition would have given a measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompetitionTotal {
    /// The measure, with the parameters that differ from their defaults.
    pub measure: String,
    /// Its score times 100; 0 where any value is `EXCEEDED`.
    pub total: f64,
}

/// The scores of one measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureScore {
    /// The measure, with the parameters that differ from their defaults: `margin:p=10`. For a composite its name, or
    /// else its expression.
    pub measure: String,
    /// For a composite, a measure made of other measures' values, the expression that gives its values.
    pub expression: Option<String>,
    /// `ok` if every network has a value, else the gravest status among the networks.
    pub status: ValueStatus,
    /// Number of networks that have a value.
    pub covered: usize,
    /// The competition's score of the task, as a fraction: the competition prints it times 100.
    pub cmi_pgdl: Option<f64>,
    /// Bootstrap interval of `cmi_pgdl` over cells: low, high.
    pub cmi_pgdl_ci: Option<[f64; 2]>,
    /// The pair of hyperparameters that attains the minimum.
    pub cmi_pgdl_pair: Option<[String; 2]>,
    /// The symmetrised variant of `cmi_pgdl`, as a fraction.
    pub cmi_pgdl_symmetric: Option<f64>,
    /// Bootstrap interval of `cmi_pgdl_symmetric` over cells: low, high.
    pub cmi_pgdl_symmetric_ci: Option<[f64; 2]>,
    /// Conditional mutual information as Jiang et al. 2019 define it, as a fraction.
    pub cmi_fgm: Option<f64>,
    /// Bootstrap interval of `cmi_fgm` over cells: low, high.
    pub cmi_fgm_ci: Option<[f64; 2]>,
    /// The set of at most two hyperparameters that attains the minimum; may be empty.
    pub cmi_fgm_set: Option<Vec<String>>,
    /// Kendall's τ-a.
    pub kendall_tau_a: Option<f64>,
    /// Bootstrap interval of `kendall_tau_a` over networks: low, high.
    pub kendall_tau_a_ci: Option<[f64; 2]>,
    /// Kendall's τ-b.
    pub kendall_tau_b: Option<f64>,
    /// Bootstrap interval of `kendall_tau_b` over networks: low, high.
    pub kendall_tau_b_ci: Option<[f64; 2]>,
    /// Granulated Kendall coefficient ψ per hyperparameter.
    pub granulated_kendall: BTreeMap<String, Option<f64>>,
    /// Their mean Ψ over the hyperparameters where it is defined.
    pub granulated_kendall_mean: Option<f64>,
    /// Bootstrap interval of `granulated_kendall_mean`: low, high.
    pub granulated_kendall_mean_ci: Option<[f64; 2]>,
    /// Mean sign error over environments.
    pub sign_error_mean: Option<f64>,
    /// 90th percentile of the sign error over environments.
    pub sign_error_p90: Option<f64>,
    /// Largest sign error of an environment.
    pub sign_error_max: Option<f64>,
    /// Spearman's rank correlation.
    pub spearman: Option<f64>,
    /// Pearson's correlation.
    pub pearson: Option<f64>,
    /// Leave-one-out R² of a line.
    pub r2_cv: Option<f64>,
    /// Seconds that all evaluations took together; null for values from outside.
    pub seconds: Option<f64>,
    /// Number of networks per status.
    pub statuses: BTreeMap<ValueStatus, usize>,
    /// Why a statistic is null: its key (`granulated_kendall.<hyperparameter>` for one hyperparameter) and the reason.
    pub undefined: BTreeMap<String, String>,
    /// What a reader should know about the data behind the scores.
    pub warnings: Vec<String>,
}

impl ScoreReport {
    /// Scores every measure on the population.
    ///
    /// # Errors
    /// When the population is not on its grid, a measure has another number of values than there are networks, or an
    /// option is outside its range.
    pub fn new(
        population: &Population,
        measures: &[MeasureValues],
        options: &Options,
    ) -> Result<ScoreReport> {
        let grid = population.grid()?;
        let gaps = population.gaps();
        let scores = measures
            .iter()
            .map(|measure| {
                let values: Vec<Option<f64>> = measure.entries.iter().map(|entry| entry.value()).collect();
                let scores = pgdl_score::score(&grid, &gaps, &values, options)?;
                Ok(MeasureScore::new(&grid, measure, scores))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(ScoreReport {
            schema: SCORE_REPORT_SCHEMA,
            zoo: population.name.clone(),
            networks: population.networks.len(),
            gap: population.gap,
            scores,
            ranking: None,
            competition_totals: None,
        })
    }

    /// The report with the rows of [`ranking`] in it.
    pub fn with_ranking(self, population: &Population, measures: &[MeasureValues]) -> ScoreReport {
        // What a table writes, it reads.
        let rows = serde_json::from_str(&ranking(population, measures).to_json()).unwrap_or_default();
        ScoreReport { ranking: Some(rows), ..self }
    }

    /// The report as JSON, with a line end.
    pub fn to_json(&self) -> String {
        // Maps with texts for keys and numbers that are finite or null: nothing in it that JSON could refuse.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl MeasureScore {
    pub(crate) fn new(grid: &Grid, values: &MeasureValues, scores: Scores) -> MeasureScore {
        let mut undefined = BTreeMap::new();
        let mut note = |key: &str, outcome: Outcome| match outcome {
            Ok(value) => Some(value),
            Err(reason) => {
                undefined.insert(key.to_owned(), reason.to_string());
                None
            }
        };
        let value = |outcome: &Outcome<Cmi>| outcome.as_ref().map(|cmi| cmi.value).map_err(Clone::clone);
        let names = |outcome: &Outcome<Cmi>| {
            let cmi = outcome.as_ref().ok()?;
            Some(grid.names(&cmi.argmin).into_iter().map(str::to_owned).collect::<Vec<String>>())
        };
        let sign_error = |part: fn(&pgdl_score::SignError) -> f64| {
            scores.sign_error.as_ref().map(part).map_err(Clone::clone)
        };
        let axes = &scores.granulated_kendall.axes;
        let granulated_kendall = grid.axes().iter().zip(axes).map(|(axis, kendall)| {
            (axis.name.clone(), note(&format!("granulated_kendall.{}", axis.name), kendall.value.clone()))
        });

        MeasureScore {
            measure: values.measure.clone(),
            expression: values.expression.clone(),
            status: values.status(),
            covered: scores.covered,
            granulated_kendall: granulated_kendall.collect(),
            granulated_kendall_mean: note("granulated_kendall_mean", scores.granulated_kendall.mean.clone()),
            granulated_kendall_mean_ci: ends(scores.granulated_kendall_mean_ci),
            cmi_pgdl: note("cmi_pgdl", value(&scores.cmi_pgdl)),
            cmi_pgdl_ci: ends(scores.cmi_pgdl_ci),
            cmi_pgdl_pair: names(&scores.cmi_pgdl).and_then(|names| names.try_into().ok()),
            cmi_pgdl_symmetric: note("cmi_pgdl_symmetric", value(&scores.cmi_pgdl_symmetric)),
            cmi_pgdl_symmetric_ci: ends(scores.cmi_pgdl_symmetric_ci),
            cmi_fgm: note("cmi_fgm", value(&scores.cmi_fgm)),
            cmi_fgm_ci: ends(scores.cmi_fgm_ci),
            cmi_fgm_set: names(&scores.cmi_fgm),
            kendall_tau_a: note("kendall_tau_a", scores.kendall_tau_a.clone()),
            kendall_tau_a_ci: ends(scores.kendall_tau_a_ci),
            kendall_tau_b: note("kendall_tau_b", scores.kendall_tau_b.clone()),
            kendall_tau_b_ci: ends(scores.kendall_tau_b_ci),
            sign_error_mean: note("sign_error_mean", sign_error(|error| error.mean)),
            sign_error_p90: note("sign_error_p90", sign_error(|error| error.p90)),
            sign_error_max: note("sign_error_max", sign_error(|error| error.max)),
            spearman: note("spearman", scores.spearman.clone()),
            pearson: note("pearson", scores.pearson.clone()),
            r2_cv: note("r2_cv", scores.r2_cv.clone()),
            seconds: values.seconds,
            statuses: values.statuses(),
            undefined,
            warnings: scores.warnings,
        }
    }

    /// The measure's score as the competition counts it, a fraction; `None` where it has none.
    pub fn task_score(&self) -> Option<TaskScore> {
        let exceeded = [ValueStatus::Exceeded, ValueStatus::Timeout];
        if exceeded.iter().any(|status| self.statuses.contains_key(status)) {
            return Some(TaskScore::Exceeded);
        }
        self.cmi_pgdl.map(TaskScore::Value)
    }
}

fn ends(interval: Option<Interval>) -> Option<[f64; 2]> {
    interval.map(|interval| [interval.low, interval.high])
}

/// The JSON schema of [`ScoreReport`], as text with a line end.
pub fn score_report_schema() -> String {
    format!("{:#}\n", schema().as_value())
}

fn schema() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<ScoreReport>()
}
