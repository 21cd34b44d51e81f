//! Read records back from the Parquet parts of a results folder.

use super::decode::{Classes, Rows};
use super::parts::{self, Part};
use super::schema;
use crate::error::{Error, Result, caught};
use crate::pages;
use crate::record::Record;
use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::fmt::Display;
use std::fs::File;
use std::path::Path;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 256;

/// Calls `each` with the run name and every record of the folder (of run `run` only, when
/// given), part by part. A part that a killed process left unfinished is skipped and named in
/// the returned warnings, and so is one that cannot be read. Fails when a part was written by a newer
/// version.
pub fn requests(folder: &Path, run: Option<&str>, mut each: impl FnMut(&str, Record)) -> Result<Vec<String>> {
    let parts = parts::list(folder)?;
    let mut warnings = Vec::new();
    let mut classes = Classes::default();
    for part in &parts.live {
        if let Some(warning) = read_part(part, run, &mut classes, &mut each)? {
            warnings.push(warning);
        }
    }
    warnings.extend(parts.covered.iter().map(|part| {
        format!("{} was left over by a merge and not read again: delete it", part.path.display())
    }));
    warnings.extend(parts.unfinished.iter().map(|path| {
        format!("skipped the unfinished part {}: its run was killed, or is still going on", path.display())
    }));
    Ok(warnings)
}

/// Reads one part to its end or to its first fault, which is the warning.
fn read_part(
    part: &Part,
    run: Option<&str>,
    classes: &mut Classes,
    each: &mut impl FnMut(&str, Record),
) -> Result<Option<String>> {
    let warn = |reason: &dyn Display, read: u64| {
        let rows = if read == 0 { "skipped".to_string() } else { format!("took only {read} rows of") };
        Ok(Some(format!("{rows} the part {}: {reason}", part.path.display())))
    };
    let builder = match open(&part.path) {
        Ok(builder) => builder,
        Err(reason) => return warn(&reason, 0),
    };
    let metadata = builder.metadata().clone();
    check_version(&part.path, &metadata)?;
    if let (Some(wanted), Some(of)) = (run, value(&metadata, schema::KEY_RUN))
        && wanted != of
    {
        return Ok(None);
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), schema::raw_columns());
    let reader = match Batches::new(builder.with_projection(mask).with_batch_size(BATCH_ROWS)) {
        Ok(reader) => reader,
        Err(reason) => return warn(&reason, 0),
    };
    let mut read = 0;
    for batch in reader {
        let batch = match batch {
            Ok(batch) => batch,
            Err(reason) => return warn(&reason, read),
        };
        let rows = match Rows::new(&batch) {
            Ok(rows) => rows,
            Err(reason) => return warn(&reason, read),
        };
        for i in 0..batch.num_rows() {
            if run.is_some_and(|wanted| wanted != rows.run(i)) {
                continue;
            }
            match rows.record(i, classes) {
                Ok(record) => each(rows.run(i), record),
                Err(reason) => return warn(&reason, read),
            }
            read += 1;
        }
    }
    Ok(None)
}

/// Rows of a Parquet file, from its footer.
pub fn rows(path: &Path) -> Result<u64> {
    Ok(footer(path)?.file_metadata().num_rows().max(0) as u64)
}

pub(super) fn footer(path: &Path) -> Result<ParquetMetaData> {
    let read = || {
        let file = regular(path)?;
        ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| error.to_string())
    };
    caught(read).unwrap_or_else(|_| Err(DAMAGED.into())).map_err(|error| cannot_read(path, error))
}

/// Run name and zero of a part (milliseconds since 1970).
pub(super) fn identity(path: &Path) -> Result<(String, i64)> {
    let footer = footer(path)?;
    let zero_ms = value(&footer, schema::KEY_ZERO_MS).and_then(|zero| zero.parse().ok());
    let found = value(&footer, schema::KEY_RUN).zip(zero_ms);
    let (run, zero_ms) = found.ok_or_else(|| cannot_read(path, "its metadata names no run"))?;
    Ok((run.to_string(), zero_ms))
}

/// Every batch of a Parquet file, all columns.
pub(super) fn batches(path: &Path) -> Result<Batches> {
    open(path)
        .and_then(|builder| Batches::new(builder.with_batch_size(BATCH_ROWS)))
        .map_err(|error| cannot_read(path, error))
}

/// Batches of a file that may be damaged.
pub(super) struct Batches(Option<ParquetRecordBatchReader>);

impl Batches {
    pub(super) fn new(builder: ParquetRecordBatchReaderBuilder<File>) -> std::result::Result<Self, String> {
        let reader = caught(|| builder.build()).map_err(|_| DAMAGED.to_string())?;
        reader.map(|reader| Batches(Some(reader))).map_err(|error| error.to_string())
    }
}

impl Iterator for Batches {
    type Item = std::result::Result<RecordBatch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.0.as_mut()?;
        // The library has asserts where a damaged file is wrong.
        let batch = match caught(|| reader.next()) {
            Ok(batch) => batch?.map_err(|error| error.to_string()),
            Err(_) => Err(DAMAGED.into()),
        };
        if batch.is_err() {
            self.0 = None;
        }
        Some(batch)
    }
}

const DAMAGED: &str = "the file is damaged";

/// A file whose footer is whole and whose pages declare sizes that it can have.
pub(super) fn open(path: &Path) -> std::result::Result<ParquetRecordBatchReaderBuilder<File>, String> {
    let read = || {
        let file = regular(path)?;
        let pages = file.try_clone().map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
        pages::check(&pages, builder.metadata())?;
        Ok(builder)
    };
    caught(read).unwrap_or_else(|_| Err(DAMAGED.into()))
}

/// Opens a file that is one: a pipe would be waited for.
fn regular(path: &Path) -> std::result::Result<File, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no regular file".into());
    }
    File::open(path).map_err(|error| error.to_string())
}

fn value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

fn check_version(path: &Path, metadata: &ParquetMetaData) -> Result<()> {
    let version = value(metadata, schema::KEY_VERSION).and_then(|version| version.parse::<u32>().ok());
    match version {
        Some(version) if version > schema::VERSION => Err(Error::usage(format!(
            "cannot read {}: a newer rampant wrote it (schema version {version}, this one reads up to {})",
            path.display(),
            schema::VERSION
        ))
        .hint("update rampant")),
        _ => Ok(()),
    }
}

pub(super) fn cannot_read(path: &Path, reason: impl Display) -> Error {
    Error::run(format!("cannot read {}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::parts::{part_name, requests_folder, unfinished_name};
    use super::super::writer::Writer;
    use super::super::{encode, sample};
    use super::*;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::KeyValue;
    use std::fs;

    fn folder_with_runs(runs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (index, run) in runs.iter().enumerate() {
            let mut writer = Writer::start(folder.path(), run, run, index as u32).unwrap();
            writer.write(sample::parcels(&sample::records(10))).unwrap();
            writer.finish().unwrap();
        }
        folder
    }

    fn count(folder: &Path, run: Option<&str>) -> (Vec<String>, Vec<String>) {
        let mut runs = Vec::new();
        let warnings = requests(folder, run, |run, _| runs.push(run.to_string())).unwrap();
        (runs, warnings)
    }

    #[test]
    fn one_run_can_be_asked_for() {
        let folder = folder_with_runs(&["c1", "c2", "c3"]);
        assert_eq!(count(folder.path(), Some("c2")), (vec!["c2".to_string(); 10], vec![]));
        assert_eq!(count(folder.path(), None).0.len(), 30);
        assert!(count(folder.path(), Some("c9")).0.is_empty());
    }

    #[test]
    fn records_of_a_class_share_its_name() {
        let folder = folder_with_runs(&["c1", "c2"]);
        let mut classes = Vec::new();
        requests(folder.path(), None, |_, record| classes.push(record.class)).unwrap();
        assert!(std::sync::Arc::ptr_eq(&classes[0], &classes[18]));
    }

    #[test]
    fn an_unfinished_part_is_skipped_and_named() {
        let folder = folder_with_runs(&["c1"]);
        let name = unfinished_name(&part_name(0, 1, 1));
        fs::write(requests_folder(folder.path()).join(&name), "PAR1 and half a row group").unwrap();
        let (runs, warnings) = count(folder.path(), None);
        assert_eq!((runs.len(), warnings.len()), (10, 1));
        assert!(warnings[0].starts_with("skipped the unfinished part") && warnings[0].contains(&name));
    }

    #[test]
    fn a_part_without_its_end_is_skipped_and_the_others_are_read() {
        let folder = folder_with_runs(&["c1", "c2"]);
        let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let (runs, warnings) = count(folder.path(), None);
        assert_eq!((runs, warnings.len()), (vec!["c2".to_string(); 10], 1));
        assert!(warnings[0].contains("part-000-0000.parquet"), "{warnings:?}");
    }

    #[test]
    fn a_part_with_broken_pages_is_named() {
        let folder = folder_with_runs(&["c1"]);
        let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[4..middle].fill(0xA5);
        fs::write(&path, bytes).unwrap();
        let (runs, warnings) = count(folder.path(), None);
        assert!(runs.is_empty());
        assert!(warnings[0].contains("part-000-0000.parquet"), "{warnings:?}");
    }

    #[test]
    fn a_bit_that_flipped_is_found_by_the_checksum_of_its_page() {
        let folder = folder_with_runs(&["c1"]);
        let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
        let whole = fs::read(&path).unwrap();
        let footer = footer(&path).unwrap();
        let raw = ["planned_ns", "request_id", "event_us.list.element"];
        let read = || {
            let mut records = Vec::new();
            let warnings = requests(folder.path(), None, |_, record| records.push(format!("{record:?}")));
            (records, warnings.unwrap())
        };
        let (before, _) = read();
        let columns = footer.row_group(0).columns().iter();
        for column in columns.filter(|column| raw.contains(&&*column.column_path().string())) {
            let (start, length) = column.byte_range();
            let mut unnoticed = 0;
            for at in start as usize..(start + length) as usize {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x10;
                fs::write(&path, bytes).unwrap();
                let (records, warnings) = read();
                // A few bits of a header mean nothing.
                let same = records == before && warnings.is_empty();
                let name = column.column_path().string();
                assert!(same || warnings.len() == 1, "byte {at} of {name}");
                unnoticed += usize::from(same);
            }
            assert!(unnoticed <= 4, "{unnoticed} of {length} bytes");
        }
    }

    #[test]
    fn a_foreign_parquet_file_is_named_with_the_column_it_lacks() {
        let folder = folder_with_runs(&[]);
        fs::create_dir(requests_folder(folder.path())).unwrap();
        let row = serde_json::json!({"run": "x"}).as_object().unwrap().clone();
        let bytes = super::super::table::to_parquet(&[row]).unwrap();
        fs::write(requests_folder(folder.path()).join(part_name(0, 0, 0)), bytes).unwrap();
        let (_, warnings) = count(folder.path(), None);
        assert!(warnings[0].ends_with("no column \"seq\""), "{warnings:?}");
    }

    #[test]
    fn a_part_of_a_newer_version_is_an_error() {
        let folder = folder_with_runs(&["c1"]);
        let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
        let newer = KeyValue::new(schema::KEY_VERSION.to_string(), "2".to_string());
        let properties = schema::packed().set_key_value_metadata(Some(vec![newer])).build();
        let file = File::create(&path).unwrap();
        let mut parquet = ArrowWriter::try_new(file, schema::schema(), Some(properties)).unwrap();
        parquet.write(&encode::batch("c1", "c1", 0, &sample::records(3))).unwrap();
        parquet.close().unwrap();
        let error = requests(folder.path(), None, |_, _| ()).unwrap_err();
        assert!(error.message.contains("a newer rampant wrote it (schema version 2"), "{error}");
    }
}
