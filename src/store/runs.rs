//! `runs.parquet`: one row per measured run.

use crate::error::Result;
use serde_json::{Map, Value};
use std::path::Path;

/// Adds a row and rewrites the file (aside, then rename). Values are strings, numbers, booleans
/// or null; the columns are the union of all rows, in order of first appearance.
pub fn append(_folder: &Path, _row: Map<String, Value>) -> Result<()> {
    todo!()
}

/// All rows of a folder.
pub fn read(_folder: &Path) -> Result<Vec<Map<String, Value>>> {
    todo!()
}
