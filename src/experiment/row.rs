//! One run as a row of `runs.parquet`.

use super::finished::{Finished, facts};
use super::vllm;
use crate::stats::report::Report;
use crate::stats::vllm::VllmResult;
use crate::store::writer::RowsWritten;
use serde_json::{Map, Value};

/// The keys of vLLM's JSON first, then what the aggregated CSV needs beside them, then every
/// other number of the summary, then facts of the run.
pub fn row(finished: &Finished, index: u32, written: RowsWritten) -> Map<String, Value> {
    let plan = &finished.plan;
    let mut row = Map::new();
    row.insert("run".into(), plan.name.clone().into());
    row.insert("run_index".into(), index.into());
    row.extend(VllmResult::new(&finished.summary, vllm::meta(finished)).into_map());
    for (key, value) in &plan.tags {
        row.entry(key.clone()).or_insert_with(|| plain(value));
    }
    row.insert("target".into(), plan.target.name.clone().into());
    row.insert("traffic".into(), plan.traffic.clone().into());
    row.insert("traffic_hash".into(), finished.traffic_hash.clone().into());
    row.insert("seed".into(), plan.seed.to_string().into());
    row.insert("salt".into(), format!("{:016x}", plan.salt).into());
    for (key, value) in finished.summary.columns() {
        row.entry(key).or_insert_with(|| value.into());
    }
    row.extend(facts(finished));
    row.insert("rows_written".into(), written.rows.into());
    row.insert("client_cpu_ms".into(), (finished.ended.health.cpu as f64 / 1e6).into());
    row.extend(finished.summary.report().map(Report::columns).unwrap_or_default());
    row
}

/// Lists and maps as text: a column has one type.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => value.to_string().into(),
        value => value.clone(),
    }
}
