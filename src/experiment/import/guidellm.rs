//! GuideLLM's `benchmarks.json`: one result a benchmark, with its requests.

use super::found::Found;
use super::reply::{Told, spread};
use serde_json::{Map, Value, json};

pub fn results(stem: &str, map: &Map<String, Value>) -> Result<Vec<Found>, String> {
    let benchmarks = map["benchmarks"].as_array().ok_or("`benchmarks` is no list")?;
    Ok(benchmarks.iter().enumerate().map(|(i, of)| result(stem, i, of)).collect())
}

/// The first value that is there, at one of several places.
fn at<'a>(value: &'a Value, paths: &[&str]) -> Option<&'a Value> {
    paths.iter().find_map(|path| value.pointer(path).filter(|found| !found.is_null()))
}

fn result(stem: &str, place: usize, of: &Value) -> Found {
    let mut told: Vec<(f64, Told)> = Vec::new();
    for (list, failed) in [("successful", false), ("errored", true), ("incomplete", true)] {
        let requests = of.pointer(&format!("/requests/{list}")).and_then(Value::as_array);
        for request in requests.into_iter().flatten() {
            told.extend(request_of(request, failed));
        }
    }
    told.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = told.first().map_or(0.0, |(start, _)| *start);
    let completed = told.iter().filter(|(_, one)| one.error.is_none()).count();
    let sum = |of: fn(&Told) -> Option<u64>| -> u64 {
        told.iter().filter(|(_, one)| one.error.is_none()).filter_map(|(_, one)| of(one)).sum()
    };
    let (input, output) = (sum(|one| one.input), sum(|one| one.output));
    let last = told.iter().map(|(start, one)| start + one.end.unwrap_or_default()).fold(first, f64::max);
    let seconds = last - first;
    let per_second = |amount: f64| (seconds > 0.0).then(|| amount / seconds);
    let model =
        at(of, &["/config/backend/model", "/benchmarker/backend/model", "/config/model", "/args/model"]);
    let metrics = "/metrics";
    let number = |name: &str, part: &str| {
        let path = format!("{metrics}/{name}/successful/{part}");
        of.pointer(&path).and_then(Value::as_f64)
    };
    let mut values = Map::new();
    let mut put = |key: &str, value: Value| values.insert(key.into(), value);
    put("backend", "guidellm".into());
    put("model_id", model.cloned().unwrap_or_default());
    put("num_prompts", told.len().into());
    put("completed", completed.into());
    put("failed", (told.len() - completed).into());
    put("duration", json!(Some(seconds).filter(|s| *s > 0.0)));
    put("total_input_tokens", input.into());
    put("total_output_tokens", output.into());
    put("request_throughput", json!(per_second(completed as f64)));
    put("output_throughput", json!(per_second(output as f64)));
    put("total_token_throughput", json!(per_second((input + output) as f64)));
    let latencies = [
        ("ttft", "time_to_first_token_ms", 1.0),
        ("tpot", "time_per_output_token_ms", 1.0),
        ("itl", "inter_token_latency_ms", 1.0),
        ("e2el", "request_latency", 1e3),
    ];
    for (ours, theirs, unit) in latencies {
        for (statistic, part) in
            [("mean", "mean"), ("median", "median"), ("std", "std_dev"), ("p99", "percentiles/p99")]
        {
            put(&format!("{statistic}_{ours}_ms"), json!(number(theirs, part).map(|value| value * unit)));
        }
    }
    let records: Vec<_> = told
        .into_iter()
        .enumerate()
        .map(|(seq, (start, one))| Told { seq: seq as u64, start: start - first, ..one }.record())
        .collect();
    let note =
        "it tells the first and the last token of a request: those between stand evenly apart".to_string();
    Found {
        tool: "guidellm",
        name: if place == 0 { stem.to_string() } else { format!("{stem}-{}", place + 1) },
        began_ms: (first > 0.0).then_some((first * 1e3) as i64),
        values,
        note: (!records.is_empty()).then_some(note),
        records,
    }
}

/// When it began (seconds since 1970), and what is known of it.
fn request_of(request: &Value, failed: bool) -> Option<(f64, Told)> {
    let seconds = |paths: &[&str]| at(request, paths).and_then(Value::as_f64);
    let start = seconds(&[
        "/info/timings/request_start",
        "/scheduler_info/request_timings/request_start",
        "/start_time",
    ])?;
    let end =
        seconds(&["/info/timings/request_end", "/scheduler_info/request_timings/request_end", "/end_time"]);
    let first = seconds(&[
        "/info/timings/first_token_iteration",
        "/info/timings/first_iteration",
        "/first_token_time",
    ]);
    let last =
        seconds(&["/info/timings/last_token_iteration", "/info/timings/last_iteration", "/last_token_time"]);
    let whole = |paths: &[&str]| at(request, paths).and_then(Value::as_u64);
    let output = whole(&["/output_tokens", "/output_metrics/text_tokens", "/output_metrics/total_tokens"]);
    let times =
        whole(&["/info/timings/token_iterations", "/info/timings/iterations"]).or(output).unwrap_or(2);
    let events = first.zip(last).map(|(first, last)| spread(first - start, last - start, times.max(1)));
    let error = at(request, &["/info/error", "/error"]).map(|error| match error {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let told = Told {
        events: events.filter(|_| !failed).unwrap_or_default(),
        end: end.map(|end| end - start),
        input: whole(&["/prompt_tokens", "/input_metrics/text_tokens", "/input_metrics/total_tokens"]),
        output,
        error: failed.then(|| error.unwrap_or_else(|| "failed, without a word".into())),
        id: at(request, &["/request_id"]).and_then(Value::as_str).unwrap_or_default().into(),
        text: at(request, &["/output"]).and_then(Value::as_str).map(String::from),
        ..Told::default()
    };
    Some((start, told))
}
