//! One run as a row of `runs.parquet`.

use super::finished::{Finished, facts};
use super::vllm;
use crate::stats::report::Report;
use crate::stats::vllm::VllmResult;
use crate::stats::{Number, Summary};
use crate::store::RunIdentity;
use crate::store::statistics::Statistic;
use crate::store::writer::RowsWritten;
use serde_json::{Map, Value};

/// The keys of vLLM's JSON first, then what the aggregated CSV needs beside them, then every
/// other number of the summary, then facts of the run.
pub fn row(finished: &Finished, of: &RunIdentity, written: RowsWritten) -> Map<String, Value> {
    let plan = &finished.plan;
    let mut row = Map::new();
    row.insert("experiment_id".into(), of.experiment_id.clone().into());
    row.insert("run_id".into(), of.run_id().into());
    row.insert("folder".into(), of.folder.clone().into());
    row.insert("run".into(), of.run.clone().into());
    row.insert("cell".into(), of.cell.clone().into());
    row.insert("run_index".into(), of.index.into());
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

/// The numbers of a run, as the rows that it gets in `statistics.parquet`.
pub fn statistics(summary: &Summary) -> Vec<Statistic> {
    let row = |number: Number| Statistic {
        part: String::new(),
        metric: number.metric,
        statistic: number.statistic,
        unit: number.unit.symbol().to_string(),
        value: number.value,
        low: None,
        high: None,
        n: number.n,
        mark: None,
    };
    summary.all_numbers().into_iter().map(row).collect()
}

/// Lists and maps as text: a column has one type.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => value.to_string().into(),
        value => value.clone(),
    }
}
