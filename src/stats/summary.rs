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

#[cfg(test)]
mod tests {
    use super::super::fixture::{MS, Reply, reply};
    use super::super::{Condition, Limit};
    use super::*;
    use crate::record::Kind;

    const COUNT_BOUND: Window = Window { start: None, end: None };

    fn filled(window: Window, replies: impl IntoIterator<Item = Reply>) -> Summary {
        let mut summary = Summary::new(window, None, false);
        replies.into_iter().for_each(|reply| summary.add(&reply.record()));
        summary
    }

    fn all(replies: impl IntoIterator<Item = Reply>) -> Summary {
        filled(COUNT_BOUND, replies)
    }

    fn seconds(start: Nanos, end: Nanos) -> Window {
        Window { start: Some(start * 1_000 * MS), end: Some(end * 1_000 * MS) }
    }

    /// Each name with its expected value; `None` is null.
    fn says(summary: &Summary, expected: &[(&str, Option<f64>)]) {
        for (name, value) in expected {
            match (summary.value(name).unwrap(), value) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{name}: {a}, not {b}"),
                (a, b) => assert_eq!(a, *b, "{name}"),
            }
        }
    }

    #[test]
    fn every_latency_of_one_reply_by_hand() {
        let summary = all([reply(0, 1_000)
            .waited(100)
            .event(5, Kind::ROLE, 0)
            .event(40, Kind::REASONING, 0)
            .event(60, Kind::CONTENT, 0)
            .event(100, Kind::CONTENT, 0)
            .event(110, Kind::FINISH, 0)
            .event(120, Kind::USAGE, 0)
            .event(121, Kind::DONE, 0)
            .usage(10, 7)]);
        says(
            &summary,
            &[
                ("ttft.mean", Some(40.0)),
                ("ttfo.mean", Some(60.0)),
                ("e2el.mean", Some(100.0)),
                ("itl.count", Some(2.0)),
                ("itl.mean", Some(30.0)),
                ("itl.std", Some(10.0)),
                ("itl_request.mean", Some(30.0)),
                ("itl_token.count", Some(0.0)),
                ("tpot.mean", Some(10.0)),
                ("ntpot.mean", Some(100.0 / 7.0)),
                ("output_tps_per_user.mean", Some(100.0)),
                ("response_ttft.mean", Some(140.0)),
                ("response_e2el.mean", Some(200.0)),
                ("queue_delay.mean", Some(100.0)),
                ("total_tokens.mean", Some(17.0)),
                ("duration", Some(0.221)),
            ],
        );
    }

    #[test]
    fn role_and_empty_events_are_no_first_token() {
        let summary =
            all([reply(0, 0).event(1, Kind::ROLE, 0).event(2, Kind::EMPTY, 0).event(30, Kind::CONTENT, 0)]);
        says(
            &summary,
            &[("ttft.mean", Some(30.0)), ("itl.count", Some(0.0)), ("output_tokens.sum", Some(1.0))],
        );
    }

    #[test]
    fn usage_and_done_do_not_extend_a_latency() {
        let reply = reply(0, 0).tokens_at(&[10, 20]).event(90, Kind::USAGE, 0).event(95, Kind::DONE, 0);
        says(&all([reply.usage(5, 2)]), &[("e2el.mean", Some(20.0)), ("tpot.mean", Some(10.0))]);
    }

    #[test]
    fn several_tokens_in_an_event_are_several_tokens() {
        let summary = all([reply(0, 0)
            .event(10, Kind::CONTENT, 2)
            .event(40, Kind::CONTENT, 3)
            .event(80, Kind::CONTENT, 4)
            .usage(5, 9)]);
        says(
            &summary,
            &[
                ("output_tokens.sum", Some(9.0)),
                ("itl.mean", Some(35.0)),
                ("itl_token.mean", Some(10.0)),
                ("tpot.mean", Some(10.0)),
            ],
        );
    }

    #[test]
    fn events_of_one_read_have_a_gap_of_zero_and_keep_it() {
        let summary = all([reply(0, 0).tokens_at(&[10, 10, 30]).usage(1, 3)]);
        says(&summary, &[("itl.count", Some(2.0)), ("itl.min", Some(0.0)), ("itl.mean", Some(10.0))]);
    }

    #[test]
    fn a_success_without_text_has_no_first_token_and_ends_with_its_finish() {
        let summary = all([reply(0, 0).event(30, Kind::FINISH, 0).event(40, Kind::USAGE, 0).usage(5, 1)]);
        says(
            &summary,
            &[
                ("ttft.mean", None),
                ("ttft.count", Some(0.0)),
                ("e2el.mean", Some(30.0)),
                ("output_tokens.sum", Some(1.0)),
                ("tpot.mean", None),
                ("errors.count", Some(0.0)),
                ("stall.count", Some(0.0)),
                ("stall.sum", None),
            ],
        );
    }

    #[test]
    fn a_reply_that_was_not_streamed_has_no_first_token_but_an_end() {
        let summary =
            all([reply(0, 0).not_streamed(80).usage(5, 4), reply(1, 0).tokens_at(&[20, 40]).usage(5, 2)]);
        says(
            &summary,
            &[
                ("ttft.count", Some(1.0)),
                ("ttft.mean", Some(20.0)),
                ("e2el.mean", Some(60.0)),
                ("e2el.count", Some(2.0)),
            ],
        );
    }

    #[test]
    fn failures_have_no_latency_but_stand_in_every_denominator() {
        let slo = Slo { limits: vec![Limit::parse("e2el", "1s").unwrap()], ..Slo::default() };
        let mut summary = Summary::new(COUNT_BOUND, Some(slo), false);
        let cut = reply(1, 0).tokens_at(&[1, 2]).fails(Outcome::Truncated, "cut off");
        let wrong = reply(2, 0).tokens_at(&[1]).fails(Outcome::ServerError, "out of memory");
        for reply in [reply(0, 0).tokens_at(&[10, 500]).usage(5, 2), cut, wrong, reply(3, 0).dropped()] {
            summary.add(&reply.record());
        }
        says(
            &summary,
            &[
                ("requests.count", Some(4.0)),
                ("requests.rate", Some(2.0)),
                ("errors.count", Some(3.0)),
                ("errors.share", Some(0.75)),
                ("goodput.share", Some(0.25)),
                ("goodput.rate", Some(2.0)),
                ("ttft.count", Some(1.0)),
                ("output_tokens.sum", Some(2.0)),
                ("output_tokens.rate", Some(4.0)),
                ("wasted_tokens.sum", Some(3.0)),
                ("lateness.count", Some(3.0)),
            ],
        );
    }

    #[test]
    fn failures_are_listed_by_kind_with_the_words_of_the_earliest() {
        let status = |seq, words| reply(seq, 0).fails(Outcome::Status, words);
        let summary = all([reply(0, 0).times_out(5), status(7, "later"), status(3, "first")]);
        assert_eq!(
            summary.failures(),
            [
                (Outcome::Status, 2, Some("first".into())),
                (
                    Outcome::TimedOut(crate::record::Timeout::Total),
                    1,
                    Some("no end of the reply in time".into())
                ),
            ]
        );
    }

    #[test]
    fn a_run_in_which_everything_failed_has_rates_of_zero_and_no_latency() {
        let summary = all([reply(0, 0).ends(100).fails(Outcome::Status, "busy")]);
        says(
            &summary,
            &[
                ("errors.share", Some(1.0)),
                ("requests.rate", Some(0.0)),
                ("output_tokens.rate", Some(0.0)),
                ("output_tokens.sum", Some(0.0)),
                ("ttft.p99", None),
                ("peak_output_tokens_per_s", None),
                ("goodput.share", None),
            ],
        );
    }

    #[test]
    fn a_run_by_count_measures_its_requests_alone_until_the_last_has_ended() {
        let warmup = reply(0, 0).tokens_at(&[100, 1_500]).usage(9, 9).warmup();
        let summary = all([
            warmup,
            reply(1, 1_000).tokens_at(&[100, 400]).usage(5, 4),
            reply(2, 1_000).tokens_at(&[100, 1_000]).usage(5, 4).ends(2_000),
        ]);
        says(
            &summary,
            &[
                ("duration", Some(2.0)),
                ("requests.rate", Some(1.0)),
                ("output_tokens.rate", Some(4.0)),
                ("input_tokens.rate", Some(5.0)),
                ("total_tokens.rate", Some(9.0)),
                // 0.5 s of warm-up, 0.4 s and 2 s of measured requests in flight.
                ("concurrency.mean", Some(1.45)),
                ("concurrency.max", Some(3.0)),
            ],
        );
    }

    #[test]
    fn a_run_by_time_counts_what_arrived_in_its_window() {
        let straggler = reply(0, 500).tokens_at(&[100, 600, 700, 1_000]).usage(8, 8).warmup();
        let inside = reply(1, 1_000).tokens_at(&[500, 600]).usage(4, 2);
        let over = reply(2, 2_500).tokens_at(&[100, 900]).usage(6, 2);
        let summary = filled(seconds(1, 3), [straggler, inside, over]);
        says(
            &summary,
            &[
                ("duration", Some(2.0)),
                // The straggler and the one inside; the last ends after the window.
                ("requests.rate", Some(1.0)),
                // 6 of the straggler's 8 tokens, 2, and 1 of 2.
                ("output_tokens.rate", Some(4.5)),
                // The straggler's first output came before the window.
                ("input_tokens.rate", Some(5.0)),
                // Latencies are of the measured ones, followed to their end.
                ("e2el.max", Some(900.0)),
                ("e2el.count", Some(2.0)),
                ("output_tokens.sum", Some(4.0)),
                ("concurrency.mean", Some((0.5 + 0.6 + 0.5) / 2.0)),
            ],
        );
    }

    #[test]
    fn only_requests_planned_in_the_window_are_measured() {
        let at = |seq, ms| reply(seq, ms).tokens_at(&[10, 20]);
        let summary = filled(seconds(1, 2), [at(0, 999), at(1, 1_000), at(2, 2_000), at(3, 2_001)]);
        says(&summary, &[("requests.count", Some(2.0)), ("ttft.count", Some(2.0))]);
    }

    #[test]
    fn a_start_that_is_learnt_late_begins_the_window() {
        let mut summary = Summary::new(COUNT_BOUND, None, false);
        summary.start_window(500 * MS);
        summary.add(&reply(0, 1_000).tokens_at(&[500]).usage(1, 1).record());
        says(&summary, &[("duration", Some(1.0))]);
        summary.set_window(Window { start: Some(0), end: Some(2_000 * MS) });
        says(&summary, &[("duration", Some(2.0))]);
    }

    #[test]
    fn waiting_at_the_cap_is_in_the_response_times() {
        let waits = |seq, ms: Nanos| reply(seq, 1_000).waited(ms).tokens_at(&[50]);
        let summary = all([waits(0, 0), waits(1, 50), waits(2, 100)]);
        says(
            &summary,
            &[("queue_delay.max", Some(100.0)), ("ttft.max", Some(50.0)), ("response_ttft.max", Some(150.0))],
        );
    }

    #[test]
    fn cached_tokens_are_a_share_of_the_inputs_that_report_them() {
        let reported = |seq| reply(seq, 0).tokens_at(&[500]).usage(100, 1).cached(25);
        says(
            &all([reported(0), reported(1)]),
            &[
                ("cached_tokens.sum", Some(50.0)),
                ("cached_tokens.share", Some(0.25)),
                ("uncached_input_tokens.sum", Some(150.0)),
                ("uncached_input_tokens.rate", Some(300.0)),
            ],
        );
        let silent = reply(2, 0).tokens_at(&[500]).usage(100, 1);
        says(
            &all([reported(0), silent.clone()]),
            &[("cached_tokens.share", Some(0.25)), ("uncached_input_tokens.rate", None)],
        );
        says(&all([silent]), &[("cached_tokens.sum", None), ("cached_tokens.share", None)]);
    }

    #[test]
    fn stalls_are_counted_with_the_longest_and_the_total() {
        let summary = all([
            reply(0, 0).tokens_at(&[10, 20, 30, 40, 110, 120]),
            reply(1, 0).tokens_at(&[10, 20, 30, 40, 130, 140]),
        ]);
        says(
            &summary,
            &[
                ("stall.count", Some(2.0)),
                ("stall.max", Some(90.0)),
                ("stall.sum", Some(160.0)),
                ("stall.min", Some(70.0)),
            ],
        );
    }

    #[test]
    fn counts_of_tokens_say_where_they_come_from() {
        let mut counted = reply(1, 0).not_streamed(10).record();
        counted.counted_output = Some(7);
        let mut summary = all([
            reply(0, 0).tokens_at(&[10]).usage(1, 5),
            reply(2, 0).tokens_at(&[10, 20]),
            reply(3, 0).not_streamed(10),
        ]);
        summary.add(&counted);
        let sources = summary.tally().sources;
        assert_eq!((sources.usage, sources.tokenizer, sources.events, sources.unknown), (1, 1, 1, 1));
        says(&summary, &[("output_tokens.sum", Some(14.0)), ("output_tokens.count", Some(3.0))]);
    }

    #[test]
    fn asked_lengths_are_kept_beside_the_counted_ones() {
        let summary = all([
            reply(0, 0).asked(256, 3).usage(262, 3).tokens_at(&[1]),
            reply(1, 0).asked(256, 3).usage(264, 2).tokens_at(&[1]),
        ]);
        let (output, input) = (summary.tally().asked_output, summary.tally().asked_input);
        assert_eq!((output.compared, output.met, output.range), (2, 1, Some((3, 3))));
        assert_eq!((input.compared, input.met, input.mean_difference()), (2, 0, 7.0));
    }

    #[test]
    fn failures_of_one_percent_leave_percentiles_alone() {
        let good = |n: u64| (0..n).map(|i| reply(i, 0).tokens_at(&[20]));
        let mut few = all(good(99));
        few.add(&reply(99, 0).times_out(60_000).record());
        assert_eq!(few.censored(Metric::Ttft, 99.0), None);
        few.add(&reply(100, 0).times_out(60_000).record());
        assert_eq!(few.censored(Metric::Ttft, 99.0), Some(Censored::Above(60_000.0)));
        assert_eq!(few.censored(Metric::Ttft, 50.0), Some(Censored::Value(20.0)));
        assert_eq!(few.censored(Metric::Itl, 99.0), None);
    }

    #[test]
    fn a_quick_refusal_counts_as_longer_than_every_answer() {
        let mut summary = all((0..8).map(|i| reply(i, 0).tokens_at(&[20])));
        summary.add(&reply(9, 0).ends(1).fails(Outcome::Status, "busy").record());
        assert_eq!(summary.censored(Metric::E2el, 99.0), Some(Censored::Above(20.0)));
    }

    #[test]
    fn an_unknown_name_is_an_error_and_a_known_one_without_values_is_null() {
        let summary = all([]);
        assert!(summary.value("ttft.p999").is_err());
        assert_eq!(summary.value("ttft.p99"), Ok(None));
        assert_eq!(summary.value("duration"), Ok(None));
    }

    #[test]
    fn merged_parts_equal_the_whole() {
        let slo = Slo {
            limits: vec![Limit::parse("ttft", "60ms").unwrap()],
            overall: vec![Condition::parse("errors.share < 50%").unwrap()],
            from_sent: false,
        };
        for window in [COUNT_BOUND, seconds(1, 4)] {
            let mut whole = Summary::new(window, Some(slo.clone()), true);
            let mut parts = [whole.clone(), whole.clone(), whole.clone()];
            for i in 0..60_u64 {
                let ms = i as Nanos * 83;
                let step = 7 + (i as u32 * 5) % 11;
                let reply =
                    reply(i, ms).waited(i as Nanos % 9).tokens_at(&[30 + step, 40 + 2 * step, 200 + step]);
                let reply = reply.usage(100 + i as u32, 5 + i as u32 % 3).cached(i as u32 % 50);
                let record = match i % 10 {
                    0 => reply.fails(Outcome::Truncated, &format!("cut {i}")),
                    1 => reply.warmup(),
                    2 => reply.not_streamed(400),
                    _ => reply,
                }
                .record();
                whole.add(&record);
                parts[(i * 7 % 3) as usize].add(&record);
            }
            let mut merged = parts[2].clone();
            merged += &parts[0];
            merged += &parts[1];
            for ((name, a), (_, b)) in whole.columns().into_iter().zip(merged.columns()) {
                let near = a.zip(b).is_none_or(|(a, b)| (a - b).abs() <= 1e-9 * a.abs());
                assert!(a.is_some() == b.is_some() && near, "{name}: {a:?} against {b:?}");
            }
            assert_eq!(whole.failures(), merged.failures());
            assert_eq!(whole.table("en"), merged.table("en"));
        }
    }
}
