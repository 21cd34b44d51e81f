//! `RowWriter`: a thread that turns finished records into Parquet parts.

use super::identity::RunIdentity;
use super::merge;
use super::parts::{self, part_name, requests_folder, unfinished_name};
use super::queue::{Queue, Taken};
use super::{encode, schema};
use crate::error::{Error, Result};
use crate::record::{PackedRecord, Record};
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A row is in a finished part at most this long after it came.
const PART_TIME: Duration = Duration::from_secs(5);
/// Records are turned into columns so many at a time ...
const BATCH_ROWS: usize = 256;
/// ... or as soon as they hold so many bytes.
const BATCH_BYTES: usize = 128 << 10;
/// An event in the lists of a record.
const EVENT_BYTES: usize = 14;
/// Bytes of records that may wait for the thread.
const QUEUE_BYTES: usize = 16 << 20;

/// The writing side of one run. A part is closed every few seconds, so that a killed process
/// loses little. Dropped without [`RowWriter::finish`], it still closes the last part.
pub struct RowWriter {
    queue: Arc<Queue<Item>>,
    thread: Option<JoinHandle<Result<RunParts>>>,
    blocked: Duration,
}

impl RowWriter {
    /// Starts the thread. Parts go to `<folder>/requests/part-<run index>-<part>.parquet`.
    pub fn start(folder: &Path, of: RunIdentity) -> Result<RowWriter> {
        let parts = RunParts::new(folder, of)?;
        let queue = Arc::new(Queue::new(QUEUE_BYTES));
        let thread = std::thread::Builder::new()
            .name("results".to_string())
            .spawn({
                let queue = queue.clone();
                move || write_all(&queue, parts)
            })
            .map_err(|error| Error::run(format!("cannot start the thread that writes results: {error}")))?;
        Ok(RowWriter { queue, thread: Some(thread), blocked: Duration::ZERO })
    }

    /// Tells the wall clock of the run's zero, milliseconds since 1970. Comes before the first row:
    /// what was written earlier counts from 1970.
    pub fn begin(&mut self, zero_ms: i64) {
        // A thread that has failed says so at the next row.
        let _ = self.queue.push(Item::Zero(zero_ms), 0);
    }

    /// Hands records over; blocks when the disk is slow (counted in [`RowsWritten::blocked_ms`]).
    /// An error of the thread (disk full) comes back here.
    pub fn write(&mut self, parcels: Vec<PackedRecord>) -> Result<()> {
        if parcels.is_empty() {
            return Ok(());
        }
        let weight = parcels.iter().map(PackedRecord::weight).sum();
        if !self.queue.full() {
            return self.queue.push(Item::Rows(parcels), weight);
        }
        let start = Instant::now();
        let pushed = self.queue.push(Item::Rows(parcels), weight);
        self.blocked += start.elapsed();
        pushed
    }

    /// How long [`RowWriter::write`] has waited for the disk, milliseconds.
    pub fn blocked_ms(&self) -> f64 {
        self.blocked.as_secs_f64() * 1e3
    }

    /// Closes the last part, waits for the thread, and merges the run's parts into few.
    /// [`RowsWritten::parts`] counts the files after that.
    pub fn finish(self) -> Result<RowsWritten> {
        self.end(true)
    }

    /// The same without the merge, for which there may be no time: parts are as good as they are.
    pub fn finish_at_once(self) -> Result<RowsWritten> {
        self.end(false)
    }

    fn end(mut self, merged: bool) -> Result<RowsWritten> {
        let run = self.stop()?;
        let mut written = run.written;
        if written.parts > 1 && merged {
            written.parts = merge::merge(&run.folder, run.of.index, run.from)?;
        }
        written.blocked_ms = self.blocked_ms();
        Ok(written)
    }

    fn stop(&mut self) -> Result<RunParts> {
        self.queue.close();
        let thread = self.thread.take().expect("a writer is stopped once");
        thread.join().unwrap_or_else(|_| Err(Error::run("the thread that writes results broke down")))
    }
}

impl Drop for RowWriter {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Nobody is left to hear of an error.
            let _ = self.stop();
        }
    }
}

/// What a writer has done.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowsWritten {
    pub rows: u64,
    pub parts: u32,
    pub blocked_ms: f64,
}

/// What the thread is told.
enum Item {
    Zero(i64),
    Rows(Vec<PackedRecord>),
}

fn write_all(queue: &Queue<Item>, mut parts: RunParts) -> Result<RunParts> {
    let mut work = || loop {
        let patience = parts.due.map(|due| due.saturating_duration_since(Instant::now()));
        match queue.take(patience) {
            Taken::Item(Item::Zero(zero_ms)) => parts.zero_ms = zero_ms,
            Taken::Item(Item::Rows(parcels)) => parts.add(parcels, Instant::now())?,
            Taken::Nothing => parts.tick(Instant::now())?,
            Taken::Closed => return parts.close(),
        }
    };
    match work() {
        Ok(()) => Ok(parts),
        Err(error) => {
            queue.fail(error.clone());
            Err(error)
        }
    }
}

/// The parts of one run, as they are written. Is told the time.
struct RunParts {
    folder: PathBuf,
    of: RunIdentity,
    /// Wall clock of the run's zero, milliseconds since 1970; 0 until it is told.
    zero_ms: i64,
    /// Number of the first part: above 0 when the run index was used before.
    from: u32,
    waiting: Vec<Record>,
    waiting_bytes: usize,
    open: Option<OpenPart>,
    /// When the part with the first waiting row must be closed.
    due: Option<Instant>,
    written: RowsWritten,
}

struct OpenPart {
    parquet: ArrowWriter<File>,
    name: String,
    unfinished: PathBuf,
    rows: usize,
}

impl RunParts {
    fn new(folder: &Path, of: RunIdentity) -> Result<RunParts> {
        let requests = requests_folder(folder);
        fs::create_dir_all(&requests)
            .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", requests.display())))?;
        let before = parts::list(folder)?.live.into_iter().filter(|part| part.run == of.index);
        let from = before.map(|part| part.last + 1).max().unwrap_or(0);
        Ok(RunParts {
            folder: folder.to_path_buf(),
            of,
            zero_ms: 0,
            from,
            waiting: Vec::new(),
            waiting_bytes: 0,
            open: None,
            due: None,
            written: RowsWritten::default(),
        })
    }

    fn add(&mut self, parcels: Vec<PackedRecord>, now: Instant) -> Result<()> {
        for parcel in parcels {
            self.due.get_or_insert(now + PART_TIME);
            let record = parcel.open();
            self.waiting_bytes += size_of::<Record>() + EVENT_BYTES * record.timeline.events.len();
            self.waiting_bytes += record.text.as_ref().map_or(0, String::len);
            self.waiting.push(*record);
            if self.waiting.len() >= BATCH_ROWS || self.waiting_bytes >= BATCH_BYTES {
                self.encode()?;
            }
            let open = self.open.as_ref().map_or(0, |open| open.rows);
            if open + self.waiting.len() >= schema::GROUP_ROWS {
                self.close()?;
            }
        }
        self.tick(now)
    }

    fn tick(&mut self, now: Instant) -> Result<()> {
        if self.due.is_some_and(|due| due <= now) { self.close() } else { Ok(()) }
    }

    /// Turns what waits into columns of the open part.
    fn encode(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let batch = encode::batch(&self.of, self.zero_ms, &self.waiting);
        let mut part = match self.open.take() {
            Some(part) => part,
            None => self.open_part()?,
        };
        part.rows += batch.num_rows();
        match part.parquet.write(&batch) {
            Ok(()) => self.open = Some(part),
            Err(error) => return Err(part.lost(error)),
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn open_part(&self) -> Result<OpenPart> {
        let number = self.from + self.written.parts;
        let name = part_name(self.of.index, number, number);
        let unfinished = requests_folder(&self.folder).join(unfinished_name(&name));
        let parquet = merge::create(&unfinished, &self.of.run, self.zero_ms)?;
        Ok(OpenPart { parquet, name, unfinished, rows: 0 })
    }

    /// Closes the part that holds everything so far; without rows there is none.
    fn close(&mut self) -> Result<()> {
        self.encode()?;
        self.due = None;
        let Some(mut part) = self.open.take() else { return Ok(()) };
        let finished = requests_folder(&self.folder).join(&part.name);
        if let Err(error) = part.parquet.finish() {
            return Err(part.lost(error));
        }
        self.seal(&part.unfinished, &finished)?;
        self.written.rows += part.rows as u64;
        self.written.parts += 1;
        Ok(())
    }

    /// Gives the pages of a finished part their checksums, and the part its name.
    fn seal(&self, plain: &Path, finished: &Path) -> Result<()> {
        let sealed = plain.with_extension("sealed.tmp");
        let done = merge::create(&sealed, &self.of.run, self.zero_ms)
            .and_then(|parquet| merge::copy_row_groups(&[plain], parquet, &sealed))
            .and_then(|_| {
                fs::rename(&sealed, finished).map_err(|error| cannot_write(finished, error.into()))
            });
        let _ = fs::remove_file(plain);
        done.inspect_err(|_| drop(fs::remove_file(&sealed)))
    }
}

impl OpenPart {
    /// The part cannot be completed: takes its file away, which nothing could read.
    fn lost(self, error: parquet::errors::ParquetError) -> Error {
        let error = cannot_write(&self.unfinished, error);
        drop(self.parquet);
        let _ = fs::remove_file(&self.unfinished);
        error
    }
}

/// A sentence on a file that could not be written.
pub(super) fn cannot_write(path: &Path, error: parquet::errors::ParquetError) -> Error {
    let reason = match error {
        parquet::errors::ParquetError::External(inner) => inner.to_string(),
        other => other.to_string(),
    };
    Error::run(format!("cannot write results to {}: {reason}", path.display()))
        .hint("free some space there, or name another place with --out")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const ZERO_MS: i64 = 1_764_000_000_123;

    fn rows_of(folder: &Path) -> (Vec<u64>, Vec<String>) {
        let mut rows = Vec::new();
        let warnings =
            super::super::reader::requests(folder, None, |_, record| rows.push(record.seq)).unwrap();
        (rows, warnings)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(requests_folder(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_is_read_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        let records = sample::records(3_000);
        let mut writer = RowWriter::start(folder.path(), sample::identity("c8", 4)).unwrap();
        writer.begin(ZERO_MS);
        for some in records.chunks(700) {
            writer.write(sample::parcels(some)).unwrap();
        }
        let written = writer.finish().unwrap();
        assert_eq!((written.rows, written.parts), (3_000, 1));

        let mut back = Vec::new();
        let warnings = super::super::reader::requests(folder.path(), Some("c8"), |run, record| {
            assert_eq!(run, "c8");
            back.push(record);
        });
        assert_eq!(warnings.unwrap(), Vec::<String>::new());
        assert_eq!(back.len(), records.len());
        for (there, here) in records.iter().zip(&back) {
            assert_eq!(format!("{there:?}"), format!("{here:?}"));
        }
        assert_eq!(names(folder.path()), ["part-004-0000.parquet"]);
    }

    #[test]
    fn a_part_is_closed_five_seconds_after_its_first_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = RunParts::new(folder.path(), sample::identity("a", 0)).unwrap();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs_f64(seconds);
        parts.add(sample::parcels(&sample::records(3)), start).unwrap();
        parts.add(sample::parcels(&sample::records(3)), after(4.9)).unwrap();
        assert!(rows_of(folder.path()).0.is_empty());
        parts.tick(after(5.0)).unwrap();
        assert_eq!(rows_of(folder.path()).0.len(), 6);
        // The next part's time begins with its own first row.
        parts.tick(after(60.0)).unwrap();
        parts.add(sample::parcels(&sample::records(3)), after(61.0)).unwrap();
        parts.tick(after(65.9)).unwrap();
        assert_eq!(rows_of(folder.path()).0.len(), 6);
        parts.add(sample::parcels(&sample::records(3)), after(66.1)).unwrap();
        assert_eq!(rows_of(folder.path()).0.len(), 12);
        assert_eq!(names(folder.path()), ["part-000-0000.parquet", "part-000-0001.parquet"]);
    }

    #[test]
    fn a_part_holds_at_most_65536_rows() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = RunParts::new(folder.path(), sample::identity("a", 0)).unwrap();
        let few_bytes =
            Record { timeline: crate::record::Timeline::planned(0, 0), ..sample::records(1)[0].clone() };
        parts.add(sample::parcels(&vec![few_bytes; schema::GROUP_ROWS + 10]), Instant::now()).unwrap();
        parts.close().unwrap();
        let first = requests_folder(folder.path()).join("part-000-0000.parquet");
        assert_eq!(super::super::reader::rows(&first).unwrap(), schema::GROUP_ROWS as u64);
        assert_eq!(rows_of(folder.path()).0.len(), schema::GROUP_ROWS + 10);
    }

    #[test]
    fn a_finished_run_is_merged_into_one_part_with_every_row_once() {
        let folder = tempfile::tempdir().unwrap();
        let records = sample::records(900);
        let mut parts = RunParts::new(folder.path(), sample::identity("a", 2)).unwrap();
        for some in records.chunks(100) {
            parts.add(sample::parcels(some), Instant::now()).unwrap();
            parts.close().unwrap();
        }
        assert_eq!(names(folder.path()).len(), 9);
        let before = rows_of(folder.path()).0;
        assert_eq!(merge::merge(folder.path(), 2, 0).unwrap(), 1);
        assert_eq!(names(folder.path()), ["part-002-0000-0008.parquet"]);
        assert_eq!(rows_of(folder.path()), (before, vec![]));
    }

    #[test]
    fn large_parts_are_merged_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let records = sample::records(10_000);
        let mut parts = RunParts::new(folder.path(), sample::identity("a", 0)).unwrap();
        parts.zero_ms = ZERO_MS;
        for some in records.chunks(5_000) {
            parts.add(sample::parcels(some), Instant::now()).unwrap();
            parts.close().unwrap();
        }
        assert_eq!(merge::merge(folder.path(), 0, 0).unwrap(), 1);
        let merged = requests_folder(folder.path()).join("part-000-0000-0001.parquet");
        let footer = super::super::reader::footer(&merged).unwrap();
        assert_eq!(footer.num_row_groups(), 2);
        assert_eq!(super::super::reader::identity(&merged).unwrap(), ("a".to_string(), ZERO_MS));
        let mut back = Vec::new();
        super::super::reader::requests(folder.path(), None, |_, record| back.push(record)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{records:?}"));
    }

    #[test]
    fn a_merge_that_is_killed_before_it_deletes_doubles_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = RunParts::new(folder.path(), sample::identity("a", 0)).unwrap();
        for some in sample::records(200).chunks(100) {
            parts.add(sample::parcels(some), Instant::now()).unwrap();
            parts.close().unwrap();
        }
        let small = requests_folder(folder.path()).join("part-000-0001.parquet");
        let kept = fs::read(&small).unwrap();
        merge::merge(folder.path(), 0, 0).unwrap();
        fs::write(&small, kept).unwrap();
        let (rows, warnings) = rows_of(folder.path());
        assert_eq!(rows, (0..200).collect::<Vec<u64>>());
        assert!(warnings[0].contains("part-000-0001.parquet was left over by a merge"), "{warnings:?}");
    }

    #[test]
    fn a_run_index_that_was_used_before_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut writer = RowWriter::start(folder.path(), sample::identity("a", 0)).unwrap();
            writer.begin(ZERO_MS);
            writer.write(sample::parcels(&sample::records(5))).unwrap();
            writer.finish().unwrap();
        }
        assert_eq!(names(folder.path()), ["part-000-0000.parquet", "part-000-0001.parquet"]);
    }

    #[test]
    fn a_writer_that_is_dropped_closes_its_last_part() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RowWriter::start(folder.path(), sample::identity("a", 0)).unwrap();
        writer.begin(ZERO_MS);
        writer.write(sample::parcels(&sample::records(7))).unwrap();
        drop(writer);
        assert_eq!(rows_of(folder.path()).0.len(), 7);
    }

    #[test]
    fn a_run_without_requests_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let written = RowWriter::start(folder.path(), sample::identity("a", 0)).unwrap().finish().unwrap();
        assert_eq!((written.rows, written.parts), (0, 0));
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn an_error_of_the_disk_comes_back_and_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RowWriter::start(folder.path(), sample::identity("a", 0)).unwrap();
        writer.begin(ZERO_MS);
        fs::remove_dir(requests_folder(folder.path())).unwrap();
        writer.write(sample::parcels(&sample::records(7))).unwrap();
        let error = writer.finish().unwrap_err();
        assert!(error.message.starts_with("cannot write results to "), "{error}");
        assert!(error.message.contains(".part-000-0000.parquet.tmp: No such file"), "{error}");
    }

    #[test]
    fn an_error_of_the_disk_stops_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RowWriter::start(folder.path(), sample::identity("a", 0)).unwrap();
        writer.begin(ZERO_MS);
        fs::remove_dir(requests_folder(folder.path())).unwrap();
        let failed = (0..10_000).find_map(|_| writer.write(sample::parcels(&sample::records(2_000))).err());
        assert!(failed.expect("the thread gave up").message.contains("cannot write results"));
    }
}
