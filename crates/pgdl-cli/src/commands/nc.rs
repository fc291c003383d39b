//! `pgdl nc`: train, evaluate, calibrate and look at models of Neural Complexity.

use std::path::{Path, PathBuf};

use pgdl_measure::{Registry, digest};
use pgdl_nc::images::Gap;
use pgdl_nc::learner::Regularizer;
use pgdl_nc::model::Precision;
use pgdl_nc::random::Draws;
use pgdl_nc::{
    Bound, Calibration, Calibrator, Checkpoint, Hypotheses, MetaTraining, NcError, Observations, Recipe,
};
use pgdl_report::{Cell, Column, Digits, Population, Table};
use pgdl_run::Interrupt;
use pgdl_zoo::Zoo;

use crate::arguments::{CalibrateArguments, DeviceArguments, Format, NcCommand};
use crate::commands::evaluate::evaluate as evaluate_on;
use crate::commands::{choose_device, data, print_table, wait_passively};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Runs `pgdl nc …`.
pub fn run(command: NcCommand, registry: &Registry, terminal: &Terminal) -> Outcome {
    match command {
        NcCommand::Train { recipe, output, threads, device } => {
            train(&recipe, output, threads, &device, terminal)
        }
        NcCommand::Evaluate { checkpoint, tasks, seed, epsilon, delta, device, format } => {
            let held_out = HeldOut { tasks: i64::from(tasks), seed, epsilon, delta };
            evaluate(&checkpoint, &held_out, &device, format, terminal)
        }
        NcCommand::Calibrate(arguments) => calibrate(&arguments, registry, terminal),
        NcCommand::Inspect { checkpoint } => inspect(&checkpoint, terminal),
    }
}

fn train(
    recipe: &Path,
    output: Option<PathBuf>,
    threads: Option<u32>,
    device: &DeviceArguments,
    terminal: &Terminal,
) -> Outcome {
    wait_passively();
    let recipe = Recipe::read(recipe)?;
    let output = match output {
        Some(folder) => folder,
        None => pgdl_run::runs_dir()?.join("nc").join(&recipe.name),
    };
    let device = choose_device(device, terminal)?;
    if let Some(threads) = threads {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    let interrupt = Interrupt::on_signals(Exit::Interrupted as i32)?;
    fetched(&recipe, terminal)?;
    let mut training = MetaTraining::open(recipe, &output, device)?;
    let total = training.recipe().meta.steps;
    if training.step() > 0 {
        terminal.note(format_args!("{}: goes on after meta-step {}", output.display(), training.step()));
    }
    let bar = progress::meta_steps(total, terminal);
    bar.set_position(training.step());
    bar.reset_eta();
    let trained = training.run(interrupt.flag(), &mut |point| {
        bar.set_position(point.step);
        bar.suspend(|| {
            terminal.note(format_args!(
                "meta-step {}: loss {:.4}, R² {:.4}, MAE {:.4}; of learners with NC R² {:.4}, MAE {:.4}",
                point.step,
                point.loss,
                point.plain.r2,
                point.plain.mae,
                point.regularized.r2,
                point.regularized.mae
            ));
        });
    });
    bar.finish_and_clear();
    let left_out = training.left_out();
    if left_out > 0 {
        terminal.warn(format_args!("{left_out} snapshots with infinite or NaN numbers were left out"));
    }
    trained?;
    terminal.note(format_args!("checkpoint, curve and state: {}", output.display()));
    Ok(Exit::Ok)
}

/// Makes sure that the recipe's data sets are there, with progress.
fn fetched(recipe: &Recipe, terminal: &Terminal) -> Result<(), Failure> {
    let names =
        recipe.images.iter().flat_map(|images| images.datasets.iter().chain(images.held_out_datasets()));
    for name in names {
        data::ensure(name, terminal)?;
    }
    Ok(())
}

struct HeldOut {
    tasks: i64,
    seed: u64,
    epsilon: Option<f64>,
    delta: f64,
}

/// The bound of smallest slack with a probability of 0.9, or of nine tenths of what so few hypotheses permit.
fn smallest_slack(differences: &[f64], delta: f64) -> pgdl_nc::Result<Bound> {
    let most = Bound::new(differences, f64::INFINITY, delta)?.probability;
    // Where they permit none at all, the error says so.
    let aim = if (0.0..0.9).contains(&most) { 0.9 * most } else { 0.9 };
    Bound::at_probability(differences, aim, delta)
}

fn evaluate(
    checkpoint: &Path,
    held_out: &HeldOut,
    device: &DeviceArguments,
    format: Format,
    terminal: &Terminal,
) -> Outcome {
    wait_passively();
    let device = choose_device(device, terminal)?;
    let checkpoint = Checkpoint::read(checkpoint, device)?;
    let recipe = &checkpoint.description.recipe;
    if held_out.seed == recipe.seed {
        let message = format!("seed {} is that of the model's own training", held_out.seed);
        return Err(Failure::new(Exit::Usage, message).hint("give another --seed"));
    }
    let model = checkpoint.model.ready(Precision::Float32, false)?;
    fetched(recipe, terminal)?;
    let hypotheses = Hypotheses::of(recipe, device, &mut |_| {})?;
    let number = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(4));
    let mut table = Table::new(vec![
        Column::new("learners", "learners"),
        Column::new("moments", "after"),
        Column::new("count", "hypotheses"),
        number("r2", "R²").with_interval(),
        number("mae", "mean abs. error").with_interval(),
        Column::new("left_out", "left out"),
    ]);
    let mut differences = Vec::new();
    for with in [false, true] {
        let regularizer = match with {
            false => Regularizer::None,
            true => Regularizer::Complexity { model: &model, weight: recipe.meta.lambda },
        };
        let snapshots = hypotheses.held_out(
            held_out.tasks,
            regularizer,
            &mut Draws::new(held_out.seed, "tasks", 0),
            &mut Draws::new(held_out.seed, "learners", 0),
        )?;
        let all = Observations::new(&model, &snapshots)?;
        let last = all.at_step(hypotheses.steps());
        for (moments, observations) in [("every step", &all), ("last step", &last)] {
            let fit = observations.fit()?;
            let [r2, mae] = observations.intervals(&mut Draws::new(held_out.seed, "resamples", 0))?;
            table.push(vec![
                Cell::text(if with { "with NC" } else { "plain" }),
                Cell::text(moments),
                Cell::count(observations.gaps.len()),
                Cell::number(fit.r2).interval(Some(r2)),
                Cell::number(fit.mae).interval(Some(mae)),
                Cell::count(usize::try_from(snapshots.left_out).unwrap_or(0)),
            ]);
        }
        differences.push((if with { "learners with NC" } else { "plain learners" }, last.differences()));
    }
    print_table(&table, format, terminal)?;
    for (learners, differences) in differences {
        let bound = match held_out.epsilon {
            Some(epsilon) => Bound::new(&differences, epsilon, held_out.delta),
            None => smallest_slack(&differences, held_out.delta),
        };
        match bound {
            Ok(bound) => terminal.note(format_args!(
                "{learners}, ε = {:.4}, δ = {}, n = {}: P[L ≤ L̂ + NC + ε] ≥ {:.4} ({:.4} of n exceed ε)",
                bound.epsilon, bound.delta, bound.n, bound.probability, bound.exceeding
            )),
            Err(NcError::Undefined(reason)) => terminal.note(format_args!("{learners}: no bound: {reason}")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Exit::Ok)
}

fn calibrate(arguments: &CalibrateArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    let path = &arguments.checkpoint;
    let mut checkpoint = Checkpoint::read(path, tch::Device::Cpu)?;
    let description = &checkpoint.description;
    if let Some(calibration) = &description.calibration {
        let message = format!("{}: is calibrated on {} already", path.display(), calibration.zoo);
        return Err(Failure::new(Exit::Invalid, message).hint("take the checkpoint that it was made from"));
    }
    let (images, _) = description.recipe.classification().map_err(|error| {
        Failure::new(Exit::Invalid, format!("{}: {error}", path.display()))
            .hint("the form for regression knows no networks of a zoo")
    })?;
    let gap = match images.gap {
        Gap::Error => pgdl_zoo::Gap::Accuracy,
        Gap::CrossEntropy => pgdl_zoo::Gap::Loss,
    };
    let zoo = Zoo::find(&arguments.zoo)?;
    let population = Population::from_zoo(&zoo, gap)?;
    let measure = format!("nc:checkpoint=\"{}\"", path.display());
    let evaluated = evaluate_on(&zoo, &registry.request(&measure)?.measures, &arguments.run, terminal)?;
    // A line through what an interrupted run had come to would not be the zoo's.
    if !matches!(evaluated.exit, Exit::Ok | Exit::NotAllOk) {
        return Ok(evaluated.exit);
    }
    let mut networks = Vec::new();
    for network in &population.networks {
        let Some(id) = network.id else { continue };
        let record = evaluated.records.iter().find(|record| record.network == id);
        if let Some(estimate) = record.and_then(|record| record.value) {
            networks.push(Calibrator { digest: digest(&zoo.load(id)?)?, estimate, gap: network.gap });
        }
    }
    let without = population.networks.len() - networks.len();
    if without > 0 {
        terminal.warn(format_args!("{without} networks have no estimate, and no part in the line"));
    }
    let calibration = Calibration::of(zoo.name(), &networks)?;
    terminal.note(format_args!(
        "gap ≈ {:.4} + {:.4} · NC on {} networks of {}: R² {:.4}, standard deviation {:.4}",
        calibration.intercept,
        calibration.slope,
        networks.len(),
        calibration.zoo,
        calibration.r2,
        calibration.deviation
    ));
    checkpoint.description.calibration = Some(calibration);
    checkpoint.write(&arguments.output)?;
    terminal.note(format_args!("checkpoint: {}", arguments.output.display()));
    Ok(Exit::Ok)
}

fn inspect(checkpoint: &Path, terminal: &Terminal) -> Outcome {
    let checkpoint = Checkpoint::read(checkpoint, tch::Device::Cpu)?;
    let text = serde_json::to_string_pretty(&checkpoint.description)
        .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()))?;
    terminal.data(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
