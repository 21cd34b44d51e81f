//! `metrics.parquet`: values that a script measured itself, one row each. Whatever a script calls them,
//! the schema stays the same.

use super::aside::write_aside;
use super::column::{Column, IDENTITY, Kind::*, column};
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

/// Makes the file where it is missing, without rows: a query over many folders then finds it in each.
pub fn begin(folder: &Path) -> Result<()> {
    let path = folder.join(FILE);
    if path.exists() {
        return Ok(());
    }
    let columns = [IDENTITY, COLUMNS];
    let bytes = table::fixed(&columns, &[])
        .and_then(|none| table::file_of(&columns, vec![none], &[]))
        .map_err(|error| error.context(format!("cannot write {}", path.display())))?;
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
        let columns = reader::open(&path).unwrap().schema().fields().len();
        assert_eq!(columns, IDENTITY.len() + COLUMNS.len());
    }
}
