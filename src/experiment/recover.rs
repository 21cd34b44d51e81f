//! `recover`: what a killed process left in a results folder is completed: its rows become parts, and its
//! runs get their numbers.
//!
//! Only where nobody writes into the folder (its lock is free). A folder that cannot be written to is
//! completed in memory.

use super::{cell_plan, objectives, row};
use crate::error::{Error, Result};
use crate::os;
use crate::record::{Fields, Health, Nanos, Phase, Point};
use crate::run::Plan;
use crate::stats::report::{ExpectedLoad, Report};
use crate::stats::verdict::Verdict;
use crate::stats::{ClientSeries, Fold, Slo, Summary, Window};
use crate::store::folder::MANIFEST;
use crate::store::lock::{self, Asked};
use crate::store::statistics::Statistic;
use crate::store::{Folder, RunIdentity, journal, reader, rest, runs, schema, series, statistics, tables};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Width of a window of the client's series, nanoseconds.
const SERIES_WINDOW: Nanos = 1_000_000_000;

type Row = Map<String, Value>;

/// What became of a folder.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Somebody is writing into it: nothing was done.
    pub live: bool,
    /// Why nothing was written: what is missing there is in `runs`.
    pub unwritten: Option<Unwritten>,
    /// Rows that became parts, and how many parts.
    pub rows: u64,
    pub parts: u32,
    /// Bytes at the ends of journals that were no whole rows.
    pub torn: u64,
    /// The runs that were completed.
    pub runs: Vec<RecoveredRun>,
}

/// Why a folder is completed in memory alone.
#[derive(Debug)]
pub enum Unwritten {
    /// Nobody may write into it.
    ReadOnly,
    /// A rampant of this older schema version made it.
    Old(u64),
    /// It was tried.
    Failed(String),
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
    let folder = Folder::open(path)?;
    if !rest::is_there(path)? {
        return Ok(Recovered::default());
    }
    let lock = match lock::take(path) {
        Asked::Held(lock) => lock,
        Asked::Live => return Ok(Recovered { live: true, ..Recovered::default() }),
        Asked::Unknown => return in_memory(path, Unwritten::ReadOnly),
    };
    let version = folder.read_manifest()?.get("versions").and_then(|versions| versions["schema"].as_u64());
    if let Some(old) = version.filter(|version| *version < schema::VERSION.into()) {
        return in_memory(path, Unwritten::Old(old));
    }
    let done = complete(path);
    drop(lock);
    match done {
        Ok(recovered) => Ok(recovered),
        // A full disk, a mount that is read-only: what is there can be read.
        Err(error) => in_memory(path, Unwritten::Failed(error.message)),
    }
}

/// The same of a folder that a user names: one in which nothing is missing since nothing was ever there is
/// none of ours.
pub fn named(path: &Path) -> Result<Recovered> {
    let recovered = recover(path)?;
    if recovered.is_nothing() && !path.join(MANIFEST).is_file() {
        let told = format!("{} is no results folder: it has no {MANIFEST}", path.display());
        return Err(Error::usage(told).hint("`rampant aggregate --list` shows the folders"));
    }
    Ok(recovered)
}

/// The same for whoever holds the folder's lock. Fails where nothing can be written.
pub fn complete(path: &Path) -> Result<Recovered> {
    let rest::Sealed { rows, parts, torn } = rest::seal(path)?;
    let mut recovered = Recovered { rows, parts, torn, ..Recovered::default() };
    for CutRun { of, begun } in cut_off(path)? {
        let (run, points) = read(path, of, &begun)?;
        let zero_ms = run.row["zero_ms"].as_i64().unwrap_or_default();
        series::complete(path, run.of.index, zero_ms, points, Some(&run.of))?;
        if !statistics::has(path, &run.of)? {
            statistics::append(path, &run.of, zero_ms, &run.numbers)?;
        }
        tables::make_absent(path, &[(&run.of, zero_ms)])?;
        tell_manifest(path, &run, &begun)?;
        // Last, as by the process that was killed: it says that all the rest is there.
        runs::append(path, run.row.clone())?;
        journal::end(path, run.of.index);
        recovered.runs.push(run);
    }
    for run in series::left_over(path) {
        series::complete(path, run, 0, Vec::new(), None)?;
    }
    // Of runs that have their rows.
    for (index, _) in journal::begun(path)? {
        journal::end(path, index);
    }
    Ok(recovered)
}

fn in_memory(path: &Path, why: Unwritten) -> Result<Recovered> {
    let mut recovered = Recovered { unwritten: Some(why), ..Recovered::default() };
    for CutRun { of, begun } in cut_off(path)? {
        recovered.runs.push(read(path, of, &begun)?.0);
    }
    Ok(recovered)
}

/// A run that was begun and has no row in `runs.parquet`.
struct CutRun {
    of: RunIdentity,
    /// What was noted of it.
    begun: Row,
}

/// Those that were noted when they began; then those of which there are only rows: the first version of the
/// schema noted none.
fn cut_off(path: &Path) -> Result<Vec<CutRun>> {
    let kept = runs::rows(path)?;
    let is_kept = |index: u32, name: &str| {
        kept.iter().any(|row| match row.get("run_index").and_then(Value::as_u64) {
            Some(kept) => kept == u64::from(index),
            None => row.get("run").and_then(Value::as_str) == Some(name),
        })
    };
    let mut cut: Vec<CutRun> = Vec::new();
    for (index, begun) in journal::begun(path)? {
        let of = begun.get("row").and_then(Value::as_object).and_then(RunIdentity::from_row);
        let of = of.ok_or_else(|| {
            Error::run(format!("cannot complete {}: the note of a run names no run", path.display()))
        })?;
        if !is_kept(index, &of.run) {
            cut.push(CutRun { of, begun });
        }
    }
    let noted: Vec<u32> = cut.iter().map(|run| run.of.index).collect();
    let rest = rest::unknown(path, |index, name| noted.contains(&index) || is_kept(index, name))?;
    let manifest = Folder::open(path)?.read_manifest()?;
    cut.extend(rest.into_iter().map(|of| CutRun { begun: noted_in_manifest(&manifest, &of), of }));
    cut.sort_by_key(|run| run.of.index);
    Ok(cut)
}

/// What the manifest says of a run, as its note would have said it.
fn noted_in_manifest(manifest: &Row, of: &RunIdentity) -> Row {
    let runs = manifest.get("runs").and_then(Value::as_array);
    let entry = runs.into_iter().flatten().find(|run| run["name"] == *of.run);
    let of_run = |key: &str| entry.and_then(|entry| entry.get(key)).cloned();
    let mut row = Row::new();
    for key in ["target", "arrivals", "traffic", "traffic_hash", "seed", "salt", "tags"] {
        row.extend(of_run(key).map(|value| (key.to_string(), value)));
    }
    let planned = ["requests"].map(|key| ("planned_requests".to_string(), of_run(key)));
    row.extend(planned.into_iter().filter_map(|(key, value)| Some((key, value.filter(|n| !n.is_null())?))));
    row.extend(manifest.get("model").map(|model| ("model".to_string(), model.clone())));
    let mut begun = Row::new();
    begun.insert("row".into(), Value::Object(row));
    for key in ["plan", "window_start_ns"] {
        begun.extend(of_run(key).map(|value| (key.to_string(), value)));
    }
    begun
}

/// What is noted of a run before it begins, for whoever has to complete it. `asked`: what its row says of it
/// already; `window`: where its measured window begins, if that is known.
pub fn note(asked: Row, plan: &Plan, window: Option<Nanos>, intent: &ExpectedLoad) -> Row {
    let lasts = plan.duration.map(|duration| duration.as_nanos() as Nanos);
    let Value::Object(note) = json!({
        "row": asked,
        "plan": plan.definition,
        "open": plan.open(),
        "latest_ns": lasts,
        "window_start_ns": window,
        "noted_ms": os::wall() / 1_000_000,
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

/// A run by its rows, and what its client saw over time.
fn read(path: &Path, of: RunIdentity, begun: &Row) -> Result<(RecoveredRun, Vec<Point>)> {
    let asked = begun.get("row").and_then(Value::as_object).cloned().unwrap_or_default();
    let number = |key: &str| begun.get(key).and_then(Value::as_i64);
    let start = match number("window_start_ns") {
        Some(start) => Some(start),
        None => first_planned(path, &of)?,
    };
    let latest = number("latest_ns").zip(start).map(|(lasts, start)| start + lasts);
    let slo = begun.get("plan").and_then(|plan| plan.get("slo")).and_then(Slo::from_json);
    let open = begun.get("open").and_then(Value::as_bool).unwrap_or_default();
    let mut summary = Summary::new(Window::Running { start, latest }, slo, open);
    let mut seen = ClientSeries::new(SERIES_WINDOW);
    let (mut requests, mut lasted) = (0, 0);
    reader::scan(path, Some(&of.run), Fields::ALL, |_, record| {
        requests += 1;
        lasted = lasted.max(record.timeline.end);
        summary.add(record);
        seen.add(record);
    })?;
    summary.close();
    let intent = intent(begun.get("intent").and_then(Value::as_object).unwrap_or(&Map::new()));
    let report = Report::new(&summary, &intent, &Health::default(), 0.0);
    let zero_ms = match requests {
        0 => number("noted_ms").unwrap_or_default(),
        _ => reader::zero_ms(path, &of)?,
    };
    let mut row = runs::blank(&of);
    row.extend(asked);
    of.put(&mut row);
    row.extend(row::found(&summary, zero_ms, requests));
    row.extend(report.columns().into_iter().filter(|(key, _)| is_of_rows(key)));
    if report.verdict() == Verdict::Valid {
        // Nobody knows any more what its own machine did meanwhile.
        for key in ["verdict", "verdicts", "verdict_reason"] {
            row.insert(key.into(), Value::Null);
        }
    }
    summary.attach(report);
    let mut numbers = row::statistics(&summary);
    numbers.extend(row::class_statistics(path, &of.run, &summary)?.0);
    Ok((RecoveredRun { of, requests, row, numbers }, seen.points(lasted)))
}

/// Where the window begins as far as rows tell: with the first measured request that has ended, since those
/// in flight have no row.
fn first_planned(path: &Path, of: &RunIdentity) -> Result<Option<Nanos>> {
    let mut start: Option<Nanos> = None;
    reader::scan(path, Some(&of.run), Fields::TIMES, |_, record| {
        if record.phase == Phase::Measured {
            start = Some(start.map_or(record.timeline.planned, |start| start.min(record.timeline.planned)));
        }
    })?;
    Ok(start)
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
    if let Some(plan) = begun.get("plan").and_then(Value::as_object) {
        objectives::note(&mut entry, plan.get("slo").and_then(Slo::from_json).as_ref());
        entry.insert("plan_hash".into(), cell_plan::hash(plan).into());
        entry.insert("plan".into(), Value::Object(plan.clone()));
    }
    let model = begun.get("row").and_then(|row| row.get("model")).cloned();
    let run_id = run.of.run_id();
    Folder::open(path)?.manifest(|map| {
        let runs = map.entry("runs").or_insert_with(|| json!([]));
        if let Some(runs) = runs.as_array_mut() {
            match runs.iter_mut().find(|run| run["run_id"] == *run_id) {
                // It was killed between this and its row.
                Some(known) => known["recovered"] = true.into(),
                None => runs.push(Value::Object(entry)),
            }
        }
        if let Some(model) = model {
            map.entry("model").or_insert(model);
        }
    })
}
