//! `nc_closed_form`: learners without training, such as the nearest neighbour, whose training error is 0.

use pgdl_nc::Observations;
use pgdl_nc::closed_form::ClosedForm;
use pgdl_nc::random::Draws;
use pgdl_nc::snapshots::Snapshots;
use pgdl_report::{Cell, Column, Curve, Curves, Table};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::nc::model;
use crate::nc::observed::{Observed, estimate, number};
use crate::nc::sinusoid::over_tasks;
use crate::outcome::Outcome;
use crate::run::Run;

/// See the module.
pub struct NcClosedForm;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_closed_form",
    title: "Neural Complexity of learners with a closed form, which it never saw: the nearest neighbour fits every train \
            row and is penalized all the same.",
    paper: super::PAPER,
    version: 1,
    quick: "256 tasks; without a checkpoint, a model of width 128 after 4,000 meta-steps, trained in about 5 minutes",
    full: "1,024 tasks; without a checkpoint, a model of the paper's size, trained for hours",
    data: &[],
    options: model::OPTIONS,
};

const LEARNERS: [ClosedForm; 7] = [
    ClosedForm::NearestNeighbours(1),
    ClosedForm::NearestNeighbours(3),
    ClosedForm::Mean,
    ClosedForm::Line,
    ClosedForm::Kernel { ridge: 0.001 },
    ClosedForm::Kernel { ridge: 1.0 },
    ClosedForm::Sinusoid,
];

#[derive(Serialize, Deserialize)]
struct Learned {
    train_loss: f64,
    gap: Estimate,
    estimate: Estimate,
    /// The fit; nothing where all gaps are the same.
    observed: Option<Observed>,
    points: Vec<(f64, f64)>,
}

impl Experiment for NcClosedForm {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let trained = model::trained(run)?;
        let count = if run.quick() { 256 } else { 1_024 };
        run.expect(LEARNERS.len());
        let mut table = Table::new(vec![
            Column::new("learner", "learner"),
            number("train_loss", "train loss"),
            number("gap", "mean gap").with_interval(),
            number("nc", "mean NC").with_interval(),
            number("r2", "R²").with_interval(),
            number("mae", "mean abs. error").with_interval(),
        ]);
        let mut figure = Curves {
            title: "Neural Complexity of learners with a closed form".into(),
            x: "Neural Complexity".into(),
            y: "gap, test − train squared error".into(),
            ..Curves::default()
        };
        let mut outcome = Outcome::default().finding(trained.in_words());
        for closed in LEARNERS {
            let learned: Learned = run.cell(&closed.name(), |run| {
                let seed = run.seed("held-out");
                let tasks = trained.tasks.draw(count, &mut Draws::new(seed, "tasks", 0), run.device())?;
                let moment = closed.learn(&tasks)?;
                let train_loss = over_tasks(&moment.train_loss)?.value;
                let gap = over_tasks(&moment.gap()?)?;
                let observations =
                    Observations::new(&trained.model, &Snapshots::of_moments(&tasks, &[moment])?)?;
                let estimate = Estimate::mean(&observations.estimates).ok_or_else(|| {
                    crate::error::ExperimentError::failed("every hypothesis is infinite or NaN")
                })?;
                let points =
                    observations.estimates.iter().copied().zip(observations.gaps.iter().copied()).take(200);
                // The sinusoid's gaps are rounding errors: no R² to speak of.
                let observed = match closed {
                    ClosedForm::Sinusoid => None,
                    _ => Some(Observed::new(&observations, seed)?),
                };
                Ok(Learned { train_loss, gap, estimate, points: points.collect(), observed })
            })?;
            table.push(vec![
                Cell::text(closed.name()),
                Cell::number(learned.train_loss),
                estimate(learned.gap),
                estimate(learned.estimate),
                learned.observed.map_or_else(Cell::empty, |observed| estimate(observed.r2)),
                learned.observed.map_or_else(Cell::empty, |observed| estimate(observed.mae)),
            ]);
            if closed == ClosedForm::NearestNeighbours(1) {
                outcome = outcome.finding(format!(
                    "The nearest neighbour's train loss is {}; NC gives it {:.3} on average, its gap is {:.3}.",
                    learned.train_loss, learned.estimate.value, learned.gap.value
                ));
            }
            if figure.curves.len() < 6 {
                figure.curves.push(Curve::through(closed.name(), learned.points).scattered());
            }
        }
        Ok(outcome
            .table("closed_form", "Learners with a closed form, on held-out tasks", table)
            .figure("closed_form", figure))
    }
}
