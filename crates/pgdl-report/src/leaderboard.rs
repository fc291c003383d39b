//! Leaderboards: measures × zoos → scores, from the reports of several zoos.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pgdl_zoo::did_you_mean::did_you_mean;
use polars::prelude::{
    AnyValue, DataFrame, IntoLazy, JoinArgs, JoinType, LazyFrame, SortMultipleOptions, col, lit, when,
};

use crate::error::{ReportError, Result};
use crate::score_report::{MeasureScore, ScoreReport};
use crate::score_table::expression_column;
use crate::table::{Cell, Column, Digits, Table};

/// A statistic that a leaderboard can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The competition's conditional mutual information.
    CmiPgdl,
    /// Its symmetrised variant.
    CmiPgdlSymmetric,
    /// The conditional mutual information of Jiang et al. 2019.
    CmiFgm,
    /// Kendall's τ-a.
    KendallTauA,
    /// Kendall's τ-b.
    KendallTauB,
    /// The mean granulated Kendall coefficient Ψ.
    GranulatedKendallMean,
    /// The mean sign error; smaller is better.
    SignErrorMean,
    /// The 90th percentile of the sign error; smaller is better.
    SignErrorP90,
    /// The largest sign error; smaller is better.
    SignErrorMax,
    /// Spearman's rank correlation.
    Spearman,
    /// Pearson's correlation.
    Pearson,
    /// Leave-one-out R² of a line.
    R2Cv,
}

impl Statistic {
    /// All statistics.
    pub const ALL: [Statistic; 12] = [
        Statistic::CmiPgdl,
        Statistic::CmiPgdlSymmetric,
        Statistic::CmiFgm,
        Statistic::KendallTauA,
        Statistic::KendallTauB,
        Statistic::GranulatedKendallMean,
        Statistic::SignErrorMean,
        Statistic::SignErrorP90,
        Statistic::SignErrorMax,
        Statistic::Spearman,
        Statistic::Pearson,
        Statistic::R2Cv,
    ];

    /// Its key in a [`MeasureScore`].
    pub fn key(self) -> &'static str {
        match self {
            Statistic::CmiPgdl => "cmi_pgdl",
            Statistic::CmiPgdlSymmetric => "cmi_pgdl_symmetric",
            Statistic::CmiFgm => "cmi_fgm",
            Statistic::KendallTauA => "kendall_tau_a",
            Statistic::KendallTauB => "kendall_tau_b",
            Statistic::GranulatedKendallMean => "granulated_kendall_mean",
            Statistic::SignErrorMean => "sign_error_mean",
            Statistic::SignErrorP90 => "sign_error_p90",
            Statistic::SignErrorMax => "sign_error_max",
            Statistic::Spearman => "spearman",
            Statistic::Pearson => "pearson",
            Statistic::R2Cv => "r2_cv",
        }
    }

    /// Its value in a score.
    pub fn of(self, score: &MeasureScore) -> Option<f64> {
        match self {
            Statistic::CmiPgdl => score.cmi_pgdl,
            Statistic::CmiPgdlSymmetric => score.cmi_pgdl_symmetric,
            Statistic::CmiFgm => score.cmi_fgm,
            Statistic::KendallTauA => score.kendall_tau_a,
            Statistic::KendallTauB => score.kendall_tau_b,
            Statistic::GranulatedKendallMean => score.granulated_kendall_mean,
            Statistic::SignErrorMean => score.sign_error_mean,
            Statistic::SignErrorP90 => score.sign_error_p90,
            Statistic::SignErrorMax => score.sign_error_max,
            Statistic::Spearman => score.spearman,
            Statistic::Pearson => score.pearson,
            Statistic::R2Cv => score.r2_cv,
        }
    }

    /// Whether a smaller value is a better one.
    pub fn smaller_is_better(self) -> bool {
        matches!(self, Statistic::SignErrorMean | Statistic::SignErrorP90 | Statistic::SignErrorMax)
    }

    fn digits(self) -> Digits {
        match self {
            Statistic::CmiPgdl | Statistic::CmiPgdlSymmetric | Statistic::CmiFgm => {
                Digits::Fixed { decimals: 2, scale: 100.0 }
            }
            _ => Digits::Fixed { decimals: 3, scale: 1.0 },
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

impl FromStr for Statistic {
    type Err = ReportError;

    fn from_str(text: &str) -> Result<Self> {
        Statistic::ALL.into_iter().find(|statistic| statistic.key() == text).ok_or_else(|| {
            let keys = Statistic::ALL.map(Statistic::key);
            ReportError::Invalid {
                message: format!("unknown statistic `{text}`"),
                hint: Some(match did_you_mean(text, keys) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("known: {}", keys.join(", ")),
                }),
            }
        })
    }
}

/// Measures × zoos → one statistic, with the total of the suite: the mean over its zoos.
///
/// A measure has a total when it has a value on every zoo.
#[derive(Clone, Debug)]
pub struct Leaderboard {
    statistic: Statistic,
    zoos: Vec<String>,
    networks: usize,
    frame: DataFrame,
    /// Of composites.
    expressions: BTreeMap<String, String>,
}

const MEASURE: &str = "measure";
const TOTAL: &str = "total";
const COVERED: &str = "covered";
const ZOO: &str = "zoo";
const SCORE: &str = "score";

impl Leaderboard {
    /// The board of the zoos of `reports`, the best total first; measures without a total come last, by name.
    ///
    /// # Errors
    /// When there is no report, two reports are of one zoo, a report has a measure twice, or two composites have one
    /// name.
    pub fn new(reports: &[ScoreReport], statistic: Statistic) -> Result<Leaderboard> {
        let zoos: Vec<String> = reports.iter().map(|report| report.zoo.clone()).collect();
        check(reports, &zoos)?;
        let expressions = expressions(reports)?;
        let long = long_frame(reports, statistic)?.lazy();
        let all_scored = col(SCORE).count().eq(lit(zoos.len() as u32));
        let totals = long.clone().group_by([col(MEASURE)]).agg([
            when(all_scored).then(col(SCORE).mean()).otherwise(lit(f64::NAN)).alias(TOTAL),
            col(COVERED).sum(),
        ]);
        let board = zoos.iter().enumerate().fold(totals, |board, (place, zoo)| {
            let scores = long
                .clone()
                .filter(col(ZOO).eq(lit(place as u64)))
                .select([col(MEASURE), col(SCORE).alias(zoo_column(zoo))]);
            join(board, scores)
        });
        let order = SortMultipleOptions::default()
            .with_order_descending_multi([false, !statistic.smaller_is_better(), false])
            .with_maintain_order(true);
        let frame = board
            .with_column(when(col(TOTAL).is_nan()).then(lit(1_u32)).otherwise(lit(0_u32)).alias("last"))
            .sort_by_exprs([col("last"), col(TOTAL), col(MEASURE)], order)
            .collect()?
            .drop("last")?;
        let networks = reports.iter().map(|report| report.networks).sum();
        Ok(Leaderboard { statistic, zoos, networks, frame, expressions })
    }

    /// The statistic that the board shows.
    pub fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// The board as a data frame: `measure`, `total` (NaN where there is none), `covered`, and per zoo a column
    /// `zoo.<name>` (null where there is no score).
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// The board as a table.
    ///
    /// # Errors
    /// When the frame refuses, which it has no reason to.
    pub fn table(&self) -> Result<Table> {
        let digits = self.statistic.digits();
        let scaled = matches!(digits, Digits::Fixed { scale, .. } if scale != 1.0);
        let title = format!("mean {}{}", self.statistic.key(), if scaled { " × 100" } else { "" });
        let mut columns = vec![Column::new(MEASURE, MEASURE), Column::new(TOTAL, title).digits(digits)];
        columns.extend(self.zoos.iter().map(|zoo| Column::new(zoo_column(zoo), zoo).digits(digits)));
        columns.push(Column::new(COVERED, "networks"));
        columns.push(expression_column(
            self.expressions
                .iter()
                .map(|(measure, expression)| (measure.as_str(), Some(expression.as_str()))),
        ));
        let mut table = Table::new(columns);
        for row in 0..self.frame.height() {
            let cell = |name: &str| -> Result<AnyValue<'_>> { Ok(self.frame.column(name)?.get(row)?) };
            let number = |value: AnyValue<'_>| match value {
                AnyValue::Float64(value) => Cell::number(value),
                _ => Cell::empty(),
            };
            let measure = match cell(MEASURE)? {
                AnyValue::String(measure) => measure.to_owned(),
                other => other.to_string(),
            };
            let mut cells = vec![Cell::text(&measure), number(cell(TOTAL)?)];
            for zoo in &self.zoos {
                cells.push(number(cell(&zoo_column(zoo))?));
            }
            cells.push(Cell::part(cell(COVERED)?.extract().unwrap_or(0), self.networks));
            cells.push(self.expressions.get(&measure).map_or_else(Cell::empty, Cell::text));
            table.push(cells);
        }
        Ok(table)
    }
}

fn zoo_column(zoo: &str) -> String {
    format!("zoo.{zoo}")
}

fn check(reports: &[ScoreReport], zoos: &[String]) -> Result<()> {
    if reports.is_empty() {
        return Err(ReportError::invalid("a leaderboard needs the scores of at least one zoo"));
    }
    if let Some(twice) = first_repeated(zoos.iter().map(String::as_str)) {
        return Err(ReportError::invalid(format!("zoo {twice} is on the leaderboard twice")));
    }
    for report in reports {
        if let Some(twice) = first_repeated(report.scores.iter().map(|score| score.measure.as_str())) {
            return Err(ReportError::invalid(format!("{}: measure {twice} has two scores", report.zoo)));
        }
    }
    Ok(())
}

fn first_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// One row per (zoo, measure): the zoo's place, the measure, its score and how many networks have a value.
/// The expressions of composites, by measure.
fn expressions(reports: &[ScoreReport]) -> Result<BTreeMap<String, String>> {
    let mut expressions: BTreeMap<String, Option<&String>> = BTreeMap::new();
    for score in reports.iter().flat_map(|report| &report.scores) {
        let expression = score.expression.as_ref();
        let known = *expressions.entry(score.measure.clone()).or_insert(expression);
        if known != expression {
            let what = |expression: Option<&String>| expression.map_or("a measure".to_owned(), String::clone);
            return Err(ReportError::invalid(format!(
                "{} is {} in one zoo and {} in another",
                score.measure,
                what(known),
                what(expression)
            )));
        }
    }
    Ok(expressions
        .into_iter()
        .filter_map(|(measure, expression)| Some((measure, expression?.clone())))
        .collect())
}

fn long_frame(reports: &[ScoreReport], statistic: Statistic) -> Result<DataFrame> {
    let rows: Vec<(u64, &MeasureScore)> = reports
        .iter()
        .enumerate()
        .flat_map(|(place, report)| report.scores.iter().map(move |score| (place as u64, score)))
        .collect();
    let columns = vec![
        polars::prelude::Column::new(ZOO.into(), rows.iter().map(|(place, _)| *place).collect::<Vec<u64>>()),
        polars::prelude::Column::new(
            MEASURE.into(),
            rows.iter().map(|(_, score)| score.measure.as_str()).collect::<Vec<&str>>(),
        ),
        polars::prelude::Column::new(
            SCORE.into(),
            rows.iter().map(|(_, score)| statistic.of(score)).collect::<Vec<Option<f64>>>(),
        ),
        polars::prelude::Column::new(
            COVERED.into(),
            rows.iter().map(|(_, score)| score.covered as u64).collect::<Vec<u64>>(),
        ),
    ];
    Ok(DataFrame::new(rows.len(), columns)?)
}

fn join(board: LazyFrame, scores: LazyFrame) -> LazyFrame {
    board.join(scores, [col(MEASURE)], [col(MEASURE)], JoinArgs::new(JoinType::Left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::GapKind;
    use crate::table::TextOptions;

    fn report(zoo: &str, scores: &[(&str, Option<f64>)]) -> ScoreReport {
        let score = |(measure, cmi_pgdl): &(&str, Option<f64>)| MeasureScore {
            measure: (*measure).into(),
            covered: 8,
            cmi_pgdl: *cmi_pgdl,
            sign_error_max: *cmi_pgdl,
            ..MeasureScore::default()
        };
        ScoreReport {
            schema: 1,
            zoo: zoo.into(),
            networks: 10,
            gap: GapKind::Accuracy,
            scores: scores.iter().map(score).collect(),
            ranking: None,
            competition_totals: None,
        }
    }

    fn reports() -> [ScoreReport; 2] {
        [
            report("a", &[("worse", Some(0.25)), ("half", Some(0.75)), ("better", Some(0.25))]),
            report(
                "b",
                &[("better", Some(0.5)), ("worse", Some(0.125)), ("half", None), ("only_b", Some(1.0))],
            ),
        ]
    }

    #[test]
    fn the_total_is_the_mean_over_all_zoos_or_nothing() {
        let board = Leaderboard::new(&reports(), Statistic::CmiPgdl).unwrap();
        let text = board.table().unwrap().to_text(TextOptions::default());
        let expected = [
            "measure  mean cmi_pgdl × 100      a       b  networks",
            "───────  ───────────────────  ─────  ──────  ────────",
            "better                 37.50  25.00   50.00     16/20",
            "worse                  18.75  25.00   12.50     16/20",
            "half                       –  75.00       –     16/20",
            "only_b                     –      –  100.00      8/20",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn where_smaller_is_better_the_smallest_comes_first() {
        let board = Leaderboard::new(&reports(), Statistic::SignErrorMax).unwrap();
        let csv = board.table().unwrap().to_csv();
        let measures: Vec<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!(measures, ["worse", "better", "half", "only_b"]);
    }

    #[test]
    fn contradictions_are_refused() {
        let refused =
            |reports: &[ScoreReport]| Leaderboard::new(reports, Statistic::CmiPgdl).unwrap_err().to_string();
        assert_eq!(refused(&[]), "a leaderboard needs the scores of at least one zoo");
        assert_eq!(refused(&[report("a", &[]), report("a", &[])]), "zoo a is on the leaderboard twice");
        assert_eq!(refused(&[report("a", &[("m", None), ("m", None)])]), "a: measure m has two scores");
    }

    #[test]
    fn a_composite_is_shown_with_its_expression_and_one_name_has_one() {
        let with = |zoo: &str, expression: Option<&str>| {
            let mut report = report(zoo, &[("win", Some(0.5)), ("margin", Some(0.25))]);
            report.scores[0].expression = expression.map(str::to_owned);
            report
        };
        let both = [with("a", Some("2 * margin")), with("b", Some("2 * margin"))];
        let board = Leaderboard::new(&both, Statistic::CmiPgdl).unwrap().table().unwrap();
        let expected = "measure,total,zoo.a,zoo.b,covered,expression\n\
                        win,0.5,0.5,0.5,16,2 * margin\n\
                        margin,0.25,0.25,0.25,16,\n";
        assert_eq!(board.to_csv(), expected);
        assert!(board.to_text(TextOptions::default()).contains("expression"));
        let other = [with("a", Some("2 * margin")), with("b", Some("3 * margin"))];
        let error = Leaderboard::new(&other, Statistic::CmiPgdl).unwrap_err();
        assert_eq!(error.to_string(), "win is 2 * margin in one zoo and 3 * margin in another");
        let measure = [with("a", None), with("b", Some("3 * margin"))];
        assert!(Leaderboard::new(&measure, Statistic::CmiPgdl).is_err());
    }

    #[test]
    fn a_board_without_measures_is_empty() {
        let board = Leaderboard::new(&[report("a", &[])], Statistic::CmiPgdl).unwrap();
        assert!(board.table().unwrap().is_empty());
    }

    #[test]
    fn statistics_go_by_their_keys() {
        for statistic in Statistic::ALL {
            assert_eq!(statistic.key().parse::<Statistic>().unwrap(), statistic);
        }
        let error = "kendal_tau_b".parse::<Statistic>().unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean `kendall_tau_b`?"));
    }
}
