//! Rectangular files, CSV and Parquet, as named columns of cells.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use pgdl_zoo::did_you_mean::did_you_mean;

use crate::error::{ReportError, Result};
use crate::quiet_panics;

/// One cell as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RawCell {
    /// Nothing, or one of the words for nothing.
    Missing,
    /// A number, NaN and infinities included.
    Number(f64),
    /// Anything else; integers that a double cannot hold are among it.
    Text(String),
}

/// A rectangular file.
#[derive(Debug)]
pub(crate) struct Columns {
    pub path: PathBuf,
    pub names: Vec<String>,
    /// Per column, per row.
    pub cells: Vec<Vec<RawCell>>,
    /// Per row, where a person finds it: `line 7` of a text file, `row 6` of a binary one.
    positions: Vec<u64>,
    unit: &'static str,
}

/// What stands for a missing cell in text files: what Python, R and SQL write.
const MISSING: [&str; 5] = ["", "NA", "N/A", "None", "null"];

/// Integers below this one are doubles.
const EXACT: u64 = 1 << 53;

impl RawCell {
    pub fn from_text(text: &str) -> RawCell {
        let text = text.trim();
        if MISSING.contains(&text) {
            return RawCell::Missing;
        }
        match text.parse::<f64>() {
            Ok(number) if number.abs() < EXACT as f64 || text.contains(['.', 'e', 'E', 'n', 'N']) => {
                RawCell::Number(number)
            }
            _ => RawCell::Text(text.to_owned()),
        }
    }

    fn from_field(field: &Field) -> RawCell {
        let integer = |exact: bool, number: f64, text: String| {
            if exact { RawCell::Number(number) } else { RawCell::Text(text) }
        };
        match field {
            Field::Null => RawCell::Missing,
            Field::Byte(value) => RawCell::Number(f64::from(*value)),
            Field::Short(value) => RawCell::Number(f64::from(*value)),
            Field::Int(value) => RawCell::Number(f64::from(*value)),
            Field::UByte(value) => RawCell::Number(f64::from(*value)),
            Field::UShort(value) => RawCell::Number(f64::from(*value)),
            Field::UInt(value) => RawCell::Number(f64::from(*value)),
            Field::Long(value) => integer(value.unsigned_abs() < EXACT, *value as f64, value.to_string()),
            Field::ULong(value) => integer(*value < EXACT, *value as f64, value.to_string()),
            Field::Float16(value) => RawCell::Number(f64::from(*value)),
            Field::Float(value) => RawCell::Number(f64::from(*value)),
            Field::Double(value) => RawCell::Number(*value),
            Field::Str(text) => RawCell::from_text(text),
            other => RawCell::Text(other.to_string()),
        }
    }

    /// The cell as a number; NaN included.
    pub fn number(&self) -> Option<f64> {
        match self {
            RawCell::Number(number) => Some(*number),
            RawCell::Text(text) => text.parse().ok(),
            RawCell::Missing => None,
        }
    }
}

impl Columns {
    /// Reads a CSV file (tab-separated where its name ends in `.tsv`) or a Parquet file, told apart by content.
    pub fn read(path: &Path) -> Result<Columns> {
        let mut magic = [0; 4];
        let is_parquet = File::open(path)
            .and_then(|mut file| match file.read_exact(&mut magic) {
                Ok(()) => Ok(&magic == b"PAR1"),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
                Err(error) => Err(error),
            })
            .map_err(|source| ReportError::io(path, source))?;
        let columns = if is_parquet { read_parquet(path)? } else { read_csv(path)? };
        let mut seen = HashSet::new();
        if let Some(twice) = columns.names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(ReportError::malformed(path, format!("has two columns named `{twice}`")));
        }
        if columns.positions.is_empty() {
            return Err(ReportError::malformed(path, "has no rows"));
        }
        Ok(columns)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.positions.len()
    }

    /// Where a person finds a row.
    pub fn position(&self, row: usize) -> String {
        format!("{} {}", self.unit, self.positions[row])
    }

    /// The place of the column of this name.
    pub fn place(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|other| other == name).ok_or_else(|| {
            let names = || self.names.iter().map(String::as_str).filter(|name| !name.is_empty());
            ReportError::UnknownColumn {
                path: self.path.clone(),
                name: name.to_owned(),
                meant: did_you_mean(name, names()).map(str::to_owned),
                known: if self.names.len() <= 30 { names().map(str::to_owned).collect() } else { Vec::new() },
            }
        })
    }

    /// An error about one cell.
    pub fn bad_cell(
        &self,
        row: usize,
        column: usize,
        message: impl Into<String>,
        hint: Option<&str>,
    ) -> ReportError {
        ReportError::Cell {
            path: self.path.clone(),
            row: self.position(row),
            column: self.names[column].clone(),
            message: message.into(),
            hint: hint.map(str::to_owned),
        }
    }
}

fn read_csv(path: &Path) -> Result<Columns> {
    let bytes = std::fs::read(path).map_err(|source| ReportError::io(path, source))?;
    let text = crate::text::utf8(&bytes).map_err(|message| ReportError::malformed(path, message))?;
    let tabs = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    let mut reader =
        csv::ReaderBuilder::new().delimiter(if tabs { b'\t' } else { b',' }).from_reader(text.as_bytes());
    let malformed = |error: csv::Error| ReportError::malformed(path, csv_message(&error, text));
    let names: Vec<String> =
        reader.headers().map_err(malformed)?.iter().map(|name| name.trim().to_owned()).collect();
    let mut cells: Vec<Vec<RawCell>> = names.iter().map(|_| Vec::new()).collect();
    let mut starts = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(malformed)? {
        for (column, text) in cells.iter_mut().zip(&record) {
            column.push(RawCell::from_text(text));
        }
        starts.push(record.position().map_or(0, csv::Position::byte) as usize);
    }
    let positions = lines(text, &starts);
    Ok(Columns { path: path.to_path_buf(), names, cells, positions, unit: "line" })
}

/// The lines on which records start, counted from 1. Records start at the given bytes, ascending; a start may still be
/// before the end of the line above (`\r\n` is two bytes) or before empty lines.
fn lines(text: &str, starts: &[usize]) -> Vec<u64> {
    let (mut line, mut counted) = (1, 0);
    let number = |&start: &usize| {
        let bytes = text.as_bytes();
        let ends = bytes
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let start = (start + ends).min(bytes.len());
        line += bytes[counted..start].iter().filter(|&&byte| byte == b'\n').count() as u64;
        counted = start;
        line
    };
    starts.iter().map(number).collect()
}

fn csv_message(error: &csv::Error, text: &str) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let start = pos.as_ref().map_or(0, csv::Position::byte) as usize;
            let line = lines(text, &[start])[0];
            format!("line {line} has {len} fields, but the header has {expected_len}")
        }
        _ => format!("not CSV: {error}"),
    }
}

fn read_parquet(path: &Path) -> Result<Columns> {
    // The decoder panics on some damaged pages; a damaged file is an error here as everywhere.
    quiet_panics::caught(|| decode_parquet(path))
        .unwrap_or_else(|| Err(ReportError::malformed(path, "not Parquet: a page of it is damaged")))
}

fn decode_parquet(path: &Path) -> Result<Columns> {
    let file = File::open(path).map_err(|source| ReportError::io(path, source))?;
    let malformed =
        |error: parquet::errors::ParquetError| ReportError::malformed(path, format!("not Parquet: {error}"));
    let reader = SerializedFileReader::new(file).map_err(malformed)?;
    let length = std::fs::metadata(path).map_err(|source| ReportError::io(path, source))?.len();
    check_chunks(reader.metadata(), length).map_err(|message| ReportError::malformed(path, message))?;
    let root = reader.metadata().file_metadata().schema();
    let names: Vec<String> = root.get_fields().iter().map(|field| field.name().trim().to_owned()).collect();
    let mut cells: Vec<Vec<RawCell>> = names.iter().map(|_| Vec::new()).collect();
    let mut positions = Vec::new();
    for row in reader.get_row_iter(None).map_err(malformed)? {
        let row = row.map_err(malformed)?;
        for (column, (_, field)) in cells.iter_mut().zip(row.get_column_iter()) {
            column.push(RawCell::from_field(field));
        }
        positions.push(positions.len() as u64 + 1);
    }
    Ok(Columns { path: path.to_path_buf(), names, cells, positions, unit: "row" })
}

/// Checks that every column chunk lies within the file and holds as many values as its group has rows: the decoder takes
/// the metadata's word for it.
fn check_chunks(metadata: &ParquetMetaData, length: u64) -> Result<(), String> {
    for (place, group) in metadata.row_groups().iter().enumerate() {
        for chunk in group.columns() {
            let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
            let within = |start: i64, size: i64| {
                let end = u64::try_from(start)
                    .ok()
                    .zip(u64::try_from(size).ok())
                    .and_then(|(a, b)| a.checked_add(b));
                end.is_some_and(|end| end <= length)
            };
            if !within(start, chunk.compressed_size()) || !within(chunk.data_page_offset(), 0) {
                let column = chunk.column_path().string();
                return Err(format!(
                    "not Parquet: column `{column}` of row group {place} lies outside of the file"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_what_their_text_says() {
        for (text, cell) in [
            ("", RawCell::Missing),
            (" NA ", RawCell::Missing),
            ("1e-3", RawCell::Number(0.001)),
            (" 512 ", RawCell::Number(512.0)),
            ("-inf", RawCell::Number(f64::NEG_INFINITY)),
            ("9007199254740993", RawCell::Text("9007199254740993".into())),
            ("1e300", RawCell::Number(1e300)),
            ("adam", RawCell::Text("adam".into())),
            ("1,5", RawCell::Text("1,5".into())),
        ] {
            assert_eq!(RawCell::from_text(text), cell, "{text:?}");
        }
        assert!(matches!(RawCell::from_text("nan"), RawCell::Number(number) if number.is_nan()));
        assert_eq!(RawCell::from_text("9007199254740993").number(), Some(9007199254740992.0));
    }
}
