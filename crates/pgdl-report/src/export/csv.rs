//! A data frame as CSV.

use std::io::{self, Write};

use polars::prelude::{AnyValue, DataFrame};

/// Writes a header and a line per row; no value is an empty field.
pub(super) fn write(frame: &DataFrame, file: impl Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(frame.get_column_names().iter().map(|name| name.as_str()))?;
    for row in 0..frame.height() {
        for column in frame.columns() {
            let value = column.get(row).map_err(io::Error::other)?;
            writer.write_field(match value {
                AnyValue::Null => String::new(),
                AnyValue::String(text) => text.to_owned(),
                // The shortest text that reads back as the same number.
                AnyValue::Float64(number) => number.to_string(),
                other => other.to_string(),
            })?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}
