//! `save_table`: a table that a script made, beside the results.

use super::folder::Folder;
use super::table::to_parquet;
use crate::error::Result;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Writes `rows` as `<name>.parquet` into the folder. The columns are the union of all rows in order of
/// first appearance; lists and maps become JSON text. Fails when there is no column, or when the name
/// is taken or is no plain file name.
pub fn save_table(folder: &Folder, name: &str, rows: &[Map<String, Value>]) -> Result<PathBuf> {
    let file = if name.ends_with(".parquet") { name.to_string() } else { format!("{name}.parquet") };
    let bytes =
        to_parquet(rows).map_err(|error| error.context(format!("cannot save the table \"{name}\"")))?;
    folder.save(&file, &bytes)
}

#[cfg(test)]
mod tests {
    use super::super::table::from_parquet;
    use super::*;
    use serde_json::json;

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
        let path = save_table(&folder, "knees", &[row(4.5)]).unwrap();
        assert_eq!(path.file_name().unwrap(), "knees.parquet");
        assert_eq!(from_parquet(&path).unwrap()[0]["rate"], 4.5);
        assert!(save_table(&folder, "knees.parquet", &[row(1.0)]).is_err());
    }

    fn row(rate: f64) -> Map<String, Value> {
        json!({"rate": rate}).as_object().unwrap().clone()
    }
}
