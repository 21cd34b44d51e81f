//! `View`: whose definitions a row of `aggregate` follows, and `ViewStats`, which computes them from the rows
//! of requests.
//!
//! Formulas are those of vLLM's `calculate_metrics` (`benchmarks/serve.py`) and its request functions,
//! GuideLLM 0.8.1 `GenerativeRequestStats` and `DistributionSummary`, AIPerf 0.13 `metrics/types/`, and
//! inference-perf `summarize_requests`; `docs/metrics.md` says where they differ from what those tools can see.

use super::fold::Fold;
use super::gaps::GapStats;
use super::sample::Sample;
use super::weights::Weights;
use crate::record::{EventKind, Events, Fields, Nanos, Outcome, Phase, Record};
use serde_json::{Map, Value, json};

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
            View::Vllm => EventKind::CHOICES,
            View::InferencePerf => EventKind::CONTENT,
        }
    }

    /// Whether it counts a request as done; `seen`: its events that it takes for tokens.
    fn takes(self, record: &Record, seen: usize) -> bool {
        match self {
            View::Rampant | View::Guidellm | View::InferencePerf => record.success(),
            View::Aiperf => record.success() && (seen > 0 || !record.streamed),
            // A body that ended is one, whatever it said, if there was a choice in it.
            View::Vllm => match record.outcome {
                Outcome::Success => seen > 0 || !record.streamed,
                Outcome::Unfinished | Outcome::Aborted | Outcome::ContentFilter | Outcome::ServerError => {
                    seen > 0
                }
                _ => false,
            },
        }
    }
}

/// When the events of a reply came that vLLM's client takes for tokens, microseconds since `sent`.
pub fn choices_us(record: &Record) -> impl Iterator<Item = u32> + '_ {
    let events = &record.timeline.events;
    let known = record.streamed && record.timeline.sent.is_some();
    let pairs =
        events.at_us.iter().zip(&events.kind).filter(move |(_, kind)| known && kind.has(EventKind::CHOICES));
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
    completed: u64,
    failed: u64,
    input: u64,
    output: u64,
    ttft: Sample,
    e2el: Sample,
    tpot: Values,
    itl: Gaps,
    /// Gaps between chunks, where `itl` is something else.
    chunks: GapStats,
    /// `e2el` by the output tokens.
    ntpot: Sample,
    /// Of runs that were closed.
    seconds: f64,
    span: Span,
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
}

fn ms(us: u32) -> f64 {
    f64::from(us) / 1e3
}

impl ViewStats {
    pub fn new(view: View) -> ViewStats {
        let weighed = || Values::Weighed(Weights::default());
        let plain = || Values::Plain(Sample::default());
        ViewStats {
            view,
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
        self.seconds += seconds.unwrap_or_default();
        self.span = Span::default();
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
        ttft.into_iter().for_each(|ttft| self.ttft.add(ttft));
        e2el.into_iter().for_each(|e2el| self.e2el.add(e2el));
        let after_first = ttft.zip(last).map(|(ttft, last)| ms(last) - ttft);
        let each = after_first.filter(|_| n > 1).map(|span| span / f64::from(n - 1));
        let tpot = match self.view {
            View::Rampant => record.tpot_ms(),
            View::Vllm | View::InferencePerf => each,
            View::Guidellm => last.map(ms).or(Some(to_end)).filter(|_| n > 0).map(|last| last / f64::from(n)),
            View::Aiperf => None,
        };
        match (&mut self.tpot, tpot) {
            (Values::Plain(values), Some(tpot)) => values.add(tpot),
            (Values::Weighed(values), Some(tpot)) => values.add(tpot, n),
            _ => {}
        }
        match (&mut self.itl, each) {
            (Gaps::Pooled(pooled), _) => {
                pooled.add(self.flow.gaps(self.view == View::InferencePerf));
            }
            (Gaps::Each(Values::Plain(values)), Some(each)) => values.add(each),
            (Gaps::Each(Values::Weighed(values)), Some(each)) => values.add(each, n - 1),
            _ => {}
        }
        if self.view == View::Aiperf {
            self.chunks.add(self.flow.gaps(false));
        }
        if self.view == View::InferencePerf {
            self.ntpot.add(if n > 0 { to_end / f64::from(n) } else { 0.0 });
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
        let per_second = |amount: u64| json!(seconds.map(|seconds| amount as f64 / seconds));
        put("duration", json!(seconds));
        put("completed", json!(self.completed));
        put("failed", json!(self.failed));
        put("total_input_tokens", json!(self.input));
        put("total_output_tokens", json!(self.output));
        put("request_throughput", per_second(self.completed));
        // What the limits were is not in the rows.
        put("request_goodput", Value::Null);
        put("output_throughput", per_second(self.output));
        put("total_token_throughput", per_second(self.input + self.output));
        let itl = match &self.itl {
            Gaps::Pooled(pooled) => of_view(&pooled.view()),
            Gaps::Each(values) => of_values(values),
        };
        let mut latencies = vec![
            ("ttft", of_view(&self.ttft.view())),
            ("tpot", of_values(&self.tpot)),
            ("itl", itl),
            ("e2el", of_view(&self.e2el.view())),
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
        if self.view != View::Aiperf {
            self.span.add(begun, record.timeline.end);
        }
        match sent.filter(|_| taken) {
            Some(sent) => self.request(record, sent),
            None => self.failed += 1,
        }
    }

    fn merge(&mut self, other: ViewStats) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.input += other.input;
        self.output += other.output;
        self.ttft.merge(&other.ttft);
        self.e2el.merge(&other.e2el);
        merge_values(&mut self.tpot, other.tpot);
        match (&mut self.itl, other.itl) {
            (Gaps::Pooled(mine), Gaps::Pooled(theirs)) => mine.merge(&theirs),
            (Gaps::Each(mine), Gaps::Each(theirs)) => merge_values(mine, theirs),
            _ => unreachable!("both are of one view"),
        }
        self.chunks.merge(&other.chunks);
        self.ntpot.merge(&other.ntpot);
        self.seconds += other.seconds;
        other
            .span
            .first
            .zip(other.span.last)
            .into_iter()
            .for_each(|(first, last)| self.span.add(first, last));
    }

    fn fresh(&self) -> ViewStats {
        ViewStats::new(self.view)
    }
}

#[cfg(test)]
mod tests;
