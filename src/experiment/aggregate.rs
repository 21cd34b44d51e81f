//! From results folders to the aggregated CSV.

use super::recalled;
use crate::error::{Error, Result};
use crate::lang::Lang;
use crate::os::file::plain;
use crate::stats::csv::{self, RowOrigin};
use crate::stats::metric::Metric;
use crate::stats::names::Name;
use crate::store::folder::FoundFolder;
use crate::store::runs;
use chrono::TimeZone;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

type Row = Map<String, Value>;

/// Columns of `runs.parquet` that the CSV has, beside metadata.
fn in_csv(key: &str, tags: &[String]) -> bool {
    let fixed = csv::HEADER.iter().chain(&csv::FURTHER).chain(&csv::LAST);
    fixed.into_iter().any(|(column, _)| *column == key) || tags.iter().any(|tag| tag == key)
}

/// The columns of the CSV that have an interval, each with the name of its number in a run.
static WITH_INTERVAL: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let named = |metric: Metric, statistic: &str| {
        let name = format!("{}.{statistic}", metric.name());
        Name::parse(&name).map_or(name, Name::column)
    };
    let statistics = [("mean", "mean"), ("median", "p50"), ("p99", "p99")];
    let latency = |metric: Metric| {
        statistics.map(|(theirs, ours)| (format!("{theirs}_{}_ms", metric.name()), named(metric, ours)))
    };
    let rates = [
        ("request_throughput", Metric::Requests),
        ("request_goodput", Metric::Goodput),
        ("output_throughput", Metric::OutputTokens),
        ("total_token_throughput", Metric::TotalTokens),
    ];
    let rates = rates.map(|(column, metric)| (column.to_string(), named(metric, "rate")));
    Metric::OF_VLLM.into_iter().flat_map(latency).chain(rates).collect()
});

/// Puts the ends of each value's 95 % interval beside it, where the run has one: `mean_ttft_ms_low` and
/// `mean_ttft_ms_high`.
fn put_intervals(run: &Row, row: &mut Row) {
    let number = |of: &Row, key: &str| of.get(key).and_then(Value::as_f64);
    for (column, name) in WITH_INTERVAL.iter() {
        // Rates of the CSV are divided by another time (docs/metrics.md): the interval goes with its value.
        let scale = match number(run, name).zip(number(row, column)) {
            Some((own, value)) if own > 0.0 && own != value => value / own,
            _ => 1.0,
        };
        for end in ["low", "high"] {
            if let Some(value) = number(run, &format!("{name}_{end}")) {
                row.insert(format!("{column}_{end}"), (value * scale).into());
            }
        }
    }
}

/// Whether a column is an end of the interval of another one.
pub fn is_end_of_interval(key: &str) -> bool {
    let of = key.strip_suffix("_low").or_else(|| key.strip_suffix("_high"));
    of.is_some_and(|of| WITH_INTERVAL.iter().any(|(column, _)| column == of))
}

/// A run, as its folder has it and as a row of the CSV.
pub struct RunRow {
    /// Of `runs.parquet`.
    pub run: Row,
    pub row: Row,
    pub tags: Vec<String>,
}

impl RunRow {
    pub fn name(&self) -> &str {
        self.run.get("run").and_then(Value::as_str).unwrap_or_default()
    }

    pub fn seconds(&self) -> Option<f64> {
        self.run.get("duration").and_then(Value::as_f64)
    }
}

/// The runs of a folder, in its order. Beside the columns of the CSV a row has the ends of their intervals.
pub fn runs(folder: &Path) -> Result<Vec<RunRow>> {
    let runs = recalled::rows(folder)?;
    if runs.is_empty() {
        return Err(no_run(folder));
    }
    let tags = tags(folder);
    let dir = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let row = |run: Row| {
        let whole = |key: &str| run.get(key).and_then(Value::as_u64);
        let name = run.get("run").and_then(Value::as_str).unwrap_or_default();
        let origin = RowOrigin {
            input_len: whole("input_len"),
            output_len: whole("output_len"),
            filename: format!("bench_{name}.json"),
            result_dir: dir.clone(),
        };
        let kept = run.iter().filter(|(key, _)| in_csv(key, &tags));
        let mut row = csv::row(&kept.map(|(key, value)| (key.clone(), value.clone())).collect(), &origin);
        put_intervals(&run, &mut row);
        let marks = marks(&run, &row);
        row.insert("marks".into(), marks);
        RunRow { run, row, tags: tags.clone() }
    };
    Ok(runs.into_iter().map(row).collect())
}

/// What speaks against a row of the CSV.
pub fn marks(run: &Row, row: &Row) -> Value {
    let percentiles = row.keys().filter(|key| key.starts_with('p') && !is_end_of_interval(key));
    let percentiles: Vec<&str> = percentiles.map(String::as_str).collect();
    let marks = csv::marks(run, &percentiles);
    (!marks.is_empty()).then_some(marks).into()
}

/// Why there is nothing to aggregate. What a killed process began has a row by now.
pub fn no_run(folder: &Path) -> Error {
    let none = || Error::usage(format!("{} holds no finished run", folder.display()));
    killed_before_a_run(folder).unwrap_or_else(none)
}

/// Why a folder has no run whose process was killed before one began; `None`: it is no such folder.
pub fn killed_before_a_run(folder: &Path) -> Option<Error> {
    let manifest = crate::store::Folder::open(folder).and_then(|folder| folder.read_manifest()).ok()?;
    let began = manifest.contains_key("experiment_id") && !manifest.contains_key("ended_ms");
    let place = folder.display();
    (began && !crate::store::lock::is_live(folder)).then(|| {
        Error::run(format!("nothing had finished in {place}: its process was killed before a run began"))
    })
}

/// How many runs the sweeps of a folder were to make; `None` when it has no sweep.
fn cells(folder: &Path) -> Option<u64> {
    let manifest = crate::store::Folder::open(folder).and_then(|folder| folder.read_manifest()).ok()?;
    manifest.get("cells")?.as_u64().filter(|cells| *cells > 0)
}

/// Runs that are there, and those that its sweeps were to make, where some are missing.
pub fn missing(folder: &Path) -> Option<(usize, u64)> {
    let cells = cells(folder)?;
    let there = runs::rows(folder).ok()?.len();
    (cells > there as u64).then_some((there, cells))
}

/// Names of the metadata that the runs of a folder were given.
fn tags(folder: &Path) -> Vec<String> {
    let manifest =
        crate::store::Folder::open(folder).and_then(|folder| folder.read_manifest()).unwrap_or_default();
    let runs = manifest.get("runs").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for key in runs.iter().filter_map(|run| run["tags"].as_object()).flat_map(Map::keys) {
        if !names.contains(key) {
            names.push(key.clone());
        }
    }
    names
}

/// Writes the rows into a folder; a second file of the same day gets `-2`.
pub fn save(folder: &Path, bytes: &[u8], ending: &str) -> Result<PathBuf> {
    let cannot = |path: &Path, error: std::io::Error| {
        Error::run(format!("cannot write {}: {}", path.display(), plain(&error)))
            .hint("`rampant aggregate --output DIR` writes into another folder")
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
    let date = chrono::Local::now().format("%Y%m%d");
    for n in 1.. {
        let name = if n == 1 {
            format!("aggregate_results_{date}.{ending}")
        } else {
            format!("aggregate_results_{date}-{n}.{ending}")
        };
        let path = folder.join(name);
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                use std::io::Write;
                return file.write_all(bytes).map_err(|error| cannot(&path, error)).map(|()| path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(&path, error)),
        }
    }
    unreachable!("the numbers do not end")
}

/// When the last aggregated CSV of a folder was written, and its path.
fn last_csv(folder: &Path) -> Option<(std::time::SystemTime, PathBuf)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let csv = files.filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("aggregate_results_") && name.ends_with(".csv")
    });
    csv.filter_map(|file| Some((file.metadata().and_then(|meta| meta.modified()).ok()?, file.path()))).max()
}

/// The newest aggregated CSV: of the newest folder that has one, the last written; of many folders, when it
/// was written after that.
pub fn newest_csv(found: &[FoundFolder], parent: &Path) -> Result<PathBuf> {
    let of_one = found.iter().find_map(|folder| last_csv(&folder.path));
    // One of many folders stands beside them.
    if let Some((_, path)) = of_one.max(last_csv(parent)) {
        return Ok(path);
    }
    let error = Error::usage(format!("there is no aggregated CSV in {}", parent.display()));
    Err(error.hint("run `rampant aggregate` first, or name a file with --csv"))
}

/// The folders, newest first.
pub fn folders_table(found: &[FoundFolder], parent: &Path, lang: Lang) -> String {
    if found.is_empty() {
        return lang.no_results(&parent.display().to_string());
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(lang.folders());
    for folder in found {
        let started = chrono::Local.timestamp_millis_opt(folder.started_ms).single();
        table.add_row([
            folder.name.clone(),
            started.map(|time| time.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default(),
            folder.model.clone().unwrap_or_else(|| "-".into()),
            folder.runs.to_string(),
            folder.requests.to_string(),
        ]);
    }
    for (i, column) in table.column_iter_mut().enumerate().skip(1) {
        column.set_padding((1, 0));
        if i >= 3 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}
