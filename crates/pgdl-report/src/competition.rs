//! The competition's file of scores, `scores.txt`.

use std::fmt::Write as _;
use std::path::Path;

use pgdl_score::{TaskScore, competition_total};

use crate::error::{ReportError, Result};

/// The competition's `scores.txt`: `task_<task>_score: …` per task, then `task_average_score: …`, 12 decimals each.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoresFile {
    /// Task and score (× 100), in the order of the file.
    pub tasks: Vec<(String, f64)>,
    /// The total (× 100).
    pub average: f64,
}

const AVERAGE: &str = "task_average_score";

impl ScoresFile {
    /// The file of a phase: tasks with their scores as fractions. A task that exceeded the budget has score 0, and so
    /// has the total.
    ///
    /// # Errors
    /// Without a task, with a score that is not finite, with a task whose name would not survive the format.
    pub fn new(tasks: &[(String, TaskScore)]) -> Result<ScoresFile> {
        let scores: Vec<TaskScore> = tasks.iter().map(|(_, score)| *score).collect();
        let average =
            competition_total(&scores).map_err(|reason| ReportError::invalid(reason.to_string()))?;
        for (place, (task, score)) in tasks.iter().enumerate() {
            if task == "average" || task.is_empty() || task.contains([':', '\n', '\r']) {
                return Err(ReportError::invalid(format!(
                    "`{task}` cannot be the name of a task in scores.txt"
                )));
            }
            if tasks[..place].iter().any(|(other, _)| other == task) {
                return Err(ReportError::invalid(format!("task {task} has two scores")));
            }
            if matches!(score, TaskScore::Value(value) if !value.is_finite()) {
                return Err(ReportError::invalid(format!("task {task} has no finite score")));
            }
        }
        let printed = |score: &TaskScore| match score {
            TaskScore::Value(value) => 100.0 * value,
            TaskScore::Exceeded => 0.0,
        };
        Ok(ScoresFile {
            tasks: tasks.iter().map(|(task, score)| (task.clone(), printed(score))).collect(),
            average: 100.0 * average,
        })
    }

    /// Reads a `scores.txt`.
    ///
    /// # Errors
    /// When the file cannot be read, a line has another form, a task occurs twice, or the total is missing.
    pub fn read(path: impl AsRef<Path>) -> Result<ScoresFile> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ReportError::io(path, source))?;
        let text = crate::text::utf8(&bytes).map_err(|message| ReportError::malformed(path, message))?;
        Self::parse(text).map_err(|message| ReportError::malformed(path, message))
    }

    /// Reads the text of a `scores.txt`.
    ///
    /// # Errors
    /// As [`ScoresFile::read`], in words that name the line.
    pub fn parse(text: &str) -> Result<ScoresFile, String> {
        let mut tasks: Vec<(String, f64)> = Vec::new();
        let mut average = None;
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            if line.trim().is_empty() {
                continue;
            }
            let form = || format!("line {number} is not of the form `task_<task>_score: <number>`");
            let (key, value) = line.split_once(':').ok_or_else(form)?;
            let score: f64 = value.trim().parse().map_err(|_| form())?;
            let key = key.trim();
            if key == AVERAGE {
                if average.replace(score).is_some() {
                    return Err(format!("line {number} gives {AVERAGE} a second time"));
                }
                continue;
            }
            let task =
                key.strip_prefix("task_").and_then(|rest| rest.strip_suffix("_score")).ok_or_else(form)?;
            if tasks.iter().any(|(other, _)| other == task) {
                return Err(format!("line {number} gives task {task} a second score"));
            }
            tasks.push((task.to_owned(), score));
        }
        let average = average.ok_or_else(|| format!("there is no line {AVERAGE}"))?;
        Ok(ScoresFile { tasks, average })
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (task, score) in &self.tasks {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "task_{task}_score: {score:.12}");
        }
        let _ = writeln!(text, "{AVERAGE}: {:.12}", self.average);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(task: &str, score: f64) -> (String, TaskScore) {
        (task.to_owned(), TaskScore::Value(score))
    }

    #[test]
    fn the_total_is_zero_once_anything_exceeded() {
        let tasks = [task("1", 0.28), ("2".to_owned(), TaskScore::Exceeded)];
        let text = ScoresFile::new(&tasks).unwrap().to_text();
        assert_eq!(
            text,
            "task_1_score: 28.000000000000\ntask_2_score: 0.000000000000\ntask_average_score: 0.000000000000\n"
        );
    }

    #[test]
    fn the_file_has_twelve_decimals_and_survives() {
        let file =
            ScoresFile::new(&[task("task1_v4", 0.28661352748728347), task("task2_v1", 1.0 / 300.0)]).unwrap();
        let text = file.to_text();
        assert_eq!(
            text,
            "task_task1_v4_score: 28.661352748728\ntask_task2_v1_score: 0.333333333333\n\
             task_average_score: 14.497343041031\n"
        );
        let again = ScoresFile::parse(&text.replace('\n', "\r\n")).unwrap();
        assert_eq!(again.tasks[0], ("task1_v4".to_owned(), 28.661352748728));
        assert_eq!(again.to_text(), text);
    }

    #[test]
    fn what_is_no_scores_file_is_refused_with_its_line() {
        for (text, message) in [
            ("", "there is no line task_average_score"),
            ("task_1_score: 3\n", "there is no line task_average_score"),
            ("task_1_score: x\n", "line 1 is not of the form `task_<task>_score: <number>`"),
            ("\ntask_1: 3\n", "line 2 is not of the form `task_<task>_score: <number>`"),
            ("task_1_score: 1\ntask_1_score: 1\n", "line 2 gives task 1 a second score"),
            (
                "task_average_score: 1\ntask_average_score: 1\n",
                "line 2 gives task_average_score a second time",
            ),
        ] {
            assert_eq!(ScoresFile::parse(text), Err(message.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_score_that_does_not_exist_is_not_written() {
        assert!(ScoresFile::new(&[]).is_err());
        assert!(ScoresFile::new(&[task("a", f64::NAN)]).is_err());
        assert!(ScoresFile::new(&[task("average", 1.0)]).is_err());
        assert!(ScoresFile::new(&[task("a", 1.0), task("a", 2.0)]).is_err());
    }
}
