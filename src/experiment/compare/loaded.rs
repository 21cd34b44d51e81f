//! `Loaded`: a run with what a comparison keeps of its requests.

use super::source::RunOnDisk;
use crate::error::Result;
use crate::experiment::part::Part;
use crate::stats::metric::Metric;
use crate::stats::names::{Name, Statistic};
use crate::stats::versus::rows::ComparedRows;
use crate::stats::{Summary, Window};

/// A run with its requests.
pub struct Loaded {
    pub rows: ComparedRows,
    /// Of requests, output tokens and all tokens: in a second.
    pub rates: [Option<f64>; 3],
}

/// Rates that a comparison knows, as names and in this order.
pub const RATES: [Metric; 3] = [Metric::Requests, Metric::OutputTokens, Metric::TotalTokens];

/// Reads a run; `offset`: where its zero stands among those of its side. Beside it stand warnings about rows
/// that could not be read.
pub fn load(run: &RunOnDisk, metrics: &[Metric], offset: i64) -> Result<(Loaded, Vec<String>)> {
    let (start, end) = run.window;
    let summary = Summary::new(Window::Over { start, end }, None, false);
    let rows = ComparedRows::new(metrics, run.window, offset);
    let ((mut rows, mut summary), warnings) = Part::default()
        .fold(&run.folder, &run.name, (rows, summary))
        .map_err(|error| error.context("compare"))?;
    summary.close();
    rows.sort();
    let rates = RATES.map(|metric| summary.number(Name::new(metric, Statistic::Rate)));
    Ok((Loaded { rows, rates }, warnings))
}
