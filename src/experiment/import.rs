//! `rampant import`: results of other tools as a results folder.

mod aiperf;
mod checked;
mod found;
mod guidellm;
mod reply;
mod source;
mod vllm;

use crate::error::{Error, Result};
use crate::os;
use crate::record::Record;
use crate::stats::{Summary, Window};
use crate::store::folder::{self, short_model_name};
use crate::store::manifest::{sha256, versions};
use crate::store::statistics::{RunNumbers, Statistic};
use crate::store::{Folder, KnownRows, RunIdentity, identity, runs, statistics, tables};
use chrono::TimeZone;
use found::Found;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What an import made.
#[derive(Debug, Default)]
pub struct Imported {
    pub folder: PathBuf,
    pub experiment_id: String,
    pub runs: usize,
    pub requests: usize,
    /// The folder was there: the same files were imported before.
    pub before: bool,
    pub notes: Vec<String>,
}

/// Reads the files and puts their results into one folder below `parent`. The folder's id follows from what is
/// in the files: importing them again finds it.
pub fn import(files: &[PathBuf], parent: &Path) -> Result<Imported> {
    let mut found: Vec<Found> = Vec::new();
    let mut read = Vec::new();
    for path in files {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::usage(format!("cannot read {}: {}", path.display(), os::file::plain(&error)))
        })?;
        let results = source::read(path, &bytes)?;
        if results.is_empty() {
            return Err(Error::usage(format!("{} holds no result", path.display())));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        read.push((name, sha256(&bytes), results[0].tool));
        found.extend(results);
    }
    let mut hashes: Vec<&str> = read.iter().map(|(_, hash, _)| hash.as_str()).collect();
    hashes.sort_unstable();
    let hash = sha256(hashes.join("\n"));
    let began_ms = found.iter().filter_map(|one| one.began_ms).min().unwrap_or_default();
    let experiment_id = identity::new_id(began_ms, chance(&hash));
    let mut imported = Imported { experiment_id, runs: found.len(), ..Imported::default() };
    if let Some(there) = imported_before(parent, &imported.experiment_id)? {
        return Ok(Imported { folder: there, before: true, ..imported });
    }
    let model = found.iter().find_map(|one| one.text("model_id")).unwrap_or_default();
    let began = chrono::Local.timestamp_millis_opt(began_ms).single().unwrap_or_default();
    let folder =
        Folder::create(parent, &short_model_name(&model), &began.format("%Y%m%d_%H%M%S").to_string())?;
    let name = folder.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let sources: Vec<Value> =
        read.iter().map(|(file, hash, tool)| json!({"file": file, "sha256": hash, "tool": tool})).collect();
    let about = json!({
        "experiment_id": imported.experiment_id,
        "folder": name,
        "versions": versions(),
        "started_ms": began_ms,
        "started": began.to_rfc3339(),
        "model": model,
        "imported": {"at_ms": os::wall() / 1_000_000, "files": sources},
        "runs": [],
    });
    folder.manifest(|map| map.extend(about.as_object().cloned().unwrap_or_default()))?;
    let mut names: Vec<String> = Vec::new();
    let mut entries = Vec::new();
    let mut requests = KnownRows::new(folder.path());
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for (index, mut one) in found.into_iter().enumerate() {
        let run = free(&one.run_name(), &mut names);
        let of = RunIdentity {
            experiment_id: imported.experiment_id.clone(),
            folder: name.clone(),
            index: index as u32,
            cell: identity::cell_of_name(&run).to_string(),
            traffic: run.clone(),
            run,
        };
        imported.requests += one.records.len();
        imported.notes.extend(one.note.take().map(|note| format!("{}: {note}", of.run)));
        if one.records.is_empty() {
            imported.notes.push(format!(
                "{}: it has no single requests: a row of the run alone, no view and no series",
                of.run
            ));
        }
        entries.push(json!({"name": of.run, "index": index, "tags": one.tags(), "zero_ms": one.began_ms}));
        let zero_ms = one.began_ms.unwrap_or_default();
        requests.add(&of, zero_ms, &one.records)?;
        let (row, of_run) = told(&of, &one);
        rows.push(row);
        numbers.push((of, zero_ms, of_run));
    }
    requests.finish()?;
    runs::append_all(folder.path(), &rows)?;
    let runs: Vec<_> = numbers.iter().map(|(of, zero_ms, _)| (of, *zero_ms)).collect();
    tables::make_absent(folder.path(), &runs)?;
    let numbers = numbers.iter().map(|(of, zero_ms, numbers)| RunNumbers { of, zero_ms: *zero_ms, numbers });
    statistics::append_all(folder.path(), &numbers.collect::<Vec<_>>())?;
    folder.manifest(|map| {
        map.insert("runs".into(), entries.into());
        map.insert("ended_ms".into(), (os::wall() / 1_000_000).into());
        map.insert("exit_code".into(), 0.into());
    })?;
    imported.folder = folder.path().to_path_buf();
    Ok(imported)
}

/// The row of a run, and its numbers.
fn told(of: &RunIdentity, one: &Found) -> (Map<String, Value>, Vec<Statistic>) {
    let zero_ms = one.began_ms.unwrap_or_default();
    // What the file says of its time is by its tool's definition, as are its throughputs.
    let told = one.seconds().map(|seconds| (seconds * 1e9).round() as i64);
    let summary = (!one.records.is_empty()).then(|| summed(&one.records, told));
    let mut row = runs::blank(of);
    row.extend(one.row());
    let window = summary.as_ref().and_then(Summary::span).or(told.map(|told| (0, told)));
    row.insert("window_start_ns".into(), window.map(|(start, _)| start).into());
    row.insert("window_end_ns".into(), window.map(|(_, end)| end).into());
    row.insert("last_end_ns".into(), window.map(|(_, end)| end).into());
    row.insert("zero_ms".into(), zero_ms.into());
    row.insert("zero_at".into(), (zero_ms * 1_000).into());
    row.insert("stopped_by".into(), "imported".into());
    row.insert("rows_written".into(), one.records.len().into());
    // No run of ours: nobody watched the client that made it.
    let marks = one.text("marks").unwrap_or_default();
    let remarks: Vec<&str> = std::iter::once("imported").chain(marks.split_whitespace()).collect();
    row.insert("remarks".into(), remarks.join(",").into());
    let numbers = match &summary {
        Some(summary) => super::row::statistics(summary),
        None => one.numbers(),
    };
    (row, numbers)
}

/// `told`: how long the run took, as the file says, unless its requests took longer.
fn summed(records: &[Record], told: Option<i64>) -> Summary {
    let start = records.iter().map(|record| record.timeline.planned).min().unwrap_or_default();
    let last = records.iter().map(|record| record.timeline.end).max().unwrap_or_default();
    let end = told.map(|told| start + told).filter(|end| *end >= last);
    let window = end.map_or(Window::UNKNOWN, |end| Window::Over { start, end });
    let mut summary = Summary::new(window, None, false);
    records.iter().for_each(|record| summary.add(record));
    summary.close();
    summary
}

/// A name that no other run has.
fn free(wanted: &str, names: &mut Vec<String>) -> String {
    let mut name = wanted.to_string();
    for n in 2.. {
        if !names.contains(&name) {
            break;
        }
        name = format!("{wanted}-{n}");
    }
    names.push(name.clone());
    name
}

fn chance(hash: &str) -> [u8; 10] {
    let mut chance = [0; 10];
    for (byte, digits) in chance.iter_mut().zip(hash.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(&String::from_utf8_lossy(digits), 16).unwrap_or_default();
    }
    chance
}

/// The folder into which the same files went before.
fn imported_before(parent: &Path, experiment_id: &str) -> Result<Option<PathBuf>> {
    let same = |path: &PathBuf| {
        let manifest = Folder::open(path).and_then(|folder| folder.read_manifest()).unwrap_or_default();
        manifest.get("exit_code").is_some() && identity::experiment_id(&manifest) == experiment_id
    };
    Ok(folder::look(parent)?.found.into_iter().map(|found| found.path).find(same))
}

#[cfg(test)]
mod tests;
