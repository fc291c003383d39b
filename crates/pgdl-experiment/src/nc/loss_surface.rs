//! `nc_loss_surface`: the loss around converged learners, along Neural Complexity's own direction and along random ones.

use pgdl_nc::fit;
use pgdl_nc::learner::{Learner, Moment, Parameters, Regularizer, squared_error};
use pgdl_nc::random::Draws;
use pgdl_nc::task::Tasks;
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Table};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::nc::model::{self, Trained};
use crate::nc::observed::{estimate, number};
use crate::nc::sinusoid::over_tasks;
use crate::outcome::Outcome;
use crate::run::Run;

/// See the module.
pub struct NcLossSurface;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_loss_surface",
    title: "The loss surface around converged learners: against the gradient of Neural Complexity the gap still falls.",
    paper: "Lee et al. 2020, with the filter-wise normalization of Li et al. 2018, Visualizing the Loss Landscape (NeurIPS)",
    version: 1,
    quick: "128 tasks; without a checkpoint, a model of width 128 after 4,000 meta-steps, trained in about 5 minutes",
    full: "512 tasks; without a checkpoint, a model of the paper's size, trained for hours",
    data: &[],
    options: model::OPTIONS,
};

/// Steps to convergence, in multiples of those that the model was trained on.
const LONG: u64 = 25;
/// Distances, in norms of each unit's weights.
const DISTANCES: [f64; 13] = [-0.3, -0.2, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3];

/// What is found at a distance, each number beside its value at distance 0.
#[derive(Serialize, Deserialize)]
struct Place {
    train: Estimate,
    test: Estimate,
    gap: Estimate,
    complexity: Estimate,
}

impl Experiment for NcLossSurface {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let trained = model::trained(run)?;
        let count = if run.quick() { 128 } else { 512 };
        run.expect(2);
        let mut table = Table::new(vec![
            Column::new("direction", "direction"),
            Column::new("distance", "distance"),
            number("train", "train loss").with_interval(),
            number("test", "test loss").with_interval(),
            number("gap", "gap").with_interval(),
            number("nc", "NC").with_interval(),
        ]);
        let mut figure = Curves {
            title: "Around converged learners, change from distance 0".into(),
            x: "distance, filter-normalized".into(),
            y: "change, mean over tasks".into(),
            ..Curves::default()
        };
        let mut outcome = Outcome::default().finding(trained.in_words());
        for direction in ["against the gradient of NC", "random"] {
            let places: Vec<Place> =
                run.cell(direction, |run| surface(run, &trained, direction == "random", count))?;
            let curve = |name: &str, of: fn(&Place) -> Estimate| {
                let points = DISTANCES.iter().zip(&places).map(|(x, place)| {
                    let value = of(place);
                    CurvePoint { x: *x, y: value.value, interval: value.interval }
                });
                Curve::of(format!("{name}, {direction}"), points.collect())
            };
            figure.curves.push(curve("gap", |place| place.gap));
            figure.curves.push(curve("train loss", |place| place.train));
            for (distance, place) in DISTANCES.iter().zip(&places) {
                table.push(vec![
                    Cell::text(direction),
                    Cell::number(*distance),
                    estimate(place.train),
                    estimate(place.test),
                    estimate(place.gap),
                    estimate(place.complexity),
                ]);
                if *distance == 0.05 {
                    let [low, high] = place.gap.interval.unwrap_or([place.gap.value; 2]);
                    outcome = outcome.finding(format!(
                        "Direction {direction}, distance {distance}: the gap changes by {:.4} [{low:.4}, {high:.4}].",
                        place.gap.value
                    ));
                }
            }
        }
        Ok(outcome
            .table("loss_surface", "Change from distance 0, mean over the learners of held-out tasks", table)
            .figure("loss_surface", figure))
    }
}

fn surface(run: &Run<'_>, trained: &Trained, random: bool, count: i64) -> Result<Vec<Place>> {
    let seed = run.seed("held-out");
    let tasks = trained.tasks.draw(count, &mut Draws::new(seed, "tasks", 0), run.device())?;
    let learner = Learner { steps: LONG * trained.learner.steps, ..trained.learner.clone() };
    let initial = learner.initialize(count, &mut Draws::new(seed, "learners", 0), run.device())?;
    let converged = learner.train(&tasks, initial, Regularizer::None, &mut |_| Ok(()))?;
    let raw = if random {
        let mut draws = Draws::new(seed, "direction", 0);
        let draw = |part: &Tensor| draws.uniform(&part.size(), -1.0, 1.0, run.device());
        converged.iter().map(draw).collect::<Result<Parameters, _>>()?
    } else {
        let leaves: Parameters = converged
            .iter()
            .map(|part| part.f_detach()?.f_set_requires_grad(true))
            .collect::<Result<_, tch::TchError>>()?;
        let moment = moment(&learner, &leaves, &tasks)?;
        let total = trained.model.complexity(&moment.rows(&tasks))?.f_sum(Kind::Float)?;
        let gradients = Tensor::f_run_backward(&[total], &leaves, false, false)?;
        gradients.iter().map(Tensor::f_neg).collect::<Result<_, _>>()?
    };
    let direction = converged
        .iter()
        .zip(&raw)
        .enumerate()
        .map(|(place, (part, raw))| normalized(part, raw, place % 2 == 1))
        .collect::<Result<Parameters>>()?;
    let mut found = Vec::new();
    for distance in DISTANCES {
        let moved: Parameters = converged
            .iter()
            .zip(&direction)
            .map(|(part, direction)| part.f_add(&direction.f_mul_scalar(distance)?))
            .collect::<Result<_, tch::TchError>>()?;
        let moment = tch::no_grad(|| moment(&learner, &moved, &tasks))?;
        let complexity = fit::estimate(&trained.model, &moment.rows(&tasks))?;
        found.push([
            moment.train_loss.shallow_clone(),
            moment.test_loss.shallow_clone(),
            moment.gap()?,
            complexity,
        ]);
    }
    let origin = DISTANCES.iter().position(|distance| *distance == 0.0).unwrap_or(0);
    found
        .iter()
        .map(|values| {
            let change = |index: usize| over_tasks(&values[index].f_sub(&found[origin][index])?);
            Ok(Place { train: change(0)?, test: change(1)?, gap: change(2)?, complexity: change(3)? })
        })
        .collect()
}

/// A learner's outputs and losses, with derivatives where its parameters have them.
fn moment(learner: &Learner, parameters: &[Tensor], tasks: &Tasks) -> Result<Moment> {
    let train_outputs = learner.outputs(parameters, &tasks.train_inputs)?;
    let test_outputs = learner.outputs(parameters, &tasks.test_inputs)?;
    Ok(Moment {
        step: 0,
        train_loss: squared_error(&train_outputs, &tasks.train_targets)?,
        test_loss: squared_error(&test_outputs, &tasks.test_targets)?,
        train_outputs,
        test_outputs,
    })
}

/// A direction `[T, inputs, outputs]` in which every unit's weights have the norm that they have in the network; biases
/// stay.
fn normalized(part: &Tensor, direction: &Tensor, bias: bool) -> Result<Tensor> {
    if bias {
        return Ok(part.f_zeros_like()?);
    }
    let norm =
        |tensor: &Tensor| tensor.f_square()?.f_sum_dim_intlist([1].as_slice(), true, Kind::Float)?.f_sqrt();
    Ok(direction.f_div(&norm(direction)?.f_add_scalar(1e-12)?)?.f_mul(&norm(part)?)?)
}
