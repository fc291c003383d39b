//! `nc_dataset_size`: how gap and Neural Complexity change with the number of train rows.

use pgdl_nc::Observations;
use pgdl_nc::learner::Regularizer;
use pgdl_nc::random::Draws;
use pgdl_nc::snapshots::Snapshots;
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Table};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::nc::model;
use crate::nc::observed::{Observed, estimate, number};
use crate::outcome::Outcome;
use crate::run::Run;

/// See the module.
pub struct NcDatasetSize;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_dataset_size",
    title: "Neural Complexity against the size of the training set: the larger gap of few examples is seen, by a model \
            trained at one size.",
    paper: super::PAPER,
    version: 1,
    quick: "128 tasks; without a checkpoint, a model of width 128 after 4,000 meta-steps, trained in about 5 minutes",
    full: "512 tasks; without a checkpoint, a model of the paper's size, trained for hours",
    data: &[],
    options: model::OPTIONS,
};

const SIZES: [i64; 7] = [2, 5, 10, 20, 40, 80, 160];
/// Steps after which learners have fitted what they can: 25 times those that the model was trained on.
const LONG: u64 = 25;

#[derive(Serialize, Deserialize)]
struct Size {
    gap: Estimate,
    estimate: Estimate,
    observed: Observed,
}

impl Experiment for NcDatasetSize {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let trained = model::trained(run)?;
        let count = if run.quick() { 128 } else { 512 };
        run.expect(2 * SIZES.len());
        let mut table = Table::new(vec![
            Column::new("steps", "learner's steps"),
            Column::new("train_rows", "train rows"),
            number("gap", "mean gap").with_interval(),
            number("nc", "mean NC").with_interval(),
            number("r2", "R²").with_interval(),
        ]);
        let mut figure = Curves {
            title: "Gap and Neural Complexity by training-set size".into(),
            x: "train rows".into(),
            y: "mean over tasks".into(),
            logarithmic_x: true,
            places: vec![(trained.tasks.train as f64, "trained on".into())],
            ..Curves::default()
        };
        for steps in [trained.learner.steps, LONG * trained.learner.steps] {
            let (mut gaps, mut estimates) = (Vec::new(), Vec::new());
            for rows in SIZES {
                let size: Size = run.cell(&format!("{steps} steps, {rows} train rows"), |run| {
                    let seed = run.seed("held-out");
                    let mut settings = trained.tasks.clone();
                    settings.train = rows;
                    let tasks = settings.draw(count, &mut Draws::new(seed, "tasks", 0), run.device())?;
                    let mut learner = trained.learner.clone();
                    learner.steps = steps;
                    let initial =
                        learner.initialize(count, &mut Draws::new(seed, "learners", 0), run.device())?;
                    let mut last = None;
                    learner.train(&tasks, initial, Regularizer::None, &mut |moment| {
                        last = Some(moment);
                        Ok(())
                    })?;
                    let snapshots = Snapshots::of_moments(&tasks, last.as_slice())?;
                    let observations = Observations::new(&trained.model, &snapshots)?;
                    let mean = |values: &[f64]| {
                        Estimate::mean(values)
                            .ok_or_else(|| ExperimentError::failed("every learner diverges"))
                    };
                    Ok(Size {
                        gap: mean(&observations.gaps)?,
                        estimate: mean(&observations.estimates)?,
                        observed: Observed::new(&observations, seed)?,
                    })
                })?;
                table.push(vec![
                    Cell::count(steps as usize),
                    Cell::count(rows as usize),
                    estimate(size.gap),
                    estimate(size.estimate),
                    estimate(size.observed.r2),
                ]);
                let point =
                    |value: Estimate| CurvePoint { x: rows as f64, y: value.value, interval: value.interval };
                gaps.push(point(size.gap));
                estimates.push(point(size.estimate));
            }
            figure.curves.push(Curve::of(format!("gap, {steps} steps"), gaps));
            figure.curves.push(Curve::of(format!("NC, {steps} steps"), estimates));
        }
        Ok(Outcome::default()
            .table("dataset_size", "Plain learners of held-out tasks after their last step", table)
            .figure("dataset_size", figure)
            .finding(trained.in_words()))
    }
}
