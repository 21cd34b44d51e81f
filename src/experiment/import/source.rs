//! Whose result a file is, by what is in it.

use super::found::Found;
use super::{aiperf, checked, guidellm, vllm};
use crate::error::{Error, Result};
use crate::stats::csv;
use serde_json::{Map, Value};
use std::path::Path;

/// The results in a file. Fails with a sentence that says what it was taken for.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Found>> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let cannot = |what: String| {
        Error::usage(format!("cannot import {}: {what}", path.display())).hint(
            "it takes the result JSON of vLLM's benchmark, GuideLLM's benchmarks.json, AIPerf's \
             profile_export.jsonl and profile_export_aiperf.json, and the CSV of `rampant aggregate`",
        )
    };
    let begin = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if begin.is_none() {
        return Err(cannot("it is empty".into()));
    }
    if !matches!(begin, Some(b'{' | b'[')) {
        let rows = csv::parse_csv(bytes).map_err(&cannot)?;
        let known = rows.first().is_some_and(|row| {
            ["request_throughput", "mean_ttft_ms", "output_throughput"]
                .iter()
                .any(|key| row.contains_key(*key))
        });
        if !known {
            return Err(cannot("it is neither JSON nor a CSV with columns such as mean_ttft_ms".into()));
        }
        return Ok(rows.into_iter().map(of_row).collect());
    }
    let mut values = Vec::new();
    let plain = checked::without_nan(bytes);
    for value in serde_json::Deserializer::from_slice(&plain).into_iter::<Value>() {
        let value = value.map_err(|error| {
            cannot(match error.is_eof() {
                true => format!("it ends within line {}, as a file does that was cut off", error.line()),
                false => format!("line {}: {error}", error.line()),
            })
        })?;
        match value {
            // A list of results.
            Value::Array(list) => values.extend(list),
            value => values.push(value),
        }
    }
    let maps: Option<Vec<Map<String, Value>>> = values
        .into_iter()
        .map(|value| match value {
            Value::Object(map) => Some(map),
            _ => None,
        })
        .collect();
    let maps = maps.ok_or_else(|| cannot("it holds other JSON than objects".into()))?;
    let Some(first) = maps.first() else { return Err(cannot("it is empty".into())) };
    if first.contains_key("benchmarks") {
        return guidellm::results(&stem, &maps[0]).map_err(cannot);
    }
    if first.contains_key("metadata") && first.contains_key("metrics") {
        let beside = path.with_file_name(format!("{stem}_aiperf.json"));
        let beside = std::fs::read(beside).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return Ok(vec![aiperf::result(&stem, &maps, beside.as_ref()).map_err(cannot)?]);
    }
    if aiperf::is_summary(first) {
        let results = maps.into_iter().map(|map| aiperf::summary(&stem, map));
        return results.collect::<std::result::Result<_, _>>().map_err(cannot);
    }
    let keys = |key: &str| first.contains_key(key) || first.contains_key(&format!("{key}:"));
    if keys("request_throughput") || keys("mean_ttft_ms") || keys("completed") {
        let stem =
            ["bench_", "vllm_"].iter().find_map(|of| stem.strip_prefix(of)).unwrap_or(&stem).to_string();
        let results = maps.into_iter().map(|map| vllm::result(&stem, map));
        return results.collect::<std::result::Result<_, _>>().map_err(cannot);
    }
    let keys: Vec<&str> = first.keys().map(String::as_str).take(5).collect();
    let keys =
        if keys.is_empty() { "no key".to_string() } else { format!("keys such as {}", keys.join(", ")) };
    Err(cannot(format!("no result of a tool that is known has {keys}")))
}

/// A row of the aggregated CSV.
fn of_row(row: Map<String, Value>) -> Found {
    let file = row.get("filename").and_then(Value::as_str).unwrap_or_default();
    let name = file.trim_end_matches(".json").trim_start_matches("bench_").to_string();
    let mut found = Found { tool: "csv", name, values: row, ..Found::default() };
    if found.name.is_empty() {
        let whole = |key: &str| found.values.get(key).and_then(Value::as_f64).map(|n| n.to_string());
        let parts = [whole("input_len"), whole("output_len"), whole("max_concurrency"), whole("num_prompts")];
        if let [Some(input), Some(output), Some(users), Some(prompts)] = parts {
            found.name = format!("io{input}x{output}_mc{users}_np{prompts}");
        }
    }
    found.date_of_values();
    found
}
