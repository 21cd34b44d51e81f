//! Rows of many results folders together: filtered, by the definitions of a tool, repeats folded.

use super::aggregate::{self, RunRow};
use super::chosen::Wanted;
use super::repeats::Cells;
use super::viewed::{self, put};
use crate::error::{Error, Result};
use crate::stats::view::{View, ViewStats};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

type Row = Map<String, Value>;

/// Of so many runs that are not wanted it is kept what they are, for a hint where none is left.
const LEFT_OUT_MAX: usize = 200;

/// How rows are made.
#[derive(Debug, Clone, Default)]
pub struct Gathering {
    pub wanted: Wanted,
    pub view: View,
    /// Runs of the same cell become one row, made of all their requests.
    pub fold_repeats: bool,
}

/// The rows, and warnings.
#[derive(Debug, Default)]
pub struct Gathered {
    pub rows: Vec<Row>,
    pub warnings: Vec<String>,
}

/// One row for each wanted run of the folders, or for each of their cells. Fails when no run is left.
pub fn gather(folders: &[PathBuf], how: &Gathering) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut cells = Cells::of(how.view);
    let mut left_out: Vec<Row> = Vec::new();
    for folder in folders {
        let runs = aggregate::runs(folder);
        // Of many folders one may hold a run that was cut off: it is told, and the others are not lost.
        let mut runs = match runs {
            Err(error) if folders.len() > 1 => {
                gathered.warnings.push(format!("left out {}", error.message));
                continue;
            }
            runs => runs?,
        };
        if gathered.rows.is_empty() && left_out.len() < LEFT_OUT_MAX {
            left_out.extend(runs.iter().filter(|run| !how.wanted.takes(&run.run)).map(|run| run.run.clone()));
        }
        runs.retain(|run| how.wanted.takes(&run.run));
        if how.fold_repeats {
            cells.add_folder(folder, runs, &mut gathered.warnings)?;
        } else {
            if how.view != View::Rampant {
                view_runs(folder, &mut runs, how.view, &mut gathered.warnings)?;
            }
            gathered.rows.extend(runs.into_iter().map(|run| run.row));
        }
    }
    gathered.rows.extend(cells.rows(&mut gathered.warnings)?);
    if gathered.rows.is_empty() {
        let model = how.wanted.model.iter().map(|model| format!("the model {model}"));
        let tags = how.wanted.tags.iter().map(|(key, value)| format!("{key}={value}"));
        let asked: Vec<String> = model.chain(tags).collect();
        let told = match &gathered.warnings[..] {
            [first, ..] => format!("there is no run to aggregate: {first}"),
            [] => format!("no run of {} results folders has {}", folders.len(), asked.join(" and ")),
        };
        return Err(Error::usage(told).hint(how.wanted.hint(&left_out)));
    }
    Ok(gathered)
}

/// Puts the numbers of a view over those of the rows.
fn view_runs(folder: &Path, runs: &mut [RunRow], view: View, warnings: &mut Vec<String>) -> Result<()> {
    let names: Vec<String> = runs.iter().map(|run| run.name().to_string()).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen: HashMap<String, Row> = HashMap::new();
    let durations: HashMap<&str, Option<f64>> = runs.iter().map(|run| (run.name(), run.seconds())).collect();
    let told = viewed::each_run(folder, &wanted, view, |run, mut stats| {
        stats.close(durations.get(run).copied().flatten());
        seen.insert(run.to_string(), stats.columns());
    })?;
    warnings.extend(told);
    for (run, name) in runs.iter_mut().zip(&names) {
        let columns = seen.remove(name).unwrap_or_else(|| ViewStats::new(view).columns());
        put(run, columns, view);
    }
    Ok(())
}
