//! The result JSON of vLLM's benchmark, for dashboards that read it.

use super::finished::{Finished, file_name};
use super::portion::Portion;
use super::{Experiment, append};
use crate::error::{Error, Result};
use crate::os::{file, heap};
use crate::run::{Plan, Reason};
use crate::schedule::{Process, Shape};
use crate::stats::metric::Metric;
use crate::stats::vllm::{Detailed, Meta, RampUpMeta, VllmResult};
use crate::stats::words::grouped;
use chrono::TimeZone;
use serde_json::{Map, Value};
use std::io::Write;
use std::path::PathBuf;

/// Metrics that have percentiles.
pub fn metrics() -> [&'static str; 4] {
    Metric::OF_VLLM.map(Metric::name)
}

/// How a result is to be written.
pub struct VllmOptions {
    pub dir: String,
    pub filename: String,
    /// With the lists of every request.
    pub detailed: bool,
    pub append: bool,
    pub percentiles: Vec<f64>,
    /// Those of [`metrics`] whose percentiles are wanted.
    pub metrics: Vec<String>,
}

/// What was run, in vLLM's words.
pub fn meta(finished: &Finished) -> Meta {
    let plan = &finished.plan;
    let tally = finished.summary.tally();
    let requests = plan.requests.unwrap_or(tally.succeeded + tally.failed());
    meta_of_plan(plan, &finished.tokenizer, finished.ended.zero_ms, requests)
}

/// Local time, as in vLLM's results.
pub fn date(ms: i64) -> String {
    let zero = chrono::Local.timestamp_millis_opt(ms).single();
    zero.map(|zero| zero.format("%Y%m%d-%H%M%S").to_string()).unwrap_or_default()
}

/// The same of a plan; `zero_ms`: when it began, milliseconds since 1970.
pub fn meta_of_plan(plan: &Plan, tokenizer: &str, zero_ms: i64, requests: u64) -> Meta {
    let mut metadata = plan.tags.clone();
    let burstiness = metadata.shift_remove("burstiness").and_then(|value| value.as_f64());
    let backend = metadata.shift_remove("backend").and_then(|value| value.as_str().map(str::to_string));
    let label = metadata.shift_remove("label").map(|value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    });
    for known in ["input_len", "output_len"] {
        metadata.shift_remove(known);
    }
    let (rate, process) = match &plan.arrivals {
        Shape::Rate { per_second, process } => (Some(*per_second), Some(process)),
        _ => (None, None),
    };
    let by_shape = match process {
        Some(Process::Gamma { cv }) => 1.0 / (cv * cv),
        Some(Process::Even) => f64::MAX,
        _ => 1.0,
    };
    let ramp = match &plan.arrivals {
        Shape::Ramp { from, to, .. } => {
            Some(RampUpMeta { strategy: "linear".into(), start_rps: *from, end_rps: *to })
        }
        Shape::RampUp { from, to, growth, .. } => {
            Some(RampUpMeta { strategy: growth.name().into(), start_rps: *from, end_rps: *to })
        }
        _ => None,
    };
    Meta {
        date: date(zero_ms),
        endpoint_type: plan.target.api.name().to_string(),
        backend: backend.unwrap_or_else(|| plan.target.api.name().to_string()),
        label,
        model_id: plan.target.model.clone(),
        tokenizer_id: tokenizer.to_string(),
        num_prompts: requests,
        metadata,
        request_rate: rate,
        burstiness: burstiness.unwrap_or(by_shape),
        max_concurrency: plan.places().map(|places| places as u64),
        ramp,
        percentiles: vec![99.0],
    }
}

/// The same of a part: its marks are keys of their own.
fn meta_of(portion: &Portion) -> Meta {
    let mut meta = meta(&portion.run);
    if !portion.part().is_whole() {
        meta.num_prompts = portion.summary().tally().requests;
    }
    for mark in portion.part().marks() {
        meta.metadata.entry(mark.label()).or_insert_with(|| mark.value().into());
    }
    meta
}

impl VllmOptions {
    /// The name of the file that the result of a run gets in its results folder, where that is known before.
    pub fn file_in_folder(&self, run: &str) -> Option<String> {
        let known = self.dir.is_empty() && !self.append && !self.filename.is_empty();
        known.then(|| file_name(&self.filename.replace("{run}", &file_name(run))))
    }
}

/// Writes the result; the path that it got.
pub fn save(experiment: &Experiment, portion: &Portion, wanted: &VllmOptions) -> Result<PathBuf> {
    let meta = Meta { percentiles: wanted.percentiles.clone(), ..meta_of(portion) };
    let name = match wanted.filename.as_str() {
        "" => {
            let model = crate::store::folder::short_model_name(&meta.model_id);
            let rate = meta.request_rate.map_or("inf".to_string(), |rate| rate.to_string());
            let cap = meta.max_concurrency.map(|cap| format!("-concurrency{cap}")).unwrap_or_default();
            let model = experiment.secrets.scrub(&model);
            let label = meta.label.as_deref().unwrap_or(&meta.backend).replace(['/', '\\'], "-");
            let part = portion.part_file_name().map(|part| format!("-{part}")).unwrap_or_default();
            format!("{label}-{rate}qps{cap}-{model}-{}{part}.json", meta.date)
        }
        name => file_name(&name.replace("{run}", &portion.file_name())),
    };
    let mut json = VllmResult::new(portion.summary(), meta);
    if wanted.detailed {
        check_memory(portion)?;
        json = json.detailed(portion.fold(experiment, Detailed::default())?);
    }
    let mut json = json.into_map();
    json.retain(|key, _| keeps(key, &wanted.metrics));
    if portion.run.ended.reason == Reason::Interrupted {
        json.insert("interrupted".into(), true.into());
    }
    let json = experiment.secrets.scrub_map(json);
    put(experiment, &portion.run, wanted, &name, &json)
}

/// Fails where the lists of single requests would take most of the memory that is free.
fn check_memory(portion: &Portion) -> Result<()> {
    let summary = portion.summary();
    let tokens = summary.value("output_tokens.mean").ok().flatten().unwrap_or(0.0) as u64;
    let requests = summary.tally().requests;
    let needed = requests.saturating_mul(DETAIL + DETAIL_TOKEN * tokens);
    let free = heap::free().unwrap_or(u64::MAX);
    if needed <= free / 2 {
        return Ok(());
    }
    let (rows, needed, free) = (grouped(requests), file::size(needed), file::size(free));
    let name = portion.name();
    let told =
        format!("save_vllm: the {rows} rows of {name:?} take about {needed} of memory, and {free} are free");
    Err(Error::run(told).hint("leave `detailed` out, and read its Parquet files on a larger machine"))
}

/// Bytes that a request takes as JSON in memory, and each of its tokens; as much again while secrets
/// are taken out.
const DETAIL: u64 = 1_000;
const DETAIL_TOKEN: u64 = 80;

/// Whether a column of percentiles was asked for; the others always are.
fn keeps(key: &str, metrics: &[String]) -> bool {
    let Some(rest) = key.strip_prefix('p').and_then(|rest| rest.strip_suffix("_ms")) else { return true };
    match rest.split_once('_') {
        Some((p, metric)) if p.parse::<f64>().is_ok() => metrics.iter().any(|wanted| wanted == metric),
        _ => true,
    }
}

fn put(
    experiment: &Experiment,
    run: &Finished,
    wanted: &VllmOptions,
    name: &str,
    json: &Map<String, Value>,
) -> Result<PathBuf> {
    if wanted.dir.is_empty() && !wanted.append {
        let text = serde_json::to_string_pretty(json).expect("a map of plain values");
        return experiment.quota.saving("save_vllm", || run.folder.save(name, text.as_bytes()));
    }
    experiment.quota.check_saved("save_vllm")?;
    let line = serde_json::to_string(json).expect("a map of plain values");
    experiment.quota.add(line.len() as u64);
    let own = wanted.dir.is_empty();
    let folder = if own { run.folder.path().to_path_buf() } else { experiment.may_write(&wanted.dir)? };
    let path = folder.join(name);
    if own && !path.exists() {
        return run.folder.save(name, format!("{line}\n").as_bytes());
    }
    let failed = |error: std::io::Error| Error::run(format!("cannot write {}: {error}", path.display()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    if wanted.append {
        if !own {
            experiment.access.may_append(&path)?;
        }
        append::grow(&path, &line)?;
        return Ok(path);
    }
    // Nothing is ever overwritten.
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).open(&path).map_err(failed)?;
    writeln!(file, "{}", serde_json::to_string_pretty(json).expect("a map of plain values"))
        .map_err(failed)?;
    Ok(path)
}
