//! `statistics.parquet`: every number of a run, one row each.

use super::aside::write_aside;
use super::column::{
    self, Column, IDENTITY,
    Kind::{Number, Real, Word},
    column,
};
use super::identity::RunIdentity;
use super::reader::{Batches, cannot_read, footer, open};
use super::{seal, table};
use crate::error::{Error, Result};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// The file's name in a results folder.
pub const FILE: &str = "statistics.parquet";

/// One number of a run, or of a part of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistic {
    /// Whose: empty for the whole run, else `class=chat`.
    pub part: String,
    /// `ttft`
    pub metric: String,
    /// `p99`
    pub statistic: String,
    /// `ms`, `s`, `1/s`, `share`, or empty for a count.
    pub unit: String,
    /// `None`: not observed.
    pub value: Option<f64>,
    /// The ends of its 95 % interval, where it has one.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Of how many values it was made.
    pub n: Option<u64>,
    /// Why it is to be taken with care, in one word.
    pub mark: Option<String>,
}

/// The columns of a number, behind what identifies its run.
pub(super) const COLUMNS: &[Column] = &[
    column(
        "part",
        Word,
        "of which requests: empty for the whole run; `class=chat` for those of a class, where the run has 2 to 64 classes",
    ),
    column("metric", Word, "[what is measured](metrics.md): `ttft`"),
    column("statistic", Word, "how its values become a number: `p99`"),
    column("unit", Word, "of the number: `ms`, `s`, `1/s`, `share` (from 0 to 1); empty for counts"),
    column("value", Real, "the number").null("not observed"),
    column("low", Real, "lower end of its 95 % interval").null("it has none"),
    column("high", Real, "upper end of its 95 % interval").null("it has none"),
    column("n", Number, "of how many values it was made").null("not counted"),
    column("mark", Word, "why it is to be taken with care").null("it is sound"),
];

/// Row groups at the end of the file that are left as they are ...
const SMALL_GROUPS: usize = 64;
/// ... as long as each has fewer rows.
const SMALL_ROWS: i64 = 8_192;

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| column::schema_of(&[IDENTITY, COLUMNS]));
    SCHEMA.clone()
}

/// The numbers of a run, which began at `zero_ms`.
pub struct RunNumbers<'a> {
    pub of: &'a RunIdentity,
    pub zero_ms: i64,
    pub numbers: &'a [Statistic],
}

/// Adds the numbers of a run, which began at `zero_ms`, and rewrites the file (aside, then rename).
pub fn append(folder: &Path, of: &RunIdentity, zero_ms: i64, numbers: &[Statistic]) -> Result<()> {
    append_all(folder, &[RunNumbers { of, zero_ms, numbers }])
}

/// Adds the numbers of several runs, and rewrites the file once. Row groups that are there are copied as
/// bytes; many small ones become one, so that what a run costs does not grow with the runs before it.
pub fn append_all(folder: &Path, runs: &[RunNumbers]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let path = folder.join(FILE);
    let before = if path.exists() { Some(footer(&path)?) } else { None };
    let metadata = before.as_ref().and_then(|footer| footer.file_metadata().key_value_metadata());
    let mut zeros = column::zeros(metadata);
    zeros.extend(runs.iter().map(|run| (run.of.run_id(), run.zero_ms)));
    let options = options(&zeros);
    let mut more: Vec<RecordBatch> = Vec::new();
    let mut kept = 0;
    if let Some(footer) = &before {
        kept = footer.num_row_groups();
        let small =
            footer.row_groups().iter().rev().take_while(|group| group.num_rows() < SMALL_ROWS).count();
        if small >= SMALL_GROUPS {
            kept -= small;
            more = groups(&path, kept..kept + small).map_err(|error| cannot_read(&path, error))?;
        }
    }
    more.extend(runs.iter().map(|run| batch(run.of, run.numbers)));
    let bytes = match before {
        Some(footer) if kept > 0 => {
            let file = File::open(&path).map_err(|error| cannot_read(&path, error))?;
            joined(&file, &footer.row_groups()[..kept], more, &options)
        }
        _ => table::sealed(schema(), more, &options),
    };
    let failed = |error| Error::run(format!("cannot write numbers to {}: {error}", path.display()));
    write_aside(&path, &bytes.map_err(failed)?)
}

/// Whether the numbers of a run are there.
pub fn has(folder: &Path, of: &RunIdentity) -> Result<bool> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(false);
    }
    let zeros = column::zeros(footer(&path)?.file_metadata().key_value_metadata());
    Ok(zeros.iter().any(|(run_id, _)| *run_id == of.run_id()))
}

fn options(zeros: &[(String, i64)]) -> ArrowWriterOptions {
    let packed = column::packed_as(&[IDENTITY, COLUMNS]).set_key_value_metadata(Some(column::about(zeros)));
    ArrowWriterOptions::new().with_properties(packed.build())
}

fn groups(path: &Path, of: Range<usize>) -> std::result::Result<Vec<RecordBatch>, String> {
    Batches::new(open(path)?.with_row_groups(of.collect()))?.collect()
}

/// Row groups of the file, as they are, and behind them those of what is added.
fn joined(
    file: &File,
    kept: &[RowGroupMetaData],
    more: Vec<RecordBatch>,
    options: &ArrowWriterOptions,
) -> parquet::errors::Result<Vec<u8>> {
    let more = Bytes::from(table::sealed(schema(), more, options)?);
    let writer = ArrowWriter::try_new_with_options(Vec::new(), schema(), options.clone())?;
    let (mut writer, _) = writer.into_serialized_writer()?;
    seal::append(file, kept, &mut writer)?;
    let added = ParquetMetaDataReader::new().parse_and_finish(&more)?;
    seal::append(&more, added.row_groups(), &mut writer)?;
    writer.into_inner()
}

fn batch(of: &RunIdentity, numbers: &[Statistic]) -> RecordBatch {
    let same = |word: &str| Arc::new(numbers.iter().map(|_| Some(word)).collect::<StringArray>()) as ArrayRef;
    let words = |word: fn(&Statistic) -> Option<&str>| {
        Arc::new(numbers.iter().map(word).collect::<StringArray>()) as ArrayRef
    };
    let reals = |real: fn(&Statistic) -> Option<f64>| {
        Arc::new(numbers.iter().map(real).collect::<Float64Array>()) as ArrayRef
    };
    let columns = vec![
        same(&of.experiment_id),
        same(&of.run_id()),
        same(&of.folder),
        same(&of.run),
        same(&of.cell),
        words(|number| Some(&number.part)),
        words(|number| Some(&number.metric)),
        words(|number| Some(&number.statistic)),
        words(|number| Some(&number.unit)),
        reals(|number| number.value),
        reals(|number| number.low),
        reals(|number| number.high),
        Arc::new(numbers.iter().map(|number| number.n.map(|n| n as i64)).collect::<Int64Array>()),
        words(|number| number.mark.as_deref()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}

/// Shows `each` every number of a folder with the `run_id` of its run; none when no run is finished yet, or
/// when the folder is older than this file.
pub fn read(folder: &Path, mut each: impl FnMut(&str, Statistic)) -> Result<()> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(());
    }
    let mut read = || -> std::result::Result<(), String> {
        for batch in Batches::new(open(&path)?)? {
            decode(&batch?, &mut each)?;
        }
        Ok(())
    };
    read().map_err(|error| cannot_read(&path, error))
}

fn decode(batch: &RecordBatch, each: &mut impl FnMut(&str, Statistic)) -> std::result::Result<(), String> {
    fn column<'a, A: 'static>(batch: &'a RecordBatch, name: &str) -> std::result::Result<&'a A, String> {
        let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
        column.ok_or_else(|| format!("no column \"{name}\" as this version writes it"))
    }
    let words = |name: &str| column::<StringArray>(batch, name);
    let reals = |name: &str| column::<Float64Array>(batch, name);
    let (run_id, part, metric) = (words("run_id")?, words("part")?, words("metric")?);
    let (statistic, unit, mark) = (words("statistic")?, words("unit")?, words("mark")?);
    let (value, low, high) = (reals("value")?, reals("low")?, reals("high")?);
    let n = column::<Int64Array>(batch, "n")?;
    let real = |of: &Float64Array, i: usize| of.is_valid(i).then(|| of.value(i));
    for i in 0..batch.num_rows() {
        let number = Statistic {
            part: part.value(i).to_string(),
            metric: metric.value(i).to_string(),
            statistic: statistic.value(i).to_string(),
            unit: unit.value(i).to_string(),
            value: real(value, i),
            low: real(low, i),
            high: real(high, i),
            n: n.is_valid(i).then(|| n.value(i).max(0) as u64),
            mark: mark.is_valid(i).then(|| mark.value(i).to_string()),
        };
        each(run_id.value(i), number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn numbers_of_every_run_come_back_as_they_went() {
        let folder = tempfile::tempdir().unwrap();
        assert!(all(folder.path()).is_empty());
        let p99 = Statistic {
            metric: "ttft".into(),
            statistic: "p99".into(),
            unit: "ms".into(),
            value: Some(20.5),
            low: Some(19.0),
            high: Some(23.0),
            n: Some(100),
            ..Statistic::default()
        };
        let none =
            Statistic { part: "class=聊天".into(), mark: Some("too_few".into()), ..Statistic::default() };
        let mut expected = Vec::new();
        // More than are left as row groups of their own.
        for index in 0..SMALL_GROUPS as u32 + 3 {
            let of = sample::identity("c1", index);
            append(folder.path(), &of, 5, &[p99.clone(), none.clone()]).unwrap();
            expected.extend([&p99, &none].map(|number| (of.run_id(), number.clone())));
        }
        assert_eq!(all(folder.path()), expected);
        let footer = footer(&folder.path().join(FILE)).unwrap();
        assert_eq!(footer.num_row_groups(), 3);
        assert_eq!(column::zeros(footer.file_metadata().key_value_metadata()).len(), SMALL_GROUPS + 3);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left aside");
    }

    #[test]
    fn a_large_row_group_is_never_encoded_again() {
        let folder = tempfile::tempdir().unwrap();
        let numbers = vec![Statistic::default(); SMALL_ROWS as usize];
        let runs: Vec<RunIdentity> = (0..2).map(|index| sample::identity("c1", index)).collect();
        let several = |of| RunNumbers { of, zero_ms: 5, numbers: &numbers };
        append_all(folder.path(), &runs.iter().map(several).collect::<Vec<_>>()).unwrap();
        for index in 2..SMALL_GROUPS as u32 + 4 {
            append(folder.path(), &sample::identity("c1", index), 5, &numbers[..1]).unwrap();
        }
        let footer = footer(&folder.path().join(FILE)).unwrap();
        let rows: Vec<i64> = footer.row_groups().iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(rows, [2 * SMALL_ROWS, SMALL_GROUPS as i64 + 1, 1]);
        assert_eq!(all(folder.path()).len(), 2 * numbers.len() + SMALL_GROUPS + 2);
    }

    fn all(folder: &Path) -> Vec<(String, Statistic)> {
        let mut all = Vec::new();
        read(folder, |run_id, number| all.push((run_id.to_string(), number))).unwrap();
        all
    }
}
