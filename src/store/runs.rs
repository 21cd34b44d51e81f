//! `runs.parquet`: one row per measured run.

use super::aside::write_aside;
use super::table;
use crate::error::Result;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The file's name in a results folder.
pub const FILE: &str = "runs.parquet";

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Adds a row and rewrites the file (aside, then rename). Values are strings, numbers, booleans
/// or null; the columns are the union of all rows, in order of first appearance.
pub fn append(folder: &Path, row: Map<String, Value>) -> Result<()> {
    let path = file(folder);
    let mut rows = read(folder)?;
    rows.push(row);
    let bytes = table::to_parquet(&rows)
        .map_err(|error| error.context(format!("cannot write a run to {}", path.display())))?;
    write_aside(&path, &bytes)
}

/// All rows of a folder; none when no run is finished yet.
pub fn read(folder: &Path) -> Result<Vec<Map<String, Value>>> {
    let path = file(folder);
    if path.exists() { table::from_parquet(&path) } else { Ok(Vec::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_folder_without_runs_has_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn a_later_run_may_bring_columns_and_widen_types() {
        let folder = tempfile::tempdir().unwrap();
        append(folder.path(), row(json!({"run": "c1", "completed": 10, "rate": 1}))).unwrap();
        append(folder.path(), row(json!({"run": "c2", "completed": 20, "rate": 2.5, "gpus": 8}))).unwrap();
        let rows = Value::Array(read(folder.path()).unwrap().into_iter().map(Value::Object).collect());
        let expected = json!([
            {"run": "c1", "completed": 10, "rate": 1.0, "gpus": null},
            {"run": "c2", "completed": 20, "rate": 2.5, "gpus": 8},
        ]);
        assert_eq!(rows, expected);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left aside");
    }

    #[test]
    fn a_broken_file_is_an_error_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(folder.path()), "no parquet").unwrap();
        let error = append(folder.path(), row(json!({"run": "c1"}))).unwrap_err();
        assert!(error.message.contains("runs.parquet"), "{error}");
        assert_eq!(std::fs::read(file(folder.path())).unwrap(), b"no parquet");
    }
}
