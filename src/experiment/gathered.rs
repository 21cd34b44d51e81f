//! Rows of many results folders together: filtered, by the definitions of a tool, repeats folded.

use super::aggregate::{self, RunRow};
use super::chosen::Wanted;
use super::viewed;
use crate::error::{Error, Result};
use crate::stats::view::{View, ViewStats};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

type Row = Map<String, Value>;

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
    let mut cells = Cells::default();
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
        runs.retain(|run| how.wanted.takes(&run.run));
        if how.fold_repeats {
            cells.add_folder(folder, runs, how.view, &mut gathered.warnings)?;
        } else {
            if how.view != View::Rampant {
                view_runs(folder, &mut runs, how.view, &mut gathered.warnings)?;
            }
            gathered.rows.extend(runs.into_iter().map(|run| run.row));
        }
    }
    gathered.rows.extend(cells.rows(how.view));
    if gathered.rows.is_empty() {
        let model = how.wanted.model.iter().map(|model| format!("the model {model}"));
        let tags = how.wanted.tags.iter().map(|(key, value)| format!("{key}={value}"));
        let asked: Vec<String> = model.chain(tags).collect();
        let told = match &gathered.warnings[..] {
            [first, ..] => format!("there is no run to aggregate: {first}"),
            [] => format!("no run of {} results folders has {}", folders.len(), asked.join(" and ")),
        };
        return Err(Error::usage(told).hint("name other folders, or leave --tag or --model out"));
    }
    Ok(gathered)
}

fn name_of(run: &Row) -> &str {
    run.get("run").and_then(Value::as_str).unwrap_or_default()
}

/// Puts the numbers of a view over those of the rows.
fn view_runs(folder: &Path, runs: &mut [RunRow], view: View, warnings: &mut Vec<String>) -> Result<()> {
    let names: Vec<String> = runs.iter().map(|run| name_of(&run.run).to_string()).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen: HashMap<String, Row> = HashMap::new();
    let durations: HashMap<&str, Option<f64>> =
        runs.iter().map(|run| (name_of(&run.run), duration(&run.run))).collect();
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

fn duration(run: &Row) -> Option<f64> {
    run.get("duration").and_then(Value::as_f64)
}

/// Replaces the numbers of a row by those of a view.
fn put(of: &mut RunRow, columns: Row, view: View) {
    let count = |key: &str| columns.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (completed, nothing) = (count("completed"), count("completed") + count("failed") == 0);
    let mean = |key: &str| (completed > 0).then(|| count(key) as f64 / completed as f64);
    of.row.insert("prompt_tokens".into(), json!(mean("total_input_tokens")));
    of.row.insert("completion_tokens".into(), json!(mean("total_output_tokens")));
    // Percentiles that the folder has beside those of a view are by other definitions.
    of.row.retain(|key, _| !(key.starts_with('p') && key.ends_with("_ms")));
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

fn text(value: Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

/// What repeats are told apart from other runs by.
const SAME: [&str; 12] = [
    "model_id",
    "tokenizer_id",
    "backend",
    "target",
    "num_prompts",
    "request_rate",
    "burstiness",
    "max_concurrency",
    "input_len",
    "output_len",
    "traffic_hash",
    "cell",
];

/// The columns whose spread over the repeats is shown.
const SPREAD: [&str; 9] = [
    "request_throughput",
    "output_throughput",
    "total_token_throughput",
    "mean_ttft_ms",
    "p99_ttft_ms",
    "mean_tpot_ms",
    "mean_itl_ms",
    "p99_itl_ms",
    "mean_e2el_ms",
];

/// Runs by their cells.
#[derive(Default)]
struct Cells {
    places: HashMap<String, usize>,
    cells: Vec<Cell>,
}

struct Cell {
    runs: Vec<RunRow>,
    pooled: Option<ViewStats>,
    /// The values of [`SPREAD`] of each repeat.
    each: Vec<Row>,
}

impl Cells {
    fn add_folder(
        &mut self,
        folder: &Path,
        runs: Vec<RunRow>,
        view: View,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let names: Vec<String> = runs.iter().map(|run| name_of(&run.run).to_string()).collect();
        let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let durations: Vec<Option<f64>> = runs.iter().map(|run| duration(&run.run)).collect();
        let places: Vec<usize> = runs.into_iter().map(|run| self.place(run)).collect();
        let told = viewed::each_run(folder, &wanted, view, |run, mut stats| {
            let Some(at) = names.iter().position(|name| name == run) else { return };
            stats.close(durations[at]);
            let cell = &mut self.cells[places[at]];
            cell.each.push(stats.columns());
            match &mut cell.pooled {
                Some(pooled) => crate::stats::Fold::merge(pooled, stats),
                None => cell.pooled = Some(stats),
            }
        })?;
        warnings.extend(told);
        Ok(())
    }

    fn place(&mut self, run: RunRow) -> usize {
        let tags = run.tags.iter().map(String::as_str);
        let parts = SAME.iter().copied().chain(tags).map(|key| match run.run.get(key) {
            cell if key == "cell" => {
                let cell = cell.and_then(Value::as_str).unwrap_or(name_of(&run.run));
                json!(without_repeat(cell))
            }
            value => json!(value),
        });
        let key = Value::Array(parts.collect()).to_string();
        let place = *self.places.entry(key).or_insert_with(|| {
            self.cells.push(Cell { runs: Vec::new(), pooled: None, each: Vec::new() });
            self.cells.len() - 1
        });
        self.cells[place].runs.push(run);
        place
    }

    fn rows(self, view: View) -> impl Iterator<Item = Row> {
        self.cells.into_iter().map(move |cell| cell.row(view))
    }
}

/// `io8x8_mc1_np10_r2` is a repeat of `io8x8_mc1_np10`.
fn without_repeat(name: &str) -> &str {
    let repeat = name.rsplit_once("_r").filter(|(_, number)| number.parse::<u32>().is_ok());
    repeat.map_or(name, |(cell, _)| cell)
}

impl Cell {
    fn row(self, view: View) -> Row {
        let repeats = self.runs.len();
        let joined = |key: &str| {
            let mut all: Vec<String> = Vec::new();
            for run in &self.runs {
                let value = run.row.get(key).cloned().map(text).unwrap_or_default();
                if !value.is_empty() && !all.contains(&value) {
                    all.push(value);
                }
            }
            all
        };
        let (dirs, verdicts) = (joined("result_dir").join(" "), joined("verdict"));
        let marks = joined("marks").join(" ");
        let prompts: u64 = self.runs.iter().filter_map(|run| run.row.get("num_prompts")?.as_u64()).sum();
        let mut runs = self.runs.into_iter();
        let mut first = runs.next().expect("a cell is made for its first run");
        let pooled = self.pooled.unwrap_or_else(|| ViewStats::new(view)).columns();
        // One run keeps the numbers that it has, unless they are asked for by other definitions.
        if repeats > 1 || view != View::Rampant {
            put(&mut first, pooled, view);
        }
        let mut row = first.row;
        row.insert("num_prompts".into(), prompts.into());
        row.insert("result_dir".into(), dirs.into());
        // A row is as good as the worst of its runs.
        let worst = verdicts.iter().find(|verdict| *verdict != "valid").or(verdicts.first());
        row.insert("verdict".into(), worst.cloned().into());
        let own = text(row.get("marks").cloned().unwrap_or_default());
        let others = verdicts.iter().filter(|verdict| Some(*verdict) != worst && *verdict != "valid");
        let mut words: Vec<String> = own.split(' ').map(String::from).collect();
        // What is too little for one repeat may be enough for all.
        let of_runs = marks.split(' ').filter(|mark| !mark.starts_with('~')).map(String::from);
        for word in others.cloned().chain(of_runs) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.retain(|word| !word.is_empty());
        row.insert("marks".into(), (!words.is_empty()).then(|| words.join(" ")).into());
        row.insert("repeats".into(), repeats.into());
        if repeats > 1 {
            spread(&mut row, &self.each);
        }
        row
    }
}

/// Least, most and standard deviation between repeats (of the sample: there are few).
fn spread(row: &mut Row, each: &[Row]) {
    for key in SPREAD {
        let values: Vec<f64> = each.iter().filter_map(|one| one.get(key)?.as_f64()).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let some = |value: f64| (values.len() > 1).then_some(value);
        row.insert(format!("{key}_min"), json!(some(values.iter().copied().fold(f64::INFINITY, f64::min))));
        row.insert(
            format!("{key}_max"),
            json!(some(values.iter().copied().fold(f64::NEG_INFINITY, f64::max))),
        );
        row.insert(format!("{key}_std_between"), json!(some((squares / (n - 1.0)).sqrt())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_by_its_name() {
        assert_eq!(without_repeat("io8x8_mc1_np10_r2"), "io8x8_mc1_np10");
        assert_eq!(without_repeat("io8x8_mc1_np10"), "io8x8_mc1_np10");
        assert_eq!(without_repeat("x_rate"), "x_rate");
    }

    #[test]
    fn the_spread_is_between_the_repeats() {
        let each = [10.0, 12.0, 14.0].map(|value| {
            let mut row = Row::new();
            row.insert("mean_ttft_ms".into(), json!(value));
            row
        });
        let mut row = Row::new();
        spread(&mut row, &each);
        assert_eq!((&row["mean_ttft_ms_min"], &row["mean_ttft_ms_max"]), (&json!(10.0), &json!(14.0)));
        assert_eq!(row["mean_ttft_ms_std_between"], json!(2.0));
        assert_eq!(row["p99_ttft_ms_min"], Value::Null);
    }
}
