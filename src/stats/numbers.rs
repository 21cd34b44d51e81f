//! The numbers of a [`Summary`], by name.

use super::names::{Metric, Name, Statistic};
use super::sample::View;
use super::summary::Summary;

/// A latency of a failed request is not known, only that it was long: from this share of
/// failures on, percentiles count them.
const CENSORED_SHARE: f64 = 0.01;

/// A percentile of a latency over all requests, failures lying above every success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Censored {
    Value(f64),
    /// Among the failures: longer than this.
    Above(f64),
}

impl Summary {
    /// A value by its name, such as `"ttft.p99"`, `"output_tokens.rate"`, `"errors.share"`.
    /// Times are milliseconds (`duration` alone is seconds), rates per second, shares from 0
    /// to 1. `Ok(None)`: not observed. `Err`: no such name, as a sentence with the nearest one.
    pub fn value(&self, name: &str) -> Result<Option<f64>, String> {
        Name::parse(name).map(|name| self.number(name))
    }

    /// As [`Summary::value`], by a name that was parsed before.
    pub fn number(&self, name: Name) -> Option<f64> {
        match name.statistic {
            Statistic::Rate | Statistic::Share | Statistic::Peak => self.number_of(name, &View::empty()),
            _ => self.number_of(name, &self.view(name.metric)),
        }
    }

    /// `view`: the values of its metric.
    pub(super) fn number_of(&self, name: Name, view: &View) -> Option<f64> {
        use Metric::{CachedTokens, Concurrency, Duration, Errors, Goodput, Requests, UncachedInputTokens};
        use Statistic::{Count, Max, Mean, Peak, Rate, Share, Sum};
        let tally = &self.tally;
        match (name.metric, name.statistic) {
            (Duration, _) => self.seconds(),
            (Requests, Count) => Some(tally.requests as f64),
            (Requests, Rate) => self.per_second(self.arrivals().ended as f64),
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
            (UncachedInputTokens, Rate) => self.per_second(self.arrivals().uncached_tokens as f64),
            (Metric::ForcedLength, Count) => Some(tally.forced_length as f64),
            (Metric::ForcedLength, Share) => share(tally.forced_length, tally.requests),
            (Metric::SyntheticText, Count) => Some(tally.synthetic_text as f64),
            (Metric::SyntheticText, Share) => share(tally.synthetic_text, tally.requests),
            (Metric::WastedTokens, Sum) => Some(tally.wasted_tokens as f64),
            (Metric::AudioSeconds, _) if tally.audio_replies == 0 => None,
            (Metric::AudioSeconds, Sum) => Some(tally.audio_seconds),
            (Metric::AudioSeconds, Rate) => self.per_second(tally.audio_seconds),
            (Concurrency, Mean) => self.concurrency().map(|c| c.mean),
            (Concurrency, Max) => self.concurrency().map(|c| c.max as f64),
            (Metric::OutputTokens, Peak) => self.peak(),
            (Metric::SpecAcceptance, _) => self.told().filter(|told| told.speculates)?.accepted(),
            (Metric::ServerCachedTokens, Sum) => Some(self.told()?.cache?.part),
            (Metric::ServerCachedTokens, Share) => self.told()?.cache?.share(),
            (metric, Mean) if metric.span().is_some() => Some(self.told()?.mean(metric.span()?)?.ms),
            (metric, Rate) => self.token_rate(metric),
            (metric, statistic) => self.of_view(metric, statistic, view),
        }
    }

    /// In less than a second there is no most in one.
    fn peak(&self) -> Option<f64> {
        self.seconds().filter(|seconds| *seconds >= 1.0).and_then(|_| self.arrivals().peak())
    }

    fn token_rate(&self, metric: Metric) -> Option<f64> {
        let arrivals = self.arrivals();
        let (input, output) = (arrivals.input_tokens as f64, arrivals.output_tokens());
        match metric {
            Metric::InputTokens => self.per_second(input),
            Metric::OutputTokens => self.per_second(output),
            Metric::TotalTokens => self.per_second(input + output),
            _ => None,
        }
    }

    /// The sorted values of a metric that has them; an empty view for the others.
    pub fn view(&self, metric: Metric) -> View<'_> {
        match metric {
            Metric::Itl => self.itl.view(),
            _ if metric.is_of_requests() => self.samples[metric as usize].view(),
            _ => View::empty(),
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
        match metric {
            Metric::Itl => self.itl.count(),
            _ if metric.is_of_requests() => self.samples[metric as usize].count(),
            _ => self.tally.requests,
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

    fn seconds(&self) -> Option<f64> {
        self.span().map(|(start, end)| (end - start) as f64 / 1e9)
    }

    fn per_second(&self, amount: f64) -> Option<f64> {
        self.seconds().filter(|seconds| *seconds > 0.0).map(|seconds| amount / seconds)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{COUNT_BOUND, all, reply, says};
    use super::super::{Limit, Slo};
    use super::*;
    use crate::record::{EventKind, Mean, Nanos, Outcome, PartOf, Span, Told};

    #[test]
    fn every_latency_of_one_reply_by_hand() {
        let summary = all([reply(0, 1_000)
            .waited(100)
            .event(5, EventKind::ROLE, 0)
            .event(40, EventKind::REASONING, 0)
            .event(60, EventKind::CONTENT, 0)
            .event(100, EventKind::CONTENT, 0)
            .event(110, EventKind::FINISH, 0)
            .event(120, EventKind::USAGE, 0)
            .event(121, EventKind::DONE, 0)
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
        let summary = all([reply(0, 0).event(1, EventKind::ROLE, 0).event(2, EventKind::EMPTY, 0).event(
            30,
            EventKind::CONTENT,
            0,
        )]);
        says(
            &summary,
            &[("ttft.mean", Some(30.0)), ("itl.count", Some(0.0)), ("output_tokens.sum", Some(1.0))],
        );
    }

    #[test]
    fn usage_and_done_do_not_extend_a_latency() {
        let reply =
            reply(0, 0).tokens_at(&[10, 20]).event(90, EventKind::USAGE, 0).event(95, EventKind::DONE, 0);
        says(&all([reply.usage(5, 2)]), &[("e2el.mean", Some(20.0)), ("tpot.mean", Some(10.0))]);
    }

    #[test]
    fn several_tokens_in_an_event_are_several_tokens() {
        let summary = all([reply(0, 0)
            .event(10, EventKind::CONTENT, 2)
            .event(40, EventKind::CONTENT, 3)
            .event(80, EventKind::CONTENT, 4)
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
        let summary =
            all([reply(0, 0).event(30, EventKind::FINISH, 0).event(40, EventKind::USAGE, 0).usage(5, 1)]);
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
    fn every_statistic_of_every_metric_is_there_in_a_run_that_has_it() {
        let slo = Slo { limits: vec![Limit::parse("e2el", "1s").unwrap()], ..Slo::default() };
        let mut summary = Summary::new(COUNT_BOUND, Some(slo), false);
        for i in 0..4 {
            let events = [10, 20, 30, 40, 130, 140 + i].into_iter();
            let reply = reply(i.into(), Nanos::from(i) * 500);
            let mut record = events
                .fold(reply, |reply, at| reply.event(at, EventKind::CONTENT, 2))
                .usage(100, 12)
                .cached(25)
                .load(true, true)
                .record();
            record.audio_ms = Some(2_000);
            summary.add(&record);
        }
        let part = PartOf { part: 100.0, whole: 400.0 };
        let means = Span::ALL.map(|_| Some(Mean { ms: 10.0, count: 4.0 }));
        summary.hear(Told {
            cache: Some(part),
            drafts: Some(part),
            speculates: true,
            means,
            ..Told::default()
        });
        summary.close();
        let mut seen = 0;
        for metric in Metric::all() {
            let about = metric.about();
            let percentiles = about.percentiles.then_some(Statistic::Percentile(99.0));
            for statistic in about.statistics.iter().copied().chain(percentiles) {
                let name = Name::new(metric, statistic);
                assert!(summary.number(name).is_some_and(f64::is_finite), "{name}");
                assert_eq!(summary.value(&name.to_string()), Ok(summary.number(name)), "{name}");
                seen += 1;
            }
            let columns = about.columns.iter().flat_map(|(_, statistics)| *statistics);
            columns.for_each(|statistic| assert!(metric.allows(*statistic), "{metric:?}"));
        }
        assert!(seen > 150, "{seen}");
    }
}
