//! `nc_sinusoid`: the fit to held-out tasks, and the regularizers beside each other.

use pgdl_nc::learner::{Moment, Regularizer, squared_error};
use pgdl_nc::random::Draws;
use pgdl_nc::snapshots::Snapshots;
use pgdl_nc::task::Tasks;
use pgdl_nc::{Bound, NcError, Observations};
use pgdl_report::{Cell, Column, Curve, Curves, Table};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::nc::model::{self, Trained};
use crate::nc::observed::{Observed, estimate, number};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See the module.
pub struct NcSinusoid;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_sinusoid",
    title: "Neural Complexity on sinusoid regression: its estimates against true gaps on held-out tasks, and as a \
            regularizer beside others.",
    paper: super::PAPER,
    version: 1,
    quick: "128 tasks; without a checkpoint, a model of width 128 after 4,000 meta-steps, trained in about 5 minutes",
    full: "512 tasks; without a checkpoint, a model of the paper's size, trained for hours",
    data: &[],
    options: model::OPTIONS,
};

/// Points of the figure, at most: one per task.
const SHOWN: usize = 500;
/// Test rows that neither learner nor model sees.
const FRESH: i64 = 100;
/// Weights that penalties choose from.
const WEIGHTS: [f64; 8] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// A fit to one kind of learners.
#[derive(Serialize, Deserialize)]
struct Fitted {
    all_steps: Observed,
    last_step: Observed,
    /// (NC, gap) after the last step.
    points: Vec<(f64, f64)>,
    left_out: i64,
    bound: Option<Bound>,
}

/// Test losses of learners after their last step.
#[derive(Serialize, Deserialize)]
struct Losses {
    train: Estimate,
    /// Of the test rows whose inputs NC sees.
    test: Estimate,
    /// Of other rows.
    fresh: Estimate,
}

impl Experiment for NcSinusoid {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let trained = model::trained(run)?;
        let tasks = if run.quick() { 128 } else { 512 };
        run.expect(2 + 2 * WEIGHTS.len() + 4);
        let complexity = || Regularizer::Complexity { model: &trained.model, weight: 1.0 };
        let plain = run.cell("fit: plain learners", |run| fitted(run, &trained, Regularizer::None, tasks))?;
        let with = run.cell("fit: learners with NC", |run| fitted(run, &trained, complexity(), tasks))?;

        let mut compared = vec![("none".to_owned(), None)];
        for (name, penalty) in
            [("L1", Regularizer::L1 as fn(f64) -> Regularizer<'static>), ("L2", Regularizer::L2)]
        {
            let mut best = (f64::INFINITY, WEIGHTS[0]);
            for weight in WEIGHTS {
                let key = format!("{name}, weight {weight}: validation");
                let losses =
                    run.cell(&key, |run| losses(run, &trained, penalty(weight), tasks, "validation"))?;
                if losses.fresh.value < best.0 {
                    best = (losses.fresh.value, weight);
                }
            }
            compared.push((name.to_owned(), Some((penalty(best.1), best.1))));
        }
        compared.push(("Neural Complexity".to_owned(), Some((complexity(), 1.0))));

        let mut table = Table::new(vec![
            Column::new("regularizer", "regularizer"),
            Column::new("weight", "weight"),
            number("train_loss", "train loss").with_interval(),
            number("test_loss", "test loss").with_interval(),
            number("fresh_loss", "test loss, other inputs").with_interval(),
        ]);
        let mut of_methods = Vec::new();
        for (name, penalty) in &compared {
            let regularizer = penalty.map_or(Regularizer::None, |(regularizer, _)| regularizer);
            let key = match penalty {
                Some((_, weight)) => format!("{name}, weight {weight}: test"),
                None => format!("{name}: test"),
            };
            let found: Losses =
                run.cell(&key, |run| losses(run, &trained, regularizer, tasks, "comparison"))?;
            table.push(vec![
                Cell::text(name),
                Cell::maybe(penalty.map(|(_, weight)| weight)),
                estimate(found.train),
                estimate(found.test),
                estimate(found.fresh),
            ]);
            of_methods.push((name.clone(), found));
        }

        let mut columns = vec![Column::new("learners", "learners"), Column::new("moments", "after")];
        columns.extend(Observed::columns());
        let mut fits = Table::new(columns);
        for (name, fitted) in [("plain", &plain), ("with NC", &with)] {
            for (moments, observed) in [("every step", &fitted.all_steps), ("last step", &fitted.last_step)] {
                let mut row = vec![Cell::text(name), Cell::text(moments)];
                row.extend(observed.cells());
                fits.push(row);
            }
        }
        let mut figure = Curves {
            title: "Neural Complexity against the gap, held-out tasks, after the last step".into(),
            x: "Neural Complexity".into(),
            y: "gap, test − train squared error".into(),
            ..Curves::default()
        };
        let ends =
            plain.points.iter().map(|(x, _)| *x).fold((f64::MAX, f64::MIN), |e, x| (e.0.min(x), e.1.max(x)));
        figure.curves.push(Curve::through("plain learners", plain.points.iter().copied()).scattered());
        figure.curves.push(Curve::through("learners with NC", with.points.iter().copied()).scattered());
        figure.curves.push(Curve::through("gap = NC", [(ends.0, ends.0), (ends.1, ends.1)]));

        let mut outcome = Outcome::default()
            .table("fit", "Fit to held-out tasks", fits)
            .table(
                "regularizers",
                "Learners with each regularizer: mean squared errors over tasks, penalties with the weight that is best \
                 on other tasks",
                table,
            )
            .figure("fit", figure)
            .finding(trained.in_words())
            .beside(Published {
                what: "R² of NC against the gap, held-out sinusoids, plain learners at every step".into(),
                published: "0.9589".into(),
                source: "Lee et al. 2020, sinusoid regression".into(),
                measured: Some(plain.all_steps.r2),
            });
        if let Some(bound) = plain.bound {
            outcome = outcome.finding(format!(
                "Proposition 1, plain learners after the last step: L ≤ L̂ + NC + {:.3} with probability at least {:.3} \
                 (δ = {}, n = {} tasks, {:.1} % exceed).",
                bound.epsilon,
                bound.probability,
                bound.delta,
                bound.n,
                100.0 * bound.exceeding
            ));
        }
        let left_out = plain.left_out + with.left_out;
        if left_out > 0 {
            outcome =
                outcome.finding(format!("{left_out} snapshots with infinite or NaN numbers are left out."));
        }
        if let (Some((_, none)), Some((_, nc))) = (of_methods.first(), of_methods.last()) {
            outcome = outcome.finding(format!(
                "Mean test loss {:.3} without regularizer, {:.3} with NC ({:.3} and {:.3} at other inputs).",
                none.test.value, nc.test.value, none.fresh.value, nc.fresh.value
            ));
        }
        Ok(outcome)
    }
}

/// The fit to learners of held-out tasks, trained with a regularizer.
fn fitted(run: &Run<'_>, trained: &Trained, regularizer: Regularizer, tasks: i64) -> Result<Fitted> {
    let seed = run.seed("fit");
    let tasks = trained.tasks.draw(tasks, &mut Draws::new(seed, "tasks", 0), run.device())?;
    let mut draws = Draws::new(seed, "learners", 0);
    let snapshots = Snapshots::of_training(&trained.learner, &tasks, regularizer, &mut draws, run.device())?;
    let all = Observations::new(&trained.model, &snapshots)?;
    let last = all.at_step(trained.learner.steps);
    let bound = match Bound::at_probability(&last.differences(), 0.8, 0.05) {
        Ok(bound) => Some(bound),
        Err(NcError::Undefined(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let points = last.estimates.iter().copied().zip(last.gaps.iter().copied()).take(SHOWN).collect();
    Ok(Fitted {
        all_steps: Observed::new(&all, seed)?,
        last_step: Observed::new(&last, seed)?,
        points,
        left_out: snapshots.left_out,
        bound,
    })
}

/// Tasks with `FRESH` more test rows, which go apart.
pub(super) fn with_fresh_rows(
    trained: &Trained,
    count: i64,
    draws: &mut Draws,
    run: &Run<'_>,
) -> Result<(Tasks, Tensor, Tensor)> {
    let mut settings = trained.tasks.clone();
    let seen = settings.test;
    settings.test += FRESH;
    let tasks = settings.draw(count, draws, run.device())?;
    let apart = |tensor: &Tensor| tensor.f_narrow(1, seen, FRESH);
    let (inputs, targets) = (apart(&tasks.test_inputs)?, apart(&tasks.test_targets)?);
    let tasks = Tasks {
        test_inputs: tasks.test_inputs.f_narrow(1, 0, seen)?,
        test_targets: tasks.test_targets.f_narrow(1, 0, seen)?,
        train_inputs: tasks.train_inputs,
        train_targets: tasks.train_targets,
    };
    Ok((tasks, inputs, targets))
}

fn losses(
    run: &Run<'_>,
    trained: &Trained,
    regularizer: Regularizer,
    count: i64,
    purpose: &str,
) -> Result<Losses> {
    let learner = &trained.learner;
    let seed = run.seed(purpose);
    let (tasks, inputs, targets) = with_fresh_rows(trained, count, &mut Draws::new(seed, "tasks", 0), run)?;
    let initial = learner.initialize(count, &mut Draws::new(seed, "learners", 0), run.device())?;
    let mut last: Option<Moment> = None;
    let parameters = learner.train(&tasks, initial, regularizer, &mut |moment| {
        last = Some(moment);
        Ok(())
    })?;
    let last = last.ok_or_else(|| NcError::Undefined("a learner without moments".into()))?;
    let fresh = squared_error(&learner.outputs(&parameters, &inputs)?, &targets)?;
    Ok(Losses {
        train: over_tasks(&last.train_loss)?,
        test: over_tasks(&last.test_loss)?,
        fresh: over_tasks(&fresh)?,
    })
}

/// The mean over tasks, `[T]`, with its interval. Learners that diverged are left out; [`diverged`] counts them.
pub(super) fn over_tasks(losses: &Tensor) -> Result<Estimate> {
    let mut losses: Vec<f64> = Vec::try_from(&losses.f_detach()?.f_to_kind(Kind::Double)?)?;
    losses.retain(|loss| loss.is_finite());
    Estimate::mean(&losses).ok_or_else(|| crate::error::ExperimentError::failed("every learner diverges"))
}

/// How many of these losses, `[T]`, are infinite or NaN.
pub(super) fn diverged(losses: &Tensor) -> Result<usize> {
    let losses: Vec<f64> = Vec::try_from(&losses.f_detach()?.f_to_kind(Kind::Double)?)?;
    Ok(losses.iter().filter(|loss| !loss.is_finite()).count())
}
