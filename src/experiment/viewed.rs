//! The numbers of runs by the definitions of a tool, made again from the rows of requests.

use super::aggregate::{self, RunRow};
use super::objectives::Objectives;
use super::part::Part;
use crate::error::Result;
use crate::record::{Fields, Record};
use crate::stats::Fold;
use crate::stats::view::{View, ViewStats};
use crate::store::reader;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Up to so many runs are read one by one, a long one on two threads; more in one pass over the folder.
const ONE_BY_ONE: usize = 4;

/// Hands over the numbers of each wanted run of a folder, one run in memory at a time, in the order of their
/// rows; the warnings are about what could not be read.
pub fn each_run(
    folder: &Path,
    wanted: &[&str],
    view: View,
    mut take: impl FnMut(&str, ViewStats),
) -> Result<Vec<String>> {
    let mut warnings: Vec<String> = Vec::new();
    let objectives = Objectives::read(folder);
    let start = |run: &str| ViewStats::with_limits(view, objectives.limits(run));
    if wanted.len() <= ONE_BY_ONE {
        for run in wanted {
            let (stats, told) = Part::default().fold(folder, run, start(run))?;
            warnings.extend(told.into_iter().filter(|one| !warnings.contains(one)).collect::<Vec<_>>());
            take(run, stats);
        }
        return Ok(warnings);
    }
    let mut open: Option<(String, ViewStats)> = None;
    let fields: Fields = ViewStats::new(view).fields();
    let each = |run: &str, record: &mut Record| {
        if open.as_ref().is_none_or(|(name, _)| name != run) {
            let next = (run.to_string(), start(run));
            if let Some((name, stats)) = open.replace(next)
                && wanted.contains(&name.as_str())
            {
                take(&name, stats);
            }
        }
        if let Some((_, stats)) = &mut open {
            stats.add(record);
        }
    };
    warnings.extend(reader::scan(folder, None, fields, each)?);
    if let Some((name, stats)) = open.filter(|(name, _)| wanted.contains(&name.as_str())) {
        take(&name, stats);
    }
    Ok(warnings)
}

/// Replaces the numbers of a row by those of a view.
pub fn put(of: &mut RunRow, columns: Map<String, Value>, view: View) {
    let count = |key: &str| columns.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (completed, nothing) = (count("completed"), count("completed") + count("failed") == 0);
    let mean = |key: &str| (completed > 0).then(|| count(key) as f64 / completed as f64);
    of.row.insert("prompt_tokens".into(), json!(mean("total_input_tokens")));
    of.row.insert("completion_tokens".into(), json!(mean("total_output_tokens")));
    // Percentiles that the folder has beside those of a view are by other definitions, and so are intervals.
    of.row.retain(|key, _| {
        !(aggregate::is_end_of_interval(key) || key.starts_with('p') && key.ends_with("_ms"))
    });
    for (key, value) in columns {
        if !key.ends_with("_count") {
            of.row.insert(key.clone(), value.clone());
        }
        of.run.insert(key, value);
    }
    let mut marks = text(aggregate::marks(&of.run, &of.row));
    if nothing {
        marks = format!("{marks} no_requests").trim().to_string();
    }
    of.row.insert("marks".into(), (!marks.is_empty()).then_some(marks).into());
    if view != View::Rampant {
        let (name, _) = View::ALL.into_iter().find(|(_, one)| *one == view).unwrap_or_default();
        of.row.insert("view".into(), name.into());
    }
}

pub fn text(value: Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}
