//! AIPerf's `profile_export.jsonl`: one line a request, with its metrics.

use super::found::Found;
use super::reply::{Told, spread};
use serde_json::{Map, Value, json};

pub fn result(stem: &str, lines: &[Map<String, Value>]) -> Found {
    let mut told: Vec<(i64, Told)> = lines.iter().filter_map(request).collect();
    told.sort_by_key(|(start, _)| *start);
    let first = told.first().map_or(0, |(start, _)| *start);
    let spread_out = lines.iter().any(|line| metric(line, "inter_chunk_latency").is_none());
    let completed = told.iter().filter(|(_, one)| one.error.is_none()).count();
    let text = |key: &str| lines.iter().find_map(|line| line["metadata"].get(key)?.as_str());
    let mut values = Map::new();
    values.insert("backend".into(), "aiperf".into());
    values.insert("model_id".into(), text("model_name").unwrap_or_default().into());
    values.insert("num_prompts".into(), told.len().into());
    values.insert("completed".into(), json!(completed));
    values.insert("failed".into(), json!(told.len() - completed));
    let records: Vec<_> = told
        .into_iter()
        .enumerate()
        .map(|(seq, (start, one))| {
            Told { seq: seq as u64, start: (start - first) as f64 / 1e9, ..one }.record()
        })
        .collect();
    let mut stats = crate::stats::view::ViewStats::new(crate::stats::view::View::Aiperf);
    records.iter().for_each(|record| crate::stats::Fold::add(&mut stats, record));
    stats.close(None);
    for (key, value) in stats.columns() {
        if !key.ends_with("_count") {
            values.entry(key).or_insert(value);
        }
    }
    let note = "it does not tell each chunk: those between the first and the last stand evenly apart";
    Found {
        tool: "aiperf",
        name: stem.to_string(),
        began_ms: (first > 0).then_some(first / 1_000_000),
        values,
        records,
        note: spread_out.then(|| note.to_string()),
    }
}

/// A metric of a request, in seconds where it is a time.
fn metric<'a>(line: &'a Map<String, Value>, name: &str) -> Option<(&'a Value, f64)> {
    let metric = line["metrics"].get(name)?;
    let unit = match metric.get("unit").and_then(Value::as_str) {
        Some("ns") => 1e-9,
        Some("us") => 1e-6,
        Some("ms") => 1e-3,
        _ => 1.0,
    };
    Some((metric.get("value")?, unit))
}

fn request(line: &Map<String, Value>) -> Option<(i64, Told)> {
    let about = &line["metadata"];
    let whole = |key: &str| about.get(key).and_then(Value::as_i64);
    // The warm-up is no part of the result.
    if about.get("benchmark_phase").and_then(Value::as_str).is_some_and(|phase| phase == "warmup") {
        return None;
    }
    let start = whole("request_start_ns")?;
    let time = |name: &str| metric(line, name).and_then(|(value, unit)| Some(value.as_f64()? * unit));
    let count = |name: &str| metric(line, name).and_then(|(value, _)| value.as_f64()).map(|n| n as u64);
    let output = count("output_sequence_length").or(count("output_token_count"));
    let (ttft, latency) = (time("time_to_first_token"), time("request_latency"));
    let events = match (ttft, metric(line, "inter_chunk_latency")) {
        (Some(ttft), Some((Value::Array(gaps), unit))) => {
            let mut at = ttft;
            let later = gaps.iter().filter_map(Value::as_f64).map(|gap| {
                at += gap * unit;
                at
            });
            let later: Vec<f64> = later.collect();
            std::iter::once(ttft).chain(later).collect()
        }
        (Some(ttft), _) => spread(ttft, latency.unwrap_or(ttft), output.unwrap_or(2)),
        (None, _) => Vec::new(),
    };
    let error = line.get("error").filter(|error| !error.is_null());
    let words = |error: &Value| {
        error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), String::from)
    };
    let told = Told {
        events: if error.is_none() { events } else { Vec::new() },
        end: whole("request_end_ns").map(|end| (end - start) as f64 / 1e9).or(latency),
        input: count("input_sequence_length"),
        output,
        error: error.map(words),
        id: about.get("x_request_id").and_then(Value::as_str).unwrap_or_default().into(),
        turn: whole("turn_index").unwrap_or_default().max(0) as u32,
        ..Told::default()
    };
    Some((start, told))
}
