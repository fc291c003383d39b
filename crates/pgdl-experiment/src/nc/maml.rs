//! `nc_maml`: Neural Complexity as a regularizer, from a random and from a meta-learned initialization.

use pgdl_nc::NcError;
use pgdl_nc::learner::{Learner, Moment, Regularizer, squared_error};
use pgdl_nc::maml::Maml;
use pgdl_nc::random::Draws;
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Table};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{ExperimentError, Result};
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::nc::model::{self, Trained};
use crate::nc::observed::{estimate, number};
use crate::nc::sinusoid::{diverged, over_tasks, with_fresh_rows};
use crate::outcome::Outcome;
use crate::run::Run;

/// See the module.
pub struct NcMaml;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_maml",
    title: "Neural Complexity as a regularizer of learners that start at random and of learners that start where MAML says.",
    paper: "Lee et al. 2020 with the initialization of Finn, Abbeel & Levine 2017, Model-Agnostic Meta-Learning (ICML)",
    version: 1,
    quick: "128 tasks, 500 steps of MAML; without a checkpoint, a model of width 128 after 4,000 meta-steps, trained in \
            about 5 minutes",
    full: "512 tasks, 5,000 steps of MAML; without a checkpoint, a model of the paper's size, trained for hours",
    data: &[],
    options: OPTIONS,
};

static OPTIONS: &[OptionInfo] = &[
    model::OPTIONS[0],
    model::OPTIONS[1],
    OptionInfo { name: "maml-steps", doc: "outer steps of MAML, instead of the setting's" },
];

/// Inner steps of MAML, as in its paper's sinusoids with 10 shots.
const INNER_STEPS: u64 = 5;

#[derive(Serialize, Deserialize)]
struct Losses {
    /// Test loss, over tasks, before the first and after each step.
    test: Vec<Estimate>,
    /// Of rows that NC does not see, after the last step.
    fresh: Estimate,
    /// Of the train rows, after the last step.
    train: Estimate,
    /// Learners that diverged, and count in no mean.
    diverged: usize,
}

impl Experiment for NcMaml {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let trained = model::trained(run)?;
        let (count, steps) = if run.quick() { (128, 500) } else { (512, 5_000) };
        let steps = run.option("maml-steps")?.unwrap_or(steps);
        run.expect(5);
        let flat: Vec<f32> = run.cell("initialization", |run| {
            let maml = Maml { steps, batch: 64, lr: 1e-3 };
            let inner = Learner { steps: INNER_STEPS, ..trained.learner.clone() };
            let mut stopped = None;
            let found =
                maml.initialize(&inner, &trained.tasks, run.seed("maml"), run.device(), &mut |step, _| {
                    stopped = run.check_stop().err();
                    match stopped {
                        Some(_) => Err(NcError::Interrupted { step, total: steps }),
                        None => Ok(()),
                    }
                });
            if let Some(stopped) = stopped {
                return Err(stopped);
            }
            let flat: Vec<Tensor> =
                found?.iter().map(|part| part.f_reshape([-1])).collect::<Result<_, tch::TchError>>()?;
            Ok(Vec::try_from(&Tensor::f_cat(&flat, 0)?)?)
        })?;
        let mut table = Table::new(vec![
            Column::new("initialization", "initialization"),
            Column::new("regularizer", "regularizer"),
            number("train_loss", "train loss").with_interval(),
            number("test_loss", "test loss").with_interval(),
            number("fresh_loss", "test loss, other inputs").with_interval(),
            Column::new("diverged", "diverged"),
        ]);
        let mut figure = Curves {
            title: "Test loss of learners by step".into(),
            x: "step of the learner".into(),
            y: "mean squared error of the test rows".into(),
            ..Curves::default()
        };
        for start in ["random", "MAML"] {
            for (name, complexity) in [("none", false), ("NC", true)] {
                let losses: Losses = run.cell(&format!("{start}, {name}"), |run| {
                    let initial = (start == "MAML").then_some(&flat[..]);
                    learned(run, &trained, initial, complexity, count)
                })?;
                table.push(vec![
                    Cell::text(start),
                    Cell::text(name),
                    estimate(losses.train),
                    losses.test.last().map_or_else(Cell::empty, |last| estimate(*last)),
                    estimate(losses.fresh),
                    Cell::count(losses.diverged),
                ]);
                let points = losses.test.iter().enumerate().map(|(step, loss)| CurvePoint {
                    x: step as f64,
                    y: loss.value,
                    interval: loss.interval,
                });
                figure.curves.push(Curve::of(format!("{start}, {name}"), points.collect()));
            }
        }
        Ok(Outcome::default()
            .table("maml", "Learners of held-out tasks: mean squared errors over tasks", table)
            .figure("maml", figure)
            .finding(trained.in_words())
            .finding("The model was trained on learners from random initializations only."))
    }
}

fn learned(
    run: &Run<'_>,
    trained: &Trained,
    initial: Option<&[f32]>,
    complexity: bool,
    count: i64,
) -> Result<Losses> {
    let learner = &trained.learner;
    let seed = run.seed("held-out");
    let (tasks, inputs, targets) = with_fresh_rows(trained, count, &mut Draws::new(seed, "tasks", 0), run)?;
    let mut start = learner.initialize(count, &mut Draws::new(seed, "learners", 0), run.device())?;
    if let Some(flat) = initial {
        let flat = Tensor::f_from_slice(flat)?.f_to_device(run.device())?;
        let mut offset = 0;
        for part in &mut start {
            let size = part.size();
            let length = size[1] * size[2];
            *part =
                flat.f_narrow(0, offset, length)?.f_view([1, size[1], size[2]])?.f_repeat([count, 1, 1])?;
            offset += length;
        }
    }
    let regularizer = match complexity {
        true => Regularizer::Complexity { model: &trained.model, weight: 1.0 },
        false => Regularizer::None,
    };
    let mut moments: Vec<Moment> = Vec::new();
    let parameters = learner.train(&tasks, start, regularizer, &mut |moment| {
        moments.push(moment);
        Ok(())
    })?;
    let fresh = squared_error(&learner.outputs(&parameters, &inputs)?, &targets)?.f_to_kind(Kind::Float)?;
    let last = moments.last().ok_or_else(|| ExperimentError::failed("a learner without moments"))?;
    Ok(Losses {
        train: over_tasks(&last.train_loss)?,
        diverged: diverged(&fresh)?,
        fresh: over_tasks(&fresh)?,
        test: moments.iter().map(|moment| over_tasks(&moment.test_loss)).collect::<Result<_>>()?,
    })
}
