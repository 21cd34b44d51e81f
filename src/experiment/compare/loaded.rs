//! `Loaded`: a run with what a comparison keeps of its requests.

use super::source::RunOnDisk;
use crate::error::{Error, Result};
use crate::stats::metric::Metric;
use crate::stats::names::{Name, Statistic};
use crate::stats::versus::gaps::PairedGaps;
use crate::stats::versus::pairs::Pairing;
use crate::stats::versus::rows::{ComparedRows, Goals, Key};
use crate::stats::{Summary, Window};
use std::sync::Arc;

/// A run with its requests.
pub struct Loaded {
    pub rows: ComparedRows,
    /// Of requests, output tokens and all tokens: in a second.
    pub rates: [Option<f64>; 3],
}

/// Rates that a comparison knows, as names and in this order.
pub const RATES: [Metric; 3] = [Metric::Requests, Metric::OutputTokens, Metric::TotalTokens];

/// Reads a run; `offset`: where its zero stands among those of its side. Beside it stand warnings about rows
/// that could not be read. Fails where it has no requests that could be compared.
pub fn load(
    run: &RunOnDisk,
    metrics: &[Metric],
    offset: i64,
    goals: Option<Goals>,
) -> Result<(Loaded, Vec<String>)> {
    let (start, end) = run.window;
    let summary = Summary::new(Window::Over { start, end }, None, false);
    let rows = ComparedRows::new(metrics, run.window, offset).with_goals(goals);
    let ((mut rows, mut summary), warnings) =
        run.part.fold(&run.folder, &run.name, (rows, summary)).map_err(|error| error.context("compare"))?;
    if rows.places().is_empty() {
        return Err(no_requests(run));
    }
    summary.close();
    rows.sort();
    let rates = RATES.map(|metric| summary.number(Name::new(metric, Statistic::Rate)));
    Ok((Loaded { rows, rates }, warnings))
}

fn no_requests(run: &RunOnDisk) -> Error {
    let error = Error::usage(format!("compare: {} has no measured request", run.told()));
    match run.imported {
        true => {
            error.hint("it was imported from a file of totals; a file with single requests can be compared")
        }
        false => error.hint("it ended before its warm-up did, or nothing was sent: compare another run"),
    }
}

/// Reads the gaps of the pairs of two runs, each at the time of its pair.
pub fn paired_gaps(
    runs: [&RunOnDisk; 2],
    loaded: [&Loaded; 2],
    pairing: &Pairing,
) -> Result<[PairedGaps; 2]> {
    let [rows_a, rows_b] = loaded.map(|loaded| loaded.rows.places());
    let at = |pair: &(u32, u32)| rows_a[pair.0 as usize].planned + loaded[0].rows.offset();
    let side = |run: &RunOnDisk, key: &dyn Fn(&(u32, u32)) -> Key| -> Result<PairedGaps> {
        // Pairs stand in the order of their keys.
        let pairs: Arc<[_]> = pairing.pairs.iter().map(|pair| (key(pair), at(pair))).collect();
        let read = run.part.fold(&run.folder, &run.name, PairedGaps::of(pairs));
        read.map(|(gaps, _)| gaps).map_err(|error| error.context("compare"))
    };
    Ok([
        side(runs[0], &|pair| rows_a[pair.0 as usize].key)?,
        side(runs[1], &|pair| rows_b[pair.1 as usize].key)?,
    ])
}
