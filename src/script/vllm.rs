//! The options of `save_vllm`, read.

use super::fault::Fallible;
use super::options::vllm;
use super::opts::Opts;
use crate::experiment::vllm::VllmOptions;

/// How a result is to be written.
pub fn wanted(opts: &mut Opts) -> Fallible<VllmOptions> {
    let percentiles = opts.judged("percentiles")?;
    let metrics = opts.judged("percentile_metrics")?;
    Ok(VllmOptions {
        dir: opts.take::<String>("dir")?.unwrap_or_default(),
        filename: opts.take::<String>("filename")?.unwrap_or_default(),
        detailed: opts.get("detailed")?,
        append: opts.get("append")?,
        percentiles: vllm::percentiles(&percentiles).map_err(|told| opts.error("percentiles", &told))?,
        metrics: vllm::metrics(&metrics).map_err(|told| opts.error("percentile_metrics", &told))?,
    })
}
