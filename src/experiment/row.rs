//! One run as a row of `runs.parquet`, and its numbers as rows of `statistics.parquet`.

use super::finished::{Finished, facts};
use super::part::{Label, Mark, Part};
use super::vllm;
use crate::error::Result;
use crate::run::Plan;
use crate::stats::counts::{CLASSES_MAX, Failed};
use crate::stats::report::Report;
use crate::stats::vllm::Meta;
use crate::stats::{Number, Summary};
use crate::store::RunIdentity;
use crate::store::statistics::Statistic;
use crate::store::writer::RowsWritten;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What the run was asked, what became of it, and what it is worth. Its numbers are in [`statistics`].
pub fn row(
    finished: &Finished,
    of: &RunIdentity,
    written: RowsWritten,
    parameters: Map<String, Value>,
) -> Map<String, Value> {
    let (plan, meta) = (&finished.plan, vllm::meta(finished));
    let mut row = asked(plan, meta, of, &finished.traffic_hash, parameters);
    row.insert("zero_at".into(), (finished.ended.zero_ms * 1_000).into());
    row.insert("last_end_ns".into(), finished.summary.last_end().into());
    row.insert("recovered".into(), false.into());
    row.insert("rows_written".into(), written.rows.into());
    row.insert("client_cpu_ms".into(), (finished.ended.health.cpu as f64 / 1e6).into());
    row.extend(facts(finished));
    row.extend(finished.summary.report().map(Report::columns).unwrap_or_default());
    row
}

/// What is known of a run before it begins.
pub fn asked(
    plan: &Plan,
    meta: Meta,
    of: &RunIdentity,
    traffic_hash: &str,
    parameters: Map<String, Value>,
) -> Map<String, Value> {
    let mut row = Map::new();
    of.put(&mut row);
    let mut put = |key: &str, value: Value| row.insert(key.into(), value);
    put("run_index", of.index.into());
    put("traffic", of.traffic.clone().into());
    put("traffic_hash", traffic_hash.into());
    put("target", plan.target.name.clone().into());
    put("api", meta.endpoint_type.into());
    put("backend", meta.backend.into());
    put("model", meta.model_id.into());
    put("tokenizer", meta.tokenizer_id.into());
    put("seed", plan.seed.to_string().into());
    put("salt", format!("{:016x}", plan.salt).into());
    put("arrivals", plan.arrivals.to_string().into());
    put("planned_requests", plan.requests.into());
    let duration = plan.duration.and_then(|duration| i64::try_from(duration.as_nanos()).ok());
    put("planned_duration_ns", duration.into());
    put("request_rate", meta.request_rate.filter(|rate| rate.is_finite()).into());
    put("burstiness", meta.burstiness.into());
    put("max_concurrency", meta.max_concurrency.into());
    put("ramp_up_strategy", meta.ramp.as_ref().map(|ramp| ramp.strategy.clone()).into());
    put("ramp_up_start_rps", meta.ramp.as_ref().map(|ramp| ramp.start_rps).into());
    put("ramp_up_end_rps", meta.ramp.as_ref().map(|ramp| ramp.end_rps).into());
    put("tags", Value::Object(plan.tags.clone()));
    put("parameters", Value::Object(parameters));
    put("date", meta.date.into());
    row
}

/// What the rows of a run say of it that was cut off.
pub fn found(summary: &Summary, zero_ms: i64, rows: u64) -> Map<String, Value> {
    let span = summary.span();
    let failures: Vec<String> = summary.failures().iter().map(Failed::to_string).collect();
    let Value::Object(map) = json!({
        "zero_ms": zero_ms,
        "zero_at": zero_ms * 1_000,
        "date": vllm::date(zero_ms),
        "window_start_ns": span.map(|(start, _)| start),
        "window_end_ns": span.map(|(_, end)| end),
        "last_end_ns": summary.last_end(),
        "stopped_by": "killed",
        "recovered": true,
        "failures": failures.join(", "),
        "rows_written": rows,
    }) else {
        unreachable!("a JSON object literal is an object")
    };
    map
}

/// The numbers of a run, as the rows that it gets in `statistics.parquet`.
pub fn statistics(summary: &Summary) -> Vec<Statistic> {
    statistics_of("", summary)
}

/// Those of each of its classes, where it has several: what `r.by("class")` says of them, from its rows on
/// disk. Beside it stand warnings about what could not be read.
pub fn class_statistics(folder: &Path, run: &str, whole: &Summary) -> Result<(Vec<Statistic>, Vec<String>)> {
    if !(2..=CLASSES_MAX).contains(&whole.tally().classes.len()) {
        return Ok((Vec::new(), Vec::new()));
    }
    let (mut classes, warnings) = Part::default().summaries(folder, run, Label::Class, whole)?;
    classes.sort_by_key(|(mark, _)| mark.value());
    let of = |(mark, summary): &(Mark, Summary)| statistics_of(&format!("class={}", mark.value()), summary);
    Ok((classes.iter().flat_map(of).collect(), warnings))
}

fn statistics_of(part: &str, summary: &Summary) -> Vec<Statistic> {
    let row = |number: Number| Statistic {
        part: part.to_string(),
        metric: number.metric,
        statistic: number.statistic,
        unit: number.unit.symbol().to_string(),
        value: number.estimate.value,
        low: number.estimate.low(),
        high: number.estimate.high(),
        n: Some(number.estimate.n),
        mark: number.estimate.mark.map(|mark| mark.name().to_string()),
    };
    summary.all_numbers().into_iter().map(row).collect()
}
