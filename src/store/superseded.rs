//! What there is of a run that is measured again: it goes to `.superseded/run-002/`, the files of a small results
//! folder, so that no row is lost. Tables end in `.parquet.aside` there: some readers' globs look into hidden folders,
//! and nothing may count twice.

use super::aside::{sync_folder, write_aside_with};
use super::column::{self, Column, IDENTITY};
use super::parts::{self, requests_folder};
use super::reader::{batches, cannot_read, footer};
use super::seal::{cannot_write, copy_row_groups};
use super::{RunIdentity, runs, series, statistics};
use crate::error::{Error, Result};
use arrow_array::{Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const FOLDER: &str = ".superseded";

/// What names of tables end in there.
const ASIDE: &str = ".aside";

/// Where a run of a results folder is put.
pub fn folder(results: &Path, run: u32) -> PathBuf {
    results.join(FOLDER).join(format!("run-{run:03}"))
}

/// The places of runs that were put aside.
pub fn runs_there(results: &Path) -> Vec<u32> {
    let names = fs::read_dir(results.join(FOLDER)).into_iter().flatten().flatten();
    let index = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("run-")?.parse().ok();
    names.filter_map(index).collect()
}

/// Puts everything of a run aside, and `files` of the folder that are its own; returns where. Its row in
/// `runs.parquet` goes last: a process killed in between has a run that is still there, and doing it again
/// comes to the same. Whoever calls this holds the folder's lock, and nothing of the run is in a journal.
pub fn put_aside(results: &Path, of: &RunIdentity, files: &[String]) -> Result<PathBuf> {
    let place = folder(results, of.index);
    let rows = requests_folder(&place);
    fs::create_dir_all(&rows).map_err(|error| cannot_write(&rows, error.into()))?;
    for part in parts::list(results)?.live.iter().filter(|part| part.run == of.index && !part.journal) {
        let name = part.path.file_name().unwrap_or_default().to_string_lossy();
        rename(&part.path, &rows.join(format!("{name}{ASIDE}")))?;
    }
    for name in files.iter().filter(|name| results.join(name).exists()) {
        rename(&results.join(name), &place.join(name))?;
    }
    sync_folder(&rows).map_err(|error| cannot_write(&rows, error.into()))?;
    let run_id = of.run_id();
    split(results, &place, (statistics::FILE, statistics::COLUMNS), &run_id)?;
    split(results, &place, (series::FILE, series::COLUMNS), &run_id)?;
    let is_its = |row: &Map<String, Value>| row.get("run_id").and_then(Value::as_str) == Some(&run_id);
    let (its, others): (Vec<_>, Vec<_>) = runs::rows(results)?.into_iter().partition(is_its);
    if !its.is_empty() {
        runs::save(&place, &its)?;
        rename(&place.join(runs::FILE), &place.join(format!("{}{ASIDE}", runs::FILE)))?;
        runs::save(results, &others)?;
    }
    Ok(place)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let cannot = |error| Error::run(format!("cannot move {} to {}: {error}", from.display(), to.display()));
    fs::rename(from, to).map_err(cannot)
}

/// Moves the rows of a run from a table to the same one of another folder.
fn split(results: &Path, place: &Path, (name, columns): (&str, &[Column]), run_id: &str) -> Result<()> {
    let file = results.join(name);
    if !file.exists() {
        return Ok(());
    }
    let zeros = column::zeros(footer(&file)?.file_metadata().key_value_metadata());
    let (its, others): (Vec<_>, Vec<_>) = zeros.into_iter().partition(|(id, _)| id == run_id);
    let mut its = Rows::begin(&place.join(format!("{name}{ASIDE}")), columns, &its)?;
    let mut others = Rows::begin(&file, columns, &others)?;
    for batch in batches(&file)? {
        let batch = batch.map_err(|error| cannot_read(&file, error))?;
        let ids = batch.column_by_name("run_id").and_then(|ids| ids.as_any().downcast_ref::<StringArray>());
        let ids = ids.ok_or_else(|| cannot_read(&file, "no column \"run_id\" as this version writes it"))?;
        let mut from = 0;
        while from < ids.len() {
            let is_its = ids.value(from) == run_id;
            let same = (from..ids.len()).take_while(|i| (ids.value(*i) == run_id) == is_its).count();
            let rows = batch.slice(from, same);
            if is_its {
                its.add(&rows)?
            } else {
                others.add(&rows)?
            }
            from += same;
        }
    }
    if its.rows == 0 {
        its.leave();
        others.leave();
        return Ok(());
    }
    its.put()?;
    others.put()
}

/// A table that is written beside its place.
struct Rows<'a> {
    path: PathBuf,
    plain: PathBuf,
    columns: &'a [Column],
    zeros: Vec<(String, i64)>,
    parquet: ArrowWriter<File>,
    rows: usize,
}

impl<'a> Rows<'a> {
    fn begin(path: &Path, columns: &'a [Column], zeros: &[(String, i64)]) -> Result<Rows<'a>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let plain = path.with_file_name(format!(".{name}.plain.tmp"));
        let parquet = writer(&plain, columns, zeros)?;
        Ok(Rows { path: path.to_path_buf(), plain, columns, zeros: zeros.to_vec(), parquet, rows: 0 })
    }

    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        self.rows += rows.num_rows();
        self.parquet.write(rows).map_err(|error| cannot_write(&self.plain, error))
    }

    /// Gives it its checksums and its name.
    fn put(self) -> Result<()> {
        let Rows { path, plain, columns, zeros, parquet, .. } = self;
        parquet.into_inner().map_err(|error| cannot_write(&plain, error))?;
        let put = write_aside_with(&path, |aside| {
            let file = copy_row_groups(&[&plain], writer(aside, columns, &zeros)?, &path)?;
            file.sync_all().map_err(|error| cannot_write(&path, error.into()))
        });
        let _ = fs::remove_file(&plain);
        put
    }

    fn leave(self) {
        let _ = fs::remove_file(&self.plain);
    }
}

fn writer(path: &Path, columns: &[Column], zeros: &[(String, i64)]) -> Result<ArrowWriter<File>> {
    let all: [&[Column]; 2] = [IDENTITY, columns];
    let properties: WriterProperties =
        column::packed_as(&all).set_key_value_metadata(Some(column::about(zeros))).build();
    File::create(path)
        .map_err(ParquetError::from)
        .and_then(|file| ArrowWriter::try_new(file, column::schema_of(&all), Some(properties)))
        .map_err(|error| cannot_write(path, error))
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Statistic;
    use super::super::{RowWriter, reader, sample};
    use super::*;
    use crate::record::{Point, Source};
    use series::SeriesWriter;

    fn point(at: i64) -> Point {
        let value = at as f64;
        Point { at, source: Source::Server, metric: "running".into(), labels: None, value, raw_name: None }
    }

    /// A folder of three runs, each with rows, a row, numbers and a series.
    fn three(folder: &Path) {
        for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
            let of = sample::identity(name, index as u32);
            let mut writer = RowWriter::start(folder, of.clone()).unwrap();
            writer.begin(5);
            writer.write(sample::parcels(&sample::records(10))).unwrap();
            writer.finish().unwrap();
            runs::append(folder, runs::blank(&of)).unwrap();
            let number = Statistic { metric: name.into(), ..Statistic::default() };
            statistics::append(folder, &of, 5, &[number]).unwrap();
            let mut series = SeriesWriter::new(folder, of, 0);
            series.add(vec![point(1), point(2)]).unwrap();
            series.finish().unwrap();
        }
    }

    /// Runs that have rows of requests, a row, numbers, and points.
    fn seen(folder: &Path) -> [Vec<String>; 4] {
        let mut all: [Vec<String>; 4] = Default::default();
        reader::requests(folder, None, |run, _| all[0].push(run.to_string())).unwrap();
        let rows = runs::rows(folder).unwrap();
        all[1].extend(rows.iter().map(|row| row["run"].as_str().unwrap().to_string()));
        statistics::read(folder, |_, number| all[2].push(number.metric)).unwrap();
        for run in ["a", "b", "c"] {
            series::read(folder, run, |_| all[3].push(run.to_string())).unwrap();
        }
        all.iter_mut().for_each(|names| names.dedup());
        all
    }

    /// The same folder with the names that it had.
    fn brought_back(place: &Path) -> PathBuf {
        let back = place.with_extension("back");
        for (from, to) in
            [(place.to_path_buf(), back.clone()), (place.join("requests"), back.join("requests"))]
        {
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
                let name = file.file_name().unwrap().to_str().unwrap();
                if let Some(name) = name.strip_suffix(ASIDE) {
                    fs::copy(&file, to.join(name)).unwrap();
                }
            }
        }
        back
    }

    #[test]
    fn a_run_is_moved_whole_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        three(folder.path());
        fs::write(folder.path().join("bench_b.json"), "{}").unwrap();
        let of = sample::identity("b", 1);
        let files = ["bench_b.json".to_string(), "bench_x.json".to_string()];
        for _ in 0..2 {
            let place = put_aside(folder.path(), &of, &files).unwrap();
            assert_eq!(seen(folder.path()), [["a", "c"]; 4].map(|names| names.map(String::from).to_vec()));
            assert_eq!(seen(&brought_back(&place)), [["b"]; 4].map(|names| names.map(String::from).to_vec()));
            assert!(place.join("bench_b.json").exists() && !folder.path().join("bench_b.json").exists());
        }
        assert_eq!(runs_there(folder.path()), [1]);
    }

    #[test]
    fn the_only_run_leaves_empty_tables() {
        let folder = tempfile::tempdir().unwrap();
        let of = sample::identity("a", 0);
        runs::append(folder.path(), runs::blank(&of)).unwrap();
        statistics::append(folder.path(), &of, 5, &[Statistic::default()]).unwrap();
        put_aside(folder.path(), &of, &[]).unwrap();
        assert!(runs::rows(folder.path()).unwrap().is_empty());
        let mut left = 0;
        statistics::read(folder.path(), |_, _| left += 1).unwrap();
        assert_eq!(left, 0);
    }
}
