//! Records as a data frame, and as CSV, Parquet and JSON files.

mod csv;
mod json;
mod parquet;

use std::io::{BufWriter, Write};
use std::path::Path;

use pgdl_run::Record;
use polars::prelude::{Column, DataFrame};

use crate::error::{ReportError, Result};
use crate::whole_file::WholeFile;

/// A file format for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Parquet, compressed with zstd.
    Parquet,
    /// One JSON array with one object per record.
    Json,
}

impl ExportFormat {
    /// The format that a path's extension names: `.csv`, `.parquet` or `.json`.
    ///
    /// # Errors
    /// Any other extension.
    pub fn of(path: &Path) -> Result<ExportFormat> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(ExportFormat::Csv),
            Some("parquet") => Ok(ExportFormat::Parquet),
            Some("json") => Ok(ExportFormat::Json),
            _ => Err(ReportError::Invalid {
                message: format!("{}: no format goes by this extension", path.display()),
                hint: Some("end the name in .csv, .parquet or .json".to_owned()),
            }),
        }
    }
}

/// Records as a data frame: one row per record, its fields as columns. `passes` become three columns; `layers` and
/// `details` are JSON texts.
///
/// # Errors
/// When the frame cannot be made (out of memory).
pub fn record_frame<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<DataFrame> {
    let records: Vec<&Record> = records.into_iter().collect();
    let texts = |name: &str, field: fn(&Record) -> &str| {
        Column::new(name.into(), records.iter().map(|record| field(record)).collect::<Vec<&str>>())
    };
    let counts = |name: &str, field: fn(&Record) -> u64| {
        Column::new(name.into(), records.iter().map(|record| field(record)).collect::<Vec<u64>>())
    };
    let numbers = |name: &str, field: fn(&Record) -> Option<f64>| {
        Column::new(name.into(), records.iter().map(|record| field(record)).collect::<Vec<Option<f64>>>())
    };
    let json = |name: &str, field: fn(&Record) -> serde_json::Result<String>| {
        // A record's fields are plain data that JSON takes.
        Column::new(
            name.into(),
            records.iter().map(|record| field(record).ok()).collect::<Vec<Option<String>>>(),
        )
    };
    let columns = vec![
        counts("schema", |record| record.schema.into()),
        texts("zoo", |record| &record.zoo),
        texts("zoo_digest", |record| &record.zoo_digest),
        counts("network", |record| record.network),
        texts("measure", |record| &record.measure),
        counts("version", |record| record.version.into()),
        texts("parameters", |record| &record.parameters),
        texts("status", |record| record.status.as_str()),
        numbers("value", |record| record.value),
        numbers("standard_error", |record| record.standard_error),
        Column::new(
            "message".into(),
            records.iter().map(|record| record.message.as_deref()).collect::<Vec<Option<&str>>>(),
        ),
        counts("seed", |record| record.seed),
        texts("device", |record| &record.device),
        texts("dtype", |record| &record.dtype),
        counts("sample", |record| record.sample),
        counts("batch_size", |record| record.batch_size),
        counts("threads", |record| record.threads),
        numbers("seconds", |record| Some(record.seconds)),
        Column::new(
            "peak_memory_bytes".into(),
            records.iter().map(|record| record.peak_memory_bytes).collect::<Vec<Option<u64>>>(),
        ),
        numbers("passes_forward", |record| Some(record.passes.forward)),
        numbers("passes_backward", |record| Some(record.passes.backward)),
        numbers("passes_hvp", |record| Some(record.passes.hvp)),
        json("layers", |record| serde_json::to_string(&record.layers)),
        json("details", |record| serde_json::to_string(&record.details)),
        texts("weights_digest", |record| &record.weights_digest),
        texts("data_digest", |record| &record.data_digest),
        texts("pgdl_version", |record| &record.pgdl_version),
        texts("libtorch_version", |record| &record.libtorch_version),
        texts("utc", |record| &record.utc),
    ];
    Ok(DataFrame::new(records.len(), columns)?)
}

/// Writes records into a file. The file appears whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn export_records<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    path: &Path,
    format: ExportFormat,
) -> Result<()> {
    let frame = record_frame(records)?;
    WholeFile::create(path)?.fill(|file| {
        let mut file = BufWriter::new(file);
        match format {
            ExportFormat::Csv => csv::write(&frame, &mut file)?,
            ExportFormat::Json => json::write(&frame, &mut file)?,
            ExportFormat::Parquet => parquet::write(&frame, &mut file)?,
        }
        file.flush()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Columns, RawCell};
    use crate::example::record;

    fn records() -> Vec<Record> {
        let mut text = record(20, "margin", "p=5,q=\"é\"", "failed", 1, "2026-01-01T00:00:00Z");
        text.message = Some("line one\nline \"two\", and more".into());
        vec![record(10, "margin", "", "ok", u64::MAX, "2026-01-01T00:00:00Z"), text]
    }

    #[test]
    fn the_formats_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["records.csv", "records.parquet"] {
            let path = folder.path().join(name);
            export_records(&records(), &path, ExportFormat::of(&path).unwrap()).unwrap();
            let columns = Columns::read(&path).unwrap();
            let column = |name: &str| &columns.cells[columns.place(name).unwrap()];
            assert_eq!(column("network"), &[RawCell::Number(10.0), RawCell::Number(20.0)], "{name}");
            assert_eq!(column("value"), &[RawCell::Number(0.5), RawCell::Missing], "{name}");
            assert_eq!(
                column("seed"),
                &[RawCell::Text(u64::MAX.to_string()), RawCell::Number(1.0)],
                "{name}"
            );
            assert_eq!(column("passes_forward"), &[RawCell::Number(1.0), RawCell::Number(1.0)], "{name}");
            assert_eq!(column("details")[0], RawCell::Text("{\"kept\":3.0}".into()), "{name}");
            let message = RawCell::Text("line one\nline \"two\", and more".into());
            assert_eq!(column("message"), &[RawCell::Missing, message], "{name}");
            assert_eq!(columns.names.len(), record_frame(&records()).unwrap().width());
        }
        let path = folder.path().join("records.json");
        export_records(&records(), &path, ExportFormat::Json).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(json[0]["seed"], u64::MAX);
        assert_eq!(json[0]["value"], 0.5);
        assert_eq!(json[1]["value"], serde_json::Value::Null);
        assert_eq!(json[1]["parameters"], "p=5,q=\"é\"");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 3, "no partial file stays behind");
    }

    #[test]
    fn no_records_make_a_file_with_columns_and_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.parquet");
        export_records(&[], &path, ExportFormat::Parquet).unwrap();
        assert_eq!(Columns::read(&path).unwrap_err().to_string(), format!("{}: has no rows", path.display()));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("records.csv");
        let message = export_records(&records(), &path, ExportFormat::Csv).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(ExportFormat::of(Path::new("records.xls")).is_err());
    }
}
