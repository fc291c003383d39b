//! A data frame as Parquet.
//!
//! The `parquet` crate stands in for polars' own writer, which brings a streaming engine, object stores and TLS along.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType as ParquetType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use polars::prelude::{Column, DataFrame, DataType};

/// Writes one row group, compressed with zstd. Every column may hold nulls.
pub(super) fn write(frame: &DataFrame, file: impl Write + Send) -> io::Result<()> {
    write_frame(frame, file).map_err(|error| match error {
        ParquetError::External(source) => io::Error::other(source),
        other => io::Error::other(other),
    })
}

fn write_frame(frame: &DataFrame, file: impl Write + Send) -> Result<()> {
    let fields =
        frame.columns().iter().map(|column| Ok(Arc::new(field(column)?))).collect::<Result<Vec<_>>>()?;
    let schema = Type::group_type_builder("records").with_fields(fields).build()?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in frame.columns() {
        let mut target =
            group.next_column()?.ok_or_else(|| ParquetError::General("too few columns".to_owned()))?;
        match column.dtype() {
            DataType::Float64 => {
                let values = column.f64().map_err(external)?;
                write_column::<DoubleType>(&mut target, values.iter())?;
            }
            DataType::UInt64 => {
                let values = column.u64().map_err(external)?;
                // Parquet keeps unsigned integers in the bits of signed ones.
                write_column::<Int64Type>(
                    &mut target,
                    values.iter().map(|value| value.map(|value| value as i64)),
                )?;
            }
            DataType::String => {
                let values = column.str().map_err(external)?;
                let bytes =
                    values.iter().map(|value| value.map(|text| ByteArray::from(text.as_bytes().to_vec())));
                write_column::<ByteArrayType>(&mut target, bytes)?;
            }
            other => return Err(unsupported(column, other)),
        }
        target.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

fn field(column: &Column) -> Result<Type> {
    let (physical, logical) = match column.dtype() {
        DataType::Float64 => (Physical::DOUBLE, None),
        DataType::UInt64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
        DataType::String => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        other => return Err(unsupported(column, other)),
    };
    Type::primitive_type_builder(column.name(), physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// Values are written densely; definition levels say which rows have one.
fn write_column<T: ParquetType>(
    target: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let mut values = Vec::new();
    let mut levels = Vec::new();
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    target.typed::<T>().write_batch(&values, Some(&levels), None)?;
    Ok(())
}

fn external(error: polars::error::PolarsError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

fn unsupported(column: &Column, dtype: &DataType) -> ParquetError {
    ParquetError::NYI(format!("column {} of type {dtype}", column.name()))
}
