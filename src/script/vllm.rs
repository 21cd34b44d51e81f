//! The result JSON of vLLM's benchmark, for dashboards that read it.

use super::append;
use super::bench::Finished;
use super::bind::result::Handle;
use super::fault::Fallible;
use super::opts::Opts;
use super::state::State;
use crate::error::{Error, Result};
use crate::run::Reason;
use crate::schedule::{Process, Shape};
use crate::stats::vllm::{Meta, Ramp, VllmResult};
use chrono::TimeZone;
use serde_json::{Map, Value};
use std::io::Write;
use std::path::PathBuf;

/// How a result is to be written.
pub struct Wanted {
    dir: String,
    filename: String,
    detailed: bool,
    append: bool,
    percentiles: Vec<f64>,
    metrics: Vec<String>,
}

const METRICS: [&str; 4] = ["ttft", "tpot", "itl", "e2el"];

impl Wanted {
    pub fn read(opts: &mut Opts) -> Fallible<Wanted> {
        let listed = |text: Option<String>, usual: &str| -> Vec<String> {
            let text = text.unwrap_or_else(|| usual.to_string());
            text.split(',').map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect()
        };
        let dir = opts.take::<String>("dir")?.unwrap_or_default();
        let filename = opts.take::<String>("filename")?.unwrap_or_default();
        if filename.contains(['/', '\\']) {
            let told =
                format!("must be a plain file name, got {filename:?}; `dir` (--result-dir) names the folder");
            return Err(opts.error("filename", &told));
        }
        let detailed = opts.take::<bool>("detailed")?.unwrap_or(false);
        let append = opts.take::<bool>("append")?.unwrap_or(false);
        let metrics = listed(opts.take("percentile_metrics")?, "ttft,tpot,itl,e2el");
        if let Some(unknown) = metrics.iter().find(|metric| !METRICS.contains(&metric.as_str())) {
            return Err(opts
                .error("percentile_metrics", &format!("may name {}, got {unknown:?}", METRICS.join(", "))));
        }
        let mut percentiles = Vec::new();
        for text in listed(opts.take("percentiles")?, "99") {
            match text.parse::<f64>() {
                Ok(p) if (0.0..=100.0).contains(&p) => percentiles.push(p),
                _ => {
                    return Err(
                        opts.error("percentiles", &format!("must be numbers from 0 to 100, got {text:?}"))
                    );
                }
            }
        }
        Ok(Wanted { dir, filename, detailed, append, percentiles, metrics })
    }
}

/// What was run, in vLLM's words.
pub fn meta(finished: &Finished) -> Meta {
    let plan = &finished.plan;
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
            Some(Ramp { strategy: "linear".into(), start_rps: *from, end_rps: *to })
        }
        Shape::RampUp { from, to, growth, .. } => {
            Some(Ramp { strategy: growth.name().into(), start_rps: *from, end_rps: *to })
        }
        _ => None,
    };
    let zero = chrono::Local.timestamp_millis_opt(finished.ended.zero_ms).single();
    let tally = finished.summary.tally();
    Meta {
        date: zero.map(|zero| zero.format("%Y%m%d-%H%M%S").to_string()).unwrap_or_default(),
        endpoint_type: plan.target.api.name().to_string(),
        backend: backend.unwrap_or_else(|| plan.target.api.name().to_string()),
        label,
        model_id: plan.target.model.clone(),
        tokenizer_id: finished.tokenizer.clone(),
        num_prompts: plan.requests.unwrap_or(tally.succeeded + tally.failed()),
        metadata,
        request_rate: rate,
        burstiness: burstiness.unwrap_or(by_shape),
        max_concurrency: plan.places().map(|places| places as u64),
        ramp,
        percentiles: vec![99.0],
    }
}

/// Writes the result; the path that it got.
pub fn save(state: &State, result: &mut Handle, wanted: &Wanted) -> Result<PathBuf> {
    let finished = result.run.clone();
    let meta = Meta { percentiles: wanted.percentiles.clone(), ..meta(&finished) };
    let name = match wanted.filename.as_str() {
        "" => {
            let model = crate::store::folder::short_model_name(&meta.model_id);
            let rate = meta.request_rate.map_or("inf".to_string(), |rate| rate.to_string());
            let cap = meta.max_concurrency.map(|cap| format!("-concurrency{cap}")).unwrap_or_default();
            let model = state.secrets.scrub(&model);
            let label = meta.label.as_deref().unwrap_or(&meta.backend).replace(['/', '\\'], "-");
            format!("{label}-{rate}qps{cap}-{model}-{}.json", meta.date)
        }
        name => super::bind::result::file_name(&name.replace("{run}", &finished.plan.name)),
    };
    let mut json = VllmResult::new(&finished.summary, meta);
    if wanted.detailed {
        json = json.detailed(&result.records("save_vllm", state)?);
    }
    let mut json = json.into_map();
    json.retain(|key, _| keeps(key, &wanted.metrics));
    if finished.ended.reason == Reason::Interrupted {
        json.insert("interrupted".into(), true.into());
    }
    let json = state.secrets.scrub_map(json);
    put(state, &finished, wanted, &name, &json)
}

/// Whether a column of percentiles was asked for; the others always are.
fn keeps(key: &str, metrics: &[String]) -> bool {
    let Some(rest) = key.strip_prefix('p').and_then(|rest| rest.strip_suffix("_ms")) else { return true };
    match rest.split_once('_') {
        Some((p, metric)) if p.parse::<f64>().is_ok() => metrics.iter().any(|wanted| wanted == metric),
        _ => true,
    }
}

fn put(
    state: &State,
    run: &Finished,
    wanted: &Wanted,
    name: &str,
    json: &Map<String, Value>,
) -> Result<PathBuf> {
    if wanted.dir.is_empty() && !wanted.append {
        let text = serde_json::to_string_pretty(json).expect("a map of plain values");
        return state.quota.saving("save_vllm", || run.folder.save(name, text.as_bytes()));
    }
    state.quota.check_saved("save_vllm")?;
    let line = serde_json::to_string(json).expect("a map of plain values");
    state.quota.add(line.len() as u64);
    let own = wanted.dir.is_empty();
    let folder = if own { run.folder.path().to_path_buf() } else { state.may_write(&wanted.dir)? };
    let path = folder.join(name);
    if own && !path.exists() {
        return run.folder.save(name, format!("{line}\n").as_bytes());
    }
    let failed = |error: std::io::Error| Error::run(format!("cannot write {}: {error}", path.display()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    if wanted.append {
        if !own {
            state.access.may_append(&path)?;
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
