//! GuideLLM's `benchmarks.json`: one result a benchmark, with its requests.

use super::checked::At;
use super::found::Found;
use super::reply::{Told, spread};
use serde_json::{Map, Value, json};

pub fn results(stem: &str, map: &Map<String, Value>) -> Result<Vec<Found>, String> {
    let benchmarks = At::new(map.get("benchmarks").unwrap_or(&Value::Null), "benchmarks").entries()?;
    benchmarks.iter().enumerate().map(|(i, of)| result(stem, i, of)).collect()
}

fn result(stem: &str, place: usize, of: &At) -> Result<Found, String> {
    if of.below(&["/requests", "/metrics"]).is_none() {
        return Err(format!("`{}` has neither `requests` nor `metrics`", of.key));
    }
    let mut told: Vec<(f64, Told)> = Vec::new();
    for (list, failed) in [("successful", false), ("errored", true), ("incomplete", true)] {
        if let Some(requests) = of.below(&[&format!("/requests/{list}")]) {
            for request in requests.entries()? {
                told.extend(request_of(&request, failed)?);
            }
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
    let model =
        of.below(&["/config/backend/model", "/benchmarker/backend/model", "/config/model", "/args/model"]);
    let number = |name: &str, part: &str| {
        let found = of.below(&[&format!("/metrics/{name}/successful/{part}")]);
        found.map(|at| at.number()).transpose()
    };
    let asked = |paths: &[&str]| of.below(paths).map(|at| at.number()).transpose();
    let (streams, rate) = (asked(&["/config/strategy/streams"])?, asked(&["/config/strategy/rate"])?);
    // Without requests it is known from what it says of them.
    let total = |status: &str| asked(&[&format!("/metrics/request_totals/{status}")]);
    let (all_completed, all_failed) = (total("successful")?, total("errored")?);
    let mut values = Map::new();
    let mut put = |key: &str, value: Value| values.insert(key.into(), value);
    put("backend", "guidellm".into());
    put("model_id", model.map(|model| model.text()).into());
    put("max_concurrency", streams.map(|n| n as u64).into());
    put("request_rate", rate.map_or("inf".into(), |rate| json!(rate)));
    let known = !told.is_empty();
    let count = |listed: usize, told: Option<f64>| told.filter(|_| !known).map_or(listed, |n| n as usize);
    let (completed, failed) = (count(completed, all_completed), count(told.len() - completed, all_failed));
    put("num_prompts", (completed + failed).into());
    put("completed", completed.into());
    put("failed", failed.into());
    let seconds = if known { seconds } else { asked(&["/duration"])?.unwrap_or_default() };
    let per_second = |amount: f64| (seconds > 0.0).then(|| amount / seconds);
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
            put(&format!("{statistic}_{ours}_ms"), json!(number(theirs, part)?.map(|value| value * unit)));
        }
    }
    let records: Vec<_> = told
        .into_iter()
        .enumerate()
        .map(|(seq, (start, one))| Told { seq: seq as u64, start: start - first, ..one }.record())
        .collect();
    let note =
        "it tells the first and the last token of a request: those between stand evenly apart".to_string();
    let began = if known { Some(first) } else { asked(&["/start_time"])? };
    Ok(Found {
        tool: "guidellm",
        name: if place == 0 { stem.to_string() } else { format!("{stem}-{}", place + 1) },
        began_ms: began.filter(|first| *first > 0.0).map(|first| (first * 1e3) as i64),
        values,
        note: (!records.is_empty()).then_some(note),
        records,
    })
}

/// When it began (seconds since 1970), and what is known of it; `None`: it never left.
fn request_of(request: &At, failed: bool) -> Result<Option<(f64, Told)>, String> {
    let moment = |paths: &[&str]| request.below(paths).map(|at| at.moment(1.0)).transpose();
    let paths =
        ["/info/timings/request_start", "/scheduler_info/request_timings/request_start", "/start_time"];
    let start = match (moment(&paths)?, failed) {
        (Some(start), _) => start,
        (None, true) => return Ok(None),
        (None, false) => return Err(request.needed(&paths).err().unwrap_or_default()),
    };
    let end =
        moment(&["/info/timings/request_end", "/scheduler_info/request_timings/request_end", "/end_time"])?;
    let first = moment(&[
        "/info/timings/first_token_iteration",
        "/info/timings/first_iteration",
        "/first_token_time",
    ])?;
    let last =
        moment(&["/info/timings/last_token_iteration", "/info/timings/last_iteration", "/last_token_time"])?;
    let count = |paths: &[&str]| request.below(paths).map(|at| at.count()).transpose();
    let output = count(&["/output_tokens", "/output_metrics/text_tokens", "/output_metrics/total_tokens"])?;
    let times = count(&["/info/timings/token_iterations", "/info/timings/iterations"])?;
    let times = times.filter(|n| *n > 0).or(output).unwrap_or(2).max(1);
    let since = |at: Option<f64>, key: &str| match at.map(|at| at - start) {
        Some(s) => {
            At::new(&json!(s), format!("{}.{key} since its start", request.key)).seconds(1.0).map(Some)
        }
        None => Ok(None),
    };
    let (first, last, end) = (since(first, "first token")?, since(last, "last token")?, since(end, "end")?);
    let events = first.zip(last).map(|(first, last)| spread(first, last.max(first), times));
    let error = request.below(&["/info/error", "/error"]).map(|error| error.text());
    let told = Told {
        events: events.filter(|_| !failed).unwrap_or_default(),
        end,
        input: count(&["/prompt_tokens", "/input_metrics/text_tokens", "/input_metrics/total_tokens"])?,
        output,
        error: failed.then(|| error.unwrap_or_else(|| "failed, without a word".into())),
        id: request.below(&["/request_id"]).map(|id| id.text()).unwrap_or_default(),
        text: request.below(&["/output"]).and_then(|text| text.value.as_str()).map(String::from),
        ..Told::default()
    };
    Ok(Some((start, told)))
}
