//! `nc_out_of_distribution`: learners that the model was not trained on.

use pgdl_nc::Observations;
use pgdl_nc::learner::{Activation, Learner, Regularizer};
use pgdl_nc::random::Draws;
use pgdl_nc::snapshots::Snapshots;
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Table};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::nc::model;
use crate::nc::observed::Observed;
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See the module.
pub struct NcOutOfDistribution;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_out_of_distribution",
    title: "Neural Complexity of learners that it was not trained on: other activations, learning rates, widths, depths.",
    paper: super::PAPER,
    version: 1,
    quick: "128 tasks; without a checkpoint, a model of width 128 after 4,000 meta-steps, trained in about 5 minutes",
    full: "512 tasks; without a checkpoint, a model of the paper's size, trained for hours",
    data: &[],
    options: model::OPTIONS,
};

#[derive(Serialize, Deserialize)]
struct Changed {
    observed: Observed,
    left_out: i64,
}

/// What is changed, to what, and the learner that comes of it.
fn changes(learner: &Learner) -> Vec<(&'static str, String, Learner)> {
    let mut changes = vec![("none", "as trained on".to_owned(), learner.clone())];
    for activation in [Activation::LeakyRelu, Activation::Elu, Activation::Tanh, Activation::Sigmoid] {
        let name = format!("{activation:?}").to_lowercase().replace("leakyrelu", "leaky ReLU");
        changes.push(("activation", name, Learner { activation, ..learner.clone() }));
    }
    for factor in [0.1, 0.5, 2.0, 5.0] {
        let lr = factor * learner.lr;
        changes.push(("learning rate", lr.to_string(), Learner { lr, ..learner.clone() }));
    }
    for width in [10, 20, 80, 160] {
        let hidden = vec![width; learner.hidden.len()];
        changes.push(("width", width.to_string(), Learner { hidden, ..learner.clone() }));
    }
    for depth in [1, 3, 4] {
        let hidden = vec![learner.hidden.first().copied().unwrap_or(40); depth];
        changes.push(("hidden layers", depth.to_string(), Learner { hidden, ..learner.clone() }));
    }
    changes
}

impl Experiment for NcOutOfDistribution {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let trained = model::trained(run)?;
        let count = if run.quick() { 128 } else { 512 };
        let changes = changes(&trained.learner);
        run.expect(changes.len());
        let mut columns = vec![Column::new("change", "changed"), Column::new("to", "to")];
        columns.extend(Observed::columns());
        columns.push(Column::new("left_out", "left out"));
        let mut table = Table::new(columns);
        let mut points = Vec::new();
        let mut rows = Vec::new();
        for (place, (change, to, learner)) in changes.into_iter().enumerate() {
            let changed: Changed = run.cell(&format!("{change}: {to}"), |run| {
                let seed = run.seed("held-out");
                let tasks = trained.tasks.draw(count, &mut Draws::new(seed, "tasks", 0), run.device())?;
                let mut draws = Draws::new(seed, "learners", 0);
                let snapshots =
                    Snapshots::of_training(&learner, &tasks, Regularizer::None, &mut draws, run.device())?;
                let observations = Observations::new(&trained.model, &snapshots)?;
                Ok(Changed { observed: Observed::new(&observations, seed)?, left_out: snapshots.left_out })
            })?;
            let mut row = vec![Cell::text(change), Cell::text(&to)];
            row.extend(changed.observed.cells());
            row.push(Cell::count(usize::try_from(changed.left_out).unwrap_or(0)));
            table.push(row);
            let r2 = changed.observed.r2;
            points.push((change, CurvePoint { x: place as f64, y: r2.value, interval: r2.interval }));
            rows.push((change, to, r2));
        }
        let mut figure = Curves {
            title: "R² of Neural Complexity on learners it was not trained on".into(),
            x: "row of the table".into(),
            y: "R²".into(),
            levels: vec![(0.0, "the mean gap".into())],
            ..Curves::default()
        };
        for kind in ["none", "activation", "learning rate", "width", "hidden layers"] {
            let of_kind = points.iter().filter(|(change, _)| *change == kind).map(|(_, point)| *point);
            figure.curves.push(Curve::of(kind, of_kind.collect()).scattered());
        }
        let mut outcome = Outcome::default()
            .table(
                "out_of_distribution",
                "Learners of held-out tasks, at every step of their training",
                table,
            )
            .figure("out_of_distribution", figure)
            .finding(trained.in_words());
        for (what, failing) in [("width", "160"), ("hidden layers", "4")] {
            let measured = rows.iter().find(|(change, to, _)| *change == what && to == failing);
            outcome = outcome.beside(Published {
                what: format!("R² with {what} {failing}"),
                published: "fails".into(),
                source: "Lee et al. 2020, out-of-distribution learners".into(),
                measured: measured.map(|(_, _, r2)| *r2),
            });
        }
        Ok(outcome)
    }
}
