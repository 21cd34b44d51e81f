//! Read records back from the Parquet parts of a results folder.

use super::decode::{Classes, DecodedRows};
use super::event_lists::EventLists;
use super::identity::{self, RunIdentity};
use super::journal::{self, JournalBatches};
use super::lock;
use super::parts::{self, RowFile, RowFiles};
use super::schema;
use super::windows::Windows;
use crate::error::{Error, Result, caught};
use crate::os;
use crate::pages;
use crate::record::{Fields, Record};
use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::fs::File;
use std::path::Path;

/// Events that are decoded at a time; rows at most, and rows with all of their columns.
const BATCH_EVENTS: i64 = 64 << 10;
const BATCH_ROWS_MAX: usize = 1_024;
const BATCH_ROWS: usize = 256;

/// Calls `each` with the run name and every record of the folder (of run `run` only, when
/// given), part by part; [`scan`] says what else comes of it.
pub fn requests(folder: &Path, run: Option<&str>, mut each: impl FnMut(&str, Record)) -> Result<Vec<String>> {
    scan(folder, run, Fields::ALL, |run, record| each(run, record.clone()))
}

/// Shows `each` the run name and every record of the folder (of run `run` only, when given), part by
/// part, a batch of rows in memory at a time. Only `fields` of a record are read, all others are
/// blank; it may be changed, and is written over by the next one. A part that a killed process left
/// unfinished is skipped and named in the returned warnings, and so is one that cannot be read. Fails
/// when a part was written by a newer version.
pub fn scan(
    folder: &Path,
    run: Option<&str>,
    fields: Fields,
    mut each: impl FnMut(&str, &mut Record),
) -> Result<Vec<String>> {
    let _large = os::LargePieces::begin();
    let parts = parts::list(folder)?;
    let whole: Vec<Piece> = parts.live.iter().map(|part| Piece { part, groups: None }).collect();
    let taken = read_pieces(&whole, run, fields, &mut each)?;
    Ok(warnings(&parts, &taken))
}

/// The same of a long run on two threads, each with a state of its own: `each` is shown the earlier half
/// of the rows with the first, the later half with the second one. A short run has one state. How many
/// there are depends on the rows alone, so that the same rows give the same sums on every machine.
pub fn scan_halves<S: Send>(
    folder: &Path,
    run: &str,
    fields: Fields,
    new: impl Fn() -> S,
    each: impl Fn(&mut S, &mut Record) + Sync,
) -> Result<(Vec<S>, Vec<String>)> {
    let _large = os::LargePieces::begin();
    let parts = parts::list(folder)?;
    let (earlier, later) = halves(&parts.live, run);
    let mut states = vec![new()];
    if later.is_empty() {
        let taken = read_half(&earlier, run, fields, &mut states[0], &each)?;
        return Ok((states, warnings(&parts, &taken)));
    }
    states.push(new());
    let [first, second] = &mut states[..] else { unreachable!("two states were made") };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| read_half(&later, run, fields, second, &each));
        let one = read_half(&earlier, run, fields, first, &each);
        (one, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let taken: Vec<Taken> = one?.into_iter().chain(other?).collect();
    Ok((states, warnings(&parts, &taken)))
}

fn read_half<'a, S>(
    half: &[Piece<'a>],
    run: &str,
    fields: Fields,
    state: &mut S,
    each: &impl Fn(&mut S, &mut Record),
) -> Result<Vec<Taken<'a>>> {
    read_pieces(half, Some(run), fields, &mut |_: &str, record: &mut Record| each(state, record))
}

/// Row groups of a part; `None`: all of them.
struct Piece<'a> {
    part: &'a RowFile,
    groups: Option<Vec<usize>>,
}

/// Rows that are worth a second thread.
const HALVES_ROWS: i64 = 1 << 16;

/// The rows of a run in two halves, by whole row groups; the second has none when they are few.
fn halves<'a>(live: &'a [RowFile], run: &str) -> (Vec<Piece<'a>>, Vec<Piece<'a>>) {
    let sizes = |part: &RowFile| -> Option<Vec<i64>> {
        if part.journal {
            return None;
        }
        let footer = footer(&part.path).ok()?;
        let mine = value(&footer, schema::KEY_RUN).is_none_or(|of| of == run);
        mine.then(|| footer.row_groups().iter().map(|group| group.num_rows().max(0)).collect())
    };
    let sizes: Vec<Option<Vec<i64>>> = live.iter().map(sizes).collect();
    let all: i64 = sizes.iter().flatten().flatten().fold(0, |sum, rows| sum.saturating_add(*rows));
    let (mut earlier, mut later) = (Vec::new(), Vec::new());
    let mut before = 0_i64;
    for (part, sizes) in live.iter().zip(sizes) {
        // What cannot be read, or is of another run, is for the first one to say.
        let Some(sizes) = sizes.filter(|_| all >= HALVES_ROWS) else {
            earlier.push(Piece { part, groups: None });
            continue;
        };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (group, rows) in sizes.into_iter().enumerate() {
            if before < all / 2 {
                first.push(group)
            } else {
                second.push(group)
            }
            before = before.saturating_add(rows);
        }
        let pieces = [(first, &mut earlier), (second, &mut later)];
        let some = pieces.into_iter().filter(|(groups, _)| !groups.is_empty());
        some.for_each(|(groups, half)| half.push(Piece { part, groups: Some(groups) }));
    }
    (earlier, later)
}

/// What was taken of a part, and why no more was.
struct Taken<'a> {
    part: &'a RowFile,
    rows: u64,
    fault: Option<String>,
}

/// What could not be read; faults of the same part are one warning.
fn warnings(parts: &RowFiles, taken: &[Taken]) -> Vec<String> {
    let faulty = parts.live.iter().filter_map(|part| {
        let mine = || taken.iter().filter(|taken| taken.part == part);
        let reason = mine().find_map(|taken| taken.fault.as_deref())?;
        let rows = match mine().map(|taken| taken.rows).sum::<u64>() {
            0 => "skipped".to_string(),
            read => format!("took only {read} rows of"),
        };
        Some(format!("{rows} the part {}: {reason}", part.path.display()))
    });
    let merged = parts.covered.iter().filter(|part| !part.journal);
    let covered = merged.map(|part| {
        format!("{} was left over by a merge and not read again: delete it", part.path.display())
    });
    let unfinished = parts.unfinished.iter().map(|path| {
        format!("skipped the unfinished part {}: its run was killed, or is still going on", path.display())
    });
    faulty.chain(covered).chain(unfinished).collect()
}

fn read_pieces<'a>(
    pieces: &[Piece<'a>],
    run: Option<&str>,
    fields: Fields,
    each: &mut impl FnMut(&str, &mut Record),
) -> Result<Vec<Taken<'a>>> {
    let mut room = Room::new(fields);
    let mut taken = Vec::new();
    for piece in pieces {
        let mut rows = 0;
        let fault = read_piece(piece, run, &mut room, &mut rows, each)?;
        taken.push(Taken { part: piece.part, rows, fault });
    }
    Ok(taken)
}

/// Where rows become records, one in the place of the other.
struct Room {
    fields: Fields,
    /// `fields` but for what is known without a look at the rows: that no event tells its tokens.
    read: Fields,
    record: Record,
    classes: Classes,
}

impl Room {
    fn new(fields: Fields) -> Room {
        Room { fields, read: fields, record: Record::blank(), classes: Classes::default() }
    }
}

/// Reads rows to the last or to the first fault, which is returned.
fn read_piece(
    piece: &Piece,
    run: Option<&str>,
    room: &mut Room,
    read: &mut u64,
    each: &mut impl FnMut(&str, &mut Record),
) -> Result<Option<String>> {
    let path = &piece.part.path;
    room.read = room.fields;
    if piece.part.journal {
        if let Some(batches) = JournalBatches::open(path)? {
            return read_journal(path, batches, run, room, read, each);
        }
        let part = &piece.part.now();
        return if part.journal {
            Ok(None)
        } else {
            read_piece(&Piece { part, groups: None }, run, room, read, each)
        };
    }
    let (mut builder, file) = match open_file(path) {
        Ok(opened) => opened,
        Err(reason) => return Ok(Some(reason)),
    };
    let metadata = builder.metadata().clone();
    check_version(path, &metadata)?;
    if let (Some(wanted), Some(of)) = (run, value(&metadata, schema::KEY_RUN))
        && wanted != of
    {
        return Ok(None);
    }
    if let Some(groups) = &piece.groups {
        builder = builder.with_row_groups(groups.clone());
    }
    if room.fields.has(Fields::EVENTS) && tells_no_tokens(&metadata) {
        room.read = room.fields.without(Fields::EVENT_TOKENS);
    }
    let all: Vec<usize> = (0..metadata.num_row_groups()).collect();
    let groups = piece.groups.as_ref().unwrap_or(&all);
    let mut lists = EventLists::new(&file, &metadata, groups, room.read);
    let beside = |name: &&str| lists.is_some() && schema::LISTS.iter().any(|(list, _)| list == name);
    let columns = schema::raw_columns(room.read).filter(|name| !beside(name));
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    let builder = builder.with_projection(mask).with_batch_size(batch_rows(&metadata, room.fields));
    let batches = match Batches::new(builder) {
        Ok(batches) => batches,
        Err(reason) => return Ok(Some(reason)),
    };
    for batch in batches {
        let read = batch.and_then(|batch| {
            lists.as_mut().map_or(Ok(()), |lists| lists.next(batch.num_rows()))?;
            read_batch(&batch, lists.as_ref(), run, room, read, each)
        });
        match read {
            Ok(()) => {}
            Err(reason) => return Ok(Some(reason)),
        }
    }
    Ok(None)
}

/// The rows of a journal. The end of one that is being written is no fault.
fn read_journal(
    path: &Path,
    mut batches: JournalBatches,
    run: Option<&str>,
    room: &mut Room,
    read: &mut u64,
    each: &mut impl FnMut(&str, &mut Record),
) -> Result<Option<String>> {
    if run.is_some_and(|wanted| wanted != batches.of.run) {
        return Ok(None);
    }
    for batch in batches.by_ref() {
        if let Err(reason) = read_batch(&batch, None, run, room, read, each) {
            return Ok(Some(reason));
        }
    }
    let results = path.parent().and_then(Path::parent).unwrap_or(path);
    let torn = Some(batches.torn()).filter(|torn| *torn > 0 && !lock::is_live(results));
    Ok(torn.map(journal::torn_end))
}

/// Every record of a batch that any version wrote, over those in `records`; how many there are. What is behind them is
/// left as it was.
pub(super) fn records(batch: &RecordBatch, records: &mut Vec<Record>) -> std::result::Result<usize, String> {
    let (rows, mut classes) = (DecodedRows::new(batch, Fields::ALL, None)?, Classes::default());
    let count = batch.num_rows();
    if records.len() < count {
        records.resize_with(count, Record::blank);
    }
    records
        .iter_mut()
        .take(count)
        .enumerate()
        .try_for_each(|(i, record)| rows.fill(i, record, &mut classes))?;
    Ok(count)
}

fn read_batch(
    batch: &RecordBatch,
    lists: Option<&EventLists>,
    run: Option<&str>,
    room: &mut Room,
    read: &mut u64,
    each: &mut impl FnMut(&str, &mut Record),
) -> std::result::Result<(), String> {
    let rows = DecodedRows::new(batch, room.read, lists)?;
    let no_tokens = room.fields != room.read;
    for i in 0..batch.num_rows() {
        if run.is_none_or(|wanted| wanted == rows.run(i)) {
            rows.fill(i, &mut room.record, &mut room.classes)?;
            if no_tokens {
                let events = &mut room.record.timeline.events;
                events.tokens.resize(events.at_us.len(), 0);
            }
            each(rows.run(i), &mut room.record);
            *read += 1;
        }
    }
    Ok(())
}

/// Whether all of `event_tokens` is 0, by the statistics of its row groups: most servers tell tokens
/// once, at the end, and a list is a third of the work of reading events.
fn tells_no_tokens(metadata: &ParquetMetaData) -> bool {
    let is_zero = |group: &RowGroupMetaData| {
        let column = group.columns().iter().find(|column| column.column_path().parts()[0] == "event_tokens");
        match column.and_then(ColumnChunkMetaData::statistics) {
            Some(Statistics::Int64(of)) => of.min_opt() == Some(&0) && of.max_opt() == Some(&0),
            _ => false,
        }
    };
    metadata.row_groups().iter().all(is_zero)
}

/// How many rows to decode at a time: few long replies, or many short ones.
fn batch_rows(metadata: &ParquetMetaData, fields: Fields) -> usize {
    let lists = [Fields::EVENTS, Fields::EVENT_TOKENS, Fields::EVENT_BYTES];
    let most = if fields.has(Fields::TEXT) { BATCH_ROWS } else { BATCH_ROWS_MAX };
    if !lists.into_iter().any(|list| fields.has(list)) {
        return most;
    }
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let lists = columns.filter(|column| column.column_path().string().starts_with("event_us"));
    let events: i64 = lists.map(|list| list.num_values().max(0)).sum();
    let each = (events / metadata.file_metadata().num_rows().max(1)).max(1);
    usize::try_from(BATCH_EVENTS / each).unwrap_or(1).clamp(1, most)
}

/// Rows of a part, or of a journal.
pub fn rows_of(part: &RowFile) -> Result<u64> {
    if part.journal
        && let Some(rows) = journal::rows(&part.path)?
    {
        return Ok(rows);
    }
    let part = part.now();
    if part.journal { Ok(0) } else { rows(&part.path) }
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

/// Of which run a file of rows is. Fails when it cannot be read, or names none.
pub(super) fn run_of(file: &RowFile, manifest: &Map<String, Value>) -> Result<RunIdentity> {
    if file.journal
        && let Some(batches) = JournalBatches::open(&file.path)?
    {
        return Ok(batches.of);
    }
    let (run, _) = identity(&file.now().path)?;
    let folder = identity::folder_name(manifest).unwrap_or_default();
    let experiment_id = identity::experiment_id(manifest);
    Ok(RunIdentity { experiment_id, folder, index: file.run, cell: run.clone(), traffic: run.clone(), run })
}

/// When a run began, milliseconds since 1970, by its first file of rows. Fails when that names none.
pub fn zero_ms(folder: &Path, of: &RunIdentity) -> Result<i64> {
    let files = parts::list(folder)?.live;
    let first = files.iter().find(|file| file.run == of.index);
    match first {
        Some(file) if file.journal => {
            Ok(JournalBatches::open(&file.path)?.map_or(0, |batches| batches.zero_ms))
        }
        // Whoever asks holds the lock, or nobody writes.
        Some(file) => Ok(identity(&file.path)?.1),
        None => Ok(0),
    }
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
    pub(super) fn new(
        builder: ParquetRecordBatchReaderBuilder<Windows>,
    ) -> std::result::Result<Self, String> {
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
pub(super) fn open(path: &Path) -> std::result::Result<ParquetRecordBatchReaderBuilder<Windows>, String> {
    Ok(open_file(path)?.0)
}

/// The same, and what it is read through.
fn open_file(
    path: &Path,
) -> std::result::Result<(ParquetRecordBatchReaderBuilder<Windows>, Windows), String> {
    let read = || {
        let file = Windows::new(regular(path)?).map_err(|error| error.to_string())?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file.clone()).map_err(|error| error.to_string())?;
        pages::check(&file, builder.metadata())?;
        Ok((builder, file))
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
mod tests;
