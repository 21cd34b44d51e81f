//! `save_table`: a table that a script made, beside the results.

use super::column::IDENTITY;
use super::folder::Folder;
use super::runs;
use super::table::{OwnColumn, OwnKind, Row, to_parquet};
use crate::error::{Error, Result};
use serde_json::Value;
use std::path::PathBuf;

/// Whole numbers up to here are the same as reals.
const EXACT_MAX: i64 = 1 << 53;

/// Writes `rows` as `<name>.parquet` into the folder. The columns are what identifies a run, and then, by name,
/// those of all rows and those that are `stated`, which are there whatever the rows have. A column that is not
/// stated is real where it has numbers or nothing, true or false where it has nothing else, and else text: lists
/// and maps become JSON. Fails when there is no column, for a value that is not of the stated type, and when the
/// name is taken or is no plain file name.
pub fn save_table(
    folder: &Folder,
    name: &str,
    rows: &[Row],
    stated: &[(String, OwnKind)],
) -> Result<PathBuf> {
    let file = if name.ends_with(".parquet") { name.to_string() } else { format!("{name}.parquet") };
    let saving = |error: Error| error.context(format!("cannot save the table \"{name}\""));
    let own = own_columns(rows, stated).map_err(saving)?;
    if own.is_empty() && rows.iter().all(Row::is_empty) {
        let error = Error::usage("it has no columns").hint("give it at least one row with a value");
        return Err(saving(error));
    }
    let runs = runs::rows(folder.path())?;
    let manifest = folder.identity(0, "", "")?;
    let identified: Vec<Row> =
        rows.iter().map(|row| identified(row, &runs, (&manifest.experiment_id, &manifest.folder))).collect();
    let identity = IDENTITY.iter().map(|column| OwnColumn {
        name: column.name.to_string(),
        kind: OwnKind::Text,
        unit: String::new(),
        says: column.says.to_string(),
    });
    let columns: Vec<OwnColumn> = identity.chain(own).collect();
    let bytes = to_parquet(&columns, &identified, &runs::zeros(&runs)).map_err(saving)?;
    folder.save(&file, &bytes)
}

/// A row with what identifies its run, as far as it names one by `run`. What it says itself stays.
fn identified(row: &Row, runs: &[Row], (experiment_id, folder): (&str, &str)) -> Row {
    let named = |run: &&Row| row.get("run").is_some_and(|name| run.get("run") == Some(name));
    let run = runs.iter().find(named);
    let mut all = row.clone();
    for column in IDENTITY {
        let known = match column.name {
            "experiment_id" => experiment_id.into(),
            "folder" => folder.into(),
            name => run.and_then(|run| run.get(name)).cloned().unwrap_or_default(),
        };
        all.entry(column.name).or_insert(known);
    }
    all
}

/// The columns of the table itself, by name.
fn own_columns(rows: &[Row], stated: &[(String, OwnKind)]) -> Result<Vec<OwnColumn>> {
    let mut names: Vec<&str> = rows.iter().flat_map(Row::keys).map(String::as_str).collect();
    names.extend(stated.iter().map(|(name, _)| name.as_str()));
    names.sort_unstable();
    names.dedup();
    names.retain(|name| IDENTITY.iter().all(|column| column.name != *name));
    let column = |name: &str| {
        let kind = match stated.iter().find(|(of, _)| of == name) {
            Some((_, kind)) => *kind,
            None => widest(rows, name)?,
        };
        let says = "as the script calls and computes it".to_string();
        Ok(OwnColumn { name: name.to_string(), kind, unit: String::new(), says })
    };
    names.into_iter().map(column).collect()
}

/// Which whole numbers there are, or none at all, must not make another type of it.
fn widest(rows: &[Row], name: &str) -> Result<OwnKind> {
    let values = || rows.iter().filter_map(|row| row.get(name)).filter(|value| !value.is_null());
    if !values().all(Value::is_number) {
        return Ok(if values().all(Value::is_boolean) { OwnKind::Truth } else { OwnKind::Text });
    }
    let large = |value: &&Value| value.as_i64().is_some_and(|n| n.unsigned_abs() > EXACT_MAX.unsigned_abs());
    match values().find(large) {
        Some(value) => Err(Error::usage(format!("{value} in the column \"{name}\" is no exact real number"))
            .hint(format!("state it: save_table(name, rows, #{{ columns: #{{ {name}: \"int\" }} }})"))),
        None => Ok(OwnKind::Real),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::open;
    use super::super::table::from_parquet;
    use super::*;
    use arrow_schema::Fields;
    use serde_json::json;
    use std::path::Path;

    fn folder() -> (tempfile::TempDir, Folder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "m", "20260101_000000").unwrap();
        (parent, folder)
    }

    fn rows(rows: Value) -> Vec<Row> {
        rows.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
    }

    fn fields(path: &Path) -> Fields {
        open(path).unwrap().schema().fields().clone()
    }

    #[test]
    fn a_table_without_columns_is_refused() {
        let error = save_table(&folder().1, "empty", &[], &[]).unwrap_err();
        assert_eq!(error.message, "cannot save the table \"empty\": it has no columns");
    }

    #[test]
    fn a_saved_table_gets_its_ending_and_overwrites_nothing() {
        let (_parent, folder) = folder();
        let path = save_table(&folder, "knees", &rows(json!([{"rate": 4.5}])), &[]).unwrap();
        assert_eq!(path.file_name().unwrap(), "knees.parquet");
        assert_eq!(from_parquet(&path).unwrap()[0]["rate"], 4.5);
        assert!(save_table(&folder, "knees.parquet", &rows(json!([{"rate": 1}])), &[]).is_err());
    }

    #[test]
    fn types_do_not_follow_numbers_and_what_is_stated_is_always_there() {
        let (_parent, folder) = folder();
        let of_numbers = [json!([{"x": null}, {}]), json!([{"x": 1}]), json!([{"x": 2.5}, {"x": null}])];
        let saved = |name: &str, table: Value, stated: &[(String, OwnKind)]| {
            let path = save_table(&folder, name, &rows(table), stated).unwrap();
            (fields(&path), from_parquet(&path).unwrap())
        };
        let mut seen = Vec::new();
        for (i, table) in of_numbers.into_iter().enumerate() {
            seen.push(saved(&format!("numbers-{i}"), table, &[]).0);
        }
        assert!(seen.iter().all(|fields| *fields == seen[0]), "{seen:?}");
        let stated = [("note", OwnKind::Text), ("users", OwnKind::Whole), ("ok", OwnKind::Truth)]
            .map(|(name, kind)| (name.to_string(), kind));
        let tables = [
            json!([]),
            json!([{"note": null}]),
            json!([{"note": "好", "users": 9_007_199_254_740_993_i64, "ok": true}]),
            json!([{"note": 1, "users": 4.0}, {"note": [1, {"a": null}]}]),
        ];
        let all: Vec<_> = tables
            .into_iter()
            .enumerate()
            .map(|(i, table)| saved(&format!("s{i}"), table, &stated))
            .collect();
        assert!(all.iter().all(|(fields, _)| *fields == all[0].0), "{all:?}");
        assert_eq!(all[2].1[0]["users"], 9_007_199_254_740_993_i64);
        assert_eq!((&all[3].1[0]["note"], &all[3].1[1]["note"]), (&json!("1"), &json!("[1,{\"a\":null}]")));
        assert_eq!(all[3].1[0]["users"], 4);
    }

    #[test]
    fn a_value_that_does_not_fit_is_named() {
        let (_parent, folder) = folder();
        let whole = [("n".to_string(), OwnKind::Whole)];
        for (table, stated, told) in [
            (json!([{"n": 2.5}]), &whole[..], "2.5 in the column \"n\" is no whole number"),
            (json!([{"n": "many"}]), &whole[..], "\"many\" in the column \"n\" is no whole number"),
            (
                json!([{"n": i64::MAX}]),
                &[][..],
                "9223372036854775807 in the column \"n\" is no exact real number",
            ),
        ] {
            let error = save_table(&folder, "odd", &rows(table), stated).unwrap_err();
            assert_eq!(error.message, format!("cannot save the table \"odd\": {told}"));
        }
    }

    #[test]
    fn rows_are_identified_as_far_as_they_name_their_run() {
        let (_parent, folder) = folder();
        let of = folder.identity(3, "c8_r2", "c8").unwrap().of_cell("c8");
        runs::append(folder.path(), runs::blank(&of)).unwrap();
        let table = json!([{"run": "c8_r2", "x": 1}, {"run": "another", "x": 2}, {"folder": "mine"}]);
        let path = save_table(&folder, "t", &rows(table), &[]).unwrap();
        let back = from_parquet(&path).unwrap();
        let names: Vec<&str> = back[0].keys().map(String::as_str).collect();
        assert_eq!(names, ["experiment_id", "run_id", "folder", "run", "cell", "x"]);
        assert_eq!((&back[0]["run_id"], &back[0]["cell"]), (&json!(of.run_id()), &json!("c8")));
        assert_eq!((&back[1]["run"], &back[1]["run_id"]), (&json!("another"), &Value::Null));
        assert_eq!(
            (&back[2]["folder"], &back[2]["experiment_id"]),
            (&json!("mine"), &json!(of.experiment_id))
        );
    }
}
