//! `pgdl merge`: records of several runs made one, or written for other programs.

use std::path::Path;

use pgdl_report::{ExportFormat, export_records};
use pgdl_run::{Merged, RunFolder, merge, write_compressed};

use crate::arguments::MergeArguments;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Merges records into a run folder or a file.
pub fn run(arguments: &MergeArguments, terminal: &Terminal) -> Outcome {
    let merged = merge(&arguments.inputs)?;
    if merged.damaged > 0 {
        terminal.warn(format_args!("{} lines hold no record and are passed over", merged.damaged));
    }
    if let Some(dir) = &arguments.into {
        let folder = RunFolder::open(dir)?;
        let appended = merged.append_to(&folder)?;
        terminal.note(format_args!(
            "{}: {appended} records appended, {} were there or are superseded",
            folder.records_path().display(),
            merged.records.len() - appended + merged.superseded
        ));
    }
    if let Some(path) = &arguments.output {
        write(&merged, path)?;
        terminal.note(format_args!(
            "{}: {} records, {} were superseded",
            path.display(),
            merged.records.len(),
            merged.superseded
        ));
    }
    Ok(if merged.records.is_empty() { Exit::NothingToDo } else { Exit::Ok })
}

/// Writes a file of the kind that its name says.
fn write(merged: &Merged, path: &Path) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".jsonl") {
        return Ok(merged.write(path)?);
    }
    if name.ends_with(".jsonl.gz") {
        return Ok(write_compressed(path, &merged.records)?);
    }
    let format = ExportFormat::of(path).map_err(|_| {
        Failure::usage(format!("{}: no format goes by this name", path.display()))
            .hint("end it in .jsonl, .jsonl.gz, .csv, .parquet or .json")
    })?;
    Ok(export_records(&merged.records, path, format)?)
}
