//! What each part of the form for classification is worth.

use pgdl_nc::hypotheses::Hypotheses;
use pgdl_nc::learner::Regularizer;
use pgdl_nc::model::{Precision, Value};
use pgdl_nc::random::Draws;
use pgdl_nc::{Observations, Recipe};
use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::estimate::{cell, mean_of};
use crate::experiment::{Experiment, ExperimentInfo};
use crate::nc::PAPER;
use crate::nc::model::meta_trained;
use crate::outcome::Outcome;
use crate::run::Run;

/// The ablation of the form for classification.
pub struct NcAblation;

/// What `nc_ablation` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_ablation",
    title: "On tasks with one image of each of ten classes, Neural Complexity without the constant, without the losses of train \
            rows, and without the bilinear layer.",
    paper: PAPER,
    version: 1,
    quick: "150 meta-steps, one seed; minutes",
    full: "1,500 meta-steps, 3 seeds; an hour",
    data: &["mnist", "fashion_mnist"],
    options: &[],
};

const WHOLE: Value = Value::CLASSIFICATION;

const VARIANTS: [(&str, Value); 4] = [
    ("whole", WHOLE),
    ("no_constant", Value { constant: false, ..WHOLE }),
    ("no_train_loss", Value { loss: false, ..WHOLE }),
    ("no_bilinear", Value { bilinear: false, ..WHOLE }),
];

/// How a model does on held-out tasks.
#[derive(Serialize, Deserialize)]
struct Errors {
    mean_square: f64,
    r2: f64,
}

impl Experiment for NcAblation {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let seeds = if run.quick() { 1 } else { 3 };
        run.expect(VARIANTS.len() * seeds);
        let number = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(4));
        let mut table = Table::new(vec![
            Column::new("variant", "model"),
            number("mean_square", "mean squared error of the gap").with_interval(),
            number("r2", "R²").with_interval(),
        ]);
        let mut curves = Vec::new();
        let mut means = Vec::new();
        for (place, (name, value)) in VARIANTS.into_iter().enumerate() {
            let mut found: Vec<Errors> = Vec::new();
            for seed in 0..seeds {
                let folder = format!("model_{name}_{seed}");
                let recipe = recipe(run, value, seed as u64)?;
                let checkpoint = meta_trained(run, recipe, &folder)?;
                let key = format!("variant={name} seed={seed}");
                found.push(run.cell(&key, |run| errors(run, &checkpoint))?);
            }
            means.extend(mean_of(&found, |errors| errors.mean_square).map(|estimate| (name, estimate.value)));
            table.push(vec![
                Cell::text(name),
                cell(mean_of(&found, |errors| errors.mean_square)),
                cell(mean_of(&found, |errors| errors.r2)),
            ]);
            let points = found.iter().map(|errors| (place as f64, errors.mean_square));
            curves.push(Curve { line: false, dots: true, ..Curve::through(name, points) });
        }
        means.sort_by(|left, right| left.1.total_cmp(&right.1));
        let order: Vec<&str> = means.iter().map(|(name, _)| *name).collect();
        let figure = Curves {
            title: "Error of the estimated gap without each part".to_owned(),
            x: "model".to_owned(),
            y: "mean squared error".to_owned(),
            curves,
            ..Curves::default()
        };
        Ok(Outcome::default()
            .finding(format!(
                "From the least error to the largest: {}. The paper reports that every removal costs, and that of the bilinear \
                 layer most.",
                order.join(", ")
            ))
            .table("ablation", "Held-out tasks of one image per class", table)
            .figure("ablation", figure))
    }
}

/// 10-way 1-shot tasks; all variants of a seed see the same tasks and learners.
fn recipe(run: &Run<'_>, value: Value, seed: u64) -> Result<Recipe> {
    let (steps, fill, tasks) = if run.quick() { (150, 500, 16) } else { (1_500, 4_000, 32) };
    // The seed of recipes is a signed number of 64 bits.
    let seed = run.seed(&format!("model {seed}")) >> 1;
    Ok(Recipe::parse(&format!(
        r#"
schema = 1
name = "ablation"
seed = {seed}
form = "classification"

[model]
inputs = 256
outputs = 10
width = 64
encoder_layers = 2
heads = 4
image = {{ size = 16, channels = 1, filters = [8, 16] }}
value = {{ bilinear = {bilinear}, constant = {constant}, loss = {loss} }}

[images]
datasets = ["mnist", "fashion_mnist"]
positions = "0-49999"
held_out = "50000-59999"
view = {{ size = 16, channels = 1 }}
train = [10, 10]
balanced = true
test = 100
rows = 10
gap = "cross_entropy"

[classifier]
hidden = [[40]]
lr = [0.01, 0.1]
batch = 10
steps = 40
every = 4

[meta]
steps = {steps}
batch = 64
lr = 0.001
warmup = {warmup}
decay = "cosine"
parallel = 32
every = 10
bank = 100000
fill = {fill}
lambda = 0.0
lambda_steps = 1

[watch]
every = {steps}
tasks = {tasks}
save = 1000
"#,
        bilinear = value.bilinear,
        constant = value.constant,
        loss = value.loss,
        warmup = steps / 20,
    ))?)
}

fn errors(run: &Run<'_>, checkpoint: &pgdl_nc::Checkpoint) -> Result<Errors> {
    let hypotheses = Hypotheses::of(&checkpoint.description.recipe, run.device(), &mut |_| {})?;
    let tasks = if run.quick() { 64 } else { 512 };
    let seed = run.seed("held-out tasks");
    let snapshots = hypotheses.held_out(
        tasks,
        Regularizer::None,
        &mut Draws::new(seed, "tasks", 0),
        &mut Draws::new(seed, "learners", 0),
    )?;
    let model = checkpoint.model.ready(Precision::Float32, false)?;
    let observations = Observations::new(&model, &snapshots)?;
    let differences = observations.differences();
    let squares = differences.iter().map(|difference| difference * difference).sum::<f64>();
    Ok(Errors { mean_square: squares / differences.len() as f64, r2: observations.fit()?.r2 })
}
