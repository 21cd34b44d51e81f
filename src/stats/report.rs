//! `Report`: what a run has measured of itself, and what follows from it.

use super::remark::Remark;
use super::trend::Trend;
use super::verdict::{CacheHits, Doubt, Evidence, Verdict};
use crate::lang::Lang;
use crate::record::Span;
use serde_json::{Map, Value, json};

pub use super::expected_load::ExpectedLoad;

/// What a run has measured of itself, and every reason not to believe it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    pub evidence: Evidence,
    /// The worst first.
    pub doubts: Vec<Doubt>,
    /// Where the load was another than the one asked for.
    pub remarks: Vec<Remark>,
}

impl Report {
    pub fn verdict(&self) -> Verdict {
        self.doubts.first().map_or(Verdict::Valid, Doubt::verdict)
    }

    /// The run has no level that a mean or a percentile could be of.
    pub fn is_unsteady(&self) -> bool {
        self.doubts.iter().any(|doubt| doubt.verdict() == Verdict::NotSteady)
    }

    /// `client_bound: ...`, with the advice of its worst doubt, for each verdict that holds, the
    /// worst first; `valid` where none does.
    pub fn sentences(&self, lang: Lang) -> Vec<String> {
        if self.doubts.is_empty() {
            return vec![Verdict::Valid.name().into()];
        }
        let worst = self.doubts.chunk_by(|a, b| a.verdict() == b.verdict()).map(|same| &same[0]);
        worst.map(|doubt| format!("{}{}{}", doubt.verdict().name(), lang.colon(), doubt.text(lang))).collect()
    }

    /// For `runs.parquet`: the same columns for every run.
    pub fn columns(&self) -> Map<String, Value> {
        let evidence = &self.evidence;
        let Value::Object(mut map) = json!({
            "verdict": self.verdict().name(),
            "verdict_reason": self.doubts.first().map(|doubt| doubt.text(Lang::English)),
            "verdicts": self.verdicts().join(","),
            "remarks": (!self.remarks.is_empty()).then(|| self.remark_names().join(",")),
            "read_lag_ms_p50": evidence.lag_ms.map(|(median, _)| median),
            "read_lag_ms_p99": evidence.lag_ms.map(|(_, high)| high),
            "asked_rate": evidence.asked_rate.or(evidence.rates.map(|(scheduled, _)| scheduled)),
            "scheduled_rate": evidence.rates.map(|(scheduled, _)| scheduled),
            "achieved_rate": evidence.rates.map(|(_, sent)| sent),
            "asked_concurrency": evidence.places.map(|(places, _)| places),
            "delivered_concurrency": evidence.places.map(|(_, mean)| mean),
            "shared_read_events_share": evidence.shared_events,
            "reconnects": evidence.reconnects,
            "outlasted": evidence.outlasted,
            "unclosed": evidence.unclosed,
            "tcp_retransmits_share": evidence.retransmits,
            "tcp_out_of_order_share": evidence.out_of_order,
            "tcp_min_rtt_us_p10": evidence.rtt_us.map(|(low, _)| low),
            "tcp_min_rtt_us_p90": evidence.rtt_us.map(|(_, high)| high),
            "client_cores": evidence.cores,
            "client_cpu_share": evidence.cpu,
            "cores_busy_share": evidence.busy,
            "cores_taken_share": evidence.taken,
            "run_queue_share": evidence.waited,
            "cpu_steal_share": evidence.stolen,
            "cpu_throttled_share": evidence.throttled,
            "cpu_throttled_periods": evidence.throttled_periods,
            "paused_share": evidence.paused,
            "longest_pause_ms": evidence.longest_pause_ms,
            "handing_over_ms": evidence.handing_over_ms,
            "writer_blocked_ms": evidence.writer_blocked_ms,
            "clock_steps": evidence.clock_steps,
            "clock_step_ms_max": evidence.largest_step_ms,
            "cached_tokens_share_wanted": evidence.cached.and_then(|cached| cached.wanted),
            "requests_needed": evidence.needed,
            "latency_change_share": evidence.trends[0].map(change),
            "itl_change_share": evidence.trends[1].map(change),
            "in_flight_change_share": evidence.trends[2].map(change),
        }) else {
            unreachable!("a JSON object literal is an object")
        };
        map.extend(told(evidence));
        map
    }

    /// Every verdict that holds, the worst first.
    pub fn verdicts(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.doubts.iter().map(|doubt| doubt.verdict().name()).collect();
        names.dedup();
        if names.is_empty() { vec![Verdict::Valid.name()] } else { names }
    }

    /// What the load is remarked for.
    pub fn remark_names(&self) -> Vec<&'static str> {
        self.remarks.iter().map(Remark::name).collect()
    }

    /// For the manifest: every verdict that holds with its reason.
    pub fn to_json(&self) -> Value {
        let doubts: Vec<Value> = self
            .doubts
            .iter()
            .map(|doubt| json!({ "verdict": doubt.verdict().name(), "reason": doubt.text(Lang::English) }))
            .collect();
        let remarks: Vec<Value> = self
            .remarks
            .iter()
            .map(|remark| json!({ "name": remark.name(), "text": remark.text(Lang::English) }))
            .collect();
        json!({ "verdict": self.verdict().name(), "doubts": doubts, "remarks": remarks, "measured": self.columns() })
    }
}

/// What the server says of itself, column by column.
fn told(evidence: &Evidence) -> impl Iterator<Item = (String, Value)> {
    let (told, cached) = (&evidence.told, evidence.cached);
    let mean = |span| told.mean(span).map(|mean| mean.ms);
    let means = Span::ALL.map(|span| (format!("server_{}_ms_mean", span.name()), mean(span).into()));
    let rest = [
        ("cached_tokens_share_seen", cached.map(|cached| cached.share).into()),
        ("cached_tokens_share_from", cached.map(CacheHits::source).into()),
        ("spec_acceptance", told.accepted().filter(|_| told.speculates).into()),
        ("server_counter_restarts", told.restarts.into()),
        ("server_counters_jump", told.jumps.into()),
    ];
    means.into_iter().chain(rest.map(|(name, value)| (name.to_string(), value)))
}

fn change(trend: Trend) -> f64 {
    let level = (trend.from + trend.to) / 2.0;
    if level == 0.0 { 0.0 } else { (trend.to - trend.from) / level }
}

#[cfg(test)]
mod tests;
