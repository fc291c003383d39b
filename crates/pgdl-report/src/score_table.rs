//! The scores of measures as a table: the best measure first.

use std::collections::BTreeSet;

use crate::score_report::{MeasureScore, ScoreReport};
use crate::table::{Cell, Column, Digits, Table, Tone};
use crate::values::ValueStatus;

const TIMES_100: Digits = Digits::Fixed { decimals: 2, scale: 100.0 };
const COEFFICIENT: Digits = Digits::Fixed { decimals: 3, scale: 1.0 };

impl ScoreReport {
    /// The scores as a table, ordered by `cmi_pgdl`, the best first; measures without a score come last.
    ///
    /// A composite has its name in the column `measure` and its expression in the column `expression`.
    ///
    /// People are shown the measure, its score (× 100), Kendall's τ-b with its interval, Ψ, coverage, time and what went
    /// wrong; CSV and JSON carry every field of the report, in the report's units.
    pub fn table(&self) -> Table {
        let axes: BTreeSet<&String> =
            self.scores.iter().flat_map(|score| score.granulated_kendall.keys()).collect();
        let mut columns = columns(&axes);
        columns.push(expression_column(
            self.scores.iter().map(|score| (score.measure.as_str(), score.expression.as_deref())),
        ));
        let mut table = Table::new(columns);
        let mut scores: Vec<&MeasureScore> = self.scores.iter().collect();
        scores.sort_by(|a, b| by_score(a.cmi_pgdl, b.cmi_pgdl));
        for score in scores {
            table.push(self.row(score, &axes));
        }
        table
    }

    fn row(&self, score: &MeasureScore, axes: &BTreeSet<&String>) -> Vec<Cell> {
        let joined = |names: &Option<Vec<String>>| {
            names.as_ref().map_or_else(Cell::empty, |names| Cell::text(names.join("+")))
        };
        let mut row = vec![
            Cell::text(&score.measure),
            Cell::text(score.status.as_str()),
            Cell::maybe(score.cmi_pgdl).interval(score.cmi_pgdl_ci),
            joined(&score.cmi_pgdl_pair.clone().map(Vec::from)),
            Cell::maybe(score.cmi_pgdl_symmetric).interval(score.cmi_pgdl_symmetric_ci),
            Cell::maybe(score.cmi_fgm).interval(score.cmi_fgm_ci),
            joined(&score.cmi_fgm_set),
            Cell::maybe(score.kendall_tau_a).interval(score.kendall_tau_a_ci),
            Cell::maybe(score.kendall_tau_b).interval(score.kendall_tau_b_ci),
        ];
        row.extend(
            axes.iter().map(|axis| Cell::maybe(score.granulated_kendall.get(*axis).copied().flatten())),
        );
        row.extend([
            Cell::maybe(score.granulated_kendall_mean).interval(score.granulated_kendall_mean_ci),
            Cell::maybe(score.sign_error_mean),
            Cell::maybe(score.sign_error_p90),
            Cell::maybe(score.sign_error_max),
            Cell::maybe(score.spearman),
            Cell::maybe(score.pearson),
            Cell::maybe(score.r2_cv),
            Cell::part(score.covered, self.networks),
            Cell::count(self.networks),
            Cell::maybe(score.seconds),
            Cell::text(in_words(score)).tone(tone(score.status)),
            score.expression.as_ref().map_or_else(Cell::empty, Cell::text),
        ]);
        row
    }
}

/// Higher scores first, none last.
pub(crate) fn by_score(a: Option<f64>, b: Option<f64>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        _ => b.is_some().cmp(&a.is_some()),
    }
}

/// The expressions of composites: shown to people only where they do not stand in the column `measure` already.
pub(crate) fn expression_column<'a>(
    mut measures: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Column {
    let column = Column::new("expression", "expression");
    let named =
        measures.any(|(measure, expression)| expression.is_some_and(|expression| expression != measure));
    if named { column.optional() } else { column.detail() }
}

fn columns(axes: &BTreeSet<&String>) -> Vec<Column> {
    let detail = |key: &str| Column::new(key, key).detail();
    let mut columns = vec![
        Column::new("measure", "measure"),
        detail("status"),
        Column::new("cmi_pgdl", "CMI × 100").digits(TIMES_100).with_interval_in_detail(),
        detail("cmi_pgdl_pair"),
        detail("cmi_pgdl_symmetric").with_interval(),
        detail("cmi_fgm").with_interval(),
        detail("cmi_fgm_set"),
        detail("kendall_tau_a").with_interval(),
        Column::new("kendall_tau_b", "τ-b").digits(COEFFICIENT).with_interval(),
    ];
    columns.extend(axes.iter().map(|axis| detail(&format!("granulated_kendall_{axis}"))));
    columns.extend([
        Column::new("granulated_kendall_mean", "Ψ").digits(COEFFICIENT).with_interval_in_detail().optional(),
        detail("sign_error_mean"),
        detail("sign_error_p90"),
        detail("sign_error_max"),
        detail("spearman"),
        detail("pearson"),
        detail("r2_cv"),
        Column::new("covered", "networks"),
        detail("networks"),
        Column::new("seconds", "time").digits(Digits::Duration).optional(),
        Column::new("statuses", "status"),
    ]);
    columns
}

/// `ok`, or how many networks have each other status: `3 timeout, 1 failed`.
fn in_words(score: &MeasureScore) -> String {
    if score.status == ValueStatus::Ok {
        return "ok".to_owned();
    }
    let others = score.statuses.iter().rev().filter(|(status, _)| **status != ValueStatus::Ok);
    others.map(|(status, count)| format!("{count} {status}")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn tone(status: ValueStatus) -> Tone {
    match status {
        ValueStatus::Ok => Tone::Good,
        ValueStatus::Undefined | ValueStatus::Unavailable | ValueStatus::Missing => Tone::Warning,
        ValueStatus::Failed | ValueStatus::Timeout | ValueStatus::Exceeded | ValueStatus::Crashed => {
            Tone::Bad
        }
    }
}
