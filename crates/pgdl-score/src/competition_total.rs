//! The competition's total over the tasks of a phase.

use crate::granulated_kendall::mean;
use crate::outcome::{Outcome, Undefined};

/// How a task of a phase ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TaskScore {
    /// Its `cmi_pgdl`.
    Value(f64),
    /// The time budget ran out before every network had a value: the competition wrote the text `EXCEEDED`.
    Exceeded,
}

/// The mean over the tasks, in the units of the scores; 0 if any task exceeded its budget.
///
/// # Undefined
/// Without tasks.
pub fn competition_total(tasks: &[TaskScore]) -> Outcome {
    if tasks.contains(&TaskScore::Exceeded) {
        return Ok(0.0);
    }
    let values: Vec<f64> = tasks
        .iter()
        .filter_map(|task| match task {
            TaskScore::Value(value) => Some(*value),
            TaskScore::Exceeded => None,
        })
        .collect();
    mean(&values).ok_or_else(|| Undefined::because("there are no tasks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_or_nothing() {
        assert_eq!(competition_total(&[TaskScore::Value(0.25), TaskScore::Value(0.75)]), Ok(0.5));
        assert_eq!(competition_total(&[TaskScore::Value(0.25), TaskScore::Exceeded]), Ok(0.0));
        assert!(competition_total(&[]).is_err());
    }
}
