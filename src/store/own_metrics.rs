//! `metrics.parquet`: values that a script measured itself, one row each. Whatever a script calls them,
//! the schema stays the same.

use super::aside::write_aside;
use super::schema;
use crate::error::{Error, Result};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use std::path::Path;
use std::sync::Arc;

/// The file's name in a results folder.
pub const FILE: &str = "metrics.parquet";

fn schema() -> SchemaRef {
    let field = |name: &str, of: DataType, null| Field::new(name, of, null);
    Arc::new(Schema::new(vec![
        field("experiment_id", DataType::Utf8, false),
        field("run_id", DataType::Utf8, false),
        field("folder", DataType::Utf8, false),
        field("run", DataType::Utf8, false),
        field("cell", DataType::Utf8, false),
        field("seq", DataType::Int64, true),
        field("turn", DataType::Int64, true),
        field("branch", DataType::Int64, true),
        field("name", DataType::Utf8, false),
        field("value", DataType::Float64, true),
    ]))
}

/// Makes the file where it is missing, without rows: a query over many folders then finds it in each.
pub fn begin(folder: &Path) -> Result<()> {
    let path = folder.join(FILE);
    if path.exists() {
        return Ok(());
    }
    let empty = || {
        let version = KeyValue::new(schema::KEY_VERSION.to_string(), schema::VERSION.to_string());
        let packed = schema::packed().set_key_value_metadata(Some(vec![version])).build();
        ArrowWriter::try_new(Vec::new(), schema(), Some(packed))?.into_inner()
    };
    let bytes = empty().map_err(|error| Error::run(format!("cannot write {}: {error}", path.display())))?;
    write_aside(&path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::super::reader;
    use super::*;

    #[test]
    fn a_folder_without_own_metrics_has_the_file_without_rows() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path()).unwrap();
        begin(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(reader::rows(&path).unwrap(), 0);
        assert_eq!(reader::open(&path).unwrap().schema().fields(), schema().fields());
    }
}
