//! What each part of the form for classification is worth.

use pgdl_nc::hypotheses::Hypotheses;
use pgdl_nc::learner::Regularizer;
use pgdl_nc::model::{Precision, Value};
use pgdl_nc::random::Draws;
use pgdl_nc::{Checkpoint, Observations, Point, Recipe};
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Digits, Table};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::estimate::{cell, mean_of};
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::nc::PAPER;
use crate::nc::model::meta_trained_with_curve;
use crate::outcome::Outcome;
use crate::run::{Run, Settings};

/// The ablation of the form for classification.
pub struct NcAblation;

/// What `nc_ablation` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_ablation",
    title: "On tasks with one image of each of ten classes, Neural Complexity without the constant, without the losses of train \
            rows, and without the bilinear layer.",
    paper: PAPER,
    version: 3,
    quick: "150 meta-steps, one seed; minutes",
    full: "6,000 meta-steps, 3 seeds; an hour",
    data: &["mnist", "fashion_mnist"],
    options: &[OptionInfo {
        name: "dataset",
        doc: "`omniglot`, its two small background sets, in place of mnist and fashion_mnist",
    }],
};

/// What the tasks are made of.
#[derive(Clone, Copy)]
struct Tasks {
    /// Their data sets, by name.
    data: &'static [&'static str],
    /// What the recipe says of them.
    images: &'static str,
    /// The title of the table.
    title: &'static str,
}

/// The ten classes of MNIST and those of Fashion-MNIST.
const DIGITS_AND_GARMENTS: Tasks = Tasks {
    data: &["mnist", "fashion_mnist"],
    images: r#"
datasets = ["mnist", "fashion_mnist"]
positions = "0-49999"
held_out = "50000-59999"
test = 100
"#,
    title: "Held-out tasks of one image per class",
};

/// Ten characters of Omniglot, drawn anew for each task: one of the 20 drawings of each to learn from, the others to measure the
/// gap on. The second set's Greek and Latin alphabets are the first set's, to the drawing; held out are the other three.
const CHARACTERS: Tasks = Tasks {
    data: &["omniglot_small1", "omniglot_small2"],
    images: r#"
datasets = ["omniglot_small1"]
positions = "0-2719"
held_out_datasets = ["omniglot_small2"]
held_out = "480-1419,1940-3119"
draw_classes = true
test = 190
"#,
    title: "Held-out tasks of one drawing per character, of alphabets that no task of meta-training has",
};

/// Those of option `dataset`.
fn asked(settings: &Settings) -> Result<Tasks> {
    match settings.option::<String>("dataset")?.as_deref() {
        None => Ok(DIGITS_AND_GARMENTS),
        Some("omniglot") => Ok(CHARACTERS),
        Some(other) => Err(ExperimentError::option(
            "dataset",
            format!("`{other}` is not `omniglot`; without the option, tasks are of mnist and fashion_mnist"),
        )),
    }
}

const WHOLE: Value = Value::CLASSIFICATION;

const VARIANTS: [(&str, Value); 4] = [
    ("whole", WHOLE),
    ("no_constant", Value { constant: false, ..WHOLE }),
    ("no_train_loss", Value { loss: false, ..WHOLE }),
    ("no_bilinear", Value { bilinear: false, ..WHOLE }),
];

/// How a model does.
#[derive(Serialize, Deserialize)]
struct Errors {
    /// On held-out tasks.
    mean_square: f64,
    r2: f64,
    /// The running mean of its Huber loss on what it learns from, at the end.
    training_loss: f64,
    /// Meta-steps, and R² on a few held-out tasks after them.
    on_the_way: Vec<(u64, f64)>,
}

impl Experiment for NcAblation {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn data(&self, settings: &Settings) -> Result<Vec<&'static str>> {
        Ok(asked(settings)?.data.to_vec())
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let asked = asked(run.settings())?;
        let seeds = if run.quick() { 1 } else { 3 };
        run.expect(VARIANTS.len() * seeds);
        let number = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(4));
        let mut table = Table::new(vec![
            Column::new("variant", "model"),
            number("mean_square", "mean squared error of the gap").with_interval(),
            number("r2", "R²").with_interval(),
            number("training_loss", "Huber loss in meta-training").with_interval(),
        ]);
        let mut curves = Vec::new();
        let mut ways: Vec<Vec<Errors>> = Vec::new();
        let mut means = Vec::new();
        for (place, (name, value)) in VARIANTS.into_iter().enumerate() {
            let mut found: Vec<Errors> = Vec::new();
            for seed in 0..seeds {
                let folder = format!("model_{name}_{seed}");
                // The seed of recipes is a signed number of 64 bits.
                let recipe = recipe(asked, run.quick(), value, run.seed(&format!("model {seed}")) >> 1)?;
                let (checkpoint, curve) = meta_trained_with_curve(run, recipe, &folder)?;
                let key = format!("variant={name} seed={seed}");
                found.push(run.cell(&key, |run| errors(run, &checkpoint, &curve))?);
            }
            means.extend(mean_of(&found, |errors| errors.mean_square).map(|estimate| (name, estimate.value)));
            table.push(vec![
                Cell::text(name),
                cell(mean_of(&found, |errors| errors.mean_square)),
                cell(mean_of(&found, |errors| errors.r2)),
                cell(mean_of(&found, |errors| errors.training_loss)),
            ]);
            let points = found.iter().map(|errors| (place as f64, errors.mean_square));
            curves.push(Curve { line: false, dots: true, ..Curve::through(name, points) });
            ways.push(found);
        }
        let (on_the_way, way_curves) = on_the_way(&ways);
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
            .table("ablation", asked.title, table)
            .table("on_the_way", "R² on a few held-out tasks through meta-training", on_the_way)
            .figure("ablation", figure)
            .figure(
                "on_the_way",
                Curves {
                    title: "Fit to held-out tasks through meta-training".to_owned(),
                    x: "meta-steps".to_owned(),
                    y: "R²".to_owned(),
                    curves: way_curves,
                    ..Curves::default()
                },
            ))
    }
}

/// R² through meta-training, the variants side by side; `runs` are theirs, in their order.
fn on_the_way(runs: &[Vec<Errors>]) -> (Table, Vec<Curve>) {
    let mut columns = vec![Column::new("steps", "meta-steps")];
    columns.extend(
        VARIANTS.map(|(name, _)| Column::new(name, name).digits(Digits::Significant(3)).with_interval()),
    );
    let mut table = Table::new(columns);
    let mut curves: Vec<Curve> = VARIANTS.iter().map(|(name, _)| Curve::of(*name, Vec::new())).collect();
    let steps = runs.first().and_then(|runs| runs.first()).map_or(&[][..], |run| &run.on_the_way);
    for (place, (step, _)) in steps.iter().enumerate() {
        let mut row = vec![Cell::number(*step as f64)];
        for (runs, curve) in runs.iter().zip(&mut curves) {
            let r2 = mean_of(runs, |run| run.on_the_way.get(place).map_or(f64::NAN, |(_, r2)| *r2));
            row.push(cell(r2));
            curve.points.extend(r2.map(|r2| CurvePoint {
                x: *step as f64,
                y: r2.value,
                interval: r2.interval,
            }));
        }
        table.push(row);
    }
    (table, curves)
}

/// 10-way 1-shot tasks; all variants of a seed see the same tasks and learners.
fn recipe(of: Tasks, quick: bool, value: Value, seed: u64) -> Result<Recipe> {
    let (steps, fill, tasks) = if quick { (150, 500, 16) } else { (6_000, 4_000, 32) };
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

[images]{images}view = {{ size = 16, channels = 1 }}
train = [10, 10]
balanced = true
rows = 10
gap = "cross_entropy"
over = "rows"

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
every = {every}
tasks = {tasks}
save = 1000
"#,
        images = of.images,
        bilinear = value.bilinear,
        constant = value.constant,
        loss = value.loss,
        warmup = steps / 20,
        every = steps / 10,
    ))?)
}

fn errors(run: &Run<'_>, checkpoint: &Checkpoint, curve: &[Point]) -> Result<Errors> {
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
    Ok(Errors {
        mean_square: squares / differences.len() as f64,
        r2: observations.fit()?.r2,
        training_loss: curve.last().map_or(f64::NAN, |point| point.loss),
        on_the_way: curve.iter().map(|point| (point.step, point.plain.r2)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use tch::Device;

    fn settings(dataset: Option<&str>) -> Settings {
        let options = dataset.map(|name| ("dataset".to_owned(), name.to_owned()));
        Settings {
            quick: true,
            seed: 0,
            threads: 1,
            device: Device::Cpu,
            output: "nowhere".into(),
            options: BTreeMap::from_iter(options),
        }
    }

    /// Whatever data sets lie around.
    #[test]
    fn omniglot_is_taken_only_when_asked_for() {
        assert_eq!(NcAblation.data(&settings(None)).unwrap(), ["mnist", "fashion_mnist"]);
        assert_eq!(
            NcAblation.data(&settings(Some("omniglot"))).unwrap(),
            ["omniglot_small1", "omniglot_small2"]
        );
        assert!(NcAblation.data(&settings(Some("mnist"))).unwrap_err().to_string().contains("omniglot"));
    }

    #[test]
    fn the_recipes_need_the_data_sets_that_the_experiment_asks_for() {
        for tasks in [DIGITS_AND_GARMENTS, CHARACTERS] {
            for quick in [true, false] {
                let recipe = recipe(tasks, quick, WHOLE, 1).unwrap();
                let images = recipe.classification().unwrap().0;
                let mut names: Vec<&String> =
                    images.datasets.iter().chain(images.held_out_datasets()).collect();
                names.dedup();
                assert!(tasks.data.iter().all(|name| names.iter().any(|other| other == name)));
                assert!(names.iter().all(|name| tasks.data.contains(&name.as_str())));
                assert_eq!((images.classes, images.train), (10, [10, 10]));
            }
        }
    }
}
