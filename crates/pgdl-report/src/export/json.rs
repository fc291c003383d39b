//! A data frame as JSON.

use std::io::{self, Write};

use polars::prelude::{AnyValue, DataFrame};
use serde_json::{Map, Value};

/// Writes an array with one object per row; no value is null.
pub(super) fn write(frame: &DataFrame, mut file: impl Write) -> io::Result<()> {
    let mut rows = Vec::with_capacity(frame.height());
    for row in 0..frame.height() {
        let mut object = Map::new();
        for column in frame.columns() {
            let value = match column.get(row).map_err(io::Error::other)? {
                AnyValue::Null => Value::Null,
                AnyValue::Float64(number) => number.into(),
                AnyValue::UInt64(number) => number.into(),
                AnyValue::String(text) => text.into(),
                other => other.to_string().into(),
            };
            object.insert(column.name().to_string(), value);
        }
        rows.push(Value::Object(object));
    }
    writeln!(file, "{:#}", Value::Array(rows))
}
