//! `Finished`: one run that has ended, and what is known of it.

use crate::client::scrape::Scrapes;
use crate::run::{Ended, Plan, Reason};
use crate::stats::Summary;
use crate::stats::counts::Failed;
use crate::stats::own::OwnValues;
use crate::store::Folder;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// One finished run.
#[derive(Clone)]
pub struct Finished {
    pub plan: Arc<Plan>,
    pub summary: Arc<Summary>,
    pub ended: Arc<Ended>,
    pub folder: Arc<Folder>,
    pub tokenizer: String,
    /// What was asked and when, as planned.
    pub traffic_hash: String,
    /// How the server's own metrics were read.
    pub scrapes: Arc<Scrapes>,
    /// What its hooks have measured.
    pub own: Arc<OwnValues>,
    /// Finished requests that no hook has heard of.
    pub hooks_skipped: u64,
}

/// The facts of a run that are not in its summary.
pub fn facts(finished: &Finished) -> Map<String, Value> {
    let (ended, span) = (&finished.ended, finished.summary.span());
    let failures: Vec<String> = finished.summary.failures().iter().map(Failed::to_string).collect();
    let reason = match &ended.reason {
        Reason::Requests => "requests".to_string(),
        Reason::Duration => "duration".to_string(),
        Reason::Schedule => "schedule".to_string(),
        Reason::Interrupted => "interrupted".to_string(),
        Reason::Early(why) => format!("ended early: {why}"),
        Reason::Enough(place) => format!("stop_when: {place}"),
        Reason::Preparation(error) => format!("ended early: {}", error.message),
    };
    let Value::Object(map) = json!({
        "zero_ms": ended.zero_ms,
        "window_start_ns": span.map(|(start, _)| start),
        "window_end_ns": span.map(|(_, end)| end),
        "stopped_by": reason,
        "failures": failures.join(", "),
        "never_sent": ended.never_sent,
        "unrecorded": ended.unrecorded,
        "server_scrapes": finished.scrapes.answers,
        "server_scrape_gaps": finished.scrapes.gaps,
        "server_scrape_gap_reason": finished.scrapes.gap_reason,
        "server_not_scraped": finished.scrapes.not_scraped,
        "server_series_left_out": finished.scrapes.series_left_out,
    }) else {
        unreachable!("a JSON object literal is an object")
    };
    map
}

/// A run's name as a file name.
pub fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.=,".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() { "run".into() } else { name }
}
