//! The pictures over several configurations: throughput, latency, heat map.

use super::Figure;

/// One configuration: its label (`io512x512_mc4_np40`) and the columns of the aggregated CSV.
#[derive(Debug, Clone)]
pub struct Row {
    pub label: String,
    pub values: std::collections::BTreeMap<String, f64>,
}

/// Chart 1: total tok/s, output tok/s, token counts, req/s by configuration (2x2).
pub fn throughput(_rows: &[Row], _title: &str) -> Figure {
    todo!()
}

/// Chart 2: mean TTFT, P99 TTFT, mean TPOT, mean ITL, mean E2EL.
pub fn latency(_rows: &[Row], _title: &str) -> Figure {
    todo!()
}

/// Chart 3: configuration x metric, normalised so that green is always better.
pub fn heatmap(_rows: &[Row], _title: &str) -> Figure {
    todo!()
}
