//! What an experiment ends in, and the files that hold it.

use std::path::Path;

use pgdl_report::{Cell, Column, Curves, Digits, Table, WholeFile};

use crate::error::Result;
use crate::estimate::Estimate;
use crate::experiment::ExperimentInfo;
use crate::run::Settings;

/// What came of an experiment.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was found, in a sentence or two; facts of this run alone.
    pub findings: Vec<String>,
    /// The tables: the first one is what the command prints.
    pub tables: Vec<NamedTable>,
    /// The figures.
    pub figures: Vec<NamedFigure>,
    /// Published values, each beside the measured one.
    pub published: Vec<Published>,
}

/// A table and the name of its file.
#[derive(Debug)]
pub struct NamedTable {
    /// Its file's name, snake_case, without extension.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// The table.
    pub table: Table,
}

/// A figure and the name of its files.
#[derive(Debug)]
pub struct NamedFigure {
    /// Its files' name, snake_case, without extension.
    pub name: String,
    /// The figure.
    pub figure: Curves,
}

/// A published value beside the measured one.
#[derive(Clone, Debug)]
pub struct Published {
    /// What it is the value of.
    pub what: String,
    /// As published, in the paper's own digits.
    pub published: String,
    /// Where: paper, table or section.
    pub source: String,
    /// Here; nothing where this run did not measure it.
    pub measured: Option<Estimate>,
}

impl Outcome {
    /// Adds a table.
    pub fn table(mut self, name: &str, caption: &str, table: Table) -> Outcome {
        self.tables.push(NamedTable { name: name.to_owned(), caption: caption.to_owned(), table });
        self
    }

    /// Adds a figure.
    pub fn figure(mut self, name: &str, figure: Curves) -> Outcome {
        self.figures.push(NamedFigure { name: name.to_owned(), figure });
        self
    }

    /// Adds a sentence on what was found.
    pub fn finding(mut self, text: impl Into<String>) -> Outcome {
        self.findings.push(text.into());
        self
    }

    /// Adds a published value.
    pub fn beside(mut self, published: Published) -> Outcome {
        self.published.push(published);
        self
    }

    /// The published values and the measured ones as a table; nothing where there are none.
    pub fn published_table(&self) -> Option<Table> {
        if self.published.is_empty() {
            return None;
        }
        let mut table = Table::new(vec![
            Column::new("what", "what"),
            Column::new("published", "published"),
            Column::new("measured", "measured").digits(Digits::Significant(4)).with_interval(),
            Column::new("source", "source"),
        ]);
        for value in &self.published {
            table.push(vec![
                Cell::text(&value.what),
                Cell::text(&value.published),
                value.measured.map_or_else(Cell::empty, |measured| {
                    Cell::number(measured.value).interval(measured.interval)
                }),
                Cell::text(&value.source),
            ]);
        }
        Some(table)
    }

    /// Writes `README.md`, per table a CSV file, per figure an SVG and a PNG file, and `published.csv`.
    pub(crate) fn write(&self, info: &ExperimentInfo, settings: &Settings, seconds: f64) -> Result<()> {
        let folder = &settings.output;
        for table in &self.tables {
            write(&folder.join(format!("{}.csv", table.name)), &table.table.to_csv())?;
        }
        for figure in &self.figures {
            figure.figure.write(folder, &figure.name)?;
        }
        if let Some(published) = self.published_table() {
            write(&folder.join("published.csv"), &published.to_csv())?;
        }
        write(&folder.join("README.md"), &self.to_markdown(info, settings, seconds))
    }

    /// All of it as a page in Markdown.
    pub fn to_markdown(&self, info: &ExperimentInfo, settings: &Settings, seconds: f64) -> String {
        let mut command = format!("pgdl experiment {} --seed {}", info.name, settings.seed);
        if settings.quick {
            command.push_str(" --quick");
        }
        for (name, value) in &settings.options {
            command.push_str(&format!(" --{name} {value}"));
        }
        let setting = if settings.quick {
            format!("**This is the quick setting, not the paper's**: {}", info.quick)
        } else {
            format!("The full setting: {}", info.full)
        };
        let device = if settings.device.is_cuda() { "a GPU" } else { "the CPU" };
        let mut text = format!(
            "# {}\n\n{}\n\nAfter {}.\n\n    {command}\n\n{setting}\n\nIts cells took {} on {device}.\n",
            info.name,
            info.title,
            info.paper,
            spoken(seconds)
        );
        for finding in &self.findings {
            text.push_str(&format!("\n{finding}\n"));
        }
        if let Some(published) = self.published_table() {
            text.push_str(&format!("\n## Published and measured\n\n{}", published.to_markdown()));
            text.push_str("\nIn brackets: the 95 % interval.\n");
        }
        for table in &self.tables {
            text.push_str(&format!("\n## {}\n\n{}", table.caption, table.table.to_markdown()));
        }
        for figure in &self.figures {
            let title = &figure.figure.title;
            text.push_str(&format!("\n![{title}]({name}.svg)\n", name = figure.name));
        }
        text
    }
}

fn spoken(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..120 => format!("{seconds:.1} s"),
        120..7200 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(WholeFile::create(path)?.write(text.as_bytes())?)
}
