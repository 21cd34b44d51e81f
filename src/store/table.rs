//! `Table`: rows of named values as one Parquet file, types inferred over all rows.

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
use parquet::file::properties::EnabledStatistics;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

type Row = Map<String, Value>;

/// Rows as the bytes of a Parquet file.
pub fn to_parquet(rows: &[Row]) -> Result<Vec<u8>> {
    let names = column_names(rows);
    if names.is_empty() {
        return Err(Error::usage("it has no columns").hint("give it at least one row with a value"));
    }
    let mut fields = Vec::with_capacity(names.len());
    let mut arrays = Vec::with_capacity(names.len());
    for name in names {
        let array = column(rows, name);
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options);
    // Plain types need no second schema, and a few rows no statistics: together two fifths of a
    // file with one row. Nor do they need dictionaries, 68 kB of memory a column.
    let packed = column::packed()
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(rows.len() >= MANY_ROWS)
        .build();
    let options = ArrowWriterOptions::new().with_properties(packed).with_skip_arrow_metadata(true);
    batch
        .map_err(ParquetError::from)
        .and_then(|batch| sealed(batch.schema(), [batch], &options))
        .map_err(|error| Error::run(format!("it does not fit into Parquet: {error}")))
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
    let whole = |value: &Value| {
        let real = || value.as_f64().filter(|real| real.fract() == 0.0).map(|real| real as i64);
        value.as_i64().or_else(real)
    };
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

fn column_names(rows: &[Row]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let names = rows.iter().flat_map(|row| row.keys());
    names.filter(|name| seen.insert(name.as_str())).map(String::as_str).collect()
}

/// Whole numbers, numbers, booleans, or else text.
fn column(rows: &[Row], name: &str) -> ArrayRef {
    let cells = || rows.iter().map(move |row| row.get(name).filter(|value| !value.is_null()));
    let all = |fits: fn(&Value) -> bool| cells().flatten().all(fits);
    if cells().all(|cell| cell.is_none()) {
        // Most columns without any value are numbers that were not observed: a query may still average them.
        Arc::new(Float64Array::new_null(rows.len()))
    } else if all(Value::is_i64) {
        Arc::new(cells().map(|cell| cell.and_then(Value::as_i64)).collect::<Int64Array>())
    } else if all(Value::is_number) {
        Arc::new(cells().map(|cell| cell.and_then(Value::as_f64)).collect::<Float64Array>())
    } else if all(Value::is_boolean) {
        Arc::new(cells().map(|cell| cell.and_then(Value::as_bool)).collect::<BooleanArray>())
    } else {
        Arc::new(cells().map(|cell| cell.map(text)).collect::<StringArray>())
    }
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

    fn rows(values: Value) -> Vec<Row> {
        values.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    fn there_and_back(values: Value) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        std::fs::write(&path, to_parquet(&rows(values)).unwrap()).unwrap();
        Value::Array(from_parquet(&path).unwrap().into_iter().map(Value::Object).collect())
    }

    #[test]
    fn types_are_inferred_over_all_rows() {
        let back = there_and_back(json!([
            {"whole": 1, "real": 1, "yes": true, "word": "a", "mixed": 1, "list": [1, 2]},
            {"whole": -2, "real": 0.5, "yes": false, "word": "b", "mixed": "x", "list": null},
        ]));
        let expected = json!([
            {"whole": 1, "real": 1.0, "yes": true, "word": "a", "mixed": "1", "list": "[1,2]"},
            {"whole": -2, "real": 0.5, "yes": false, "word": "b", "mixed": "x", "list": null},
        ]);
        assert_eq!(back, expected);
    }

    #[test]
    fn columns_are_the_union_in_order_of_first_appearance() {
        let back = there_and_back(json!([{"b": 1}, {"a": "x", "b": 2}, {"c": null}]));
        assert_eq!(serde_json::to_string(&back[0]).unwrap(), r#"{"b":1,"a":null,"c":null}"#);
        assert_eq!(back[1]["a"], "x");
    }

    #[test]
    fn a_column_that_was_never_observed_is_a_number_without_values() {
        let array = column(&rows(json!([{"x": null}, {}])), "x");
        assert_eq!((array.data_type(), array.null_count()), (&DataType::Float64, 2));
    }

    #[test]
    fn a_number_above_an_int64_becomes_a_real() {
        assert_eq!(there_and_back(json!([{"x": u64::MAX}]))[0]["x"], json!(u64::MAX as f64));
    }
}
