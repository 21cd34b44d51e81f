//! The options of `save_vllm`, read.

use super::fault::Fallible;
use super::opts::Opts;
use crate::experiment::vllm::{self, Wanted};

/// How a result is to be written.
pub fn wanted(opts: &mut Opts) -> Fallible<Wanted> {
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
    let metrics = listed(opts.take("percentile_metrics")?, &vllm::metrics().join(","));
    if let Some(unknown) = metrics.iter().find(|metric| !vllm::metrics().contains(&metric.as_str())) {
        return Err(opts.error(
            "percentile_metrics",
            &format!("may name {}, got {unknown:?}", vllm::metrics().join(", ")),
        ));
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
