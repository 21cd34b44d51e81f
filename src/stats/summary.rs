//! `Summary`: all numbers of one run.

use super::block_counts::BlockCounts;
use super::blocks::TimeBlocks;
use super::counts::{Counts, Failed};
use super::flow::Flow;
use super::fold::Fold;
use super::gaps::GapStats;
use super::load_stats::LoadStats;
use super::metric::{Metric, MetricReader};
use super::rates::{Arrivals, Concurrency, CountedReply, OpenIntervals};
use super::report::Report;
use super::sample::Sample;
use super::sketch::{Room, SketchBlocks};
use super::slo::Slo;
use super::window::{Waiting, Window};
use crate::record::{Adaption, Fields, Nanos, PartOf, Phase, Record, Told};
use std::borrow::Cow;
use std::sync::Arc;

/// All numbers of one run, computed from its records in any order.
///
/// Latencies, counts and shares are of the measured requests that were planned in the window,
/// followed to their end; only successes have latencies and lengths, while `queue_delay` and
/// `lateness` are of every request that was sent. Rates are of what arrived in the window,
/// whoever asked for it, and concurrency is of every request in flight: warm-up included.
/// Memory: bounded samples, 16 bytes a request, and the warm-up's replies until [`Summary::close`].
#[derive(Debug, Clone)]
pub struct Summary {
    window: Window,
    pub(super) slo: Option<Slo>,
    pub(super) open: bool,
    /// By the number of the metric; empty where single requests have no values of it.
    pub(super) samples: Vec<Sample>,
    pub(super) itl: GapStats,
    /// The same values by time, roughly: what chance could have made of them.
    pub(super) sketches: Vec<SketchBlocks>,
    pub(super) tally: Counts,
    /// Counts by time.
    pub(super) blocks: TimeBlocks<BlockCounts>,
    arrivals: Arrivals,
    /// Replies of the warm-up of which it is not known yet what arrives in the window.
    waiting: Waiting,
    in_flight: OpenIntervals,
    /// End of the last request, whichever.
    last_end: Option<Nanos>,
    pub(super) conduct: LoadStats,
    /// Fields of ours that the server does not take.
    pub(super) adaptions: Arc<Vec<Adaption>>,
    /// What the server's own counters say of the window.
    pub(super) told: Option<Box<Told>>,
    /// What the run says of itself, once it has ended.
    pub(super) report: Option<Box<Report>>,
    /// The run of which this is all, or a part, has no level.
    pub(super) unsteady: bool,
    /// Reused from record to record.
    flow: Flow,
    room: Room,
}

/// Tokens that a server may have looked up for each one that a run has sent: requests in flight
/// when the window opens, and those that failed, count as well.
const OTHERS_MAX: f64 = 1.5;
const FEW_TOKENS: f64 = 1_000.0;

impl Summary {
    /// `open`: the run has an open-loop schedule (response_ times judge the SLO then).
    pub fn new(window: Window, slo: Option<Slo>, open: bool) -> Self {
        Summary {
            window,
            slo,
            open,
            samples: vec![Sample::default(); Metric::ALL.len()],
            itl: GapStats::default(),
            sketches: vec![SketchBlocks::default(); Metric::ALL.len()],
            tally: Counts::default(),
            blocks: TimeBlocks::default(),
            arrivals: Arrivals::default(),
            waiting: Waiting::default(),
            in_flight: OpenIntervals::default(),
            last_end: None,
            conduct: LoadStats::default(),
            adaptions: Arc::default(),
            told: None,
            report: None,
            unsteady: false,
            flow: Flow::default(),
            room: Room::default(),
        }
    }

    /// Replaces the window of a run that goes on: its start is known, or known better.
    pub fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// What every request went without, or with under another name.
    pub fn adapt(&mut self, adaptions: Arc<Vec<Adaption>>) {
        self.adaptions = adaptions;
    }

    /// What the server's own counters say of the window; before the report is made.
    pub fn hear(&mut self, told: Told) {
        self.told = Some(Box::new(told));
    }

    /// What the server's own counters say of the window; nothing for a part of a run.
    pub fn told(&self) -> Option<&Told> {
        self.told.as_deref()
    }

    /// What the server's counters say of its prefix cache, unless others asked the server for more
    /// than half as much as this run did: it is not known whose share that is.
    pub(super) fn cache_told(&self) -> Option<PartOf> {
        let cache = self.told.as_deref()?.cache?;
        let sent = self.samples[Metric::InputTokens as usize].view().sum();
        sent.is_none_or(|sent| cache.whole <= OTHERS_MAX * sent + FEW_TOKENS).then_some(cache)
    }

    /// Nothing more comes: the window is known from now on, and what waited for it is counted.
    pub fn close(&mut self) {
        if let Some((start, end)) = self.span() {
            std::mem::take(&mut self.waiting).arrive(&mut self.arrivals, (start, end));
            self.window = Window::Over { start, end };
        }
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
        self.last_end = self.last_end.max(Some(record.timeline.end));
        if let Some(reply) = CountedReply::of(record) {
            self.arrive(reply, record.phase);
        }
        if !self.is_measured(record) {
            return;
        }
        self.tally.add(record);
        self.conduct.add(record, &self.flow, self.open);
        let good = self.slo.as_ref().is_some_and(|slo| slo.good(record, self.open));
        self.tally.good += u64::from(good);
        self.blocks.at(record.timeline.planned).add(record, good);
        self.observe_each(record, true);
        if record.success() {
            self.add_success(record);
        } else if !record.failed() {
            // Who hung up without a first token would have waited at least so long.
            self.observe(Metric::Ttft, record.timeline.planned, record.waited_ms());
            self.observe(Metric::ResponseTtft, record.timeline.planned, record.response_waited_ms());
        }
    }

    /// Counts what arrives of a reply in the window. That of a measured request ends with it at
    /// the latest, or at the latest end; a request of the warm-up may go on behind both.
    fn arrive(&mut self, reply: CountedReply, phase: Phase) {
        let (start, latest) = (self.window.start(), self.window.latest());
        match (self.window, phase) {
            (Window::Running { .. }, Phase::Warmup) => self.waiting.add(reply, &self.flow, start),
            _ => {
                let window = (start.unwrap_or(Nanos::MIN), latest.unwrap_or(Nanos::MAX));
                self.arrivals.add(&reply, &self.flow, window);
            }
        }
    }

    fn is_measured(&self, record: &Record) -> bool {
        let planned = record.timeline.planned;
        record.phase == Phase::Measured
            && self.window.start().is_none_or(|start| planned >= start)
            && self.window.latest().is_none_or(|latest| planned <= latest)
    }

    fn add_success(&mut self, record: &Record) {
        self.observe_each(record, false);
        self.itl.add(&self.flow.gaps_us);
        let planned = record.timeline.planned;
        self.observe(Metric::ItlRequest, planned, self.flow.mean_gap_ms());
        for stall in self.flow.stalls_ms() {
            self.observe(Metric::Stall, planned, Some(stall));
        }
        let (flow, room) = (&self.flow, &mut self.room);
        flow.token_gaps_ms().for_each(|gap| self.samples[Metric::ItlToken as usize].add(gap));
        let gaps_ms = flow.gaps_us.iter().map(|gap| f64::from(*gap) / 1e3);
        self.sketches[Metric::Itl as usize].add_all(planned, gaps_ms, room);
        self.sketches[Metric::ItlToken as usize].add_all(planned, flow.token_gaps_ms(), room);
    }

    /// The metrics that have one value of a request: those of all that were sent, or of successes.
    fn observe_each(&mut self, record: &Record, of_all_sent: bool) {
        for metric in Metric::all().filter(|metric| metric.about().of_all_sent == of_all_sent) {
            // What is made of gaps between events comes from those that were gathered once.
            if let MetricReader::Each(read) = metric.about().reader
                && metric != Metric::ItlRequest
            {
                self.observe(metric, record.timeline.planned, read(record));
            }
        }
    }

    fn observe(&mut self, metric: Metric, planned: Nanos, value: Option<f64>) {
        if let Some(value) = value {
            self.samples[metric as usize].add(value);
            self.sketches[metric as usize].add(planned, value);
        }
    }

    /// Failures by kind, those of a status by the status, with their counts and one example text
    /// each, most frequent first.
    pub fn failures(&self) -> Vec<Failed> {
        self.tally.failures.list()
    }

    /// Counts of outcomes, lengths and sources.
    pub fn tally(&self) -> &Counts {
        &self.tally
    }

    /// The window: from its start, or the first planned request, to the end of the last measured
    /// one or the latest end, whichever comes first. Where nothing was measured the last of all
    /// requests stands in: a warm-up's replies may fill a whole window. `None`: there was none.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        let Window::Running { start, latest } = self.window else {
            return self.window.start().zip(self.window.latest());
        };
        let start = start.or(self.tally.first_planned)?;
        let last = match self.tally.last_end {
            Some(last) => last.max(start),
            None => self.last_end.filter(|last| *last > start)?,
        };
        Some((start, latest.map_or(last, |latest| latest.min(last))))
    }

    /// From the start of the window to the end of the last measured request, however much later
    /// than the window that is.
    pub(super) fn measuring(&self) -> Option<(Nanos, Nanos)> {
        Some((self.span()?.0, self.tally.last_end?))
    }

    /// When the last measured request ended.
    pub fn last_end(&self) -> Option<Nanos> {
        self.tally.last_end
    }

    pub(super) fn arrivals(&self) -> Cow<'_, Arrivals> {
        match self.span() {
            Some(span) if !self.waiting.is_empty() => {
                let mut arrivals = self.arrivals.clone();
                self.waiting.arrive(&mut arrivals, span);
                Cow::Owned(arrivals)
            }
            _ => Cow::Borrowed(&self.arrivals),
        }
    }

    pub(super) fn has_limits(&self) -> bool {
        self.slo.as_ref().is_some_and(|slo| !slo.limits.is_empty())
    }

    pub(super) fn concurrency(&self) -> Option<Concurrency> {
        self.span().and_then(|(start, end)| self.in_flight.concurrency(start, end))
    }

    pub(super) fn in_flight(&self) -> &OpenIntervals {
        &self.in_flight
    }

    /// The mean number of requests in flight while all `places` of a closed loop were in use
    /// and there was more to send. `None`: the run is all beginning and end.
    pub(super) fn filled_places(&self, places: usize, from: Nanos) -> Option<f64> {
        let (start, last) = self.in_flight.busy(places)?;
        self.in_flight.concurrency(start.max(from), last).map(|concurrency| concurrency.mean)
    }

    /// Puts the report of the finished run into the table.
    pub fn attach(&mut self, report: Report) {
        self.unsteady = report.is_unsteady();
        self.report = Some(Box::new(report));
    }

    /// It is a part of this run: where the run has no level, its parts have none.
    pub fn of_run(&mut self, whole: &Summary) {
        self.unsteady = whole.unsteady;
    }

    /// What the run says of itself; `None` of a part of a run.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }
}

impl Fold for Summary {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::WAY).with(Fields::WORDS)
    }

    fn add(&mut self, record: &Record) {
        Summary::add(self, record);
    }

    fn merge(&mut self, other: Summary) {
        *self += &other;
    }

    fn fresh(&self) -> Summary {
        Summary::new(self.window, self.slo.clone(), self.open)
    }
}

impl std::ops::AddAssign<&Summary> for Summary {
    /// Adds the records of another part of the same run.
    fn add_assign(&mut self, other: &Summary) {
        self.window = self.window.join(other.window);
        for (mine, theirs) in self.samples.iter_mut().zip(&other.samples) {
            mine.merge(theirs);
        }
        self.itl.merge(&other.itl);
        for (mine, theirs) in self.sketches.iter_mut().zip(&other.sketches) {
            mine.merge(theirs);
        }
        self.tally.merge(&other.tally);
        self.blocks.merge(&other.blocks);
        self.arrivals.merge(&other.arrivals);
        self.waiting.merge(&other.waiting);
        self.in_flight.merge(&other.in_flight);
        self.last_end = self.last_end.max(other.last_end);
        self.conduct.merge(&other.conduct);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{COUNT_BOUND, MS, all, filled, reply, says, seconds};
    use super::super::{Condition, Limit};
    use super::*;
    use crate::lang::Lang;
    use crate::record::Outcome;

    #[test]
    fn a_run_by_count_is_measured_until_its_last_request_has_ended() {
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
                // The warm-up ends in the window, too, with half of its nine tokens.
                ("requests.rate", Some(1.5)),
                ("output_tokens.rate", Some(6.25)),
                ("input_tokens.rate", Some(5.0)),
                ("total_tokens.rate", Some(11.25)),
                ("requests.count", Some(2.0)),
                ("output_tokens.sum", Some(8.0)),
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
    fn a_success_that_ends_after_the_window_is_no_throughput_but_has_its_latency() {
        let summary = filled(seconds(0, 1), [reply(0, 500).tokens_at(&[400, 600]).usage(5, 2)]);
        says(
            &summary,
            &[
                ("requests.count", Some(1.0)),
                ("requests.rate", Some(0.0)),
                ("output_tokens.rate", Some(1.0)),
                ("e2el.mean", Some(600.0)),
            ],
        );
    }

    #[test]
    fn only_requests_planned_in_the_window_are_measured() {
        let at = |seq, ms| reply(seq, ms).tokens_at(&[10, 20]);
        let summary = filled(seconds(1, 2), [at(0, 999), at(1, 1_000), at(2, 2_000), at(3, 2_001)]);
        says(&summary, &[("requests.count", Some(2.0)), ("ttft.count", Some(2.0))]);
    }

    fn running(start: Nanos, latest: Nanos) -> Window {
        Window::Running { start: Some(start * MS), latest: Some(latest * MS) }
    }

    #[test]
    fn a_run_that_is_done_before_its_time_ends_with_its_last_request() {
        let replies = (0..4).map(|i| reply(i, 100 * i as Nanos).tokens_at(&[50, 100]).usage(1, 10));
        let mut summary = filled(running(0, 30_000), replies);
        let expected = [
            ("duration", Some(0.4)),
            ("requests.rate", Some(10.0)),
            ("output_tokens.rate", Some(100.0)),
            ("concurrency.mean", Some(1.0)),
        ];
        says(&summary, &expected);
        summary.close();
        says(&summary, &expected);
        assert_eq!(summary.span(), Some((0, 400 * MS)));
    }

    #[test]
    fn a_run_whose_time_is_up_ends_with_it_and_not_with_what_is_still_in_flight() {
        let summary = filled(
            running(0, 1_000),
            [reply(0, 0).tokens_at(&[500]).usage(1, 3), reply(1, 900).tokens_at(&[50, 5_000]).usage(1, 2)],
        );
        says(
            &summary,
            &[("duration", Some(1.0)), ("requests.rate", Some(1.0)), ("output_tokens.rate", Some(4.0))],
        );
    }

    #[test]
    fn a_failure_is_an_end_too_or_a_server_that_died_would_look_fast() {
        let dead = reply(1, 500).ends(1_500).fails(Outcome::Connect, "refused");
        let summary = filled(running(0, 9_000), [reply(0, 0).tokens_at(&[500]).usage(1, 3), dead]);
        says(&summary, &[("duration", Some(2.0)), ("requests.rate", Some(0.5))]);
    }

    #[test]
    fn what_a_warm_up_by_time_brings_before_the_first_measured_request_is_not_lost() {
        let early = reply(0, 0).tokens_at(&[900, 1_100, 1_200]).usage(7, 3).warmup();
        let late = reply(1, 1_600).tokens_at(&[100, 400]).usage(5, 2);
        let mut summary = Summary::new(COUNT_BOUND, None, false);
        summary.add(&early.record());
        summary.set_window(running(1_000, 2_000));
        summary.add(&late.record());
        says(
            &summary,
            &[
                ("duration", Some(1.0)),
                ("requests.rate", Some(2.0)),
                ("output_tokens.rate", Some(4.0)),
                ("input_tokens.rate", Some(5.0)),
            ],
        );
    }

    #[test]
    fn the_reply_that_gave_its_place_to_the_first_measured_request_is_before_the_window() {
        let turn = |i: u64| reply(i, 100 * i as Nanos).tokens_at(&[50, 100]).usage(1, 2);
        let mut replies = vec![turn(0).warmup()];
        replies.extend((1..5).map(turn));
        says(
            &all(replies),
            &[
                ("duration", Some(0.4)),
                ("requests.rate", Some(10.0)),
                ("output_tokens.rate", Some(20.0)),
                ("concurrency.mean", Some(1.0)),
            ],
        );
    }

    #[test]
    fn a_window_that_replies_of_the_warm_up_fill_alone_has_their_throughput() {
        let long = |i| reply(i, 0).tokens_at(&[500, 1_500, 2_500]).usage(4, 3).warmup();
        let summary = filled(running(1_000, 2_000), [long(0), long(1)]);
        says(
            &summary,
            &[
                ("duration", Some(1.0)),
                ("output_tokens.rate", Some(2.0)),
                ("requests.rate", Some(0.0)),
                ("requests.count", Some(0.0)),
                ("concurrency.mean", Some(2.0)),
            ],
        );
        let stopped_before = filled(running(9_000, 20_000), [long(0)]);
        says(&stopped_before, &[("duration", None), ("requests.rate", None), ("output_tokens.rate", None)]);
    }

    #[test]
    fn less_than_a_second_has_no_peak_within_one() {
        let burst = |ends| all([reply(0, 0).tokens_at(&[1, 2, 3]).usage(1, 9).ends(ends)]);
        says(&burst(999), &[("output_tokens.peak", None)]);
        says(&burst(1_000), &[("output_tokens.peak", Some(9.0))]);
        assert!(!burst(999).table(Lang::English).contains("in one second"));
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
            assert_eq!(whole.table(Lang::English), merged.table(Lang::English));
        }
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
}
