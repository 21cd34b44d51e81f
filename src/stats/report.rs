//! `Report`: what a run has measured of itself, and what follows from it.

use super::conduct::in_flight_trend;
use super::names::{Metric, Name, Statistic};
use super::remark::Remark;
use super::sample::{View, supports};
use super::summary::Summary;
use super::trend::Trend;
use super::verdict::{Cached, Doubt, Evidence, Verdict, judge};
use crate::lang::Lang;
use crate::record::{Health, Nanos, Span};
use serde_json::{Map, Value, json};

/// Fewest successful requests of a run, and fewest for each request in flight.
const SAMPLES_MIN: u64 = 20;
const SAMPLES_FOR_EACH_PLACE: f64 = 2.0;

/// The beginning of an open loop that is left out of trends, as a share of it at most.
const LEAD_SHARE_MAX: f64 = 0.25;

/// What a plan wanted, as far as it can be held against the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Intent {
    /// Places of a closed loop, and when the last of them starts.
    pub places: Option<usize>,
    pub places_from: Nanos,
    /// The load has one level; a ramp has not.
    pub level: bool,
    /// Requests per second of an open loop of one level.
    pub rate: Option<f64>,
    /// Replies of the asked length are wanted.
    pub exact: bool,
    /// Replies were asked for as streams.
    pub streamed: bool,
    /// Input tokens of a request that others share, on average. `None`: unknown.
    pub shared_tokens: Option<f64>,
}

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
    pub fn new(summary: &Summary, intent: &Intent, health: &Health, writer_blocked_ms: f64) -> Report {
        let evidence = evidence(summary, intent, health, writer_blocked_ms);
        Report { doubts: judge(&evidence), remarks: Remark::all(summary, intent), evidence }
    }

    pub fn verdict(&self) -> Verdict {
        self.doubts.first().map_or(Verdict::Valid, Doubt::verdict)
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
        ("cached_tokens_share_from", cached.map(Cached::source).into()),
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

fn evidence(summary: &Summary, intent: &Intent, health: &Health, writer_blocked_ms: f64) -> Evidence {
    let (tally, conduct) = (summary.tally(), &summary.conduct);
    let median = |metric| summary.number(Name::new(metric, Statistic::Median)).filter(|ms| *ms > 0.0);
    let shorter = [Metric::Ttft, Metric::Itl].into_iter().filter_map(median).reduce(f64::min);
    let lateness = summary.view(Metric::Lateness);
    let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
    let of_wall = |time: Nanos| (health.wall > 0).then(|| time as f64 / health.wall as f64);
    let rtts = conduct.rtts_us.view();
    let open = intent.places.is_none() && summary.is_open();
    Evidence {
        requests: tally.requests,
        succeeded: tally.succeeded,
        scale_ms: shorter.or_else(|| median(Metric::E2el)),
        lag_ms: median_and_high(&conduct.lags.view()),
        lateness_ms: median_and_high(&lateness)
            .zip(lateness.max())
            .map(|((p50, high), max)| (p50, high, max)),
        asked_rate: intent.rate.filter(|_| open),
        rates: if open { conduct.rates() } else { None },
        capped: conduct.at_cap > conduct.late,
        places: intent
            .places
            .and_then(|places| Some((places, summary.filled_places(places, intent.places_from)?))),
        shared_events: share(conduct.shared_events, conduct.events),
        reconnects: conduct.reconnects,
        outlasted: conduct.outlasted,
        unclosed: conduct.unclosed,
        connect_failures: conduct.connect_failures,
        retransmits: share(conduct.retransmitted, conduct.tcp_asked),
        out_of_order: share(conduct.out_of_order, conduct.tcp_asked),
        rtt_us: rtts.percentile(10.0).zip(rtts.percentile(90.0)),
        cores: health.cores,
        cpu: of_wall(health.cpu).map(|cores| cores / health.cores.max(1) as f64),
        waited: health.waited.and_then(of_wall),
        busy: health.busy,
        taken: health.taken,
        stolen: health.stolen,
        throttled: health.throttled.and_then(|throttled| of_wall(throttled.time)),
        throttled_periods: health.throttled.map(|throttled| throttled.periods),
        paused: of_wall(health.paused),
        longest_pause_ms: health.longest_pause as f64 / 1e6,
        handing_over_ms: health.handing_over as f64 / 1e6,
        handing_over: of_wall(health.handing_over),
        writer_blocked_ms,
        clock_steps: health.clock_steps,
        largest_step_ms: health.largest_step as f64 / 1e6,
        cached: cached(summary, intent),
        speculation: speculation(summary),
        told: summary.told.as_deref().copied().unwrap_or_default(),
        trends: if intent.level { trends(summary, intent) } else { [None; 3] },
        needed: needed(summary, intent),
        unsupported: unsupported(summary),
    }
}

/// The median, and the highest percentile up to 99 that the sample supports, but not below 90:
/// of forty requests the 99th percentile is the single slowest, and one hiccup is no verdict.
fn median_and_high(view: &View) -> Option<(f64, f64)> {
    let high = if supports(view.count(), 99.0) { 99.0 } else { 90.0 };
    view.percentile(50.0).zip(view.percentile(high))
}

fn trends(summary: &Summary, intent: &Intent) -> [Option<Trend>; 3] {
    let request = summary.number(Name::new(Metric::E2el, Statistic::Median));
    let request = (request.unwrap_or(0.0) * 1e6) as Nanos;
    let Some((start, last)) = summary.conduct.sending() else { return [None; 3] };
    if intent.places.is_some() {
        let [latency, gaps] = summary.conduct.trends(intent.places, 0);
        return [latency, gaps, None];
    }
    let lead = request.min(((last - start) as f64 * LEAD_SHARE_MAX) as Nanos);
    let [latency, gaps] = summary.conduct.trends(None, lead);
    let in_flight = in_flight_trend(summary.in_flight(), start + lead, last, request);
    [latency, gaps, in_flight]
}

/// Successful requests that the load calls for: with fewer than two for each place, the run is
/// mostly its own beginning and end. That is what a load without a level is meant to be.
fn needed(summary: &Summary, intent: &Intent) -> u64 {
    let at_once = match intent.places {
        Some(places) => places as f64,
        None if !intent.level => 0.0,
        None => summary.concurrency().map_or(0.0, |concurrency| concurrency.mean),
    };
    SAMPLES_MIN.max((SAMPLES_FOR_EACH_PLACE * at_once).ceil() as u64)
}

/// A condition of the SLO on a percentile that lies above every value but one is decided by
/// chance.
fn unsupported(summary: &Summary) -> Option<String> {
    let conditions = summary.slo().map_or(&[][..], |slo| &slo.overall);
    let weak = conditions.iter().find(|condition| {
        let Ok(name) = Name::parse(&condition.value) else { return false };
        let count = summary.count_of(name.metric);
        count > 0 && name.statistic.percentile().is_some_and(|p| !supports(count, p))
    });
    weak.map(|condition| condition.text.clone())
}

/// The cached share, by the usage of the replies or else by the server's own counters, and the one
/// that the workload allows: what its requests share, and the chat template around them, which is
/// the same in all of them.
fn cached(summary: &Summary, intent: &Intent) -> Option<Cached> {
    let tally = summary.tally();
    let usage = summary.number(Name::new(Metric::CachedTokens, Statistic::Share));
    let (share, input, counters) = match usage {
        Some(share) => (share, Some(tally.cached.input_tokens as f64 / tally.cached.reports as f64), false),
        None => (
            summary.cache_told()?.share()?,
            summary.number(Name::new(Metric::InputTokens, Statistic::Mean)),
            true,
        ),
    };
    let asked = &tally.asked_input;
    // A difference beyond any template is one of tokenizers, and says nothing of sharing.
    let template = if asked.compared > 0 { asked.mean_difference().clamp(0.0, TEMPLATE_MAX) } else { 0.0 };
    let wanted = intent.shared_tokens.zip(input);
    let wanted = wanted.map(|(shared, input)| ((shared + template) / input).min(1.0));
    Some(Cached { share, wanted, counters })
}

/// Share of random words where a server drafts tokens, and what it accepts.
fn speculation(summary: &Summary) -> Option<(f64, Option<f64>)> {
    let told = summary.told.as_deref().filter(|told| told.speculates)?;
    let tally = summary.tally();
    Some((tally.synthetic_text as f64 / tally.requests.max(1) as f64, told.accepted()))
}

/// Tokens of the longest chat template that is credited.
const TEMPLATE_MAX: f64 = 128.0;

#[cfg(test)]
mod tests;
