//! `metrics.parquet`: values that a script measured itself, one row each. Whatever a script calls them,
//! the schema stays the same.

use super::aside::write_aside;
use super::column::{self, Column, IDENTITY, Kind::*, column};
use super::identity::RunIdentity;
use super::reader::{Batches, cannot_read, footer, open};
use super::table;
use crate::error::Result;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use std::path::Path;
use std::sync::Arc;

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

/// A value of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnMetricRow<'a> {
    pub seq: u64,
    pub turn: u32,
    pub name: &'a str,
    pub value: f64,
}

/// Adds the values of a run, which began at `zero_ms`, and rewrites the file (aside, then rename).
pub fn append(folder: &Path, of: &RunIdentity, zero_ms: i64, rows: &[OwnMetricRow]) -> Result<()> {
    begin(folder, &[(of.run_id(), zero_ms)])?;
    if rows.is_empty() {
        return Ok(());
    }
    let path = folder.join(FILE);
    let zeros = column::zeros(footer(&path)?.file_metadata().key_value_metadata());
    let before = open(&path).map_err(|error| cannot_read(&path, error)).and_then(|file| {
        let batches = Batches::new(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
        batches.map_err(|error| cannot_read(&path, error))
    });
    let batches = [before?, vec![batch(of, rows)]].concat();
    let bytes = table::file_of(&[IDENTITY, COLUMNS], batches, &zeros)
        .map_err(|error| error.context(format!("cannot write {}", path.display())))?;
    write_aside(&path, &bytes)
}

fn batch(of: &RunIdentity, rows: &[OwnMetricRow]) -> RecordBatch {
    let same = |word: &str| Arc::new(rows.iter().map(|_| Some(word)).collect::<StringArray>()) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        same(&of.experiment_id),
        same(&of.run_id()),
        same(&of.folder),
        same(&of.run),
        same(&of.cell),
        Arc::new(rows.iter().map(|row| Some(row.seq as i64)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(i64::from(row.turn))).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|_| None).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.name)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.value)).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(column::schema_of(&[IDENTITY, COLUMNS]), columns)
        .expect("the columns are those of the schema")
}

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
