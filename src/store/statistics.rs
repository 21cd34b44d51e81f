//! `statistics.parquet`: every number of a run, one row each.

use super::aside::write_aside;
use super::identity::RunIdentity;
use super::reader::{Batches, cannot_read, open};
use super::schema;
use crate::error::{Error, Result};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// The file's name in a results folder.
pub const FILE: &str = "statistics.parquet";

/// One number of a run, or of a part of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistic {
    /// Whose: empty for the whole run, else such as `class=chat` or `turn=1`.
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

/// A number with the run that it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticRow {
    pub of: RunIdentity,
    pub statistic: Statistic,
}

/// (name, type, may be null)
const COLUMNS: [(&str, DataType, bool); 14] = [
    ("experiment_id", DataType::Utf8, false),
    ("run_id", DataType::Utf8, false),
    ("folder", DataType::Utf8, false),
    ("run", DataType::Utf8, false),
    ("cell", DataType::Utf8, false),
    ("part", DataType::Utf8, false),
    ("metric", DataType::Utf8, false),
    ("statistic", DataType::Utf8, false),
    ("unit", DataType::Utf8, false),
    ("value", DataType::Float64, true),
    ("low", DataType::Float64, true),
    ("high", DataType::Float64, true),
    ("n", DataType::Int64, true),
    ("mark", DataType::Utf8, true),
];

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |(name, of, null): &(&str, DataType, bool)| Field::new(*name, of.clone(), *null);
        Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
    });
    SCHEMA.clone()
}

/// Adds the numbers of a run and rewrites the file (aside, then rename).
pub fn append(folder: &Path, of: &RunIdentity, statistics: &[Statistic]) -> Result<()> {
    let mut rows = read(folder)?;
    rows.extend(statistics.iter().cloned().map(|statistic| StatisticRow { of: of.clone(), statistic }));
    let path = folder.join(FILE);
    let bytes = encode(&rows)
        .map_err(|error| Error::run(format!("cannot write numbers to {}: {error}", path.display())))?;
    write_aside(&path, &bytes)
}

fn encode(rows: &[StatisticRow]) -> parquet::errors::Result<Vec<u8>> {
    let version = KeyValue::new(schema::KEY_VERSION.to_string(), schema::VERSION.to_string());
    let packed = schema::packed().set_key_value_metadata(Some(vec![version])).build();
    let mut parquet = ArrowWriter::try_new(Vec::new(), schema(), Some(packed))?;
    parquet.write(&batch(rows))?;
    parquet.into_inner()
}

fn batch(rows: &[StatisticRow]) -> RecordBatch {
    fn words<'a>(rows: &'a [StatisticRow], of: impl Fn(&'a StatisticRow) -> Option<&'a str>) -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    }
    let reals = |of: fn(&Statistic) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(&row.statistic)).collect::<Float64Array>())
    };
    let counts: Int64Array = rows.iter().map(|row| row.statistic.n.map(|n| n as i64)).collect();
    let ids: StringArray = rows.iter().map(|row| Some(row.of.run_id())).collect();
    let columns: Vec<ArrayRef> = vec![
        words(rows, |row| Some(&row.of.experiment_id)),
        Arc::new(ids),
        words(rows, |row| Some(&row.of.folder)),
        words(rows, |row| Some(&row.of.run)),
        words(rows, |row| Some(&row.of.cell)),
        words(rows, |row| Some(&row.statistic.part)),
        words(rows, |row| Some(&row.statistic.metric)),
        words(rows, |row| Some(&row.statistic.statistic)),
        words(rows, |row| Some(&row.statistic.unit)),
        reals(|statistic| statistic.value),
        reals(|statistic| statistic.low),
        reals(|statistic| statistic.high),
        Arc::new(counts),
        words(rows, |row| row.statistic.mark.as_deref()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are those of the schema")
}

/// All numbers of a folder; none when no run is finished yet, or when it is older than this file.
pub fn read(folder: &Path) -> Result<Vec<StatisticRow>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let read = || -> std::result::Result<Vec<StatisticRow>, String> {
        let mut rows = Vec::new();
        for batch in Batches::new(open(&path)?)? {
            decode(&batch?, &mut rows)?;
        }
        Ok(rows)
    };
    read().map_err(|error| cannot_read(&path, error))
}

fn decode(batch: &RecordBatch, rows: &mut Vec<StatisticRow>) -> std::result::Result<(), String> {
    fn column<'a, A: 'static>(batch: &'a RecordBatch, name: &str) -> std::result::Result<&'a A, String> {
        let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
        column.ok_or_else(|| format!("no column \"{name}\" as this version writes it"))
    }
    let words = |name: &str| column::<StringArray>(batch, name);
    let reals = |name: &str| column::<Float64Array>(batch, name);
    let (experiment_id, run_id, folder) = (words("experiment_id")?, words("run_id")?, words("folder")?);
    let (run, cell, part) = (words("run")?, words("cell")?, words("part")?);
    let (metric, statistic, unit) = (words("metric")?, words("statistic")?, words("unit")?);
    let (value, low, high) = (reals("value")?, reals("low")?, reals("high")?);
    let (n, mark) = (column::<Int64Array>(batch, "n")?, words("mark")?);
    let text = |of: &StringArray, i: usize| of.value(i).to_string();
    let real = |of: &Float64Array, i: usize| of.is_valid(i).then(|| of.value(i));
    for i in 0..batch.num_rows() {
        let index = run_id.value(i).rsplit_once('-').and_then(|(_, index)| index.parse().ok());
        rows.push(StatisticRow {
            of: RunIdentity {
                experiment_id: text(experiment_id, i),
                folder: text(folder, i),
                index: index.ok_or_else(|| format!("\"{}\" is no id of a run", run_id.value(i)))?,
                run: text(run, i),
                cell: text(cell, i),
                traffic: String::new(),
            },
            statistic: Statistic {
                part: text(part, i),
                metric: text(metric, i),
                statistic: text(statistic, i),
                unit: text(unit, i),
                value: real(value, i),
                low: real(low, i),
                high: real(high, i),
                n: n.is_valid(i).then(|| n.value(i).max(0) as u64),
                mark: mark.is_valid(i).then(|| text(mark, i)),
            },
        });
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
        assert!(read(folder.path()).unwrap().is_empty());
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
        for index in 0..2 {
            let of = RunIdentity { traffic: String::new(), ..sample::identity("c1", index) };
            append(folder.path(), &of, &[p99.clone(), none.clone()]).unwrap();
            let rows =
                [&p99, &none].map(|statistic| StatisticRow { of: of.clone(), statistic: statistic.clone() });
            expected.extend(rows);
        }
        assert_eq!(read(folder.path()).unwrap(), expected);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left aside");
    }
}
