//! `pgdl zoo import` and `pgdl zoo export`: zoos from elsewhere, and for elsewhere.

use std::path::{Path, PathBuf};

use pgdl_report::{Cell, Column, Table};
use pgdl_zoo::{ExportEvent, ImportEvent, Zoo, export, import_competition, import_keras};

use crate::arguments::{Format, ImportCommand};
use crate::commands::zoo::data_in_words;
use crate::commands::{data, print_table};
use crate::exit::{Exit, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Runs `pgdl zoo import …`.
pub fn import(command: ImportCommand, terminal: &Terminal) -> Outcome {
    match command {
        ImportCommand::Keras { table, to, data } => keras(&table, &to, data.as_deref(), terminal),
        ImportCommand::Competition { archives, to } => competition(&archives, to, terminal),
    }
}

fn keras(table: &Path, to: &Path, data: Option<&Path>, terminal: &Terminal) -> Outcome {
    let bar = progress::networks(0, terminal);
    let imported = import_keras(table, to, data, &mut |event| {
        if let ImportEvent::Network { done, total } = event {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    });
    bar.finish_and_clear();
    let imported = imported?;
    for warning in &imported.warnings {
        terminal.warn(warning);
    }
    let zoo = &imported.zoo;
    terminal.note(format_args!(
        "{}: {} networks; data: {}",
        zoo.name(),
        zoo.networks().len(),
        data_in_words(zoo)
    ));
    terminal.data(&format!("{}\n", zoo.root().display()))?;
    Ok(Exit::Ok)
}

fn competition(archives: &[PathBuf], to: Option<PathBuf>, terminal: &Terminal) -> Outcome {
    let to = match to {
        Some(to) => to,
        None => pgdl_zoo::zoo::user_zoos()?,
    };
    let bar = progress::bytes(terminal);
    let imported = import_competition(archives, &to, &mut |event| {
        if let ImportEvent::Bytes { file, done, total } = event {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(file.to_owned());
        }
    });
    bar.finish_and_clear();
    let imported = imported?;
    let mut table = Table::new(vec![
        Column::new("zoo", "zoo"),
        Column::new("networks", "networks"),
        Column::new("data", "data"),
        Column::new("written", "files written"),
        Column::new("kept", "files kept"),
        Column::new("folder", "folder"),
    ]);
    for task in &imported.tasks {
        table.push(vec![
            Cell::text(task.zoo.name()),
            Cell::count(task.zoo.networks().len()),
            Cell::text(data_in_words(&task.zoo)),
            Cell::count(task.written),
            Cell::count(task.kept),
            Cell::text(task.zoo.root().display().to_string()),
        ]);
    }
    print_table(&table, Format::Table, terminal)?;
    for nested in &imported.nested {
        terminal.warn(format_args!(
            "{nested} is an archive inside an archive and was not opened: unpack it first"
        ));
    }
    for task in &imported.tasks {
        for finding in &task.findings {
            terminal.warn(format_args!("{}: {finding}", task.zoo.name()));
        }
    }
    let written: usize = imported.tasks.iter().map(|task| task.written).sum();
    Ok(if written == 0 { Exit::NothingToDo } else { Exit::Ok })
}

/// Runs `pgdl zoo export`.
pub fn run_export(name: &str, to: &Path, terminal: &Terminal) -> Outcome {
    let zoo = Zoo::find(name)?;
    if let Some(reference) = zoo.data_reference() {
        data::ensure(&reference.dataset, terminal)?;
    }
    let bar = progress::networks(zoo.networks().len() as u64, terminal);
    let exported = export(&zoo, to, &mut |event| match event {
        ExportEvent::Network { done, .. } => bar.set_position(done as u64),
        ExportEvent::Writing(split) => bar.set_message(format!("writing {split} samples")),
        // The data set has been seen to already.
        ExportEvent::Fetch(_) => {}
    });
    bar.finish_and_clear();
    let exported = exported?;
    terminal.note(format_args!("{}: {}", exported.name(), data_in_words(&exported)));
    terminal.data(&format!("{}\n", to.display()))?;
    Ok(Exit::Ok)
}
