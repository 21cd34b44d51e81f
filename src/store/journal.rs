//! `Journal`: the finished requests of a run that are in no part yet, as an Arrow IPC stream.
//!
//! `.journal/rows-003-0007.arrows` becomes `requests/part-003-0007.parquet`. No glob of a reader finds it,
//! and a part stands in its place before it is deleted: whoever sees both, reads the part alone.
//!
//! **What survives what.** Rows are handed to the kernel at least every half second, and not synced to the
//! disk: what the kernel has outlives the process, however it was killed, but not a power cut, for which a
//! sync twice a second would be needed, on disks that take a tenth of a second for it. A power cut takes what
//! the kernel had not written yet (Linux: some 30 s); file systems that write data before the length that
//! covers it (ext4, xfs, btrfs) leave a journal that is shorter, and not one with holes. Its last batch may
//! be torn: it is dropped, and told. Whoever writes a part syncs its bytes before its name, its name before
//! the journal is deleted (`seal.rs`), so that at every moment, of every crash, each row is in a journal or
//! in a whole part.
//!
//! A row is what a record is rebuilt from, its events as they were in memory ([`Packed`]): handing it over is a copy.

use super::aside::write_aside;
use super::identity::RunIdentity;
use super::reader::cannot_read;
use super::schema::{EVENT_COUNT, EVENTS};
use super::{encode, schema};
use crate::error::{Error, Result, caught};
use crate::record::{Fields, Packed, PackedRecord, Record};
use arrow_array::{BinaryArray, Int64Array, RecordBatch};
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

/// Where journals are in a results folder, and what is written aside before it gets its name.
const FOLDER: &str = ".journal";

/// The hidden folder inside of a results folder.
pub fn folder(results: &Path) -> PathBuf {
    results.join(FOLDER)
}

/// The journal of a part.
pub(super) fn path(results: &Path, run: u32, part: u32) -> PathBuf {
    folder(results).join(format!("rows-{run:03}-{part:04}.arrows"))
}

/// Run and part of the journal with this name.
pub(super) fn parse(name: &str) -> Option<(u32, u32)> {
    let (run, part) = name.strip_prefix("rows-")?.strip_suffix(".arrows")?.split_once('-')?;
    run.parse().ok().zip(part.parse().ok())
}

/// The note of a run that has begun and has no row in `runs.parquet` yet.
fn note(results: &Path, run: u32) -> PathBuf {
    folder(results).join(format!("run-{run:03}.json"))
}

/// Notes what is known of a run before its first row, so that it can be completed by others.
pub fn begin(results: &Path, run: u32, known: &Map<String, Value>) -> Result<()> {
    let path = note(results, run);
    let cannot = |error| Error::run(format!("cannot write results to {}: {error}", path.display()));
    fs::create_dir_all(folder(results)).map_err(cannot)?;
    let text = serde_json::to_string_pretty(known).expect("a map of JSON values is JSON");
    write_aside(&path, text.as_bytes())
}

/// Notes one thing more of a run that goes on. Who reads the note can do without it.
pub(super) fn learn(results: &Path, run: u32, key: &str, value: Value) -> Result<()> {
    let path = note(results, run);
    let text = fs::read_to_string(&path).map_err(|error| cannot_read(&path, error))?;
    let mut known: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| cannot_read(&path, error))?;
    if known.get(key) == Some(&value) {
        return Ok(());
    }
    known.insert(key.to_string(), value);
    let text = serde_json::to_string_pretty(&known).expect("a map of JSON values is JSON");
    write_aside(&path, text.as_bytes())
}

/// The run has its row.
pub fn end(results: &Path, run: u32) {
    let _ = fs::remove_file(note(results, run));
    // Fails, as it should, while another run is in it.
    let _ = fs::remove_dir(folder(results));
}

/// The notes that are there, by the places of their runs. One that is no whole note is left out: its run has
/// no row.
pub fn begun(results: &Path) -> Result<Vec<(u32, Map<String, Value>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(results)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let run = name.strip_prefix("run-").and_then(|rest| rest.strip_suffix(".json")?.parse().ok());
        let Some(run) = run else { continue };
        let text = fs::read_to_string(entry.path()).map_err(|error| cannot_read(&entry.path(), error))?;
        if let Ok(known) = serde_json::from_str(&text) {
            found.push((run, known));
        }
    }
    found.sort_by_key(|(run, _)| *run);
    Ok(found)
}

/// A journal that is being written.
pub(super) struct Journal {
    path: PathBuf,
    of: RunIdentity,
    file: File,
    encoder: StreamEncoder,
    /// Bytes, and rows, of whole batches in the file.
    bytes: u64,
    rows: u64,
    /// Encoded, and not in the file yet.
    ahead: Vec<u8>,
    rows_ahead: u64,
}

impl Journal {
    /// A new one. Fails when the file is there, or cannot be made.
    pub fn create(results: &Path, of: &RunIdentity, zero_ms: i64, part: u32) -> io::Result<Journal> {
        let path = path(results, of.index, part);
        let file = new_file(&path)?;
        let schema = Schema::new_with_metadata(journal_schema().fields().clone(), metadata(of, zero_ms));
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5);
        let encoder = options.and_then(|options| StreamEncoder::try_new_with_options(&schema, options));
        let encoder = encoder.map_err(io::Error::other)?;
        let of = of.clone();
        Ok(Journal { path, of, file, encoder, bytes: 0, rows: 0, ahead: Vec::new(), rows_ahead: 0 })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a batch. It is in the file after the next [`Journal::flush`] that does not fail.
    pub fn add(&mut self, parcels: &[PackedRecord]) -> io::Result<()> {
        for buffer in self.encoder.encode(&batch(&self.of, parcels)).map_err(io::Error::other)? {
            self.ahead.extend_from_slice(&buffer);
        }
        self.rows_ahead += parcels.len() as u64;
        Ok(())
    }

    /// Writes what was taken; says how many rows. After an error the file ends with the last whole batch,
    /// and what is ahead can be tried again.
    pub fn flush(&mut self) -> io::Result<u64> {
        if self.ahead.is_empty() {
            return Ok(0);
        }
        self.look_for_file()?;
        if let Err(error) = self.file.write_all_at(&self.ahead, self.bytes) {
            // Gives back what a full disk had room for.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += self.ahead.len() as u64;
        self.ahead.clear();
        self.rows += self.rows_ahead;
        Ok(std::mem::take(&mut self.rows_ahead))
    }

    /// Writing goes on without an error when the file was deleted: only a look tells. Rows that are in the
    /// deleted file are put into a new one where the results folder is still there.
    fn look_for_file(&mut self) -> io::Result<()> {
        let mine = self.file.metadata()?;
        if let Ok(there) = fs::metadata(&self.path)
            && (there.dev(), there.ino()) == (mine.dev(), mine.ino())
        {
            return Ok(());
        }
        let file = new_file(&self.path)?;
        let mut room = vec![0; 1 << 20];
        let mut at = 0;
        while at < self.bytes {
            let most = room.len().min((self.bytes - at) as usize);
            let got = self.file.read_at(&mut room[..most], at)?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.write_all_at(&room[..got], at)?;
            at += got as u64;
        }
        self.file = file;
        Ok(())
    }
}

/// The columns of a journal: those that records are rebuilt from, and the events of each.
fn journal_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let (all, raw) = (schema::schema(), schema::raw_columns(Fields::ALL).collect::<Vec<_>>());
        let is_raw = |field: &&Arc<Field>| raw.contains(&field.name().as_str());
        let flat = all.fields().iter().filter(is_raw).filter(|field| !field.data_type().is_nested());
        let mut fields: Vec<Arc<Field>> = flat.cloned().collect();
        fields.push(Arc::new(Field::new(EVENTS, DataType::Binary, false)));
        fields.push(Arc::new(Field::new(EVENT_COUNT, DataType::Int64, false)));
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

fn batch(of: &RunIdentity, parcels: &[PackedRecord]) -> RecordBatch {
    let records: Vec<&Record> = parcels.iter().map(|parcel| &*parcel.record).collect();
    let mut columns = encode::raw(of, &records);
    let events = parcels.iter().map(PackedRecord::events);
    let counts = events.clone().map(|events| events.len() as i64);
    columns.push((EVENTS, Arc::new(BinaryArray::from_iter_values(events.map(Packed::as_bytes)))));
    columns.push((EVENT_COUNT, Arc::new(Int64Array::from_iter_values(counts))));
    let column =
        |name: &str| columns.iter().find(|(column, _)| *column == name).map(|(_, array)| array.clone());
    let schema = journal_schema();
    let arrays = schema.fields().iter().map(|field| column(field.name()).expect("every column is made"));
    RecordBatch::try_new(schema.clone(), arrays.collect()).expect("the columns are those of the schema")
}

/// A file in the hidden folder, which is made; the results folder is not.
fn new_file(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), "the results folder is gone"));
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

fn metadata(of: &RunIdentity, zero_ms: i64) -> HashMap<String, String> {
    let mut metadata = of.to_metadata();
    metadata.insert(schema::KEY_VERSION.to_string(), schema::VERSION.to_string());
    metadata.insert(schema::KEY_ZERO_MS.to_string(), zero_ms.to_string());
    metadata
}

/// The batches of a journal, whose end may be torn.
pub(super) struct JournalBatches {
    reader: Option<StreamReader<Counted>>,
    pub of: RunIdentity,
    pub zero_ms: i64,
    length: u64,
    read: Rc<Cell<u64>>,
    /// Bytes of whole batches that were read.
    whole: u64,
}

impl JournalBatches {
    /// `None` when not even its head is whole: it has no rows; or when it is not there, since a part has come
    /// in its place (`RowFile::now`). Fails when it cannot be read, or when a newer version wrote it.
    pub fn open(path: &Path) -> Result<Option<JournalBatches>> {
        let cannot = |error: io::Error| cannot_read(path, error);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(cannot)?,
        };
        let length = file.metadata().map_err(cannot)?.len();
        let read = Rc::new(Cell::new(0));
        let counted = Counted { file: BufReader::with_capacity(1 << 17, file), read: read.clone() };
        let Ok(Ok(reader)) = caught(|| StreamReader::try_new(counted, None)) else { return Ok(None) };
        let schema = reader.schema();
        let text = |key: &str| schema.metadata().get(key).cloned().unwrap_or_default();
        let of = RunIdentity::from_metadata(|key| schema.metadata().get(key).cloned());
        let version: u32 = text(schema::KEY_VERSION).parse().unwrap_or_default();
        if version > schema::VERSION {
            let told = format!("a newer rampant wrote it (schema version {version})");
            return Err(Error { kind: crate::error::ErrorKind::Usage, ..cannot_read(path, told) }
                .hint("update rampant"));
        }
        let zero_ms = text(schema::KEY_ZERO_MS).parse().unwrap_or_default();
        let whole = read.get();
        Ok(Some(JournalBatches { reader: Some(reader), of, zero_ms, length, read, whole }))
    }

    /// Bytes behind the last whole batch, once all were read.
    pub fn torn(&self) -> u64 {
        self.length.saturating_sub(self.whole)
    }
}

impl Iterator for JournalBatches {
    type Item = RecordBatch;

    /// Ends with the last whole batch.
    fn next(&mut self) -> Option<RecordBatch> {
        let reader = self.reader.as_mut()?;
        let next = caught(|| reader.next()?.ok());
        match next {
            Ok(Some(batch)) => {
                self.whole = self.read.get();
                Some(batch)
            }
            _ => {
                self.reader = None;
                None
            }
        }
    }
}

/// Counts what was taken of a file.
struct Counted {
    file: BufReader<File>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(room)?;
        self.read.set(self.read.get() + got as u64);
        Ok(got)
    }
}

/// Rows of whole batches; `None` as in [`JournalBatches::open`].
pub(super) fn rows(path: &Path) -> Result<Option<u64>> {
    let batches = JournalBatches::open(path)?;
    Ok(batches.map(|batches| batches.map(|batch| batch.num_rows() as u64).sum()))
}

/// What is said of the end of a journal that is no whole batch.
pub(super) fn torn_end(bytes: u64) -> String {
    format!("its last {bytes} bytes were cut off while they were written, and are no whole rows")
}
