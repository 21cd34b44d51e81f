//! `Table`: rows of named values as one Parquet file. No type follows the values.

use super::column::{self, Column, Kind};
use super::reader::{Batches, cannot_read, open};
use super::seal;
use crate::error::{Error, Result};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, MapArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;

pub type Row = Map<String, Value>;

/// A column that is not one of ours: of a script's table, or of one for readers of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnColumn {
    pub name: String,
    pub kind: OwnKind,
    /// Of one value; empty where it has none.
    pub unit: String,
    /// What it is, in a sentence.
    pub says: String,
}

/// The type of a column, which no value changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnKind {
    Whole,
    Real,
    Truth,
    /// What is no text is written as JSON.
    Text,
}

impl OwnColumn {
    fn field(&self) -> Field {
        let of = match self.kind {
            OwnKind::Whole => DataType::Int64,
            OwnKind::Real => DataType::Float64,
            OwnKind::Truth => DataType::Boolean,
            OwnKind::Text => DataType::Utf8,
        };
        Field::new(&self.name, of, true).with_metadata(column::about_column(&self.unit, &self.says))
    }

    fn array(&self, rows: &[Row]) -> Result<ArrayRef> {
        let cells = || rows.iter().map(|row| row.get(&self.name).filter(|value| !value.is_null()));
        fn read<'a, T>(
            column: &OwnColumn,
            what: &str,
            cells: impl Iterator<Item = Option<&'a Value>>,
            typed: impl Fn(&Value) -> Option<T>,
        ) -> Result<Vec<Option<T>>> {
            let odd = |value: &Value| format!("{value} in the column \"{}\" is no {what}", column.name);
            let each = |cell: Option<&Value>| {
                cell.map(|value| typed(value).ok_or_else(|| Error::usage(odd(value)))).transpose()
            };
            cells.map(each).collect()
        }
        Ok(match self.kind {
            OwnKind::Whole => Arc::new(Int64Array::from(read(self, "whole number", cells(), whole)?)),
            OwnKind::Real => Arc::new(Float64Array::from(read(self, "number", cells(), Value::as_f64)?)),
            OwnKind::Truth => {
                Arc::new(BooleanArray::from(read(self, "true or false", cells(), Value::as_bool)?))
            }
            OwnKind::Text => Arc::new(cells().map(|cell| cell.map(text)).collect::<StringArray>()),
        })
    }
}

/// Rows as the bytes of a Parquet file with these columns; `zeros`: when the runs in it began, as far as they are
/// known. Fails for a value of another type.
pub fn to_parquet(columns: &[OwnColumn], rows: &[Row], zeros: &[(String, i64)]) -> Result<Vec<u8>> {
    let schema = Arc::new(Schema::new(columns.iter().map(OwnColumn::field).collect::<Vec<_>>()));
    let arrays = columns.iter().map(|column| column.array(rows)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    // Dictionaries take 68 kB of memory a column.
    let packed = column::packed()
        .set_dictionary_enabled(rows.len() >= MANY_ROWS)
        .set_key_value_metadata(Some(column::about(zeros)))
        .build();
    RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(ParquetError::from)
        .and_then(|batch| sealed(batch.schema(), [batch], &ArrowWriterOptions::new().with_properties(packed)))
        .map_err(|error| Error::run(format!("it does not fit into Parquet: {error}")))
}

/// A whole number, also one that is written with a fraction of 0.
fn whole(value: &Value) -> Option<i64> {
    let real = || value.as_f64().filter(|real| real.fract() == 0.0).map(|real| real as i64);
    value.as_i64().or_else(real)
}

/// Batches of a schema as the bytes of a file whose pages have checksums.
pub(super) fn sealed(
    schema: SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
    options: &ArrowWriterOptions,
) -> std::result::Result<Vec<u8>, ParquetError> {
    let writer = || ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options.clone());
    let mut parquet = writer()?;
    batches.into_iter().try_for_each(|batch| parquet.write(&batch))?;
    let plain = Bytes::from(parquet.into_inner()?);
    let footer = ParquetMetaDataReader::new().parse_and_finish(&plain)?;
    let (mut sealed, _) = writer()?.into_serialized_writer()?;
    seal::append(&plain, footer.row_groups(), &mut sealed)?;
    sealed.into_inner()
}

/// Rows as a batch with these columns, whatever the values. Fails for a value without a column, or of another
/// type, and for one that is missing where there must be one.
pub(super) fn fixed(columns: &[&[Column]], rows: &[Row]) -> Result<RecordBatch> {
    let all = columns.concat();
    if let Some(odd) =
        rows.iter().flat_map(|row| row.keys()).find(|key| all.iter().all(|column| column.name != *key))
    {
        return Err(Error::run(format!("there is no column \"{odd}\"")));
    }
    let arrays = all.iter().map(|column| fixed_column(column, rows)).collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(column::schema_of(columns), arrays)
        .map_err(|error| Error::run(format!("it does not fit into Parquet: {error}")))
}

/// Batches of [`fixed`] as the bytes of a file; `zeros`: when the runs in it began.
pub(super) fn file_of(
    columns: &[&[Column]],
    batches: Vec<RecordBatch>,
    zeros: &[(String, i64)],
) -> Result<Vec<u8>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let packed = column::packed_as(columns)
        .set_dictionary_enabled(rows >= MANY_ROWS)
        .set_key_value_metadata(Some(column::about(zeros)))
        .build();
    sealed(column::schema_of(columns), batches, &ArrowWriterOptions::new().with_properties(packed))
        .map_err(|error| Error::run(format!("it does not fit into Parquet: {error}")))
}

fn fixed_column(column: &Column, rows: &[Row]) -> Result<ArrayRef> {
    fn read<T>(column: &Column, rows: &[Row], typed: impl Fn(&Value) -> Option<T>) -> Result<Vec<Option<T>>> {
        let name = column.name;
        let cell = |row: &Row| match row.get(name).filter(|value| !value.is_null()) {
            None if column.null.is_empty() => Err(format!("the column \"{name}\" needs a value")),
            None => Ok(None),
            Some(value) => match typed(value) {
                None => Err(format!("{value} is no value of the column \"{name}\"")),
                typed => Ok(typed),
            },
        };
        rows.iter().map(|row| cell(row).map_err(Error::run)).collect()
    }
    Ok(match column.kind {
        Kind::Word | Kind::Text => {
            let words = read(column, rows, |value| value.as_str().map(str::to_string))?;
            Arc::new(StringArray::from(words))
        }
        Kind::Bool => Arc::new(BooleanArray::from(read(column, rows, Value::as_bool)?)),
        Kind::Code | Kind::Number => Arc::new(Int64Array::from(read(column, rows, whole)?)),
        Kind::Instant => {
            let at = TimestampMicrosecondArray::from(read(column, rows, whole)?);
            Arc::new(at.with_timezone("UTC"))
        }
        Kind::Real => Arc::new(Float64Array::from(read(column, rows, Value::as_f64)?)),
        Kind::Map => Arc::new(maps(read(column, rows, |value| value.as_object().cloned())?)),
        Kind::Times | Kind::Repeats => unreachable!("tables of rows have no lists"),
    })
}

/// Values become JSON.
fn maps(rows: Vec<Option<Row>>) -> MapArray {
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.as_ref().map_or(0, Row::len)));
    let (keys, values): (Vec<String>, Vec<String>) =
        rows.into_iter().flatten().flatten().map(|(key, value)| (key, value.to_string())).unzip();
    let entries = column::entries();
    let DataType::Struct(pair) = entries.data_type().clone() else {
        unreachable!("the entries of a map are pairs");
    };
    let arrays: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(StringArray::from(values))];
    MapArray::new(entries, offsets, StructArray::new(pair, arrays, None), None, false)
}

/// From so many rows on, words that repeat are worth a dictionary.
const MANY_ROWS: usize = 1_000;

/// All rows of a Parquet file, each with every column.
pub(super) fn from_parquet(path: &Path) -> Result<Vec<Row>> {
    let read = || -> std::result::Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        for batch in Batches::new(open(path)?)? {
            let batch = batch?;
            let schema = batch.schema();
            for i in 0..batch.num_rows() {
                let fields = schema.fields().iter().zip(batch.columns());
                rows.push(fields.map(|(field, array)| (field.name().clone(), cell(array, i))).collect());
            }
        }
        Ok(rows)
    };
    read().map_err(|error| cannot_read(path, error))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cell(array: &ArrayRef, i: usize) -> Value {
    if array.is_null(i) {
        return Value::Null;
    }
    let any = array.as_any();
    match array.data_type() {
        DataType::Map(..) => any.downcast_ref::<MapArray>().map(|array| map(&array.value(i))),
        DataType::Timestamp(..) => {
            any.downcast_ref::<TimestampMicrosecondArray>().map(|array| Value::from(array.value(i)))
        }
        DataType::Int64 => any.downcast_ref::<Int64Array>().map(|array| Value::from(array.value(i))),
        DataType::Float64 => any.downcast_ref::<Float64Array>().map(|array| Value::from(array.value(i))),
        DataType::Boolean => any.downcast_ref::<BooleanArray>().map(|array| Value::from(array.value(i))),
        DataType::Utf8 => any.downcast_ref::<StringArray>().map(|array| Value::from(array.value(i))),
        _ => None,
    }
    .unwrap_or(Value::Null)
}

/// A map with JSON as values; what is none is the text that it is.
fn map(entries: &StructArray) -> Value {
    let texts = |at: usize| entries.column(at).as_any().downcast_ref::<StringArray>();
    let pairs = texts(0).zip(texts(1)).into_iter().flat_map(|(keys, values)| keys.iter().zip(values));
    let pairs = pairs.filter_map(|(key, value)| {
        let value =
            value.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
        Some((key?.to_string(), value))
    });
    Value::Object(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_back_as_their_columns_have_them() {
        let column =
            |name: &str, kind| OwnColumn { name: name.into(), kind, unit: "ms".into(), says: "x".into() };
        let columns = [
            column("whole", OwnKind::Whole),
            column("real", OwnKind::Real),
            column("yes", OwnKind::Truth),
            column("word", OwnKind::Text),
            column("absent", OwnKind::Whole),
        ];
        let rows = [
            json!({"whole": 1.0, "real": 1, "yes": true, "word": 1}),
            json!({"whole": -2, "real": 0.5, "yes": null, "word": [1, 2], "beside": 7}),
        ];
        let rows = rows.map(|row| row.as_object().unwrap().clone());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        std::fs::write(&path, to_parquet(&columns, &rows, &[]).unwrap()).unwrap();
        let back = Value::Array(from_parquet(&path).unwrap().into_iter().map(Value::Object).collect());
        let expected = json!([
            {"whole": 1, "real": 1.0, "yes": true, "word": "1", "absent": null},
            {"whole": -2, "real": 0.5, "yes": null, "word": "[1,2]", "absent": null},
        ]);
        assert_eq!(back, expected);
    }
}
