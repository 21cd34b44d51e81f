//! `Cells`: runs of the same cell as one row, made of all their requests.

use super::aggregate::RunRow;
use super::part::Part;
use super::viewed::{self, put, text};
use crate::error::Result;
use crate::stats::metric::Metric;
use crate::stats::names::{Name, Statistic};
use crate::stats::pool::{Pooled, spread};
use crate::stats::view::{View, ViewStats};
use crate::stats::{Fold, Summary, Window};
use crate::store::identity::cell_of_name;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

type Row = Map<String, Value>;

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
pub struct Cells {
    view: View,
    places: HashMap<String, usize>,
    cells: Vec<Cell>,
}

#[derive(Default)]
struct Cell {
    /// Each with its folder.
    runs: Vec<(PathBuf, RunRow)>,
    /// By the definitions of another tool: all requests so far.
    pooled: Option<ViewStats>,
    /// The values of [`SPREAD`] of each repeat.
    each: Vec<Row>,
}

impl Cells {
    pub fn of(view: View) -> Cells {
        Cells { view, places: HashMap::new(), cells: Vec::new() }
    }

    pub fn add_folder(&mut self, folder: &Path, runs: Vec<RunRow>, warnings: &mut Vec<String>) -> Result<()> {
        let names: Vec<String> = runs.iter().map(|run| run.name().to_string()).collect();
        let durations: Vec<Option<f64>> = runs.iter().map(RunRow::seconds).collect();
        let places: Vec<usize> = runs.into_iter().map(|run| self.place(folder, run)).collect();
        // Our own numbers are made when all repeats are known: most cells have one, and keep theirs.
        if self.view == View::Rampant {
            return Ok(());
        }
        let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let told = viewed::each_run(folder, &wanted, self.view, |run, mut stats| {
            let Some(at) = names.iter().position(|name| name == run) else { return };
            stats.close(durations[at]);
            let cell = &mut self.cells[places[at]];
            cell.each.push(stats.columns());
            match &mut cell.pooled {
                Some(pooled) => pooled.merge(stats),
                None => cell.pooled = Some(stats),
            }
        })?;
        warnings.extend(told);
        Ok(())
    }

    fn place(&mut self, folder: &Path, run: RunRow) -> usize {
        let tags = run.tags.iter().map(String::as_str);
        let parts = SAME.iter().copied().chain(tags).map(|key| match run.run.get(key) {
            cell if key == "cell" => {
                json!(cell.and_then(Value::as_str).unwrap_or_else(|| cell_of_name(run.name())))
            }
            value => json!(value),
        });
        let key = Value::Array(parts.collect()).to_string();
        let place = *self.places.entry(key).or_insert_with(|| {
            self.cells.push(Cell::default());
            self.cells.len() - 1
        });
        self.cells[place].runs.push((folder.to_path_buf(), run));
        place
    }

    /// One row a cell.
    pub fn rows(self, warnings: &mut Vec<String>) -> Result<Vec<Row>> {
        self.cells.into_iter().map(|cell| cell.row(self.view, warnings)).collect()
    }
}

impl Cell {
    fn row(mut self, view: View, warnings: &mut Vec<String>) -> Result<Row> {
        let repeats = self.runs.len();
        let joined = |key: &str| {
            let mut all: Vec<String> = Vec::new();
            for (_, run) in &self.runs {
                let value = run.row.get(key).cloned().map(text).unwrap_or_default();
                if !value.is_empty() && !all.contains(&value) {
                    all.push(value);
                }
            }
            all
        };
        let (dirs, verdicts, marks) =
            (joined("result_dir").join(" "), joined("verdict"), joined("marks").join(" "));
        let number = |(_, run): &(PathBuf, RunRow)| run.row.get("num_prompts")?.as_u64();
        let prompts: u64 = self.runs.iter().filter_map(number).sum();
        let mut further = Row::new();
        let mut no_requests = false;
        let pooled = match view {
            // One run keeps the numbers that it has.
            View::Rampant if repeats == 1 => None,
            View::Rampant => {
                let (columns, beside) = self.pool(warnings)?;
                no_requests = columns.get("ttft_count") == columns.get("e2el_count")
                    && columns.get("e2el_count").and_then(Value::as_u64) == Some(0);
                further = beside;
                Some(columns)
            }
            view => Some(self.pooled.take().unwrap_or_else(|| ViewStats::new(view)).columns()),
        };
        if repeats > 1 {
            spread_of(&mut further, &self.each);
        }
        let (_, mut first) = self.runs.swap_remove(0);
        if let Some(columns) = pooled {
            put(&mut first, columns, view);
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
        if no_requests && !words.iter().any(|word| word == "no_requests") {
            words.push("no_requests".into());
        }
        words.retain(|word| !word.is_empty());
        row.insert("marks".into(), (!words.is_empty()).then(|| words.join(" ")).into());
        row.insert("repeats".into(), repeats.into());
        row.extend(further);
        Ok(row)
    }

    /// Our own numbers of all repeats together as [`ViewStats::columns`] has them; beside them the ends of
    /// their intervals, and what the requests of one repeat alone would let expect of their spread.
    fn pool(&mut self, warnings: &mut Vec<String>) -> Result<(Row, Row)> {
        let mut summaries = Vec::new();
        for (folder, run) in &self.runs {
            let at = |key: &str| run.run.get(key).and_then(Value::as_f64).map(|ns| ns as i64);
            let window = at("window_start_ns").zip(at("window_end_ns"));
            let window = window.map_or(Window::UNKNOWN, |(start, end)| Window::Over { start, end });
            let fold = Part::default().fold(folder, run.name(), Summary::new(window, None, false))?;
            let (mut summary, told) = fold;
            summary.close();
            warnings.extend(told.into_iter().filter(|one| !warnings.contains(one)).collect::<Vec<_>>());
            summaries.push(summary);
        }
        self.each = self.runs.iter().map(|(_, run)| run.row.clone()).collect();
        let all: Vec<&Summary> = summaries.iter().collect();
        let (mut columns, mut beside) = (self.sums(), Row::new());
        let mut put = |columns: &mut Row, column: &str, pooled: &Pooled, own_value: bool| {
            if own_value {
                columns.insert(column.into(), json!(pooled.estimate.value));
            }
            if let Some(interval) = pooled.estimate.interval {
                beside.insert(format!("{column}_low"), json!(interval.low));
                beside.insert(
                    format!("{column}_high"),
                    json!(Some(interval.high).filter(|high| high.is_finite())),
                );
            }
            if SPREAD.contains(&column) {
                beside.insert(format!("{column}_std_within"), json!(pooled.within));
            }
        };
        for metric in Metric::OF_VLLM {
            let name = metric.name();
            for (theirs, statistic) in [
                ("mean", Statistic::Mean),
                ("median", Statistic::Percentile(50.0)),
                ("std", Statistic::Std),
                ("p99", Statistic::Percentile(99.0)),
            ] {
                let pooled = Pooled::of(&all, Name::new(metric, statistic));
                put(&mut columns, &format!("{theirs}_{name}_ms"), &pooled, true);
                columns.insert(format!("{name}_count"), json!(pooled.estimate.n));
            }
        }
        // Their values are the sums by the time: what was asked for in the window, as in the row of one run.
        for (column, metric) in [
            ("request_throughput", Metric::Requests),
            ("output_throughput", Metric::OutputTokens),
            ("total_token_throughput", Metric::TotalTokens),
        ] {
            put(&mut columns, column, &Pooled::of(&all, Name::new(metric, Statistic::Rate)), false);
        }
        Ok((columns, beside))
    }

    /// Counts and times of all repeats, and the rates that follow from them.
    fn sums(&self) -> Row {
        let of = |key: &str| {
            let values = self.runs.iter().map(|(_, run)| run.row.get(key)?.as_f64());
            values.map(Option::unwrap_or_default).sum::<f64>()
        };
        let mut row = Row::new();
        let seconds = Some(of("duration")).filter(|seconds| *seconds > 0.0);
        row.insert("duration".into(), json!(seconds));
        for key in ["completed", "failed", "total_input_tokens", "total_output_tokens"] {
            row.insert(key.into(), json!(of(key) as u64));
        }
        let good =
            |(_, run): &(PathBuf, RunRow)| Some(run.row.get("request_goodput")?.as_f64()? * run.seconds()?);
        let good: Option<Vec<f64>> = self.runs.iter().map(good).collect();
        let (input, output) = (of("total_input_tokens"), of("total_output_tokens"));
        for (key, amount) in [
            ("request_throughput", Some(of("completed"))),
            ("request_goodput", good.map(|good| good.into_iter().sum())),
            ("output_throughput", Some(output)),
            ("total_token_throughput", Some(input + output)),
        ] {
            row.insert(key.into(), json!(amount.zip(seconds).map(|(amount, seconds)| amount / seconds)));
        }
        row
    }
}

/// Least, most and standard deviation between repeats.
fn spread_of(row: &mut Row, each: &[Row]) {
    for key in SPREAD {
        let values: Vec<f64> = each.iter().filter_map(|one| one.get(key)?.as_f64()).collect();
        let some = |value: Option<f64>| value.filter(|_| values.len() > 1);
        row.insert(format!("{key}_min"), json!(some(values.iter().copied().reduce(f64::min))));
        row.insert(format!("{key}_max"), json!(some(values.iter().copied().reduce(f64::max))));
        row.insert(format!("{key}_std_between"), json!(spread(&values)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_between_the_repeats() {
        let each = [10.0, 12.0, 14.0].map(|value| {
            let mut row = Row::new();
            row.insert("mean_ttft_ms".into(), json!(value));
            row
        });
        let mut row = Row::new();
        spread_of(&mut row, &each);
        assert_eq!((&row["mean_ttft_ms_min"], &row["mean_ttft_ms_max"]), (&json!(10.0), &json!(14.0)));
        assert_eq!(row["mean_ttft_ms_std_between"], json!(2.0));
        assert_eq!(row["p99_ttft_ms_min"], Value::Null);
    }
}
