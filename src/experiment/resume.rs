//! `Resumed`: the results folder of an earlier invocation of the same command, in which this one goes on.

use super::cell_plan::{CellPlan, Difference};
use super::program::Program;
use super::recalled;
use super::recover::{self, Recovered};
use super::switches::Switches;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::store::folder;
use crate::store::{Folder, RunIdentity, identity, parts, reader, schema, superseded};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

type Row = Map<String, Value>;

/// Where in a results folder the plans of its sweeps are.
pub const PLANS: &str = "plans.json";

/// What is told of a value that differs; more is left out.
const VALUE_SHOWN: usize = 60;

/// Values that are told of two invocations that differ.
const DIFFERENCES_SHOWN: usize = 3;

/// An earlier invocation's folder, locked, and completed where its process was killed.
pub struct Resumed {
    pub folder: Arc<Folder>,
    pub seed: Option<u64>,
    pub salt: u64,
    /// Number of the next run.
    pub next_run: u32,
    /// What was completed.
    pub recovered: Recovered,
    parameters: Row,
    plans: Vec<CellPlan>,
    /// Rows of its runs, by their names.
    runs: HashMap<String, Row>,
    /// Rows of requests that are there, by the places of their runs.
    rows: HashMap<u64, u64>,
    /// How often a run of this name was measured and put aside.
    earlier: Mutex<HashMap<String, u64>>,
}

/// What there is of a cell.
#[derive(Debug)]
pub enum Found {
    New,
    /// It need not be measured again; its row.
    Whole(Row),
    CutOff(Row, CutOff),
}

/// Why what there is of a run is not all of it.
#[derive(Debug, Clone, PartialEq)]
pub enum CutOff {
    Killed,
    Interrupted,
    /// It ended early; the sentence says why.
    Early(String),
    NothingSucceeded,
    /// So many of its rows are there.
    Rows {
        there: u64,
        of: u64,
    },
}

impl Resumed {
    /// Opens and completes it. Fails when there is none, when somebody is writing there, and when another command, or
    /// another version, made it.
    pub fn open(named: &str, program: &Program, switches: &Switches, host: &Host) -> Result<Resumed> {
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
        Ok(Resumed {
            folder: Arc::new(folder),
            seed: manifest.get("seed_switch").and_then(Value::as_u64),
            salt: u64::from_str_radix(text("salt"), 16).unwrap_or_default(),
            next_run,
            recovered,
            parameters: manifest.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default(),
            plans,
            runs: runs
                .into_iter()
                .filter_map(|row| Some((row.get("run")?.as_str()?.to_string(), row)))
                .collect(),
            rows,
            earlier: Mutex::new(earlier(&manifest)),
        })
    }

    /// What there is of each cell. Fails, and says what differs, when the cells are not those of the folder.
    /// `parameters`: as the script read them.
    pub fn cells(&self, planned: &[CellPlan], parameters: &Row) -> Result<Vec<Found>> {
        if let Some(told) = self.difference(planned) {
            let told = self.changed(parameters).unwrap_or(told);
            let told = format!("cannot go on in {}: {told}", self.folder.path().display());
            let kept = "the plan that it began with is in its folder `script`; without --resume a new folder is begun";
            return Err(Error::usage(told).hint(kept));
        }
        Ok(planned.iter().map(|plan| self.found(&plan.name)).collect())
    }

    fn difference(&self, planned: &[CellPlan]) -> Option<String> {
        let names: HashSet<&str> = planned.iter().map(|plan| plan.name.as_str()).collect();
        let kept: HashMap<&str, &CellPlan> =
            self.plans.iter().map(|plan| (plan.name.as_str(), plan)).collect();
        if let Some(gone) = self.plans.iter().find(|plan| !names.contains(plan.name.as_str())) {
            return Some(format!("it was to measure {}, which is not asked for now", gone.name));
        }
        planned.iter().find_map(|plan| match kept.get(plan.name.as_str()) {
            None => Some(format!("{} was not asked for then", plan.name)),
            Some(kept) => kept.difference(plan).map(|Difference { key, was, is }| {
                format!("`{key}` of {} was {} and is {} now", plan.name, shown(&was), shown(&is))
            }),
        })
    }

    /// The parameters that are not what they were.
    fn changed(&self, parameters: &Row) -> Option<String> {
        let differ = |(key, is): (&String, &Value)| {
            let was = self.parameters.get(key)?;
            (was != is).then(|| format!("`{key}` was {} and is {} now", shown(was), shown(is)))
        };
        let told: Vec<String> = parameters.iter().filter_map(differ).take(DIFFERENCES_SHOWN).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn found(&self, name: &str) -> Found {
        let Some(row) = self.runs.get(name) else { return Found::New };
        match self.cut_off(row) {
            Some(why) => Found::CutOff(row.clone(), why),
            None => Found::Whole(row.clone()),
        }
    }

    fn cut_off(&self, row: &Row) -> Option<CutOff> {
        let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or_default();
        let stopped_by = row.get("stopped_by").and_then(Value::as_str).unwrap_or_default();
        let (there, of) =
            (self.rows.get(&number("run_index")).copied().unwrap_or_default(), number("rows_written"));
        if row.get("recovered") == Some(&Value::Bool(true)) {
            Some(CutOff::Killed)
        } else if stopped_by == "interrupted" {
            Some(CutOff::Interrupted)
        } else if let Some(why) = stopped_by.strip_prefix("ended early: ") {
            Some(CutOff::Early(why.to_string()))
        } else if number("completed") == 0 {
            Some(CutOff::NothingSucceeded)
        } else {
            (there < of).then_some(CutOff::Rows { there, of })
        }
    }

    /// Puts what was measured of a cell aside, so that it can be measured again; `file`: the result of its own that lies in the
    /// folder. Returns where, relative to the folder.
    pub fn put_aside(&self, row: &Row, why: String, file: Option<String>) -> Result<PathBuf> {
        let path = self.folder.path();
        let of = RunIdentity::from_row(row)
            .ok_or_else(|| Error::run(format!("cannot go on in {}: a run has no name", path.display())))?;
        let place = superseded::folder(Path::new(""), of.index);
        let entry = json!({
            "name": of.run,
            "run_id": of.run_id(),
            "index": of.index,
            "requests": row.get("rows_written"),
            "why": why,
            "folder": place.display().to_string(),
        });
        self.folder.manifest(|map| {
            let run_id = of.run_id();
            let is_its = |entry: &Value| entry["run_id"] == *run_id;
            if let Some(runs) = map.get_mut("runs").and_then(Value::as_array_mut) {
                runs.retain(|run| !is_its(run));
            }
            let aside = map.entry("superseded").or_insert_with(|| json!([]));
            if let Some(aside) = aside.as_array_mut().filter(|aside| !aside.iter().any(is_its)) {
                aside.push(entry);
            }
        })?;
        superseded::put_aside(path, &of, file.as_slice())?;
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        *earlier.entry(of.run.clone()).or_default() += 1;
        Ok(place)
    }

    /// How often a run of this name was begun before.
    pub fn earlier(&self, name: &str) -> u64 {
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.get(name).copied().unwrap_or_default()
    }
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

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
