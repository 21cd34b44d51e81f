//! `SeriesJournal`: the points of a run that are in no part of its series yet, as an Arrow IPC stream:
//! `.journal/series-003-0007.arrows` until `series/part-003-0007.parquet` is there. A killed process loses
//! what one scrape gave, and not a minute.

use super::identity::RunIdentity;
use super::journal;
use crate::error::{Result, caught};
use crate::record::{Point, Source};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KEY_ZERO_US: &str = "rampant.zero_us";

/// The journal of a part of a series.
pub(super) fn path(results: &Path, run: u32, part: u32) -> PathBuf {
    journal::folder(results).join(format!("series-{run:03}-{part:04}.arrows"))
}

/// The journals that are there: run, part, path; in their order.
pub(super) fn list(results: &Path) -> Vec<(u32, u32, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(journal::folder(results)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let numbers = name.strip_prefix("series-").and_then(|rest| rest.strip_suffix(".arrows"));
        let numbers = numbers.and_then(|numbers| numbers.split_once('-'));
        if let Some((Ok(run), Ok(part))) = numbers.map(|(run, part)| (run.parse(), part.parse())) {
            found.push((run, part, entry.path()));
        }
    }
    found.sort();
    found
}

/// One that is being written.
pub(super) struct SeriesJournal {
    path: PathBuf,
    file: File,
    encoder: StreamEncoder,
}

impl std::fmt::Debug for SeriesJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesJournal").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SeriesJournal {
    /// In the hidden folder, which is made; the results folder is not. One that is there is written anew.
    pub fn create(results: &Path, of: &RunIdentity, zero_us: i64, part: u32) -> io::Result<SeriesJournal> {
        let path = path(results, of.index, part);
        match fs::create_dir(journal::folder(results)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        let mut metadata = of.to_metadata();
        metadata.insert(KEY_ZERO_US.to_string(), zero_us.to_string());
        let schema = Schema::new_with_metadata(schema().fields().clone(), metadata);
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5);
        let encoder = options.and_then(|options| StreamEncoder::try_new_with_options(&schema, options));
        Ok(SeriesJournal { path, file, encoder: encoder.map_err(io::Error::other)? })
    }

    /// The points are with the kernel when this returns.
    pub fn add(&mut self, points: &[Point]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for buffer in self.encoder.encode(&batch(points)).map_err(io::Error::other)? {
            bytes.extend_from_slice(&buffer);
        }
        self.file.write_all(&bytes)
    }

    /// Its points are in a part.
    pub fn end(self) {
        let _ = fs::remove_file(&self.path);
        // Fails, as it should, while anything else is in it.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

/// What a journal holds.
pub(super) struct Read {
    pub of: RunIdentity,
    pub zero_us: i64,
    pub points: Vec<Point>,
}

/// Its whole batches; `None` when not even its head is whole, or it is not there any more.
pub(super) fn read(path: &Path) -> Result<Option<Read>> {
    let file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(super::reader::cannot_read(path, error)),
    };
    let Ok(Ok(mut reader)) = caught(|| StreamReader::try_new(file, None)) else { return Ok(None) };
    let schema = reader.schema();
    let zero_us = schema.metadata().get(KEY_ZERO_US).and_then(|zero| zero.parse().ok()).unwrap_or_default();
    let of = RunIdentity::from_metadata(|key| schema.metadata().get(key).cloned());
    let mut points = Vec::new();
    // The end may be torn.
    while let Ok(Some(Ok(batch))) = caught(|| reader.next()) {
        if decode(&batch, &mut points).is_none() {
            break;
        }
    }
    Ok(Some(Read { of, zero_us, points }))
}

fn schema() -> SchemaRef {
    let field = |name: &str, of: DataType, null: bool| Field::new(name, of, null);
    Arc::new(Schema::new(vec![
        field("at_ns", DataType::Int64, false),
        field("source", DataType::Utf8, false),
        field("metric", DataType::Utf8, false),
        field("labels", DataType::Utf8, true),
        field("value", DataType::Float64, false),
        field("raw_name", DataType::Utf8, true),
    ]))
}

fn batch(points: &[Point]) -> RecordBatch {
    let words =
        |of: fn(&Point) -> Option<&str>| Arc::new(points.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(points.iter().map(|point| point.at).collect::<Int64Array>()),
        words(|point| Some(point.source.name())),
        words(|point| Some(&point.metric)),
        words(|point| point.labels.as_deref()),
        Arc::new(points.iter().map(|point| point.value).collect::<Float64Array>()),
        words(|point| point.raw_name.as_deref()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}

fn decode(batch: &RecordBatch, points: &mut Vec<Point>) -> Option<()> {
    let words = |name: &str| batch.column_by_name(name)?.as_any().downcast_ref::<StringArray>();
    let (source, metric) = (words("source")?, words("metric")?);
    let (labels, raw_name) = (words("labels")?, words("raw_name")?);
    let at = batch.column_by_name("at_ns")?.as_any().downcast_ref::<Int64Array>()?;
    let value = batch.column_by_name("value")?.as_any().downcast_ref::<Float64Array>()?;
    for i in 0..batch.num_rows() {
        let word = |of: &StringArray| of.is_valid(i).then(|| of.value(i).into());
        points.push(Point {
            at: at.value(i),
            source: if source.value(i) == Source::Client.name() { Source::Client } else { Source::Server },
            metric: metric.value(i).into(),
            labels: word(labels),
            value: value.value(i),
            raw_name: word(raw_name),
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_journal_that_is_cut_anywhere_gives_its_whole_scrapes() {
        let folder = tempfile::tempdir().unwrap();
        let of = sample::identity("c1", 3);
        let point = |at: i64| Point {
            at,
            source: Source::Server,
            metric: "running".into(),
            labels: (at % 2 == 0).then(|| "engine=\"0\"".into()),
            value: at as f64 / 2.0,
            raw_name: Some("vllm:num_requests_running".into()),
        };
        let mut journal = SeriesJournal::create(folder.path(), &of, 7, 2).unwrap();
        let path = path(folder.path(), 3, 2);
        let mut ends = vec![(fs::metadata(&path).unwrap().len(), 0)];
        let scrapes: Vec<Vec<Point>> = (0..4).map(|n| (0..5).map(|i| point(n * 5 + i)).collect()).collect();
        for (n, scrape) in scrapes.iter().enumerate() {
            journal.add(scrape).unwrap();
            ends.push((fs::metadata(&path).unwrap().len(), 5 * (n + 1)));
        }
        let all = scrapes.concat();
        let whole = fs::read(&path).unwrap();
        for at in (0..=whole.len()).step_by(37).chain([whole.len()]) {
            fs::write(&path, &whole[..at]).unwrap();
            let points = read(&path).unwrap().map_or(Vec::new(), |read| read.points);
            let expected = ends.iter().rfind(|(end, _)| *end <= at as u64).map_or(0, |(_, points)| *points);
            assert_eq!(points, all[..expected], "cut at {at}");
        }
        let back = read(&path).unwrap().unwrap();
        assert_eq!((back.of, back.zero_us), (of, 7));
        assert_eq!(list(folder.path()), [(3, 2, path)]);
        journal.end();
        assert!(list(folder.path()).is_empty());
    }
}
