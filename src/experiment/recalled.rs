//! `rows`: what the runs of a folder came to, one wide row each: what `runs.parquet` says of them, their
//! numbers as columns, and the keys of vLLM's result, from which the CSV is made.

use super::recover;
use crate::error::Result;
use crate::stats::names::Name;
use crate::store::runs;
use crate::store::statistics::{self, Statistic};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;

type Row = Map<String, Value>;

/// One row for every run of a folder, of this version of the schema or of an earlier one. What a killed
/// process left is completed first.
pub fn rows(folder: &Path) -> Result<Vec<Row>> {
    let recovered = recover::recover(folder)?;
    let mut rows = kept(folder)?;
    // What could not be written, or else it is among those.
    let unwritten = recovered.runs.iter().filter(|_| recovered.unwritten.is_some());
    rows.extend(unwritten.map(|run| wide(&run.row, named(&run.numbers))));
    Ok(rows)
}

fn kept(folder: &Path) -> Result<Vec<Row>> {
    let runs = runs::rows(folder)?;
    if runs.iter().all(|run| !run.contains_key("run_id")) {
        // The first version had all of it in the same file.
        return Ok(runs);
    }
    let mut numbers: HashMap<String, Row> = HashMap::new();
    // The same names in every run: each is found once.
    let mut columns: HashMap<String, String> = HashMap::new();
    statistics::read(folder, |run_id, number| {
        if !number.part.is_empty() {
            return;
        }
        let name = format!("{}.{}", number.metric, number.statistic);
        let column = columns.entry(name).or_insert_with(|| column(&number)).clone();
        if !numbers.contains_key(run_id) {
            numbers.insert(run_id.to_string(), Row::new());
        }
        if let Some(of_run) = numbers.get_mut(run_id) {
            for (end, value) in [("low", number.low), ("high", number.high)] {
                if let Some(value) = value {
                    of_run.insert(format!("{column}_{end}"), json!(value));
                }
            }
            of_run.insert(column, json!(number.value));
        }
    })?;
    let of = |run: &Row| {
        let id = run.get("run_id").and_then(Value::as_str);
        id.and_then(|id| numbers.get(id)).cloned().unwrap_or_default()
    };
    Ok(runs.iter().map(|run| wide(run, of(run))).collect())
}

/// The column of a number: `ttft_ms_p99`.
fn column(number: &Statistic) -> String {
    let named = Name::parse(&format!("{}.{}", number.metric, number.statistic));
    named.map_or_else(|_| format!("{}_{}", number.metric, number.statistic), Name::column)
}

/// The numbers of a whole run, by the names of their columns.
fn named(numbers: &[Statistic]) -> Row {
    let whole = numbers.iter().filter(|number| number.part.is_empty());
    whole.map(|number| (column(number), json!(number.value))).collect()
}

/// `numbers`: by the names of their columns.
fn wide(run: &Row, numbers: Row) -> Row {
    let tags = run.get("tags").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut row = as_vllm(run, &numbers, &tags);
    let more = run.iter().filter(|(key, _)| *key != "tags" && *key != "parameters");
    for (key, value) in tags.iter().map(|(key, value)| (key, plain(value))).chain(more.map(owned)) {
        row.entry(key.clone()).or_insert(value);
    }
    for (key, value) in numbers {
        row.entry(key).or_insert(value);
    }
    row
}

fn owned<'a>((key, value): (&'a String, &Value)) -> (&'a String, Value) {
    (key, value.clone())
}

/// The keys of vLLM's result, in its order: see [`crate::stats::vllm`].
fn as_vllm(run: &Row, numbers: &Row, tags: &Row) -> Row {
    let of_run = |key: &str| run.get(key).cloned().unwrap_or_default();
    let number = |key: &str| numbers.get(key).and_then(Value::as_f64);
    let whole = |key: &str| json!(number(key).map(|number| number.round() as u64));
    let (requests, failed) = (number("requests_count"), number("errors_count"));
    let completed = requests.zip(failed).map(|(requests, failed)| requests - failed);
    let mut row = Map::new();
    let mut put = |key: &str, value: Value| drop(row.insert(key.to_string(), value));
    put("run", of_run("run"));
    put("date", of_run("date"));
    put("endpoint_type", of_run("api"));
    put("backend", of_run("backend"));
    put("label", tags.get("label").map_or(Value::Null, |label| Value::from(text(label))));
    put("model_id", of_run("model"));
    put("tokenizer_id", of_run("tokenizer"));
    let planned = run.get("planned_requests").filter(|planned| !planned.is_null());
    put("num_prompts", planned.cloned().unwrap_or_else(|| whole("requests_count")));
    let ours = ["burstiness", "backend", "label", "input_len", "output_len"];
    for (key, value) in tags.iter().filter(|(key, _)| !ours.contains(&key.as_str())) {
        put(key, plain(value));
    }
    let rate = of_run("request_rate");
    put("request_rate", if rate.is_null() { "inf".into() } else { rate });
    for key in ["burstiness", "max_concurrency"] {
        put(key, of_run(key));
    }
    let at = |key: &str| run.get(key).and_then(Value::as_i64);
    let seconds = at("window_start_ns").zip(at("last_end_ns")).map(|(start, end)| (end - start) as f64 / 1e9);
    let per_second =
        |amount: Option<f64>| json!(seconds.filter(|s| *s > 0.0).zip(amount).map(|(s, n)| n / s));
    // A result of another tool without requests keeps the rates that it was printed with.
    let printed = of_run("stopped_by") == "imported" && of_run("rows_written") == 0;
    let rate = |metric: &str, amount: Option<f64>| {
        let told =
            column(&Statistic { metric: metric.into(), statistic: "rate".into(), ..Statistic::default() });
        match number(&told).filter(|_| printed) {
            Some(told) => json!(told),
            None => per_second(amount),
        }
    };
    let tokens = |key: &str| number(key).unwrap_or_default();
    let (input, output) = (tokens("input_tokens_sum"), tokens("output_tokens_sum"));
    put("duration", json!(seconds));
    put("completed", json!(completed.map(|n| n as u64)));
    put("failed", json!(failed.map(|n| n as u64)));
    put("total_input_tokens", whole("input_tokens_sum"));
    put("total_output_tokens", whole("output_tokens_sum"));
    put("request_throughput", rate("requests", completed));
    put("request_goodput", per_second(number("goodput_count")));
    put("output_throughput", rate("output_tokens", Some(output)));
    put("total_token_throughput", rate("total_tokens", Some(input + output)));
    put("max_output_tokens_per_s", json!(number("peak_output_tokens_per_s")));
    put("max_concurrent_requests", whole("concurrency_max"));
    if let Some(seconds_of_sound) = number("audio_seconds_sum") {
        put("rtfx", per_second(Some(seconds_of_sound)));
    }
    for metric in super::vllm::metrics() {
        for (theirs, ours) in [("mean", "mean"), ("median", "p50"), ("std", "std"), ("p99", "p99")] {
            put(&format!("{theirs}_{metric}_ms"), json!(number(&format!("{metric}_ms_{ours}"))));
        }
    }
    row
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Lists and maps as text: a cell is one value.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => value.to_string().into(),
        value => value.clone(),
    }
}
