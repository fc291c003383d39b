//! `pgdl zoo`: look at zoos, check, build, import and export them.

mod check;
mod transfer;

use std::path::PathBuf;

use indicatif::ProgressBar;
use pgdl_report::{Cell, Column, Digits, Table};
use pgdl_run::Interrupt;
use pgdl_train::{Build, BuildEvent, Recipe};
use pgdl_zoo::{Gap, Split, Zoo};

use crate::arguments::{DeviceArguments, Format, OutputArguments, ZooCommand};
use crate::commands::evaluate::time;
use crate::commands::{choose_device, data, device_name, print_table};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Runs `pgdl zoo …`.
pub fn run(command: ZooCommand, terminal: &Terminal) -> Outcome {
    match command {
        ZooCommand::List { output } => list(&output, terminal),
        ZooCommand::Info { zoo, output } => info(&zoo, output.format, terminal),
        ZooCommand::Check { zoo, no_accuracy, device, output } => {
            check::run(&zoo, !no_accuracy, &device, output.format, terminal)
        }
        ZooCommand::Build { recipe, output, jobs, device } => build(recipe, output, jobs, &device, terminal),
        ZooCommand::Import(command) => transfer::import(command, terminal),
        ZooCommand::Export { zoo, to } => transfer::run_export(&zoo, &to, terminal),
    }
}

fn list(output: &OutputArguments, terminal: &Terminal) -> Outcome {
    let mut table = Table::new(vec![
        Column::new("zoo", "zoo"),
        Column::new("networks", "networks"),
        Column::new("hyperparameters", "hyperparameters"),
        Column::new("data", "data"),
        Column::new("folder", "folder"),
    ]);
    for place in Zoo::list() {
        match Zoo::open(&place.path) {
            Ok(zoo) => {
                let axes: Vec<&str> = zoo.hyperparameters().iter().map(|axis| axis.name.as_str()).collect();
                table.push(vec![
                    Cell::text(zoo.name()),
                    Cell::count(zoo.networks().len()),
                    Cell::text(axes.join(", ")),
                    Cell::text(data_in_words(&zoo)),
                    Cell::text(place.path.display().to_string()),
                ]);
            }
            Err(error) => terminal.warn(error),
        }
    }
    print_table(&table, output.format, terminal)?;
    Ok(Exit::Ok)
}

fn data_in_words(zoo: &Zoo) -> String {
    let sizes: Vec<String> = [Split::Train, Split::Test]
        .into_iter()
        .filter_map(|split| Some(format!("{} {}", zoo.data_size(split).ok()?, split.name())))
        .collect();
    let source = zoo.data_reference().map_or("own shards", |reference| reference.dataset.as_str());
    if sizes.is_empty() { "none".to_string() } else { format!("{source}: {}", sizes.join(", ")) }
}

/// Possible values of a hyperparameter that are named; of more, their number is said.
const NAMED_VALUES: usize = 40;

fn info(name: &str, format: Format, terminal: &Terminal) -> Outcome {
    let zoo = Zoo::find(name)?;
    terminal.note(format_args!("{} in {}", zoo.name(), zoo.root().display()));
    terminal.note(format_args!("data: {}", data_in_words(&zoo)));
    for axis in zoo.hyperparameters() {
        let mut values: Vec<String> =
            axis.possible_values.iter().take(NAMED_VALUES).map(ToString::to_string).collect();
        if axis.possible_values.len() > NAMED_VALUES {
            values.push(format!("… ({} in all)", axis.possible_values.len()));
        }
        terminal.note(format_args!("{}: {}", axis.name, values.join(", ")));
    }
    let mut columns = vec![Column::new("network", "network")];
    columns.extend(zoo.hyperparameters().iter().map(|axis| Column::new(&axis.name, &axis.name)));
    let accuracy = |key: &str| Column::new(key, key).digits(Digits::Fixed { decimals: 4, scale: 1.0 });
    columns.push(Column::new("parameters", "parameters").optional());
    columns.extend(["train_acc", "test_acc", "gap"].map(accuracy));
    columns.extend(["train_loss", "test_loss"].map(|key| accuracy(key).optional()));
    let mut table = Table::new(columns);
    for network in zoo.networks() {
        let mut row = vec![Cell::text(network.id.to_string())];
        row.extend(network.hyperparameters.iter().map(|value| Cell::text(value.to_string())));
        let parameters =
            zoo.architecture(network.id).ok().and_then(|architecture| architecture.parameter_count().ok());
        row.push(parameters.map_or_else(Cell::empty, |count| Cell::count(count.max(0) as usize)));
        let metrics = network.metrics;
        row.extend([
            Cell::maybe(metrics.map(|metrics| metrics.train_acc)),
            Cell::maybe(metrics.map(|metrics| metrics.test_acc)),
            Cell::maybe(metrics.and_then(|metrics| metrics.gap(Gap::Accuracy))),
            Cell::maybe(metrics.and_then(|metrics| metrics.train_loss)),
            Cell::maybe(metrics.and_then(|metrics| metrics.test_loss)),
        ]);
        table.push(row);
    }
    print_table(&table, format, terminal)?;
    Ok(Exit::Ok)
}

fn build(
    recipe: PathBuf,
    output: Option<PathBuf>,
    jobs: Option<u32>,
    device: &DeviceArguments,
    terminal: &Terminal,
) -> Outcome {
    let device = choose_device(device, terminal)?;
    let root = match output {
        Some(root) => root,
        None => pgdl_zoo::zoo::user_zoos()?.join(Recipe::read(&recipe)?.name),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot find this program's own file: {error}"))
    })?;
    let build = Build {
        recipe,
        root: root.clone(),
        jobs: jobs.map_or(if device.is_cuda() { 1 } else { cores }, |jobs| jobs as usize),
        threads: 1,
        device: device_name(device),
        program,
    };
    let interrupt = Interrupt::on_signals(Exit::Interrupted as i32)?;
    let mut fetching = data::Watcher::new(terminal);
    let mut bar: Option<ProgressBar> = None;
    let summary = build.run(interrupt.flag(), &mut |event, status| {
        if let BuildEvent::Data(event) = &event {
            return fetching.see(event);
        }
        let bar = bar.get_or_insert_with(|| progress::networks(status.total as u64, terminal));
        bar.set_position(status.finished as u64);
        match event {
            BuildEvent::Epoch { id, epoch } => {
                let left = status.remaining.map_or_else(String::new, |left| format!("{} left, ", time(left)));
                bar.set_message(format!(
                    "{left}network {id}: epoch {}, loss {:.4}",
                    epoch.epoch, epoch.running_loss
                ));
            }
            BuildEvent::Finished { id, record } => bar.suspend(|| {
                terminal.note(format_args!(
                    "network {id}: {} epochs, accuracy {:.4} train, {:.4} test",
                    record.epochs, record.train.accuracy, record.test.accuracy
                ));
            }),
            BuildEvent::Failed { id, reason } => {
                bar.suspend(|| terminal.warn(format_args!("network {id}: {reason}")));
            }
            BuildEvent::Started { .. } | BuildEvent::Data(_) => {}
        }
    });
    fetching.finish();
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let summary = summary?;
    terminal.note(format_args!("{} networks trained, {} were there", summary.trained, summary.kept));
    terminal.data(&format!("{}\n", root.display()))?;
    Ok(if summary.trained == 0 { Exit::NothingToDo } else { Exit::Ok })
}
