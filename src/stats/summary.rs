//! `Summary`: all numbers of one run.

use super::flow::Flow;
use super::gaps::Gaps;
use super::names::{Metric, Name, Statistic};
use super::rates::{Arrivals, Concurrency, InFlight};
use super::sample::{Sample, View};
use super::slo::{Censored, Slo};
use super::tally::{Tally, least};
use crate::record::{Nanos, Outcome, Phase, Record};

/// Which part of the run is measured.
///
/// A run that stops at a duration has an end known beforehand: throughputs count what arrived
/// in [start, end]. A run that stops at a number of requests ends with its last request, as
/// in every tool of the field: throughputs then count the measured requests alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// `None` until the first measured request is planned.
    pub start: Option<Nanos>,
    pub end: Option<Nanos>,
}

/// All numbers of one run, computed from its records in any order.
///
/// Latencies, counts and shares are of the measured requests that were planned in the window,
/// followed to their end; only successes have latencies and lengths, while `queue_delay` and
/// `lateness` are of every request that was sent. Concurrency counts every request in flight,
/// warm-up included. Memory: bounded samples, and 16 bytes a request.
#[derive(Debug, Clone)]
pub struct Summary {
    window: Window,
    slo: Option<Slo>,
    open: bool,
    /// By the number of the metric.
    samples: Vec<Sample>,
    itl: Gaps,
    tally: Tally,
    arrivals: Arrivals,
    in_flight: InFlight,
    /// Reused from record to record.
    flow: Flow,
}

/// Metrics before this one hold one [`Sample`] each.
const SAMPLES: usize = Metric::Itl as usize;

/// A latency of a failed request is not known, only that it was long: from this share of
/// failures on, percentiles count them.
const CENSORED_SHARE: f64 = 0.01;

impl Summary {
    /// `open`: the run has an open-loop schedule (response_ times judge the SLO then).
    pub fn new(window: Window, slo: Option<Slo>, open: bool) -> Self {
        Summary {
            window,
            slo,
            open,
            samples: vec![Sample::default(); SAMPLES],
            itl: Gaps::default(),
            tally: Tally::default(),
            arrivals: Arrivals::default(),
            in_flight: InFlight::default(),
            flow: Flow::default(),
        }
    }

    /// The planned time of the first measured request, once known; before any measured record.
    /// Without it the window begins with the earliest planned time that was added.
    pub fn start_window(&mut self, at: Nanos) {
        self.window.start = Some(at);
    }

    /// Replaces the window: when the end follows from a start that was not known before, or
    /// with the true end of a run that was interrupted.
    pub fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn slo(&self) -> Option<&Slo> {
        self.slo.as_ref()
    }

    pub fn add(&mut self, record: &Record) {
        self.in_flight.add(record);
        self.flow.read(record);
        if record.success() {
            match self.window {
                Window { start: Some(start), end: Some(end) } => {
                    self.arrivals.add(record, &self.flow, Some((start, end)));
                }
                _ if record.phase == Phase::Warmup => {}
                Window { end, .. } => {
                    self.arrivals.add(record, &self.flow, end.map(|end| (Nanos::MIN, end)));
                }
            }
        }
        if record.phase == Phase::Warmup || !self.planned_inside(record.timeline.planned) {
            return;
        }
        self.tally.add(record);
        if self.slo.as_ref().is_some_and(|slo| slo.good(record, self.open)) {
            self.tally.good += 1;
        }
        self.observe(Metric::QueueDelay, record.queue_delay_ms());
        self.observe(Metric::Lateness, record.lateness_ms());
        if record.success() {
            self.add_success(record);
        }
    }

    fn planned_inside(&self, planned: Nanos) -> bool {
        self.window.start.is_none_or(|start| planned >= start)
            && self.window.end.is_none_or(|end| planned <= end)
    }

    fn add_success(&mut self, record: &Record) {
        self.observe(Metric::Ttft, record.ttft_ms());
        self.observe(Metric::Ttfo, record.ttfo_ms());
        self.observe(Metric::E2el, record.e2el_ms());
        self.observe(Metric::ResponseTtft, record.response_ttft_ms());
        self.observe(Metric::ResponseE2el, record.response_e2el_ms());
        self.observe(Metric::Tpot, record.tpot_ms());
        self.observe(Metric::Ntpot, record.ntpot_ms());
        self.observe(Metric::OutputTpsPerUser, record.output_tps_per_user());
        let (input, output) = (record.input_tokens(), record.output_tokens().map(|(n, _)| n));
        self.observe(Metric::InputTokens, input.map(f64::from));
        self.observe(Metric::OutputTokens, output.map(f64::from));
        let total = input.zip(output).map(|(input, output)| f64::from(input) + f64::from(output));
        self.observe(Metric::TotalTokens, total);

        self.itl.add(&self.flow.gaps_us);
        self.observe(Metric::ItlRequest, self.flow.mean_gap_ms());
        self.flow.token_gaps_ms().for_each(|gap| self.samples[Metric::ItlToken as usize].add(gap));
        self.flow.stalls_ms().into_iter().for_each(|stall| self.samples[Metric::Stall as usize].add(stall));
    }

    fn observe(&mut self, metric: Metric, value: Option<f64>) {
        if let Some(value) = value {
            self.samples[metric as usize].add(value);
        }
    }

    /// A value by its name, such as `"ttft.p99"`, `"output_tokens.rate"`, `"errors.share"`.
    /// Times are milliseconds (`duration` alone is seconds), rates per second, shares from 0
    /// to 1. `Ok(None)`: not observed. `Err`: no such name, as a sentence with the nearest one.
    pub fn value(&self, name: &str) -> Result<Option<f64>, String> {
        Name::parse(name).map(|name| self.number(name))
    }

    /// As [`Summary::value`], by a name that was parsed before.
    pub fn number(&self, name: Name) -> Option<f64> {
        use Metric::{CachedTokens, Concurrency, Duration, Errors, Goodput, Requests, UncachedInputTokens};
        use Statistic::{Count, Max, Mean, Peak, Rate, Share, Sum};
        let tally = &self.tally;
        match (name.metric, name.statistic) {
            (Duration, _) => self.seconds(),
            (Requests, Count) => Some(tally.requests as f64),
            (Requests, Rate) => self.per_second(self.arrivals.ended as f64),
            (Errors, Count) => Some(tally.failed() as f64),
            (Errors, Share) => share(tally.failed(), tally.requests),
            (Goodput, _) if !self.has_limits() => None,
            (Goodput, Count) => Some(tally.good as f64),
            (Goodput, Rate) => self.per_second(tally.good as f64),
            (Goodput, Share) => share(tally.good, tally.requests),
            (CachedTokens, Sum) => (tally.cached.reports > 0).then_some(tally.cached.tokens as f64),
            (CachedTokens, Share) => share(tally.cached.tokens, tally.cached.input_tokens),
            (UncachedInputTokens, _)
                if tally.cached.reports == 0 || tally.cached.reports < tally.succeeded =>
            {
                None
            }
            (UncachedInputTokens, Sum) => {
                Some(tally.cached.input_tokens.saturating_sub(tally.cached.tokens) as f64)
            }
            (UncachedInputTokens, Rate) => self.per_second(self.arrivals.uncached_tokens as f64),
            (Metric::WastedTokens, Sum) => Some(tally.wasted_tokens as f64),
            (Concurrency, Mean) => self.concurrency().map(|c| c.mean),
            (Concurrency, Max) => self.concurrency().map(|c| c.max as f64),
            (Metric::OutputTokens, Peak) => self.arrivals.peak(),
            (metric, Rate) => self.token_rate(metric),
            (metric, statistic) => self.of_view(metric, statistic, &self.view(metric)),
        }
    }

    fn token_rate(&self, metric: Metric) -> Option<f64> {
        let (input, output) = (self.arrivals.input_tokens as f64, self.arrivals.output_tokens());
        match metric {
            Metric::InputTokens => self.per_second(input),
            Metric::OutputTokens => self.per_second(output),
            Metric::TotalTokens => self.per_second(input + output),
            _ => None,
        }
    }

    /// The sorted values of a metric that has them; an empty view for the others.
    pub fn view(&self, metric: Metric) -> View<'_> {
        match self.samples.get(metric as usize) {
            Some(sample) => sample.view(),
            None if metric == Metric::Itl => self.itl.view(),
            None => View::empty(),
        }
    }

    fn of_view(&self, metric: Metric, statistic: Statistic, view: &View) -> Option<f64> {
        match statistic {
            Statistic::Mean => view.mean(),
            Statistic::Std => view.std(),
            Statistic::Min => view.min(),
            Statistic::Max => view.max(),
            // Nothing summed is 0 where there was nothing to see, and unknown where there was.
            Statistic::Sum => view.sum().or_else(|| {
                let seen =
                    if metric == Metric::Stall { self.itl.count() == 0 } else { self.tally.succeeded > 0 };
                (!seen).then_some(0.0)
            }),
            Statistic::Count => Some(view.count() as f64),
            Statistic::Median => view.percentile(50.0),
            Statistic::Percentile(p) => view.percentile(p),
            Statistic::Rate | Statistic::Share | Statistic::Peak => None,
        }
    }

    /// How many values stand behind the statistics of a metric.
    pub fn count_of(&self, metric: Metric) -> u64 {
        match self.samples.get(metric as usize) {
            Some(sample) => sample.count(),
            None if metric == Metric::Itl => self.itl.count(),
            None => self.tally.requests,
        }
    }

    /// The percentile of a latency over all requests, where more than 1 % of them failed: a
    /// failed request lies above every success, since it never gave an answer. `None`: few
    /// failures, or no such latency.
    pub fn censored(&self, metric: Metric, p: f64) -> Option<Censored> {
        self.censored_in(metric, p, &self.view(metric))
    }

    pub(super) fn censored_in(&self, metric: Metric, p: f64, view: &View) -> Option<Censored> {
        let failures = &self.tally.failures;
        let waited = match metric {
            Metric::Ttft | Metric::Ttfo | Metric::E2el => failures.longest_from_sent,
            Metric::ResponseTtft | Metric::ResponseE2el => failures.longest_from_planned,
            _ => return None,
        };
        let failed =
            share(self.tally.failed(), self.tally.requests).is_some_and(|share| share > CENSORED_SHARE);
        if !failed || (view.count() == 0 && self.tally.succeeded > 0) {
            return None;
        }
        let above = waited as f64 / 1e6;
        Some(match view.percentile_of(p, self.tally.failed()) {
            Some(value) => Censored::Value(value),
            None => Censored::Above(view.max().map_or(above, |max| max.max(above))),
        })
    }

    /// Failures by kind with their counts and one example text each, most frequent first.
    pub fn failures(&self) -> Vec<(Outcome, u64, Option<String>)> {
        self.tally.failures.list()
    }

    /// Counts of outcomes, lengths and sources.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The measured part: from the first planned request to the known end, else to the last
    /// end of a measured request.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        let start = self.window.start.or(self.tally.first_planned)?;
        let end = self.window.end.or(self.tally.last_end)?;
        Some((start, end.max(start)))
    }

    pub(super) fn has_limits(&self) -> bool {
        self.slo.as_ref().is_some_and(|slo| !slo.limits.is_empty())
    }

    pub(super) fn concurrency(&self) -> Option<Concurrency> {
        self.span().and_then(|(start, end)| self.in_flight.concurrency(start, end))
    }

    fn seconds(&self) -> Option<f64> {
        self.span().map(|(start, end)| (end - start) as f64 / 1e9)
    }

    fn per_second(&self, amount: f64) -> Option<f64> {
        self.seconds().filter(|seconds| *seconds > 0.0).map(|seconds| amount / seconds)
    }

    /// Every number as (column name, value), for `runs.parquet`, in a fixed order.
    pub fn columns(&self) -> Vec<(String, Option<f64>)> {
        super::columns::columns(self)
    }

    /// The table for the terminal, English (`"en"`) or Chinese (`"zh"`).
    pub fn table(&self, lang: &str) -> String {
        super::table::table(self, None, lang)
    }

    /// As [`Summary::table`], under the name of the run.
    pub fn table_named(&self, name: &str, lang: &str) -> String {
        super::table::table(self, Some(name), lang)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl std::ops::AddAssign<&Summary> for Summary {
    /// Adds the records of another part of the same run.
    fn add_assign(&mut self, other: &Summary) {
        self.window.start = least(self.window.start, other.window.start);
        self.window.end = self.window.end.max(other.window.end);
        for (mine, theirs) in self.samples.iter_mut().zip(&other.samples) {
            mine.merge(theirs);
        }
        self.itl.merge(&other.itl);
        self.tally.merge(&other.tally);
        self.arrivals.merge(&other.arrivals);
        self.in_flight.merge(&other.in_flight);
    }
}
