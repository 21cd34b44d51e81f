//! `series.parquet`: what server and client looked like over time, one row per run, time and metric.
//!
//! While a run goes on its rows are in a journal (`series_journal.rs`), and once a minute in a part
//! (`series/part-003-0000.parquet`), so that memory stays small and a killed process loses one scrape. When
//! it ends they become row groups of `series.parquet`, which is written aside and renamed, and are deleted. A
//! process killed in between leaves both: then the parts are not read again.

use super::aside::write_aside_with;
use super::column::{
    self, Column, IDENTITY,
    Kind::{Instant, Number, Real, Word},
    column,
};
use super::identity::RunIdentity;
use super::parts::{parse, part_name, unfinished_name};
use super::reader::{Batches, batches, cannot_read, footer, open};
use super::seal::{cannot_write, copy_row_groups};
use super::series_journal::{self, SeriesJournal};
use crate::error::Result;
use crate::record::{Nanos, Point, Source};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The file's name in a results folder, and that of the folder of parts.
pub const FILE: &str = "series.parquet";
pub const PARTS: &str = "series";

/// When a part is full.
const PART_ROWS: usize = 65_536;
const PART_SPAN: Nanos = 60_000_000_000;

/// Writes the rows of one run.
#[derive(Debug)]
pub struct SeriesWriter {
    folder: PathBuf,
    of: RunIdentity,
    zero_us: i64,
    waiting: Vec<Point>,
    parts: u32,
    /// What waits, for others.
    journal: Option<SeriesJournal>,
}

impl SeriesWriter {
    /// `zero_us`: the wall clock of the run's zero, microseconds since 1970.
    pub fn new(folder: &Path, of: RunIdentity, zero_us: i64) -> SeriesWriter {
        SeriesWriter {
            folder: folder.to_path_buf(),
            of,
            zero_us,
            waiting: Vec::new(),
            parts: 0,
            journal: None,
        }
    }

    /// Takes points; writes a part when one is full. Points are kept when that fails.
    pub fn add(&mut self, points: Vec<Point>) -> Result<()> {
        self.note(&points);
        self.waiting.extend(points);
        let span =
            self.waiting.first().zip(self.waiting.last()).map_or(0, |(first, last)| last.at - first.at);
        if self.waiting.len() >= PART_ROWS || span >= PART_SPAN { self.close_part() } else { Ok(()) }
    }

    /// Puts points into the journal of the next part. Those of which it has none are in memory still.
    fn note(&mut self, points: &[Point]) {
        if points.is_empty() {
            return;
        }
        let journal = match self.journal.take() {
            Some(journal) => Ok(journal),
            // One that was given up in the middle of a part would lack its beginning.
            None if self.waiting.is_empty() => {
                SeriesJournal::create(&self.folder, &self.of, self.zero_us, self.parts)
            }
            None => return,
        };
        self.journal = journal.and_then(|mut journal| journal.add(points).map(|()| journal)).ok();
    }

    /// Writes what is left and joins the run's rows into `series.parquet`. Rows that cannot be
    /// joined stay in their parts.
    pub fn finish(mut self) -> Result<()> {
        self.close_part()?;
        let folder = parts_folder(&self.folder);
        let mine: Vec<PathBuf> =
            (0..self.parts).map(|part| folder.join(part_name(self.of.index, part, part))).collect();
        if mine.is_empty() {
            return Ok(());
        }
        // Many small row groups become few, which are bytes to copy from now on.
        let joined = folder.join(unfinished_name("joined"));
        let result = encode_again(&mine, &joined)
            .and_then(|()| append(&self.folder.join(FILE), Some(&joined), self.zeros()));
        let _ = fs::remove_file(&joined);
        result?;
        mine.iter().for_each(|part| drop(fs::remove_file(part)));
        // Fails, as it should, while another run's parts are in it.
        let _ = fs::remove_dir(&folder);
        Ok(())
    }

    fn zeros(&self) -> Vec<(String, i64)> {
        vec![(self.of.run_id(), self.zero_us.div_euclid(1_000))]
    }

    fn close_part(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let folder = parts_folder(&self.folder);
        let name = part_name(self.of.index, self.parts, self.parts);
        let (part, unfinished) = (folder.join(&name), folder.join(unfinished_name(&name)));
        fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, error.into()))?;
        let batch = batch(&self.of, self.zero_us, &self.waiting);
        let write = || {
            let mut parquet =
                ArrowWriter::try_new(File::create(&unfinished)?, schema(), Some(properties(&self.zeros())))?;
            parquet.write(&batch)?;
            parquet.into_inner()?;
            fs::rename(&unfinished, &part).map_err(ParquetError::from)
        };
        write().map_err(|error| cannot_write(&part, error))?;
        if let Some(journal) = self.journal.take() {
            journal.end();
        }
        self.waiting.clear();
        self.parts += 1;
        Ok(())
    }
}

/// Runs of which a killed process left points in parts and journals.
pub fn left_over(folder: &Path) -> Vec<u32> {
    let journals = series_journal::list(folder).into_iter().map(|(run, ..)| run);
    let mut runs: Vec<u32> = parts_of(folder).into_iter().map(|((run, ..), _)| run).chain(journals).collect();
    runs.sort_unstable();
    runs.dedup();
    runs
}

/// Puts the points of such a run into `series.parquet`, and `more` behind them. Whoever calls this holds the
/// folder's lock. Doing it again comes to the same.
pub fn complete(
    folder: &Path,
    run: u32,
    zero_ms: i64,
    more: Vec<Point>,
    of: Option<&RunIdentity>,
) -> Result<()> {
    let parts: Vec<PathBuf> =
        parts_of(folder).into_iter().filter(|((of, ..), _)| *of == run).map(|(_, path)| path).collect();
    let mut journals = series_journal::list(folder);
    journals.retain(|(of, ..)| *of == run);
    let mut read = None;
    for (_, part, path) in &journals {
        // A journal whose part is there says nothing new.
        if *part as usize >= parts.len() {
            read = series_journal::read(path)?.or(read);
        }
    }
    let (mut of, mut zero_us) = (of.cloned(), zero_ms * 1_000);
    let mut waiting = Vec::new();
    if let Some(found) = read {
        (of, zero_us, waiting) = (of.or(Some(found.of)), found.zero_us, found.points);
    }
    if of.is_none() {
        of = parts.first().map(|part| identity(part, run)).transpose()?;
    }
    let Some(of) = of else {
        journals.iter().for_each(|(.., path)| drop(fs::remove_file(path)));
        return Ok(());
    };
    let file = folder.join(FILE);
    let joined = file.exists()
        && column::zeros(footer(&file)?.file_metadata().key_value_metadata())
            .iter()
            .any(|(run_id, _)| *run_id == of.run_id());
    if joined {
        parts.iter().for_each(|part| drop(fs::remove_file(part)));
        let _ = fs::remove_dir(parts_folder(folder));
    } else {
        waiting.extend(more);
        let (parts, folder) = (parts.len() as u32, folder.to_path_buf());
        SeriesWriter { folder, of, zero_us, waiting, parts, journal: None }.finish()?;
    }
    journals.iter().for_each(|(.., path)| drop(fs::remove_file(path)));
    Ok(())
}

/// Of which run a part is.
fn identity(part: &Path, run: u32) -> Result<RunIdentity> {
    let first = batches(part)?.next().ok_or_else(|| cannot_read(part, "it has no rows"))?;
    let batch = first.map_err(|error| cannot_read(part, error))?;
    let word = |name: &str| {
        let column: &StringArray = whole_column(&batch, name).map_err(|error| cannot_read(part, error))?;
        Ok(column.value(0).to_string())
    };
    Ok(RunIdentity {
        experiment_id: word("experiment_id")?,
        folder: word("folder")?,
        index: run,
        run: word("run")?,
        cell: word("cell")?,
        traffic: String::new(),
    })
}

type PartPlace = (u32, u32, u32);

/// The parts that are there, in their order.
fn parts_of(folder: &Path) -> Vec<(PartPlace, PathBuf)> {
    let mut parts: Vec<(PartPlace, PathBuf)> = Vec::new();
    for entry in fs::read_dir(parts_folder(folder)).into_iter().flatten().flatten() {
        if let Some(place) = entry.file_name().to_str().and_then(parse) {
            parts.push((place, entry.path()));
        }
    }
    parts.sort();
    parts
}

fn parts_folder(folder: &Path) -> PathBuf {
    folder.join(PARTS)
}

fn encode_again(parts: &[PathBuf], to: &Path) -> Result<()> {
    let written = |error| cannot_write(to, error);
    let file = File::create(to).map_err(|error| written(error.into()))?;
    let mut parquet = ArrowWriter::try_new(file, schema(), Some(properties(&[]))).map_err(written)?;
    for part in parts {
        for batch in batches(part)? {
            parquet.write(&batch.map_err(|error| cannot_read(part, error))?).map_err(written)?;
        }
    }
    parquet.into_inner().map_err(written).map(drop)
}

/// Makes the file where it is missing; it says when these runs began. Not while points wait to be joined: what is
/// named there has none left.
pub fn begin(folder: &Path, runs: &[(String, i64)]) -> Result<()> {
    let file = folder.join(FILE);
    let mut unknown = runs.to_vec();
    if file.exists() {
        let known = column::zeros(footer(&file)?.file_metadata().key_value_metadata());
        unknown.retain(|(run_id, _)| known.iter().all(|(known, _)| known != run_id));
    }
    let done = unknown.is_empty() || !left_over(folder).is_empty();
    if done { Ok(()) } else { append(&file, None, unknown) }
}

/// Adds the row groups of `joined` to the file, which is made when missing. `zeros`: when their run began.
fn append(file: &Path, joined: Option<&Path>, zeros: Vec<(String, i64)>) -> Result<()> {
    let before =
        if file.exists() { footer(file)?.file_metadata().key_value_metadata().cloned() } else { None };
    let zeros = [column::zeros(before.as_ref()), zeros].concat();
    let sources: Vec<&Path> = Some(file).filter(|file| file.exists()).into_iter().chain(joined).collect();
    write_aside_with(file, |aside| {
        let parquet = File::create(aside)
            .map_err(ParquetError::from)
            .and_then(|aside| ArrowWriter::try_new(aside, schema(), Some(properties(&zeros))))
            .map_err(|error| cannot_write(file, error))?;
        let copied = copy_row_groups(&sources, parquet, file)?;
        copied.sync_all().map_err(|error| cannot_write(file, error.into()))
    })
}

/// A value, behind what identifies its run.
pub(super) const COLUMNS: &[Column] = &[
    column(
        "at_ns",
        Number,
        "since the run's zero, like the times of `requests/`: when the server's answer arrived, or where \
         the second ends that a client's value is of",
    )
    .unit("ns"),
    column("scraped_at", Instant, "the same moment"),
    column("source", Word, "`server` or `client`"),
    column("metric", Word, "a name of [the tables](series.md#names), or the server's own"),
    column("labels", Word, "as the server wrote them").null("a name of the tables"),
    column("value", Real, "a number; counters as they stood"),
    column("raw_name", Word, "the server's name, or those that were added").null("the client's"),
];

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| column::schema_of(&[IDENTITY, COLUMNS]));
    SCHEMA.clone()
}

fn properties(zeros: &[(String, i64)]) -> WriterProperties {
    column::packed_as(&[IDENTITY, COLUMNS])
        .set_max_row_group_row_count(Some(1 << 18))
        .set_key_value_metadata(Some(column::about(zeros)))
        .build()
}

fn batch(of: &RunIdentity, zero_us: i64, points: &[Point]) -> RecordBatch {
    let run_id = of.run_id();
    let same = |word: &str| Arc::new(points.iter().map(|_| Some(word)).collect::<StringArray>()) as ArrayRef;
    let words =
        |of: fn(&Point) -> Option<&str>| Arc::new(points.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let at: TimestampMicrosecondArray =
        points.iter().map(|point| Some(zero_us + point.at.div_euclid(1_000))).collect();
    let columns: Vec<ArrayRef> = vec![
        same(&of.experiment_id),
        same(&run_id),
        same(&of.folder),
        same(&of.run),
        same(&of.cell),
        Arc::new(points.iter().map(|point| Some(point.at)).collect::<Int64Array>()),
        Arc::new(at.with_timezone("UTC")),
        words(|point| Some(point.source.name())),
        words(|point| Some(&point.metric)),
        words(|point| point.labels.as_deref()),
        Arc::new(points.iter().map(|point| Some(point.value)).collect::<Float64Array>()),
        words(|point| point.raw_name.as_deref()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}

/// Calls `each` with every point of run `run`, in the order in which they were written: the
/// server's by time, then the client's by time. None when the folder has no such run.
pub fn read(folder: &Path, run: &str, mut each: impl FnMut(Point)) -> Result<()> {
    // Journals first: what becomes a part, or is joined, meanwhile is found twice, and not missed.
    let journals = series_journal::list(folder);
    let mut waiting = Vec::new();
    for (index, part, path) in &journals {
        waiting.extend(
            series_journal::read(path)?.filter(|read| read.of.run == run).map(|read| (*index, *part, read)),
        );
    }
    let parts = parts_of(folder);
    let file = folder.join(FILE);
    if file.exists() && read_file(&file, run, &mut each)? > 0 {
        return Ok(());
    }
    for (_, part) in &parts {
        read_file(part, run, &mut each)?;
    }
    let is_part =
        |index: u32, part: u32| parts.iter().any(|((of, first, _), _)| (*of, *first) == (index, part));
    let others = waiting.into_iter().filter(|(index, part, _)| !is_part(*index, *part));
    others.flat_map(|(.., read)| read.points).for_each(each);
    Ok(())
}

/// Reads the row groups in which the run may be, and says how many rows were its own.
fn read_file(path: &Path, run: &str, each: &mut impl FnMut(Point)) -> Result<u64> {
    let mut read = || -> std::result::Result<u64, String> {
        let builder = open(path)?;
        let groups = builder.metadata().row_groups().iter().enumerate();
        let groups = groups.filter(|(_, group)| may_hold(group, run)).map(|(i, _)| i).collect();
        let mut words = Words::default();
        let mut found = 0;
        for batch in Batches::new(builder.with_row_groups(groups))? {
            found += read_batch(&batch?, run, &mut words, each).map_err(|error| error.to_string())?;
        }
        Ok(found)
    };
    read().map_err(|error| cannot_read(path, error))
}

/// Each run has row groups of its own, so that the other runs' are not even unpacked.
fn may_hold(group: &RowGroupMetaData, run: &str) -> bool {
    let mut columns = group.columns().iter();
    let column = columns.find(|column| column.column_path().string() == "run");
    match column.and_then(|column| column.statistics()) {
        Some(Statistics::ByteArray(range)) => {
            let run = run.as_bytes();
            let min = range.min_bytes_opt().is_none_or(|min| !range.min_is_exact() || min <= run);
            let max = range.max_bytes_opt().is_none_or(|max| !range.max_is_exact() || max >= run);
            min && max
        }
        _ => true,
    }
}

/// When: the first version of the schema had real milliseconds.
enum Times<'a> {
    Ns(&'a Int64Array),
    Ms(&'a Float64Array),
}

impl<'a> Times<'a> {
    fn of(batch: &'a RecordBatch) -> parquet::errors::Result<Times<'a>> {
        match batch.column_by_name("at_ns") {
            Some(_) => whole_column(batch, "at_ns").map(Times::Ns),
            None => whole_column(batch, "t_ms").map(Times::Ms),
        }
    }

    fn at(&self, i: usize) -> Nanos {
        match self {
            Times::Ns(at) => at.value(i),
            Times::Ms(at) => (at.value(i) * 1e6).round() as Nanos,
        }
    }
}

fn whole_column<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> parquet::errors::Result<&'a T> {
    let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| ParquetError::General(format!("no column {name:?} as this version writes it")))
}

/// Text that was met before: a metric has one name in memory, not one for each of its points.
#[derive(Default)]
struct Words(std::collections::HashSet<Arc<str>>);

impl Words {
    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.0.get(text) {
            return word.clone();
        }
        let word: Arc<str> = text.into();
        self.0.insert(word.clone());
        word
    }
}

fn read_batch(
    batch: &RecordBatch,
    run: &str,
    words: &mut Words,
    each: &mut impl FnMut(Point),
) -> parquet::errors::Result<u64> {
    let runs: &StringArray = whole_column(batch, "run")?;
    let at = Times::of(batch)?;
    let source: &StringArray = whole_column(batch, "source")?;
    let metric: &StringArray = whole_column(batch, "metric")?;
    let labels: &StringArray = whole_column(batch, "labels")?;
    let value: &Float64Array = whole_column(batch, "value")?;
    let raw_name: &StringArray = whole_column(batch, "raw_name")?;
    let mut found = 0;
    for i in (0..batch.num_rows()).filter(|i| runs.value(*i) == run) {
        found += 1;
        let mut word = |of: &StringArray| (!of.is_null(i)).then(|| words.word(of.value(i)));
        each(Point {
            at: at.at(i),
            source: if source.value(i) == Source::Client.name() { Source::Client } else { Source::Server },
            labels: word(labels),
            raw_name: word(raw_name),
            metric: words.word(metric.value(i)),
            value: value.value(i),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn point(at: Nanos, metric: &str, value: f64) -> Point {
        let (labels, raw_name) = (Some("engine=\"0\"".into()), Some(format!("vllm:{metric}").into()));
        Point { at, source: Source::Server, metric: metric.into(), labels, value, raw_name }
    }

    fn client(at: Nanos, metric: &str, value: f64) -> Point {
        Point { at, source: Source::Client, metric: metric.into(), labels: None, value, raw_name: None }
    }

    fn all(folder: &Path, run: &str) -> Vec<Point> {
        let mut points = Vec::new();
        read(folder, run, |point| points.push(point)).unwrap();
        points
    }

    #[test]
    fn points_of_every_run_come_back_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        let mut written = Vec::new();
        for (index, run) in ["c1", "c2", "c10"].into_iter().enumerate() {
            let mut writer =
                SeriesWriter::new(folder.path(), sample::identity(run, index as u32), 1_767_323_045_000_000);
            let points = vec![point(-5_000_000, "running", 0.5), client(SECOND, "in_flight", index as f64)];
            writer.add(points.clone()).unwrap();
            writer.finish().unwrap();
            written.push(points);
        }
        for (run, points) in ["c1", "c2", "c10"].into_iter().zip(written) {
            assert_eq!(all(folder.path(), run), points);
        }
        assert_eq!(all(folder.path(), "c3"), []);
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [FILE], "nothing is left aside");
        let footer = super::super::reader::footer(&folder.path().join(FILE)).unwrap();
        let holding = footer.row_groups().iter().filter(|group| may_hold(group, "c2")).count();
        assert_eq!((footer.num_row_groups(), holding), (3, 1));
    }

    #[test]
    fn a_long_run_is_written_in_parts_that_become_one_row_group() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SeriesWriter::new(folder.path(), sample::identity("soak", 3), 0);
        for second in 0..300 {
            writer.add(vec![point(second * SECOND, "running", second as f64)]).unwrap();
            assert!(writer.waiting.len() <= 60, "{}", writer.waiting.len());
        }
        // As a killed process leaves it.
        let parts = fs::read_dir(folder.path().join(PARTS)).unwrap().count();
        assert_eq!((parts, all(folder.path(), "soak").len()), (4, 300));
        writer.finish().unwrap();
        assert!(!folder.path().join(PARTS).exists());
        let values: Vec<f64> = all(folder.path(), "soak").iter().map(|point| point.value).collect();
        assert_eq!(values, (0..300).map(f64::from).collect::<Vec<_>>());
        assert_eq!(super::super::reader::footer(&folder.path().join(FILE)).unwrap().num_row_groups(), 1);
    }

    #[test]
    fn parts_that_were_joined_already_are_not_read_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SeriesWriter::new(folder.path(), sample::identity("c1", 0), 0);
        writer.add(vec![point(0, "running", 1.0), point(61 * SECOND, "running", 2.0)]).unwrap();
        let part = folder.path().join(PARTS).join("part-000-0000.parquet");
        let bytes = fs::read(&part).unwrap();
        writer.finish().unwrap();
        fs::create_dir(folder.path().join(PARTS)).unwrap();
        fs::write(&part, bytes).unwrap();
        assert_eq!(all(folder.path(), "c1").len(), 2);
    }

    #[test]
    fn what_a_killed_process_left_of_a_series_is_joined_once() {
        for (seconds, killed_after_joining) in [(300, false), (300, true), (3, false)] {
            let folder = tempfile::tempdir().unwrap();
            let of = sample::identity("soak", 3);
            let mut other = SeriesWriter::new(folder.path(), sample::identity("other", 2), 0);
            other.add(vec![point(0, "running", 1.0)]).unwrap();
            other.finish().unwrap();
            let mut writer = SeriesWriter::new(folder.path(), of.clone(), 5_000);
            for second in 0..seconds {
                writer.add(vec![point(second * SECOND, "running", second as f64)]).unwrap();
            }
            // The process is gone, without a word.
            std::mem::forget(writer);
            assert_eq!(left_over(folder.path()), [3]);
            let kept = tempfile::tempdir().unwrap();
            let parts = fs::read_dir(folder.path().join(PARTS)).into_iter().flatten().flatten();
            let parts: Vec<_> = parts.map(|part| (part.path(), kept.path().join(part.file_name()))).collect();
            for (part, to) in &parts {
                fs::copy(part, to).unwrap();
            }
            complete(folder.path(), 3, 5, vec![client(SECOND, "in_flight", 2.0)], None).unwrap();
            if killed_after_joining {
                fs::create_dir_all(folder.path().join(PARTS)).unwrap();
                for (part, from) in &parts {
                    fs::copy(from, part).unwrap();
                }
                complete(folder.path(), 3, 5, vec![client(SECOND, "in_flight", 2.0)], None).unwrap();
            }
            assert!(left_over(folder.path()).is_empty());
            assert_eq!(all(folder.path(), "soak").len(), seconds as usize + 1);
            assert_eq!(all(folder.path(), "other").len(), 1);
            let zeros = footer(&folder.path().join(FILE)).unwrap();
            let zeros = column::zeros(zeros.file_metadata().key_value_metadata());
            assert!(zeros.contains(&(of.run_id(), 5)), "{zeros:?}");
        }
    }

    #[test]
    fn a_broken_file_is_an_error_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "no parquet").unwrap();
        let mut writer = SeriesWriter::new(folder.path(), sample::identity("c1", 0), 0);
        writer.add(vec![point(0, "running", 1.0)]).unwrap();
        let error = writer.finish().unwrap_err();
        assert!(error.message.contains(FILE), "{error}");
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), b"no parquet");
        assert!(folder.path().join(PARTS).join("part-000-0000.parquet").exists(), "the rows are still there");
    }

    #[test]
    fn a_run_without_points_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        SeriesWriter::new(folder.path(), sample::identity("c1", 0), 0).finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
