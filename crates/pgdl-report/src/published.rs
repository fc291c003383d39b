//! The competition's leaderboard as published: `results/published/leaderboard.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::{ReportError, Result};
use crate::leaderboard::Statistic;
use crate::score_report::ScoreReport;
use crate::table::{Cell, Column, Digits, Table, Tone};

const FILE: &str = "results/published/leaderboard.toml";
const TEXT: &str = include_str!("../../../results/published/leaderboard.toml");

/// Published figures have two decimals: what lies further from one than this differs from it.
const ROUNDING: f64 = 0.005 + 1e-9;

/// The published leaderboard.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The version of the form.
    pub schema: u32,
    /// The competition's tasks, in its order.
    #[serde(rename = "task")]
    pub tasks: Vec<PublishedTask>,
    /// The methods.
    #[serde(rename = "row")]
    pub rows: Vec<PublishedRow>,
}

/// A task of the competition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTask {
    /// Its name: that of the zoo that `pgdl zoo import competition` makes of it.
    pub name: String,
    /// `public`, `development` or `final`.
    pub phase: String,
    /// Networks and data.
    pub title: String,
}

/// A method's figures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRow {
    /// The method, in the words of its source.
    pub method: String,
    /// Who published the figures.
    pub source: String,
    /// The measure here, with its parameters, where there is one.
    pub measure: Option<String>,
    /// Whether the figures follow from the files of the networks alone, and must come out again.
    #[serde(default)]
    pub deterministic: bool,
    /// The mean over the final phase, as published.
    pub final_phase_mean: Option<f64>,
    /// A remark on the figures.
    pub note: Option<String>,
    /// Conditional mutual information × 100, by task.
    pub cmi_x100: BTreeMap<String, f64>,
}

impl Published {
    /// The leaderboard that comes with this program.
    ///
    /// # Errors
    /// When it is not what it should be, which a test excludes.
    pub fn load() -> Result<Published> {
        toml::from_str(TEXT).map_err(|error| ReportError::malformed(Path::new(FILE), error.to_string()))
    }

    /// A task.
    ///
    /// # Errors
    /// When the competition has no task of this name.
    pub fn task(&self, name: &str) -> Result<&PublishedTask> {
        self.tasks.iter().find(|task| task.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
            ReportError::Invalid {
                message: format!("`{name}` is no task with published figures"),
                hint: Some(match pgdl_zoo::did_you_mean::did_you_mean(name, names.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("tasks: {}", names.join(", ")),
                }),
            }
        })
    }

    /// The rows with a figure for a task that a measure here answers to, with that measure.
    pub fn measures(&self, task: &str) -> Vec<(&PublishedRow, &str)> {
        let with_figure = self.rows.iter().filter(|row| row.cmi_x100.contains_key(task));
        with_figure.filter_map(|row| Some((row, row.measure.as_deref()?))).collect()
    }

    /// All figures, with ours beside those of the tasks that `ours` are of.
    pub fn table(&self, ours: &[ScoreReport]) -> Table {
        let two = Digits::Fixed { decimals: 2, scale: 1.0 };
        let mut columns = vec![Column::new("method", "method")];
        for task in &self.tasks {
            columns.push(Column::new(format!("published.{}", task.name), &task.name).digits(two));
            if ours.iter().any(|report| report.zoo == task.name) {
                columns.push(Column::new(format!("ours.{}", task.name), "ours").digits(two));
            }
        }
        columns.push(Column::new("final_phase_mean", "final mean").digits(two).optional());
        columns.push(Column::new("measure", "measure here"));
        columns.push(Column::new("source", "source").optional());
        columns.push(Column::new("note", "note").detail());
        let mut table = Table::new(columns);
        for row in &self.rows {
            let mut cells = vec![Cell::text(&row.method)];
            for task in &self.tasks {
                cells.push(Cell::maybe(row.cmi_x100.get(&task.name).copied()));
                if let Some(report) = ours.iter().find(|report| report.zoo == task.name) {
                    let score = row.measure.as_deref().and_then(|measure| score_x100(report, measure));
                    cells.push(Cell::maybe(score));
                }
            }
            let text = |text: &Option<String>| text.as_ref().map_or_else(Cell::empty, Cell::text);
            cells.push(Cell::maybe(row.final_phase_mean));
            cells.push(text(&row.measure));
            cells.push(Cell::text(&row.source));
            cells.push(text(&row.note));
            table.push(cells);
        }
        table
    }

    /// Our scores on one task beside the published ones.
    pub fn compare(&self, task: &str, ours: &ScoreReport) -> PublishedComparison {
        let two = Digits::Fixed { decimals: 2, scale: 1.0 };
        let mut table = Table::new(vec![
            Column::new("method", "method"),
            Column::new("measure", "measure here"),
            Column::new("published", "published").digits(two),
            Column::new("ours", "ours").digits(two),
            Column::new("difference", "difference").digits(two),
            Column::new("verdict", "verdict"),
            Column::new("source", "source").optional(),
        ]);
        let mut comparison = PublishedComparison { table: Table::new(Vec::new()), judged: 0, differing: 0 };
        for (row, measure) in self.measures(task) {
            let published = row.cmi_x100[task];
            let score = score_x100(ours, measure);
            let same = score.is_some_and(|score| (score - published).abs() <= ROUNDING);
            let (verdict, tone) = match (row.deterministic, same) {
                (true, true) => ("the same", Tone::Good),
                (true, false) => ("differs", Tone::Bad),
                (false, true) => ("the same, though it need not be", Tone::Good),
                (false, false) => ("not judged: the source leaves draws or settings open", Tone::Faint),
            };
            comparison.judged += usize::from(row.deterministic);
            comparison.differing += usize::from(row.deterministic && !same);
            table.push(vec![
                Cell::text(&row.method),
                Cell::text(measure),
                Cell::number(published),
                Cell::maybe(score),
                Cell::maybe(score.map(|score| score - published)),
                Cell::text(verdict).tone(tone),
                Cell::text(&row.source),
            ]);
        }
        comparison.table = table;
        comparison
    }
}

/// Our scores on one task beside the published ones.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedComparison {
    /// One row per published figure that a measure here answers to.
    pub table: Table,
    /// Figures that must come out again.
    pub judged: usize,
    /// Those that did not.
    pub differing: usize,
}

fn score_x100(report: &ScoreReport, measure: &str) -> Option<f64> {
    let score = report.scores.iter().find(|score| score.measure == measure)?;
    Some(100.0 * Statistic::CmiPgdl.of(score)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_report::MeasureScore;

    fn report(task: &str, scores: &[(&str, f64)]) -> ScoreReport {
        let score = |&(measure, cmi): &(&str, f64)| MeasureScore {
            measure: measure.into(),
            cmi_pgdl: Some(cmi),
            ..MeasureScore::default()
        };
        ScoreReport {
            schema: 1,
            zoo: task.into(),
            networks: 96,
            gap: crate::GapKind::Accuracy,
            scores: scores.iter().map(score).collect(),
            ranking: None,
            competition_totals: None,
        }
    }

    #[test]
    fn the_file_is_sound() {
        let published = Published::load().unwrap();
        assert_eq!((published.schema, published.tasks.len(), published.rows.len()), (1, 8, 25));
        for row in &published.rows {
            assert!(!row.source.is_empty() && !row.cmi_x100.is_empty(), "{}", row.method);
            for (task, figure) in &row.cmi_x100 {
                published.task(task).unwrap();
                assert!((0.0..=100.0).contains(figure), "{} on {task}", row.method);
            }
            if row.measure.is_none() {
                assert!(!row.deterministic, "{}: only a measure can be held against its figure", row.method);
            }
            // The published means follow from the figures, to their rounding.
            if let Some(mean) = row.final_phase_mean {
                let finals = published.tasks.iter().filter(|task| task.phase == "final");
                let figures: Vec<f64> = finals.map(|task| row.cmi_x100[&task.name]).collect();
                let found = figures.iter().sum::<f64>() / figures.len() as f64;
                assert!((found - mean).abs() < 0.011, "{}: {found} against {mean}", row.method);
            }
        }
    }

    #[test]
    fn figures_are_those_of_the_reference_data() {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
        let root = std::env::var_os("PGDL_REFERENCE").map_or(beside, Into::into);
        let path = root.join("leaderboards.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {} not found", path.display());
            return;
        };
        let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
        let published = Published::load().unwrap();
        let rows = reference["rows"].as_array().unwrap();
        assert_eq!(rows.len(), published.rows.len());
        for (row, theirs) in published.rows.iter().zip(rows) {
            assert_eq!(theirs["method"], row.method.as_str());
            assert_eq!(theirs["source"], row.source.as_str());
            assert_eq!(theirs["cmi_x100"], serde_json::json!(row.cmi_x100));
            assert_eq!(theirs["final_phase_mean"].as_f64(), row.final_phase_mean);
        }
    }

    #[test]
    fn ours_stand_beside_the_figures_of_the_same_zoo() {
        let published = Published::load().unwrap();
        let table =
            published.table(&[report("task2_v1", &[("vc_dim", 0.0), ("mixup_margin", 0.4)])]).to_csv();
        let header = table.lines().next().unwrap();
        assert!(
            header.contains("published.task2_v1,ours.task2_v1,published.task4,published.task5"),
            "{header}"
        );
        let row = table.lines().find(|line| line.starts_with("Mixup margin")).unwrap();
        assert!(row.starts_with("Mixup margin,1.11,47.33,40,43.22"), "{row}");
    }

    #[test]
    fn only_what_is_determined_is_judged() {
        let published = Published::load().unwrap();
        let ours =
            report("task1_v4", &[("vc_dim", 0.0), ("distance_from_init", 0.0513449), ("jacobian_norm", 0.5)]);
        let comparison = published.compare("task1_v4", &ours);
        assert_eq!((comparison.judged, comparison.differing), (2, 0));
        let ours = report("task1_v4", &[("vc_dim", 0.0), ("distance_from_init", 0.0514)]);
        assert_eq!(published.compare("task1_v4", &ours).differing, 1);
        let nothing = published.compare("task1_v4", &report("task1_v4", &[]));
        assert_eq!(nothing.differing, 2, "what has no score does not come out again");
    }

    #[test]
    fn an_unknown_task_says_what_was_meant() {
        let error = Published::load().unwrap().task("task1_v3").unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean `task1_v4`?"));
    }
}
