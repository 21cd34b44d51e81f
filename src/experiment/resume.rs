//! `Resumed`: the results folder of an earlier invocation of the same command, in which this one goes on.

use super::cell_plan::{CellPlan, Difference};
use crate::error::{Error, Result};
use crate::store::{Folder, RunIdentity, superseded};
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
    /// As the script of the earlier invocation read them.
    pub parameters: Row,
    pub plans: Vec<CellPlan>,
    /// Rows of its runs, by their names.
    pub runs: HashMap<String, Row>,
    /// Rows of requests that are there, by the places of their runs.
    pub rows: HashMap<u64, u64>,
    /// How often a run of this name was measured and put aside.
    pub earlier: Mutex<HashMap<String, u64>>,
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

    /// Puts what was measured of a cell aside, so that it can be measured again; `file`: the result of its
    /// own that lies in the folder. Returns where, relative to the folder.
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

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
