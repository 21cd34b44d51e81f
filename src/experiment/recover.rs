//! `recover`: what a killed process left in a results folder is completed: its rows become parts, and its runs get
//! their numbers.
//!
//! Only where nobody writes into the folder (its lock is free). A folder that cannot be written to is completed in memory.

use super::row;
use crate::error::{Error, Result};
use crate::record::{Fields, Health, Nanos, Phase};
use crate::stats::report::ExpectedLoad;
use crate::stats::report::Report;
use crate::stats::verdict::Verdict;
use crate::stats::{Summary, Window};
use crate::store::lock::{self, Asked};
use crate::store::statistics::Statistic;
use crate::store::{Folder, RunIdentity, journal, reader, rest, runs, statistics};
use serde_json::{Map, Value, json};
use std::path::Path;

type Row = Map<String, Value>;

/// What became of a folder.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Somebody is writing into it: nothing was done.
    pub live: bool,
    /// Why it could not be written to: what is missing there is in `runs`.
    pub unwritten: Option<String>,
    /// Rows that became parts, and how many parts.
    pub rows: u64,
    pub parts: u32,
    /// Bytes at the ends of journals that were no whole rows.
    pub torn: u64,
    /// The runs that were completed.
    pub runs: Vec<RecoveredRun>,
}

/// A run that was cut off.
#[derive(Debug)]
pub struct RecoveredRun {
    pub of: RunIdentity,
    pub requests: u64,
    /// As in `runs.parquet`.
    pub row: Row,
    pub numbers: Vec<Statistic>,
}

impl Recovered {
    /// Nothing was missing.
    pub fn is_nothing(&self) -> bool {
        !self.live && self.unwritten.is_none() && self.rows == 0 && self.torn == 0 && self.runs.is_empty()
    }
}

/// Completes a results folder. A second time it does nothing. Fails when it cannot be read.
pub fn recover(path: &Path) -> Result<Recovered> {
    Folder::open(path)?;
    if !rest::is_there(path)? {
        return Ok(Recovered::default());
    }
    let lock = match lock::take(path) {
        Asked::Held(lock) => lock,
        Asked::Live => return Ok(Recovered { live: true, ..Recovered::default() }),
        Asked::Unknown => return in_memory(path, "it cannot be written to".into()),
    };
    let done = complete(path);
    drop(lock);
    match done {
        Ok(recovered) => Ok(recovered),
        // A full disk, a mount that is read-only: what is there can be read.
        Err(error) => in_memory(path, error.message),
    }
}

/// The same for whoever holds the folder's lock. Fails where nothing can be written.
pub fn complete(path: &Path) -> Result<Recovered> {
    let rest::Sealed { rows, parts, torn } = rest::seal(path)?;
    let mut recovered = Recovered { rows, parts, torn, ..Recovered::default() };
    let kept = runs::rows(path)?;
    for (index, begun) in journal::begun(path)? {
        let is_kept =
            kept.iter().any(|row| row.get("run_index").and_then(Value::as_u64) == Some(index.into()));
        if !is_kept && let Some(run) = read(path, &begun)? {
            runs::append(path, run.row.clone())?;
            let zero_ms = run.row["zero_ms"].as_i64().unwrap_or_default();
            statistics::append(path, &run.of, zero_ms, &run.numbers)?;
            tell_manifest(path, &run, &begun)?;
            recovered.runs.push(run);
        }
        journal::end(path, index);
    }
    Ok(recovered)
}

fn in_memory(path: &Path, why: String) -> Result<Recovered> {
    let mut recovered = Recovered { unwritten: Some(why), ..Recovered::default() };
    let kept = runs::rows(path)?;
    for (index, begun) in journal::begun(path)? {
        let is_kept =
            kept.iter().any(|row| row.get("run_index").and_then(Value::as_u64) == Some(index.into()));
        if !is_kept {
            recovered.runs.extend(read(path, &begun)?);
        }
    }
    Ok(recovered)
}

/// What is noted of a run before it begins, for whoever has to complete it. `asked`: what its row says of it already.
pub fn note(asked: Row, open: bool, latest: Option<Nanos>, intent: &ExpectedLoad) -> Row {
    let Value::Object(note) = json!({
        "row": asked,
        "open": open,
        "latest_ns": latest,
        "intent": {
            "places": intent.places,
            "places_from": intent.places_from,
            "level": intent.level,
            "rate": intent.rate,
            "exact": intent.exact,
            "streamed": intent.streamed,
            "shared_tokens": intent.shared_tokens,
        },
    }) else {
        unreachable!("a JSON object literal is an object")
    };
    note
}

/// A run by its rows; `None` when it has none.
fn read(path: &Path, begun: &Row) -> Result<Option<RecoveredRun>> {
    let asked = begun.get("row").and_then(Value::as_object).cloned().unwrap_or_default();
    let of = RunIdentity::from_row(&asked).ok_or_else(|| {
        Error::run(format!("cannot complete {}: the note of a run names no run", path.display()))
    })?;
    let is = |map: &Row, key: &str| map.get(key).and_then(Value::as_bool).unwrap_or_default();
    // The window begins with the first measured request that is known, since those in flight have no row.
    let mut start: Option<Nanos> = None;
    reader::scan(path, Some(&of.run), Fields::ALL, |_, record| {
        if record.phase == Phase::Measured {
            start = Some(start.map_or(record.timeline.planned, |start| start.min(record.timeline.planned)));
        }
    })?;
    let latest =
        begun.get("latest_ns").and_then(Value::as_i64).zip(start).map(|(lasts, start)| start + lasts);
    let mut summary = Summary::new(Window::Running { start, latest }, None, is(begun, "open"));
    let mut requests = 0;
    reader::scan(path, Some(&of.run), Fields::ALL, |_, record| {
        requests += 1;
        summary.add(record);
    })?;
    if requests == 0 {
        return Ok(None);
    }
    summary.close();
    let intent = intent(begun.get("intent").and_then(Value::as_object).unwrap_or(&Map::new()));
    let report = Report::new(&summary, &intent, &Health::default(), 0.0);
    let zero_ms = reader::zero_ms(path, &of)?;
    let mut row = runs::blank(&of);
    row.extend(asked);
    row.extend(row::found(&summary, zero_ms, requests));
    row.extend(report.columns().into_iter().filter(|(key, _)| is_of_rows(key)));
    if report.verdict() == Verdict::Valid {
        // Nobody knows any more what its own machine did meanwhile.
        for key in ["verdict", "verdicts", "verdict_reason"] {
            row.insert(key.into(), Value::Null);
        }
    }
    let numbers = row::statistics(&summary);
    Ok(Some(RecoveredRun { of, requests, row, numbers }))
}

/// What a report knows by the rows alone, and not by watching the process.
fn is_of_rows(key: &str) -> bool {
    let watched = [
        "client_",
        "cores_",
        "run_queue",
        "cpu_",
        "paused",
        "longest_pause",
        "handing",
        "writer_",
        "clock_",
        "server_",
    ];
    !watched.iter().any(|start| key.starts_with(start))
}

fn intent(map: &Row) -> ExpectedLoad {
    let is = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or_default();
    ExpectedLoad {
        places: map.get("places").and_then(Value::as_u64).map(|places| places as usize),
        places_from: map.get("places_from").and_then(Value::as_i64).unwrap_or_default(),
        level: is("level"),
        rate: map.get("rate").and_then(Value::as_f64),
        exact: is("exact"),
        streamed: is("streamed"),
        shared_tokens: map.get("shared_tokens").and_then(Value::as_f64),
    }
}

fn tell_manifest(path: &Path, run: &RecoveredRun, begun: &Row) -> Result<()> {
    let mut entry = Map::new();
    entry.insert("name".into(), run.of.run.clone().into());
    entry.insert("run_id".into(), run.of.run_id().into());
    entry.insert("index".into(), run.of.index.into());
    entry.insert("cell".into(), run.of.cell.clone().into());
    for key in [
        "target",
        "arrivals",
        "traffic",
        "traffic_hash",
        "seed",
        "salt",
        "tags",
        "zero_ms",
        "stopped_by",
        "recovered",
    ] {
        entry.insert(key.into(), run.row.get(key).cloned().unwrap_or_default());
    }
    let model = begun.get("row").and_then(|row| row.get("model")).cloned();
    Folder::open(path)?.manifest(|map| {
        let runs = map.entry("runs").or_insert_with(|| json!([]));
        if let Some(runs) = runs.as_array_mut() {
            runs.push(Value::Object(entry));
        }
        if let Some(model) = model {
            map.entry("model").or_insert(model);
        }
    })
}
