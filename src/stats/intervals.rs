//! `Estimator`: the numbers of a metric of one run, each with how far chance may have moved it.
//!
//! Means, percentiles, rates and shares have intervals. Counts, sums, extremes and standard deviations
//! say what was, and have none; so have the means that the server tells, of which nobody knows the spread.

use super::block_counts::{BlockArrivals, BlockCounts, rate, share};
use super::estimate::{Estimate, Interval, Mark};
use super::names::{Metric, Name, Statistic};
use super::numbers::Censored;
use super::quotient::{Quotient, Tower};
use super::resample::{BLOCKS_MIN, BlockStatistic, CARRIERS_MIN, Found, interval};
use super::sample::{View, supports};
use super::summary::Summary;
use std::cell::OnceCell;

/// One metric of a summary; what several numbers need is made once.
pub struct Estimator<'a> {
    summary: &'a Summary,
    metric: Metric,
    view: View<'a>,
    tower: OnceCell<Tower>,
}

impl Summary {
    /// A value by its name, as [`Summary::value`], with its interval.
    pub fn estimate(&self, name: &str) -> Result<Estimate, String> {
        Name::parse(name).map(|name| self.estimate_of(name))
    }

    /// The same by a name that was parsed before.
    pub fn estimate_of(&self, name: Name) -> Estimate {
        Estimator::new(self, name.metric).estimate(name.statistic)
    }

    /// The interval of a percentile over all requests, failures lying above every success: see
    /// [`Summary::censored`].
    pub fn estimate_censored(&self, metric: Metric, p: f64, censored: Censored) -> Estimate {
        let n = self.count_of(metric) + self.tally.failed();
        match censored {
            Censored::Above(least) => Estimate::plain(Some(least), n),
            Censored::Value(value) => Estimator::new(self, metric).over_failures(p, value, n),
        }
    }
}

impl<'a> Estimator<'a> {
    pub fn new(summary: &'a Summary, metric: Metric) -> Estimator<'a> {
        Estimator { summary, metric, view: summary.view(metric), tower: OnceCell::new() }
    }

    /// The sorted values of the metric.
    pub fn view(&self) -> &View<'a> {
        &self.view
    }

    /// A number without its interval.
    pub fn value(&self, statistic: Statistic) -> Estimate {
        let value = self.summary.number_of(Name::new(self.metric, statistic), &self.view);
        Estimate::plain(value, self.count(statistic))
    }

    pub fn estimate(&self, statistic: Statistic) -> Estimate {
        let Estimate { value: Some(value), n, .. } = self.value(statistic) else {
            return self.value(statistic);
        };
        let sketches = &self.summary.sketches[self.metric as usize];
        match (statistic.percentile(), statistic) {
            (Some(p), _) if !supports(n, p) => {
                let more_s = self.more_s(BLOCKS_MIN * n as f64 * (1.0 - p / 100.0), 2, n);
                let mark = Some(Mark::FewValues { more_s });
                Estimate { value: Some(value), interval: None, n, mark }
            }
            (Some(p), _) => {
                let tower = self.tower.get_or_init(|| Tower::new(sketches, &[]));
                self.judge(value, n, &tower.percentile(p).among(&self.view))
            }
            (_, Statistic::Mean) if self.metric.is_of_requests() => {
                self.judge(value, n, &Quotient::mean(sketches))
            }
            (_, Statistic::Mean) if self.metric == Metric::Concurrency => self
                .concurrency()
                .map_or(Estimate::plain(Some(value), n), |concurrency| self.judge(value, n, &concurrency)),
            (_, Statistic::Rate) => {
                self.rate().map_or(Estimate::plain(Some(value), n), |rate| self.judge(value, n, &rate))
            }
            (_, Statistic::Share) => self.share(value, n),
            _ => Estimate::plain(Some(value), n),
        }
    }

    /// How many values stand behind a number.
    fn count(&self, statistic: Statistic) -> u64 {
        let summary = self.summary;
        match (self.metric, statistic) {
            (Metric::Goodput | Metric::AudioSeconds, Statistic::Rate) => summary.tally.requests,
            (_, Statistic::Rate) => summary.arrivals().ended,
            (metric, Statistic::Mean) if metric.span().is_some() => {
                summary.told().and_then(|told| told.mean(metric.span()?)).map_or(0, |mean| mean.count as u64)
            }
            (metric, _) => summary.count_of(metric),
        }
    }

    fn judge(&self, value: f64, n: u64, statistic: &impl BlockStatistic) -> Estimate {
        if self.summary.unsteady {
            return Estimate { value: Some(value), interval: None, n, mark: Some(Mark::NotSteady) };
        }
        match interval(statistic, value) {
            Ok(Found { interval, times }) => {
                let more_s = self.more_s(BLOCKS_MIN / times, statistic.filled(), n);
                let mark = (times > 1.0).then_some(Mark::FewValues { more_s });
                Estimate { value: Some(value), interval: Some(interval), n, mark }
            }
            Err(effective) => {
                let more_s = self.more_s(effective, statistic.filled(), n);
                let few = statistic.carriers().is_some_and(|carriers| carriers < CARRIERS_MIN);
                let mark = Some(if few { Mark::FewValues { more_s } } else { Mark::FewBlocks { more_s } });
                Estimate { value: Some(value), interval: None, n, mark }
            }
        }
    }

    /// Seconds that the run would have to go on for: independent blocks grow as it does.
    fn more_s(&self, effective: f64, filled: usize, n: u64) -> Option<f64> {
        let (start, end) = self.summary.span()?;
        let more = (end - start) as f64 / 1e9 * (BLOCKS_MIN / effective - 1.0);
        ((filled > 1 || n < 2) && more.is_finite()).then_some(more)
    }

    fn over_failures(&self, p: f64, value: f64, n: u64) -> Estimate {
        let sketches = &self.summary.sketches[self.metric as usize];
        let mut blocks = self.summary.blocks.clone();
        let mut sketches = sketches.clone();
        sketches.beside(&mut blocks);
        let above: Vec<u32> = blocks.blocks().iter().map(|block| block.failed as u32).collect();
        self.judge(value, n, &Tower::new(&sketches, &above).percentile(p).among(&self.view))
    }

    fn rate(&self) -> Option<Quotient> {
        let span = self.summary.span()?;
        let arrivals = self.summary.arrivals();
        let arrived = |of: fn(&BlockArrivals) -> u64| {
            rate(arrivals.blocks(), span, |block| of(block) as f64, std::iter::empty())
        };
        let planned = |of: fn(&BlockCounts) -> f64| rate(&self.summary.blocks, span, of, std::iter::empty());
        Some(match self.metric {
            Metric::Requests => arrived(|block| block.ended),
            Metric::InputTokens => arrived(|block| block.input_tokens),
            Metric::UncachedInputTokens => arrived(|block| block.uncached_tokens),
            Metric::OutputTokens => rate(arrivals.blocks(), span, |_| 0.0, arrivals.output_over_time()),
            Metric::TotalTokens => {
                rate(arrivals.blocks(), span, |block| block.input_tokens as f64, arrivals.output_over_time())
            }
            Metric::Goodput => planned(|block| block.good as f64),
            Metric::AudioSeconds => planned(|block| block.audio_ms as f64 / 1e3),
            _ => return None,
        })
    }

    fn share(&self, value: f64, n: u64) -> Estimate {
        let of = |of: fn(&BlockCounts) -> (u64, u64)| share(&self.summary.blocks, of);
        let quotient = match self.metric {
            Metric::Errors => of(|block| (block.failed, block.requests)),
            Metric::Goodput => of(|block| (block.good, block.requests)),
            Metric::ForcedLength => of(|block| (block.forced_length, block.requests)),
            Metric::SyntheticText => of(|block| (block.synthetic_text, block.requests)),
            Metric::CachedTokens => of(|block| (block.cached_tokens, block.cached_inputs)),
            _ => return Estimate::plain(Some(value), n),
        };
        if self.metric != Metric::CachedTokens && (value <= 0.0 || value >= 1.0) && !self.summary.unsteady {
            let interval = Some(never(value, n));
            return Estimate { value: Some(value), interval, n, mark: Some(Mark::NoneSeen) };
        }
        self.judge(value, n, &quotient)
    }

    fn concurrency(&self) -> Option<Quotient> {
        let (start, end) = self.summary.span()?;
        let mut blocks = self.summary.blocks.clone();
        blocks.at(start);
        blocks.at(end);
        let n = blocks.blocks().len();
        let times: Vec<i64> = (0..n).map(|block| blocks.start(block).max(start)).chain([end]).collect();
        let open = self.summary.in_flight().open_between(&times);
        let seconds = times.windows(2).map(|pair| (pair[1] - pair[0]).max(0) as f64 / 1e9);
        Some(Quotient::new(open.into_iter().zip(seconds)))
    }
}

/// What never happened in `n` requests happens with this share at most, in 95 of 100 runs; what always
/// happened, with this share at least (Clopper and Pearson 1934).
fn never(value: f64, n: u64) -> Interval {
    let bound = 1.0 - 0.025_f64.powf(1.0 / n.max(1) as f64);
    if value <= 0.0 { Interval { low: 0.0, high: bound } } else { Interval { low: 1.0 - bound, high: 1.0 } }
}

#[cfg(test)]
mod tests {
    use super::super::Window;
    use super::super::fixture::{FixtureReply, reply};
    use super::super::{Limit, Slo};
    use super::*;
    use crate::record::Outcome;

    /// Replies every 10 ms whose times leap about.
    fn steady(n: u64) -> impl Iterator<Item = FixtureReply> {
        (0..n).map(|i| {
            let first = 20 + (i * 7_919 % 101) as u32;
            reply(i, i as i64 * 10)
                .tokens_at(&[first, first + 10, first + 25])
                .usage(100 + (i as u32 * 13 % 7), 3)
        })
    }

    fn summary(replies: impl Iterator<Item = FixtureReply>) -> Summary {
        let slo = Slo { limits: vec![Limit::parse("ttft", "100ms").unwrap()], ..Slo::default() };
        let mut summary = Summary::new(Window::UNKNOWN, Some(slo), false);
        replies.for_each(|reply| summary.add(&reply.record()));
        summary.close();
        summary
    }

    #[test]
    fn every_mean_percentile_rate_and_share_that_was_observed_has_an_interval_around_its_value() {
        let mut replies: Vec<FixtureReply> = steady(6_000).collect();
        for i in (0..replies.len()).step_by(17) {
            replies[i] = reply(i as u64, i as i64 * 10).ends(30).fails(Outcome::Status, "busy");
        }
        let summary = summary(replies.into_iter());
        let (mut with, mut without) = (0, Vec::new());
        for metric in Metric::all() {
            for statistic in Statistic::NAMED.into_iter().chain([Statistic::Percentile(99.0)]) {
                let name = Name::new(metric, statistic);
                if !metric.allows(statistic) || summary.number(name).is_none() {
                    continue;
                }
                let estimate = summary.estimate_of(name);
                assert_eq!(estimate.value, summary.number(name), "{name}");
                let asks = statistic.percentile().is_some()
                    || matches!(statistic, Statistic::Mean | Statistic::Rate | Statistic::Share);
                match estimate.interval {
                    Some(Interval { low, high }) => {
                        let value = estimate.value.unwrap();
                        assert!(low <= value && value <= high && asks, "{name}: {low} {value} {high}");
                        let seen = estimate.mark.is_none();
                        assert!(
                            !seen || low >= 0.8 * value && high <= 1.25 * value,
                            "{name}: {low} {value} {high}"
                        );
                        with += 1;
                    }
                    None if asks => without.push(name.to_string()),
                    None => {}
                }
            }
        }
        assert_eq!(without, Vec::<String>::new());
        assert!(with > 40, "{with}");
    }

    #[test]
    fn a_short_run_says_how_much_longer_it_would_have_to_be() {
        let estimate = summary(steady(12)).estimate("ttft.mean").unwrap();
        assert!(estimate.interval.is_none() && estimate.value.is_some());
        let Some(Mark::FewBlocks { more_s: Some(more) }) = estimate.mark else { panic!("{estimate:?}") };
        assert!((0.05..1.0).contains(&more), "{more}");
    }

    #[test]
    fn requests_that_all_come_at_once_have_no_interval_and_no_time_helps() {
        let burst = (0..500).map(|i| reply(i, 0).tokens_at(&[20 + i as u32]));
        let estimate = summary(burst).estimate("ttft.mean").unwrap();
        assert_eq!(estimate.mark, Some(Mark::FewBlocks { more_s: None }));
    }

    #[test]
    fn what_never_happened_is_bounded_by_the_number_of_requests() {
        let summary = summary(steady(100));
        let errors = summary.estimate("errors.share").unwrap();
        assert_eq!((errors.value, errors.low(), errors.mark), (Some(0.0), Some(0.0), Some(Mark::NoneSeen)));
        assert!((errors.high().unwrap() - 0.0362).abs() < 1e-4, "{errors:?}");
    }

    #[test]
    fn a_run_without_a_level_has_no_interval() {
        let mut summary = summary(steady(2_000));
        summary.unsteady = true;
        for name in
            ["ttft.mean", "ttft.p50", "requests.rate", "goodput.share", "concurrency.mean", "errors.share"]
        {
            let estimate = summary.estimate(name).unwrap();
            assert_eq!((estimate.interval, estimate.mark), (None, Some(Mark::NotSteady)), "{name}");
        }
        assert_eq!(summary.estimate("ttft.max").unwrap().mark, None);
    }

    #[test]
    fn a_percentile_over_failures_knows_them() {
        let replies = steady(3_000).enumerate().map(|(i, good)| {
            if i % 10 == 3 { reply(i as u64, i as i64 * 10).times_out(60_000) } else { good }
        });
        let summary = summary(replies);
        let of = |p| summary.estimate_censored(Metric::Ttft, p, summary.censored(Metric::Ttft, p).unwrap());
        let median = of(50.0);
        assert!(
            median.low().unwrap() < median.value.unwrap() && median.value.unwrap() < median.high().unwrap()
        );
        assert_eq!(of(99.0).interval, None, "it lies among the failures");
        let edge = of(89.9);
        assert_eq!(edge.interval.unwrap().high, f64::INFINITY, "{edge:?}");
        assert_eq!(edge.high(), None);
    }
}
