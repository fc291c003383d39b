//! `pgdl experiment`: the literature's experiments.

use pgdl_experiment::{EXPERIMENTS, Event, ExperimentInfo, Settings, find};
use pgdl_report::{Cell, Column, Table};
use pgdl_run::Interrupt;

use crate::arguments::{ExperimentArguments, Format};
use crate::commands::{choose_device, data, print_table, wait_passively};
use crate::exit::{Exit, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Lists the experiments, or carries one out and prints its table.
pub fn run(arguments: ExperimentArguments, terminal: &Terminal) -> Outcome {
    let name = match arguments.name {
        Some(name) if !arguments.list => name,
        _ => return list(arguments.format, terminal),
    };
    let experiment = find(&name)?;
    let info = experiment.info();
    wait_passively();
    let settings = Settings {
        quick: arguments.quick,
        seed: arguments.seed,
        threads: arguments.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |cores| cores.get().try_into().unwrap_or(u32::MAX))
        }),
        device: choose_device(&arguments.device, terminal)?,
        output: match arguments.output {
            Some(folder) => folder,
            None => default_folder(info, arguments.quick)?,
        },
        options: arguments.options.0,
    };
    if settings.quick {
        terminal.note(format_args!("the quick setting, not the paper's: {}", info.quick));
    }
    for name in experiment.data(&settings)? {
        data::ensure(name, terminal)?;
    }
    let interrupt = Interrupt::on_signals(Exit::Interrupted as i32)?;
    let bar = progress::cells(terminal);
    let outcome = pgdl_experiment::run(experiment, &settings, interrupt.flag(), &mut |event| match event {
        Event::Note(text) => bar.suspend(|| terminal.note(text)),
        Event::Cell { cell, done, total } => {
            bar.set_length(total.unwrap_or(done + 1) as u64);
            bar.set_position(done as u64);
            bar.set_message(cell.to_owned());
        }
    });
    bar.finish_and_clear();
    let outcome = outcome?;
    for finding in &outcome.findings {
        terminal.note(finding);
    }
    if let Some(first) = outcome.tables.first() {
        print_table(&first.table, arguments.format, terminal)?;
    }
    // Programs read one table; people see both.
    if let Some(published) = outcome.published_table().filter(|_| arguments.format == Format::Table) {
        terminal.data("\n")?;
        print_table(&published, arguments.format, terminal)?;
    }
    terminal.note(format_args!("tables and figures: {}", settings.output.display()));
    Ok(Exit::Ok)
}

/// `experiments/NAME_SETTING` in the user's runs folder.
fn default_folder(info: &ExperimentInfo, quick: bool) -> Result<std::path::PathBuf, crate::exit::Failure> {
    let setting = if quick { "quick" } else { "full" };
    Ok(pgdl_run::runs_dir()?.join("experiments").join(format!("{}_{setting}", info.name)))
}

fn list(format: Format, terminal: &Terminal) -> Outcome {
    let mut table = Table::new(vec![
        Column::new("name", "name"),
        Column::new("title", "what it shows"),
        Column::new("paper", "paper").optional(),
        Column::new("quick", "quick setting").detail(),
        Column::new("full", "full setting").detail(),
    ]);
    for info in EXPERIMENTS.iter().map(|experiment| experiment.info()) {
        table.push([info.name, info.title, info.paper, info.quick, info.full].map(Cell::text).into());
    }
    print_table(&table, format, terminal)?;
    Ok(Exit::Ok)
}
