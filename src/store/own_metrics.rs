//! `metrics.parquet`: values that a script measured itself, one row each. Whatever a script calls them,
//! the schema stays the same.

use super::aside::write_aside;
use super::column::{self, Column, IDENTITY, Kind::*, column};
use super::reader::footer;
use super::table;
use crate::error::Result;
use std::path::Path;

/// The file's name in a results folder.
pub const FILE: &str = "metrics.parquet";

/// A value, behind what identifies its run.
pub(super) const COLUMNS: &[Column] = &[
    column("seq", Number, "the request that it is of").null("of the whole run"),
    column("turn", Number, "its turn").null("of the whole run"),
    column("branch", Number, "which of several ways on from its parent").null("always, so far"),
    column("name", Word, "as the script calls it"),
    column("value", Real, "a number").null("not observed"),
];

/// Makes the file where it is missing, without rows: a query over many folders then finds it in each. It says when
/// these runs began.
pub fn begin(folder: &Path, runs: &[(String, i64)]) -> Result<()> {
    let path = folder.join(FILE);
    let (mut zeros, mut rows) = (Vec::new(), Vec::new());
    if path.exists() {
        zeros = column::zeros(footer(&path)?.file_metadata().key_value_metadata());
        if runs.iter().all(|run| zeros.contains(run)) {
            return Ok(());
        }
        rows = table::from_parquet(&path)?;
    }
    zeros.extend_from_slice(runs);
    let columns = [IDENTITY, COLUMNS];
    let bytes = table::fixed(&columns, &rows)
        .and_then(|rows| table::file_of(&columns, vec![rows], &zeros))
        .map_err(|error| error.context(format!("cannot write {}", path.display())))?;
    write_aside(&path, &bytes)
}
