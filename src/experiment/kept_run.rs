//! `kept`: a run that an earlier process measured, as the one that goes on holds it.

use super::expected_load::intent;
use super::finished::Finished;
use crate::error::Result;
use crate::record::Health;
use crate::run::{Ended, Plan, Reason};
use crate::stats::report::Report;
use crate::stats::verdict::{Doubt, Verdict};
use crate::stats::{Fold, Summary, Window};
use crate::store::{Folder, reader};
use serde_json::{Map, Value};
use std::sync::Arc;

type Row = Map<String, Value>;

/// Its numbers are made again of its rows; what it is worth stands in `row`. Beside it, what could not be
/// read.
pub fn kept(plan: Plan, folder: Arc<Folder>, row: &Row) -> Result<(Finished, Vec<String>)> {
    let number = |key: &str| row.get(key).and_then(Value::as_i64);
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
    let window = match number("window_start_ns").zip(number("window_end_ns")) {
        Some((start, end)) => Window::Over { start, end },
        None => Window::UNKNOWN,
    };
    let mut summary = Summary::new(window, plan.slo.clone(), plan.open());
    let fields = summary.fields();
    let warnings = reader::scan(folder.path(), Some(&plan.name), fields, |_, record| summary.add(record))?;
    summary.close();
    let mut report = Report::new(&summary, &intent(&plan), &Health::default(), 0.0);
    report.doubts = doubts(report.doubts, row);
    summary.attach(report);
    let count = |key: &str| number(key).unwrap_or_default().max(0) as u64;
    let ended = Ended {
        reason: reason(text("stopped_by")),
        zero: 0,
        zero_ms: number("zero_ms").unwrap_or_default(),
        lasted: number("last_end_ns").unwrap_or_default(),
        never_sent: count("never_sent"),
        unrecorded: count("unrecorded"),
        health: Health::default(),
    };
    let finished = Finished {
        plan: Arc::new(plan),
        summary: Arc::new(summary),
        ended: Arc::new(ended),
        folder,
        tokenizer: text("tokenizer_id").to_string(),
        traffic_hash: text("traffic_hash").to_string(),
        scrapes: Arc::default(),
        own: Arc::default(),
        hooks_skipped: 0,
    };
    Ok((finished, warnings))
}

/// What was found then, in the words of then where they are known; the rows alone do not tell what the
/// machine did.
fn doubts(found: Vec<Doubt>, row: &Row) -> Vec<Doubt> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
    let told = text("verdicts").split(',').filter_map(Verdict::named).filter(|told| *told != Verdict::Valid);
    let doubt = |verdict: Verdict| {
        let again = found.iter().find(|doubt| doubt.verdict() == verdict).cloned();
        let is_worst = verdict.name() == text("verdict");
        let reason = if is_worst { text("verdict_reason") } else { verdict.name() }.to_string();
        again.unwrap_or(Doubt::Kept { verdict, reason })
    };
    told.map(doubt).collect()
}

fn reason(stopped_by: &str) -> Reason {
    match stopped_by {
        "duration" => Reason::Duration,
        "schedule" => Reason::Schedule,
        "interrupted" => Reason::Interrupted,
        other => match (other.strip_prefix("ended early: "), other.strip_prefix("stop_when: ")) {
            (Some(why), _) => Reason::Early(why.to_string()),
            (_, Some(place)) => Reason::Enough(place.to_string()),
            _ => Reason::Requests,
        },
    }
}
