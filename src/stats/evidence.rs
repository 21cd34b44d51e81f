//! What a finished run shows of itself, gathered for its [`Report`].

use super::expected_load::ExpectedLoad;
use super::load_stats::in_flight_trend;
use super::names::{Metric, Name, Statistic};
use super::remark::Remark;
use super::report::Report;
use super::sample::{View, supports};
use super::summary::Summary;
use super::trend::Trend;
use super::verdict::{CacheHits, Evidence, judge};
use crate::record::{Health, Nanos};

/// Fewest successful requests of a run, and fewest for each request in flight.
const SAMPLES_MIN: u64 = 20;
const SAMPLES_FOR_EACH_PLACE: f64 = 2.0;

/// The beginning of an open loop that is left out of trends, as a share of it at most.
const LEAD_SHARE_MAX: f64 = 0.25;

impl Report {
    pub fn new(summary: &Summary, intent: &ExpectedLoad, health: &Health, writer_blocked_ms: f64) -> Report {
        let evidence = evidence(summary, intent, health, writer_blocked_ms);
        Report { doubts: judge(&evidence), remarks: Remark::all(summary.tally(), intent), evidence }
    }
}

fn evidence(summary: &Summary, intent: &ExpectedLoad, health: &Health, writer_blocked_ms: f64) -> Evidence {
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

fn trends(summary: &Summary, intent: &ExpectedLoad) -> [Option<Trend>; 3] {
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
fn needed(summary: &Summary, intent: &ExpectedLoad) -> u64 {
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
fn cached(summary: &Summary, intent: &ExpectedLoad) -> Option<CacheHits> {
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
    Some(CacheHits { share, wanted, counters })
}

/// Share of random words where a server drafts tokens, and what it accepts.
fn speculation(summary: &Summary) -> Option<(f64, Option<f64>)> {
    let told = summary.told.as_deref().filter(|told| told.speculates)?;
    let tally = summary.tally();
    Some((tally.synthetic_text as f64 / tally.requests.max(1) as f64, told.accepted()))
}

/// Tokens of the longest chat template that is credited.
const TEMPLATE_MAX: f64 = 128.0;
