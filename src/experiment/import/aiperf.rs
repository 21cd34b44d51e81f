//! AIPerf's `profile_export.jsonl`, one line a request with its metrics, and its
//! `profile_export_aiperf.json`, the numbers of the run.

use super::checked::At;
use super::found::Found;
use super::reply::{Told, spread};
use crate::stats::Fold;
use crate::stats::view::{View, ViewStats};
use serde_json::{Map, Value, json};

/// `beside`: the numbers of the run, where their file stands beside this one; they tell the model.
pub fn result(stem: &str, lines: &[Map<String, Value>], beside: Option<&Value>) -> Result<Found, String> {
    let mut told: Vec<(i64, Told)> = Vec::new();
    let mut spread_out = false;
    for (i, line) in lines.iter().enumerate() {
        let line = Value::Object(line.clone());
        let one = request(&At::new(&line, format!("line {}", i + 1)))?;
        spread_out |= one.as_ref().is_some_and(|(_, _, spread)| *spread);
        told.extend(one.map(|(start, one, _)| (start, one)));
    }
    told.sort_by_key(|(start, _)| *start);
    let first = told.first().map_or(0, |(start, _)| *start);
    let completed = told.iter().filter(|(_, one)| one.error.is_none()).count();
    let text = |key: &str| lines.iter().find_map(|line| line.get("metadata")?.get(key)?.as_str());
    let mut values = Map::new();
    values.insert("backend".into(), "aiperf".into());
    if let Some(model) = text("model_name") {
        values.insert("model_id".into(), model.into());
    }
    if let Some(whole) = beside {
        asked(&At::new(whole, ""), &mut values)?;
    }
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
    let mut stats = ViewStats::new(View::Aiperf);
    records.iter().for_each(|record| stats.add(record));
    stats.close(None);
    for (key, value) in stats.columns() {
        if !key.ends_with("_count") {
            values.entry(key).or_insert(value);
        }
    }
    let note = "it does not tell each chunk: those between the first and the last stand evenly apart";
    Ok(Found {
        tool: "aiperf",
        name: stem.to_string(),
        began_ms: (first > 0).then_some(first / 1_000_000),
        values,
        records,
        note: spread_out.then(|| note.to_string()),
    })
}

/// Whether a map is the numbers of a run.
pub fn is_summary(map: &Map<String, Value>) -> bool {
    map.contains_key("aiperf_version")
        || map.contains_key("input_config") && map.get("request_latency").is_some_and(Value::is_object)
}

/// The numbers of a run, which has no single requests.
pub fn summary(stem: &str, map: Map<String, Value>) -> Result<Found, String> {
    let whole = Value::Object(map);
    let of = At::new(&whole, "");
    let mut values = Map::new();
    values.insert("backend".into(), "aiperf".into());
    asked(&of, &mut values)?;
    let number = |metric: &str, part: &str| {
        of.below(&[&format!("/{metric}/{part}")]).map(|at| at.number()).transpose()
    };
    let completed = number("request_count", "avg")?;
    let failed = number("error_request_count", "avg")?.unwrap_or_default();
    let sums = [
        ("total_input_tokens", number("total_isl", "avg")?),
        ("total_output_tokens", number("total_osl", "avg")?),
        ("completed", completed),
        ("failed", Some(failed)),
        ("num_prompts", completed.map(|completed| completed + failed)),
    ];
    for (key, value) in sums {
        values.insert(key.into(), value.map(|value| value.round() as u64).into());
    }
    for (ours, theirs) in [
        ("duration", "benchmark_duration"),
        ("request_throughput", "request_throughput"),
        ("request_goodput", "goodput"),
        ("output_throughput", "output_token_throughput"),
        ("total_token_throughput", "total_token_throughput"),
    ] {
        values.insert(ours.into(), json!(number(theirs, "avg")?));
    }
    for (ours, theirs) in
        [("ttft", "time_to_first_token"), ("itl", "inter_token_latency"), ("e2el", "request_latency")]
    {
        let unit = of.below(&[&format!("/{theirs}/unit")]).map_or(1.0, |unit| seconds_of(unit.value) * 1e3);
        let statistics = [("mean", "avg"), ("median", "p50"), ("std", "std"), ("p90", "p90"), ("p99", "p99")];
        for (statistic, part) in statistics {
            let value = number(theirs, part)?.map(|value| value * unit);
            values.insert(format!("{statistic}_{ours}_ms"), json!(value));
        }
    }
    let began = of.below(&["/start_time"]).and_then(|at| {
        let read = chrono::NaiveDateTime::parse_from_str(at.value.as_str()?, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        let local = chrono::TimeZone::from_local_datetime(&chrono::Local, &read).earliest()?;
        Some(local.timestamp_millis())
    });
    Ok(Found { tool: "aiperf", name: stem.to_string(), began_ms: began, values, ..Found::default() })
}

/// What was to be run: the model, and how much at once.
fn asked(of: &At, values: &mut Map<String, Value>) -> Result<(), String> {
    let model = ["/input_config/models/items/0/name", "/input_config/endpoint/model_names/0"];
    if let Some(model) = of.below(&model) {
        values.insert("model_id".into(), model.text().into());
    }
    let phases = of.below(&["/input_config/phases/0", "/input_config/loadgen", "/input_config/load"]);
    for (ours, theirs) in [("max_concurrency", "/concurrency"), ("request_rate", "/request_rate")] {
        let number = phases.as_ref().and_then(|load| load.below(&[theirs])).filter(|at| at.value.is_number());
        if let Some(number) = number {
            values.insert(ours.into(), number.value.clone());
        }
    }
    Ok(())
}

/// A unit of time in seconds; 1 where it is none.
fn seconds_of(unit: &Value) -> f64 {
    match unit.as_str() {
        Some("ns") => 1e-9,
        Some("us") => 1e-6,
        Some("ms") => 1e-3,
        _ => 1.0,
    }
}

/// When a request began (nanoseconds since 1970), what is known of it, and whether the times of its chunks
/// are not; `None` for one of the warm-up.
fn request(line: &At) -> Result<Option<(i64, Told, bool)>, String> {
    let phase = line.below(&["/metadata/benchmark_phase"]);
    if phase.is_some_and(|phase| phase.value == "warmup") {
        return Ok(None);
    }
    let nanos =
        |key: &str| line.below(&[key]).map(|at| at.moment(1e-9).map(|_| at.value.as_i64())).transpose();
    let start = line.needed(&["/metadata/request_start_ns"])?;
    start.moment(1e-9)?;
    let start = start.value.as_i64().ok_or_else(|| format!("`{}` must be a whole number", start.key))?;
    let metric = |name: &str| line.below(&[&format!("/metrics/{name}/value")]);
    let unit =
        |name: &str| line.below(&[&format!("/metrics/{name}/unit")]).map_or(1.0, |at| seconds_of(at.value));
    let time = |name: &str| metric(name).map(|at| at.seconds(unit(name))).transpose();
    let count = |name: &str| metric(name).map(|at| at.count()).transpose();
    let output = match count("output_sequence_length")? {
        Some(n) => Some(n),
        None => count("output_token_count")?,
    };
    let (ttft, latency) = (time("time_to_first_token")?, time("request_latency")?);
    let gaps = metric("inter_chunk_latency");
    let spread_out = ttft.is_some() && gaps.is_none() && output.is_some_and(|n| n > 1);
    let events = match (ttft, gaps) {
        (Some(ttft), Some(gaps)) => {
            let mut events = vec![ttft];
            for gap in gaps.entries()? {
                events.push(events[events.len() - 1] + gap.seconds(unit("inter_chunk_latency"))?);
            }
            events
        }
        (Some(ttft), None) => spread(ttft, latency.unwrap_or(ttft).max(ttft), output.unwrap_or(2)),
        (None, _) => Vec::new(),
    };
    let error = line.below(&["/error"]);
    let words = |error: At| error.below(&["/message"]).unwrap_or(error).text();
    let end = nanos("/metadata/request_end_ns")?.flatten();
    let told = Told {
        events: if error.is_none() { events } else { Vec::new() },
        end: end.map(|end| (end - start) as f64 / 1e9).or(latency),
        input: count("input_sequence_length")?,
        output,
        error: error.map(words),
        id: line.below(&["/metadata/x_request_id"]).map(|id| id.text()).unwrap_or_default(),
        turn: line.below(&["/metadata/turn_index"]).map(|at| at.count()).transpose()?.unwrap_or_default()
            as u32,
        ..Told::default()
    };
    Ok(Some((start, told, spread_out)))
}
