//! `pgdl data`: public data sets by name.

use indicatif::ProgressBar;
use pgdl_report::{Cell, Column, Table};
use pgdl_zoo::fetch::{self, CATALOGUE, FetchEvent};

use crate::arguments::DataCommand;
use crate::commands::print_table;
use crate::exit::{Exit, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Runs `pgdl data …`.
pub fn run(command: DataCommand, terminal: &Terminal) -> Outcome {
    match command {
        DataCommand::List { output } => {
            let folder = fetch::data_dir()?;
            let mut table = Table::new(vec![
                Column::new("name", "name"),
                Column::new("title", "title"),
                Column::new("shape", "shape"),
                Column::new("classes", "classes"),
                Column::new("present", "present"),
                Column::new("folder", "folder"),
            ]);
            for data in CATALOGUE {
                let place = folder.join(data.name);
                let present = data.files.iter().filter(|file| place.join(file.name).exists()).count();
                let [height, width, channels] = data.shape;
                table.push(vec![
                    Cell::text(data.name),
                    Cell::text(data.title),
                    Cell::text(format!("{height}×{width}×{channels}")),
                    Cell::count(data.classes),
                    Cell::part(present, data.files.len()),
                    Cell::text(place.display().to_string()),
                ]);
            }
            print_table(&table, output.format, terminal)?;
        }
        DataCommand::Fetch { name } => {
            let folder = ensure(&name, terminal)?;
            terminal.data(&format!("{}\n", folder.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// Makes sure that a data set is there, with progress.
pub fn ensure(name: &str, terminal: &Terminal) -> Result<std::path::PathBuf, crate::exit::Failure> {
    let mut watcher = Watcher::new(terminal);
    let folder = fetch::ensure(name, &mut |event| watcher.see(&event));
    watcher.finish();
    Ok(folder?)
}

/// Draws the events of a fetch.
pub struct Watcher<'a> {
    bar: Option<ProgressBar>,
    terminal: &'a Terminal,
}

impl<'a> Watcher<'a> {
    /// Nothing is drawn yet.
    pub fn new(terminal: &'a Terminal) -> Self {
        Self { bar: None, terminal }
    }

    /// Draws an event.
    pub fn see(&mut self, event: &FetchEvent) {
        match event {
            FetchEvent::Verifying { done, total, .. } => self.draw(*done, Some(*total), event),
            FetchEvent::Downloading { done, total, .. } => self.draw(*done, *total, event),
            FetchEvent::Unpacking { done, .. } => self.draw(*done, None, event),
            FetchEvent::Stored { .. } => {}
            FetchEvent::Differs { .. } | FetchEvent::SourceFailed { .. } => {
                self.finish();
                self.terminal.warn(event);
            }
            FetchEvent::Waiting | FetchEvent::Trying { .. } => {
                self.finish();
                self.terminal.note(event);
            }
        }
    }

    fn draw(&mut self, done: u64, total: Option<u64>, event: &FetchEvent) {
        let bar = self.bar.get_or_insert_with(|| progress::bytes(self.terminal));
        bar.set_message(event.to_string());
        bar.set_length(total.unwrap_or(0));
        bar.set_position(done);
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
