//! `Table`: rows of named values as one Parquet file, types inferred over all rows.

use super::folder::Folder;
use super::reader::{Batches, cannot_read, open};
use super::schema;
use super::seal;
use crate::error::{Error, Result};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::EnabledStatistics;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Row = Map<String, Value>;

/// Writes `rows` as `<name>.parquet` into the folder. The columns are the union of all rows in order of
/// first appearance; lists and maps become JSON text. Fails when there is no column, or when the name
/// is taken or is no plain file name.
pub fn save_table(folder: &Folder, name: &str, rows: &[Row]) -> Result<PathBuf> {
    let file = if name.ends_with(".parquet") { name.to_string() } else { format!("{name}.parquet") };
    let bytes =
        to_parquet(rows).map_err(|error| error.context(format!("cannot save the table \"{name}\"")))?;
    folder.save(&file, &bytes)
}

/// Rows as the bytes of a Parquet file.
pub(super) fn to_parquet(rows: &[Row]) -> Result<Vec<u8>> {
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
    let write = || {
        let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?;
        // Plain types need no second schema, and a few rows no statistics: together two fifths of a
        // `runs.parquet` with one row. Nor do they need dictionaries, 68 kB of memory a column.
        let packed = schema::packed()
            .set_statistics_enabled(EnabledStatistics::None)
            .set_dictionary_enabled(rows.len() >= MANY_ROWS)
            .build();
        let options = ArrowWriterOptions::new().with_properties(packed).with_skip_arrow_metadata(true);
        let writer = || ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options.clone());
        let mut parquet = writer()?;
        parquet.write(&batch)?;
        let plain = Bytes::from(parquet.into_inner()?);
        let footer = ParquetMetaDataReader::new().parse_and_finish(&plain)?;
        let (mut sealed, _) = writer()?.into_serialized_writer()?;
        seal::append(&plain, &footer, &mut sealed)?;
        sealed.into_inner()
    };
    write().map_err(|error| Error::run(format!("it does not fit into Parquet: {error}")))
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
        DataType::Int64 => any.downcast_ref::<Int64Array>().map(|array| Value::from(array.value(i))),
        DataType::Float64 => any.downcast_ref::<Float64Array>().map(|array| Value::from(array.value(i))),
        DataType::Boolean => any.downcast_ref::<BooleanArray>().map(|array| Value::from(array.value(i))),
        DataType::Utf8 => any.downcast_ref::<StringArray>().map(|array| Value::from(array.value(i))),
        _ => None,
    }
    .unwrap_or(Value::Null)
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

    #[test]
    fn a_table_without_columns_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "m", "20260101_000000").unwrap();
        let error = save_table(&folder, "empty", &[]).unwrap_err();
        assert_eq!(error.message, "cannot save the table \"empty\": it has no columns");
    }

    #[test]
    fn a_saved_table_gets_its_ending_and_overwrites_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "m", "20260101_000000").unwrap();
        let path = save_table(&folder, "knees", &rows(json!([{"rate": 4.5}]))).unwrap();
        assert_eq!(path.file_name().unwrap(), "knees.parquet");
        assert_eq!(from_parquet(&path).unwrap()[0]["rate"], 4.5);
        assert!(save_table(&folder, "knees.parquet", &rows(json!([{"rate": 1}]))).is_err());
    }
}
