//! What the hooks of a run cost: told where that is much, and kept with the run.

use super::collect::behind::News;
use super::console::Console;
use super::finished::Finished;
use crate::run::{Plan, Reason};
use crate::stats::own::OwnRow;
use crate::store::own_metrics::OwnMetricRow;
use serde_json::{Value, json};
use std::time::Duration;

/// A hook that takes longer than this on average is told.
const SLOW: Duration = Duration::from_millis(1);

/// For the manifest: each hook with what its calls took.
pub fn facts(plan: &Plan) -> Value {
    let hook = |cost: std::sync::Arc<crate::workload::HookCost>| {
        let totals = cost.totals();
        json!({
            "hook": cost.name,
            "at": &*cost.place,
            "calls": totals.calls,
            "total_ms": ms(totals.time),
            "longest_ms": ms(totals.longest),
            "think_overruns": totals.overruns,
            "think_overrun_ms": ms(totals.overrun),
        })
    };
    plan.hook_costs().into_iter().map(hook).collect()
}

/// Why a run has ended that its hooks have ended; `None`: it was something else. `stopped`: the user has
/// asked for the end, too.
pub fn reason(news: &News, ended: &Reason, stopped: bool) -> Option<Reason> {
    match (news.failed(), news.stopped()) {
        (Some(error), _) => Some(Reason::Preparation(error.clone())),
        (None, Some(place)) if *ended == Reason::Interrupted && !stopped => {
            Some(Reason::Enough(place.into()))
        }
        _ => None,
    }
}

/// What hooks have measured, as rows of `metrics.parquet`.
pub fn rows(own: &[OwnRow]) -> Vec<OwnMetricRow<'_>> {
    fn row(row: &OwnRow) -> OwnMetricRow<'_> {
        OwnMetricRow { seq: row.seq, turn: row.turn, name: &row.value.metric.name, value: row.value.value }
    }
    let mut rows: Vec<OwnMetricRow> = own.iter().map(row).collect();
    rows.sort_by_key(|row| (row.seq, row.turn));
    rows
}

/// Says which hooks were slow, and which kept users from asking in time.
pub fn tell(console: &Console, finished: &Finished) {
    let (lang, plan) = (console.words(), &finished.plan);
    if finished.hooks_skipped > 0 {
        console.warn(&format!("{}{}", lang.of_run(&plan.name), lang.unheard(finished.hooks_skipped)));
    }
    for cost in plan.hook_costs() {
        let totals = cost.totals();
        let Some(mean) = totals.time.checked_div(u32::try_from(totals.calls).unwrap_or(u32::MAX)) else {
            continue;
        };
        let of_run = lang.of_run(&plan.name);
        if totals.overruns > 0 {
            let by = totals.overrun.as_secs_f64() / totals.overruns as f64;
            let told = lang.think_overrun(
                cost.name,
                &cost.place,
                (totals.overruns, totals.calls),
                &time(by),
                &time(mean.as_secs_f64()),
            );
            console.warn(&format!("{of_run}{told}"));
        } else if mean > SLOW {
            let told = lang.slow_hook(cost.name, &cost.place, totals.calls, &time(mean.as_secs_f64()));
            console.warn(&format!("{of_run}{told}"));
        }
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn time(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms < 1.0 => format!("{:.0} us", ms * 1e3),
        ms if ms < 1_000.0 => format!("{ms:.1} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}
