//! `open`: the results folder of an earlier invocation is opened, locked and completed, to go on in it.

use super::cell_plan::CellPlan;
use super::program::Program;
use super::recalled;
use super::recover::{self, Recovered};
use super::resume::{PLANS, Resumed};
use super::switches::Switches;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::store::folder;
use crate::store::{Folder, identity, parts, reader, schema, superseded};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

type Row = Map<String, Value>;

/// Opens and completes the folder that is to be gone on in; beside it, what was completed. Fails when there
/// is none, when somebody is writing there, and when another command, or another version, made it.
pub fn open(
    named: &str,
    program: &Program,
    switches: &Switches,
    host: &Host,
) -> Result<(Resumed, Recovered)> {
    let parent = switches.results(host);
    let path = match named {
        "" => newest(&parent, program)?,
        name if parent.join(name).is_dir() => parent.join(name),
        name => host.cwd().join(name),
    };
    let folder = Folder::open(&path)?;
    let manifest = folder.read_manifest()?;
    let cannot = |why: String| Error::usage(format!("cannot go on in {}: {why}", path.display()));
    if !is_of(&manifest, program) {
        let made_by = match manifest.get("script").and_then(|script| script["name"].as_str()) {
            Some(file) if file.ends_with(".rhai") => format!("`rampant run {file}`"),
            Some(name) => format!("`rampant {name}`"),
            None => "something else".into(),
        };
        return Err(cannot(format!("{made_by} made it, and not `rampant {}`", program.name)));
    }
    let version = manifest.get("versions").and_then(|versions| versions["schema"].as_u64());
    let plans = plans(&path);
    if version != Some(schema::VERSION.into()) || plans.is_empty() {
        let error = cannot("the rampant that made it did not note what it was to measure".into());
        return Err(error.hint("begin a new folder, without --resume"));
    }
    let folder = Folder::open_to_write(&path)?;
    let recovered = recover::complete(&path)?;
    let runs = recalled::rows(&path)?;
    let mut rows: HashMap<u64, u64> = HashMap::new();
    for part in parts::list(&path)?.live {
        *rows.entry(part.run.into()).or_default() += reader::rows_of(&part).unwrap_or_default();
    }
    let index = |row: &Row| row.get("run_index").and_then(Value::as_u64);
    let there = runs.iter().filter_map(index).chain(rows.keys().copied());
    let aside = superseded::runs_there(&path).into_iter().map(u64::from);
    let next_run = there.chain(aside).max().map_or(0, |last| last as u32 + 1);
    let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default();
    let resumed = Resumed {
        folder: Arc::new(folder),
        seed: manifest.get("seed_switch").and_then(Value::as_u64),
        salt: u64::from_str_radix(text("salt"), 16).unwrap_or_default(),
        next_run,
        parameters: manifest.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default(),
        plans,
        runs: runs.into_iter().filter_map(|row| Some((row.get("run")?.as_str()?.to_string(), row))).collect(),
        rows,
        earlier: Mutex::new(earlier(&manifest)),
    };
    Ok((resumed, recovered))
}

/// How often each run was put aside before.
fn earlier(manifest: &Row) -> HashMap<String, u64> {
    let mut earlier: HashMap<String, u64> = HashMap::new();
    for entry in manifest.get("superseded").and_then(Value::as_array).into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default();
        *earlier.entry(name.to_string()).or_default() += 1;
    }
    earlier
}

/// Whether the program made the folder of this manifest.
fn is_of(manifest: &Row, program: &Program) -> bool {
    let name = manifest.get("script").and_then(|script| script["name"].as_str());
    name == Some(&program.name) && manifest.contains_key(identity::EXPERIMENT_ID)
}

/// The newest folder that the program made.
fn newest(parent: &Path, program: &Program) -> Result<PathBuf> {
    let listing = folder::look(parent)?;
    let mine = listing.found.into_iter().find(|found| {
        let manifest = Folder::open(&found.path).and_then(|folder| folder.read_manifest());
        manifest.is_ok_and(|manifest| is_of(&manifest, program))
    });
    mine.map(|found| found.path).ok_or_else(|| {
        let told = format!(
            "cannot go on: there is no results folder of `rampant {}` in {}",
            program.name,
            parent.display()
        );
        Error::usage(told).hint("name one, or begin without --resume")
    })
}

/// The plans of the sweeps of a folder; none when there is no such file, or it is no list of plans.
fn plans(folder: &Path) -> Vec<CellPlan> {
    let text = std::fs::read_to_string(folder.join("script").join(PLANS)).unwrap_or_default();
    let plans: Value = serde_json::from_str(&text).unwrap_or_default();
    let plans = plans.as_array().into_iter().flatten().map(CellPlan::from_json);
    plans.collect::<Option<Vec<_>>>().unwrap_or_default()
}
