//! `View`: whose definitions a row of `aggregate` follows, and `ViewStats`, which computes them from the rows
//! of requests.
//!
//! Formulas are those of vLLM 0.33 `calculate_metrics` (`benchmarks/serve.py`) and its request functions,
//! GuideLLM 0.8.1 `GenerativeRequestStats` and `DistributionSummary`, AIPerf 0.13 `metrics/types/`, and
//! inference-perf 0.7 `summarize_requests`; `docs/metrics.md` says where they differ from what those tools can
//! see. `tests/data/peers` runs those functions on streams that we received, and holds the two side by side.

use super::fold::Fold;
use super::gaps::GapStats;
use super::sample::Sample;
use super::slo::Limit;
use super::weights::Weights;
use crate::record::{EventKind, Events, Fields, Nanos, Outcome, Phase, Record};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Whose definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    Rampant,
    Vllm,
    Guidellm,
    Aiperf,
    InferencePerf,
}

impl View {
    pub const ALL: [(&'static str, View); 5] = [
        ("rampant", View::Rampant),
        ("vllm", View::Vllm),
        ("guidellm", View::Guidellm),
        ("aiperf", View::Aiperf),
        ("inference-perf", View::InferencePerf),
    ];

    /// The events that it takes for tokens.
    fn kinds(self) -> EventKind {
        match self {
            View::Rampant | View::Guidellm | View::Aiperf => EventKind::OUTPUT,
            View::Vllm => EventKind::OUTPUT.with(EventKind::BLANK),
            View::InferencePerf => EventKind::CONTENT,
        }
    }

    /// Whether it counts a request as done; `seen`: its events that it takes for tokens.
    fn takes(self, record: &Record, seen: usize) -> bool {
        use Outcome::{Aborted, ContentFilter, ServerError, Success, Unfinished};
        let said = seen > 0 || !record.streamed;
        // A body that ended, whatever it said: none of them asks for a finish reason.
        let ended = matches!(record.outcome, Success | Unfinished | Aborted | ContentFilter | ServerError);
        match self {
            View::Rampant => record.success(),
            View::Vllm | View::Aiperf => ended && said,
            View::InferencePerf => ended,
            // It alone looks for an error in the stream, and takes the server's count for an answer.
            View::Guidellm => {
                let counted = record.output_tokens().is_some_and(|(n, _)| n > 0);
                ended && record.outcome != ServerError && (said || counted)
            }
        }
    }

    /// Whether a request of these values is within the limits, as it judges; `None` where it has no such
    /// limit, or nothing of the kind at all.
    fn is_good(self, limits: &[Limit], of: &Each) -> Option<bool> {
        let within = |limit: &Limit| {
            let value = match (self, limit.metric.as_str()) {
                (_, "ttft") => of.ttft,
                (_, "e2el") => of.e2el,
                // Of a request with a single token it is nothing.
                (View::Vllm, "tpot") => of.tpot.or(Some(0.0)),
                (View::Guidellm, "tpot") => of.itl,
                (View::InferencePerf, "tpot") => of.tpot,
                (View::Aiperf | View::InferencePerf, "itl" | "itl_request") => of.itl,
                (View::InferencePerf, "ntpot") => of.ntpot,
                _ => return None,
            };
            Some(value.is_some_and(|ms| ms <= limit.ms))
        };
        if limits.is_empty() || self == View::Rampant {
            return None;
        }
        limits.iter().map(within).try_fold(true, |all, one| one.map(|one| all && one))
    }
}

/// The values of one request, milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Each {
    ttft: Option<f64>,
    e2el: Option<f64>,
    tpot: Option<f64>,
    /// The mean gap.
    itl: Option<f64>,
    ntpot: Option<f64>,
}

/// When the events of a reply came that vLLM's client takes for tokens, microseconds since `sent`.
pub fn vllm_tokens_us(record: &Record) -> impl Iterator<Item = u32> + '_ {
    let events = &record.timeline.events;
    let known = record.streamed && record.timeline.sent.is_some();
    let kinds = View::Vllm.kinds();
    let pairs = events.at_us.iter().zip(&events.kind).filter(move |(_, kind)| known && kind.has(kinds));
    pairs.map(|(at, _)| *at)
}

/// Whether vLLM's client calls a request a success that had so many of those events.
pub fn is_vllm_success(record: &Record, events: usize) -> bool {
    record.timeline.sent.is_some() && View::Vllm.takes(record, events)
}

/// The numbers of a run, or of several, by the definitions of a [`View`].
#[derive(Debug, Clone, Default)]
pub struct ViewStats {
    view: View,
    /// Of a request, as its run was given them.
    limits: Arc<[Limit]>,
    /// Within the limits; `None` where it has no word for one of them.
    good: Option<u64>,
    completed: u64,
    failed: u64,
    input: u64,
    output: u64,
    ttft: Values,
    e2el: Values,
    tpot: Values,
    itl: Gaps,
    /// Gaps between chunks, where `itl` is something else.
    chunks: GapStats,
    /// `e2el` by the output tokens.
    ntpot: Sample,
    /// Of runs that were closed.
    seconds: f64,
    /// What rates are divided by, where it is not the same: from the first request to the end of the last.
    whole_s: f64,
    span: Span,
    whole: Span,
    /// Reused from record to record.
    flow: Marked,
}

/// From when to when, of a run that is not closed.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    first: Option<Nanos>,
    last: Option<Nanos>,
}

impl Span {
    fn add(&mut self, from: Nanos, to: Nanos) {
        self.first = Some(self.first.map_or(from, |first| first.min(from)));
        self.last = self.last.max(Some(to));
    }
}

/// One value a request, with a weight or without.
#[derive(Debug, Clone)]
enum Values {
    Plain(Sample),
    Weighed(Weights),
}

impl Values {
    fn add(&mut self, value: f64, weight: u32) {
        match self {
            Values::Plain(values) => values.add(value),
            Values::Weighed(values) => values.add(value, weight),
        }
    }
}

impl Default for Values {
    fn default() -> Values {
        Values::Plain(Sample::default())
    }
}

/// Pooled gaps, or one value a request.
#[derive(Debug, Clone)]
enum Gaps {
    Pooled(GapStats),
    Each(Values),
}

impl Default for Gaps {
    fn default() -> Gaps {
        Gaps::Pooled(GapStats::default())
    }
}

/// The four numbers that a row has of a latency.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    mean: Option<f64>,
    median: Option<f64>,
    std: Option<f64>,
    p99: Option<f64>,
    count: u64,
}

/// The events of a reply that count, in reused memory.
#[derive(Debug, Clone, Default)]
struct Marked {
    at_us: Vec<u32>,
    tokens: Vec<u32>,
    gaps_us: Vec<u32>,
}

impl Marked {
    fn read(&mut self, events: &Events, kinds: EventKind) {
        self.at_us.clear();
        self.tokens.clear();
        self.at_us.resize(events.len(), 0);
        self.tokens.resize(events.len(), 0);
        // No branch that could be guessed wrong, as in `Flow`.
        let mut seen = 0;
        for ((at, kind), tokens) in events.at_us.iter().zip(&events.kind).zip(&events.tokens) {
            self.at_us[seen] = *at;
            self.tokens[seen] = *tokens;
            seen += usize::from(kind.0 & kinds.0 != 0);
        }
        self.at_us.truncate(seen);
        self.tokens.truncate(seen);
    }

    /// Between successive events; with `tokens`, between tokens: those of one event come at once.
    fn gaps(&mut self, tokens: bool) -> &[u32] {
        self.gaps_us.clear();
        for (i, at) in self.at_us.iter().enumerate() {
            if i > 0 {
                self.gaps_us.push(at.saturating_sub(self.at_us[i - 1]));
            }
            if tokens {
                let more = self.tokens[i].saturating_sub(1) as usize;
                self.gaps_us.resize(self.gaps_us.len() + more, 0);
            }
        }
        &self.gaps_us
    }

    /// Between the tokens, where there are several: from the first to the last, by their number.
    fn mean_gap_ms(&self, first_ms: Option<f64>) -> Option<f64> {
        let tokens: u32 = self.tokens.iter().map(|tokens| (*tokens).max(1)).sum();
        let last_ms = self.at_us.last().copied().map(ms);
        let span = last_ms.zip(first_ms).map(|(last, first)| last - first);
        span.filter(|_| tokens > 1).map(|span| span / f64::from(tokens - 1))
    }
}

fn ms(us: u32) -> f64 {
    f64::from(us) / 1e3
}

impl ViewStats {
    pub fn new(view: View) -> ViewStats {
        ViewStats::with_limits(view, [].into())
    }

    /// The same of a run whose requests had to keep within limits.
    pub fn with_limits(view: View, limits: Arc<[Limit]>) -> ViewStats {
        let weighed = || Values::Weighed(Weights::default());
        let plain = || Values::Plain(Sample::default());
        ViewStats {
            view,
            good: view.is_good(&limits, &Each::default()).map(|_| 0),
            limits,
            // Its percentiles are values that occurred.
            ttft: if view == View::Guidellm { weighed() } else { plain() },
            e2el: if view == View::Guidellm { weighed() } else { plain() },
            tpot: if view == View::Guidellm { weighed() } else { plain() },
            itl: match view {
                View::Guidellm => Gaps::Each(weighed()),
                View::Aiperf => Gaps::Each(plain()),
                _ => Gaps::default(),
            },
            ..ViewStats::default()
        }
    }

    /// The run is over: from its begin to the end of its last request it took so long, where that is known.
    /// Further runs may follow, and are pooled.
    pub fn close(&mut self, duration_s: Option<f64>) {
        let own = self.span.first.zip(self.span.last).map(|(first, last)| (last - first) as f64 / 1e9);
        let seconds = match self.view {
            // They start their clock before the first request.
            View::Rampant | View::Vllm => duration_s.or(own),
            View::Guidellm | View::Aiperf | View::InferencePerf => own,
        };
        let whole = self.whole.first.zip(self.whole.last).map(|(first, last)| (last - first) as f64 / 1e9);
        self.seconds += seconds.unwrap_or_default();
        self.whole_s += whole.unwrap_or_default();
        (self.span, self.whole) = (Span::default(), Span::default());
    }

    fn request(&mut self, record: &Record, sent: Nanos) {
        let n = record.output_tokens().map_or(0, |(n, _)| n);
        let (first, last) = (self.flow.at_us.first().copied(), self.flow.at_us.last().copied());
        let to_end = (record.timeline.end - sent) as f64 / 1e6;
        let e2el = match self.view {
            View::Guidellm | View::InferencePerf => Some(to_end),
            View::Rampant => record.e2el_ms(),
            View::Vllm | View::Aiperf if !record.streamed => Some(to_end),
            View::Vllm | View::Aiperf => last.map(ms),
        };
        // Not of a single token, there.
        let shown = self.view != View::InferencePerf
            || self.flow.at_us.len() > 1
            || self.flow.tokens.first() > Some(&1);
        let ttft = first.filter(|_| record.streamed && shown).map(ms);
        ttft.into_iter().for_each(|ttft| self.ttft.add(ttft, 1));
        e2el.into_iter().for_each(|e2el| self.e2el.add(e2el, 1));
        let after_first = ttft.zip(last).map(|(ttft, last)| ms(last) - ttft);
        let each = after_first.filter(|_| n > 1).map(|span| span / f64::from(n - 1));
        let tpot = match self.view {
            View::Rampant => record.tpot_ms(),
            View::Vllm | View::InferencePerf => each,
            View::Guidellm => last.map(ms).or(Some(to_end)).filter(|_| n > 0).map(|last| last / f64::from(n)),
            View::Aiperf => None,
        };
        tpot.into_iter().for_each(|tpot| self.tpot.add(tpot, n));
        // Tokens that the server counted and nobody saw have gaps of 0 there.
        let unseen = || (self.view == View::Guidellm && n > 1).then_some(0.0);
        match (&mut self.itl, each.or_else(unseen)) {
            (Gaps::Pooled(pooled), _) => {
                pooled.add(self.flow.gaps(self.view == View::InferencePerf));
            }
            (Gaps::Each(values), Some(each)) => values.add(each, n - 1),
            (Gaps::Each(_), None) => {}
        }
        if self.view == View::Aiperf {
            self.chunks.add(self.flow.gaps(false));
        }
        let ntpot = if n > 0 { to_end / f64::from(n) } else { 0.0 };
        if self.view == View::InferencePerf {
            self.ntpot.add(ntpot);
        }
        if let Some(good) = &mut self.good {
            let itl = if self.view == View::InferencePerf { self.flow.mean_gap_ms(ttft) } else { each };
            let of = Each { ttft, e2el, tpot, itl, ntpot: Some(ntpot) };
            *good += u64::from(self.view.is_good(&self.limits, &of) == Some(true));
        }
        if self.view == View::Aiperf {
            e2el.into_iter().for_each(|e2el| self.span.add(sent, sent + (e2el * 1e6) as Nanos));
        }
        self.completed += 1;
        self.output += u64::from(n);
        let asked = record.asked_input.filter(|_| self.view != View::Rampant);
        self.input += u64::from(record.input_tokens().or(asked).unwrap_or_default());
    }

    /// The columns of the aggregated CSV that follow from the rows of requests.
    pub fn columns(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| map.insert(key.into(), value);
        let seconds = (self.seconds > 0.0).then_some(self.seconds);
        // AIPerf prints the time to the last response, and divides by that of its phase.
        let by = if self.view == View::Aiperf { Some(self.whole_s).filter(|s| *s > 0.0) } else { seconds };
        let per_second = |amount: u64| json!(by.map(|seconds| amount as f64 / seconds));
        put("duration", json!(seconds));
        put("completed", json!(self.completed));
        put("failed", json!(self.failed));
        put("total_input_tokens", json!(self.input));
        put("total_output_tokens", json!(self.output));
        put("request_throughput", per_second(self.completed));
        put("request_goodput", self.good.map_or(Value::Null, per_second));
        put("output_throughput", per_second(self.output));
        put("total_token_throughput", per_second(self.input + self.output));
        let itl = match &self.itl {
            Gaps::Pooled(pooled) => of_view(&pooled.view()),
            Gaps::Each(values) => of_values(values),
        };
        let mut latencies = vec![
            ("ttft", of_values(&self.ttft)),
            ("tpot", of_values(&self.tpot)),
            ("itl", itl),
            ("e2el", of_values(&self.e2el)),
        ];
        match self.view {
            View::Aiperf => latencies.push(("inter_chunk_latency", of_view(&self.chunks.view()))),
            View::InferencePerf => latencies.push(("ntpot", of_view(&self.ntpot.view()))),
            _ => {}
        }
        for (name, shown) in latencies {
            put(&format!("mean_{name}_ms"), json!(shown.mean));
            put(&format!("median_{name}_ms"), json!(shown.median));
            // It prints none.
            let std = shown.std.filter(|_| self.view != View::InferencePerf);
            put(&format!("std_{name}_ms"), json!(std));
            put(&format!("p99_{name}_ms"), json!(shown.p99));
            put(&format!("{name}_count"), json!(shown.count));
        }
        map
    }
}

fn of_view(view: &super::sample::View) -> Shown {
    Shown {
        mean: view.mean(),
        median: view.percentile(50.0),
        std: view.std(),
        p99: view.percentile(99.0),
        count: view.count(),
    }
}

fn of_values(values: &Values) -> Shown {
    match values {
        Values::Plain(sample) => of_view(&sample.view()),
        Values::Weighed(weights) => {
            let sorted = weights.sorted();
            Shown {
                mean: sorted.mean(),
                median: sorted.percentile(50.0),
                std: sorted.std(),
                p99: sorted.percentile(99.0),
                count: weights.count(),
            }
        }
    }
}

fn merge_values(mine: &mut Values, theirs: Values) {
    match (mine, theirs) {
        (Values::Plain(mine), Values::Plain(theirs)) => mine.merge(&theirs),
        (Values::Weighed(mine), Values::Weighed(theirs)) => mine.merge(theirs),
        _ => unreachable!("both are of one view"),
    }
}

impl Fold for ViewStats {
    fn fields(&self) -> Fields {
        Fields::OUTPUT
    }

    fn add(&mut self, record: &Record) {
        if record.phase != Phase::Measured {
            return;
        }
        let sent = record.timeline.sent;
        match sent.filter(|_| record.streamed) {
            Some(_) => self.flow.read(&record.timeline.events, self.view.kinds()),
            None => self.flow.read(&Events::default(), EventKind::OUTPUT),
        }
        let taken = self.view.takes(record, self.flow.at_us.len());
        let begun = match self.view {
            View::Rampant | View::Vllm => record.timeline.planned,
            _ => sent.unwrap_or(record.timeline.planned),
        };
        match self.view {
            View::Aiperf => self.whole.add(begun, record.timeline.end),
            _ => self.span.add(begun, record.timeline.end),
        }
        match sent.filter(|_| taken) {
            Some(sent) => self.request(record, sent),
            None => self.failed += 1,
        }
    }

    fn merge(&mut self, other: ViewStats) {
        // Of runs with other limits there is no such number.
        self.good = self.good.zip(other.good).filter(|_| self.limits == other.limits).map(|(a, b)| a + b);
        self.completed += other.completed;
        self.failed += other.failed;
        self.input += other.input;
        self.output += other.output;
        merge_values(&mut self.ttft, other.ttft);
        merge_values(&mut self.e2el, other.e2el);
        merge_values(&mut self.tpot, other.tpot);
        match (&mut self.itl, other.itl) {
            (Gaps::Pooled(mine), Gaps::Pooled(theirs)) => mine.merge(&theirs),
            (Gaps::Each(mine), Gaps::Each(theirs)) => merge_values(mine, theirs),
            _ => unreachable!("both are of one view"),
        }
        self.chunks.merge(&other.chunks);
        self.ntpot.merge(&other.ntpot);
        self.seconds += other.seconds;
        self.whole_s += other.whole_s;
        for (mine, theirs) in [(&mut self.span, other.span), (&mut self.whole, other.whole)] {
            theirs.first.zip(theirs.last).into_iter().for_each(|(first, last)| mine.add(first, last));
        }
    }

    fn fresh(&self) -> ViewStats {
        ViewStats::with_limits(self.view, self.limits.clone())
    }
}

#[cfg(test)]
mod tests;
