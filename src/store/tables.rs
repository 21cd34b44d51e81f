//! `make_absent`: of every table a file is there once a folder has a run, with rows or without, so that a query
//! finds each in every folder.

use super::identity::RunIdentity;
use super::row_part::RowPart;
use super::{aside, own_metrics, parts, seal, series};
use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// Makes what runs of the folder, each with the time when it began (milliseconds since 1970), had no rows for;
/// their numbers, and their rows of `runs.parquet`, are there or come anyway.
pub fn make_absent(folder: &Path, runs: &[(&RunIdentity, i64)]) -> Result<()> {
    let Some((first, zero_ms)) = runs.first() else { return Ok(()) };
    let zeros: Vec<(String, i64)> = runs.iter().map(|(of, zero_ms)| (of.run_id(), *zero_ms)).collect();
    own_metrics::begin(folder, &zeros)?;
    series::begin(folder, &zeros)?;
    if parts::list(folder)?.live.is_empty() { make_part(folder, first, *zero_ms) } else { Ok(()) }
}

/// A part without rows.
fn make_part(folder: &Path, of: &RunIdentity, zero_ms: i64) -> Result<()> {
    let requests = parts::requests_folder(folder);
    let name = parts::part_name(of.index, 0, 0);
    let (part, unfinished) = (requests.join(&name), requests.join(parts::unfinished_name(&name)));
    let cannot = |error| Error::run(format!("cannot write results to {}: {error}", part.display()));
    fs::create_dir_all(&requests).map_err(cannot)?;
    let file = fs::File::create(&unfinished).map_err(cannot)?;
    let made = RowPart::create(file, of, zero_ms).and_then(RowPart::finish);
    made.map_err(|error| seal::cannot_write(&part, error))?.sync_all().map_err(cannot)?;
    fs::rename(&unfinished, &part).and_then(|()| aside::sync_folder(&requests)).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::super::column::{self, Column, IDENTITY, KEY_VERSION, VERSION};
    use super::super::statistics::{self, Statistic};
    use super::super::{Folder, RowWriter, reader, runs, sample, save_table, schema};
    use super::*;
    use crate::record::{Point, Source};
    use serde_json::{Map, Value, json};

    const ZERO_MS: i64 = 1_767_323_045_000;

    /// Every table of a folder, by the name of its file.
    const TABLES: [(&str, &[Column]); 5] = [
        ("requests/part-000-0000.parquet", schema::REQUEST),
        (runs::FILE, runs::COLUMNS),
        (statistics::FILE, statistics::COLUMNS),
        (series::FILE, series::COLUMNS),
        (own_metrics::FILE, own_metrics::COLUMNS),
    ];

    /// A folder with one run, with rows in every table or in as few as can be.
    fn folder(full: bool) -> (tempfile::TempDir, Folder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), "m", "20260101_000000").unwrap();
        let of = folder.identity(0, "c1", "c1").unwrap();
        let mut row = runs::blank(&of);
        row.insert("zero_ms".into(), ZERO_MS.into());
        let mut numbers = Vec::new();
        if full {
            let mut writer = RowWriter::start(folder.path(), of.clone()).unwrap();
            writer.begin(ZERO_MS);
            writer.write(sample::parcels(&sample::records(20))).unwrap();
            writer.finish().unwrap();
            let mut series = series::SeriesWriter::new(folder.path(), of.clone(), ZERO_MS * 1_000);
            let metric = "running".into();
            let point =
                Point { at: 5, source: Source::Server, metric, labels: None, value: 1.0, raw_name: None };
            series.add(vec![point]).unwrap();
            series.finish().unwrap();
            numbers.push(Statistic { value: Some(1.0), ..Statistic::default() });
        }
        runs::append(folder.path(), row).unwrap();
        statistics::append(folder.path(), &of, ZERO_MS, &numbers).unwrap();
        make_absent(folder.path(), &[(&of, ZERO_MS)]).unwrap();
        let table = json!({"run": "c1", "rate": full.then_some(1.5)}).as_object().unwrap().clone();
        save_table(&folder, "knees", &[table], &[]).unwrap();
        (parent, folder)
    }

    #[test]
    fn every_file_has_its_schema_and_says_units_meanings_versions_and_zeros() {
        let (_one, empty) = folder(false);
        let (_other, full) = folder(true);
        let of = full.identity(0, "c1", "c1").unwrap();
        let own: &[Column] = &[];
        for (file, columns) in TABLES.into_iter().chain([("knees.parquet", own)]) {
            let schema_of = |folder: &Folder| {
                let schema = reader::open(&folder.path().join(file)).unwrap().schema().clone();
                schema.fields().clone()
            };
            let fields = schema_of(&full);
            assert_eq!(schema_of(&empty), fields, "{file}: whatever is in it");
            if !columns.is_empty() {
                let all = column::schema_of(&[IDENTITY, columns]);
                assert_eq!(fields, *all.fields(), "{file}");
            }
            for (field, column) in fields.iter().zip(IDENTITY.iter().chain(columns)) {
                assert_eq!(
                    (field.name().as_str(), &field.metadata()["description"][..]),
                    (column.name, column.says)
                );
                assert_eq!(
                    field.metadata().get("unit").map_or("", |unit| unit),
                    column.unit,
                    "{file} {field}"
                );
                let time = ["_ns", "_us", "_ms"].iter().any(|ending| column.name.ends_with(ending));
                assert!(!time || !column.unit.is_empty(), "{file}: {} has a unit", column.name);
            }
            assert!(fields.iter().all(|field| !field.metadata()["description"].is_empty()), "{file}");
            let footer = reader::footer(&full.path().join(file)).unwrap();
            let metadata = footer.file_metadata().key_value_metadata();
            let value = |key: &str| {
                let pair = metadata.into_iter().flatten().find(|pair| pair.key == key);
                pair.and_then(|pair| pair.value.clone()).unwrap_or_default()
            };
            assert_eq!(value(KEY_VERSION), VERSION.to_string(), "{file}");
            assert_eq!(value("rampant.version"), env!("CARGO_PKG_VERSION"), "{file}");
            if file.starts_with("requests") {
                assert_eq!(
                    (value(schema::KEY_RUN), value(schema::KEY_ZERO_MS)),
                    ("c1".into(), ZERO_MS.to_string())
                );
            } else {
                assert_eq!(column::zeros(metadata), [(of.run_id(), ZERO_MS)], "{file}");
            }
        }
    }

    #[test]
    fn what_is_there_is_left_as_it_is() {
        let (_parent, folder) = folder(true);
        let of = folder.identity(0, "c1", "c1").unwrap();
        let bytes = |file: &str| fs::read(folder.path().join(file)).unwrap();
        let before = TABLES.map(|(file, _)| bytes(file));
        make_absent(folder.path(), &[(&of, ZERO_MS)]).unwrap();
        assert_eq!(TABLES.map(|(file, _)| bytes(file)), before);
        let second = folder.identity(1, "c2", "c2").unwrap();
        make_absent(folder.path(), &[(&second, ZERO_MS + 7)]).unwrap();
        for file in [series::FILE, own_metrics::FILE] {
            let footer = reader::footer(&folder.path().join(file)).unwrap();
            let zeros = column::zeros(footer.file_metadata().key_value_metadata());
            assert_eq!(zeros, [(of.run_id(), ZERO_MS), (second.run_id(), ZERO_MS + 7)], "{file}");
        }
    }

    #[test]
    fn a_part_without_rows_reads_as_no_rows() {
        let (_parent, folder) = folder(false);
        let mut seen = 0;
        reader::requests(folder.path(), Some("c1"), |_, _| seen += 1).unwrap();
        let row: Map<String, Value> = runs::rows(folder.path()).unwrap().remove(0);
        assert_eq!((seen, row["run"].as_str()), (0, Some("c1")));
    }
}
