//! `Ruling`: what becomes of objectives when a run is over.

use super::estimate::{Estimate, Interval, Mark};
use super::names::{Name, Statistic, Unit};
use super::numbers::Censored;
use super::sample::supports;
use super::slo::{Condition, Limit, Op, Slo, limited};
use super::summary::Summary;
use super::words::{Said, span};
use crate::lang::Lang;

/// What became of a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// In the value's own unit. `None`: not observed.
    pub measured: Option<f64>,
    /// By the interval of the value: all of it is within the bound, or none of it. Where there is no
    /// interval, by the value alone, unless the run has no level. `None`: cannot be told, since the value
    /// was not observed, or [`Ruling::is_undecided`].
    pub holds: Option<bool>,
    /// By the value alone.
    pub value_holds: Option<bool>,
    /// Of the measured value, for its interval and the number of values behind it.
    pub estimate: Estimate,
    /// One line: the condition and what was measured.
    pub text: String,
    /// The parts of the line, for other languages.
    pub said: Said,
}

impl Ruling {
    /// There is a value, and chance may have put it on this side of the bound.
    pub fn is_undecided(&self) -> bool {
        self.measured.is_some() && self.holds.is_none()
    }
}

impl Slo {
    /// Whether a run as a whole is good: every overall condition holds, and no more than 1 % of
    /// its requests are over a limit or failed. What was not observed does not hold, and
    /// objectives that ask for nothing are not met. By values, not by intervals: a search has to go on.
    pub fn met(&self, summary: &Summary) -> bool {
        let response = summary.is_open() && !self.from_sent;
        let limits = self.limits.iter().map(|limit| limit.met_by_most(response, summary));
        let overall = self.judge(summary).into_iter().map(|ruling| ruling.value_holds == Some(true));
        let mut all = limits.chain(overall).peekable();
        all.peek().is_some() && all.all(|held| held)
    }

    /// Every overall condition against a finished run. In an open loop `ttft` and `e2el` are
    /// read as their response_ times, as limits are.
    pub fn judge(&self, summary: &Summary) -> Vec<Ruling> {
        let response = summary.is_open() && !self.from_sent;
        self.overall
            .iter()
            .map(|condition| match Name::parse(&condition.value) {
                Ok(name) if response => {
                    condition.judge_as(Name { metric: name.metric.when_planned(), ..name }, summary)
                }
                _ => condition.judge(summary),
            })
            .collect()
    }
}

impl Limit {
    /// Whether 99 % of all requests, failed ones included, are within the limit.
    fn met_by_most(&self, from_planned_time: bool, summary: &Summary) -> bool {
        // For itl the mean gap of a request: pooled gaps would weigh long replies more.
        let Ok((metric, _)) = limited(&self.metric) else { return false };
        let metric = if from_planned_time { metric.when_planned() } else { metric };
        let name = Name { metric, statistic: Statistic::Percentile(99.0) };
        let text = format!("{} <= {}ms", name, self.ms);
        let condition = Condition { value: name.to_string(), text, op: Op::LessEqual, bound: self.ms };
        condition.judge_as(name, summary).value_holds == Some(true)
    }
}

impl Condition {
    /// Compares with a run. Where more than 1 % of the requests failed, a percentile of a
    /// latency is that of all requests, failures lying above every success.
    pub fn judge(&self, summary: &Summary) -> Ruling {
        match Name::parse(&self.value) {
            Ok(name) => self.judge_as(name, summary),
            Err(fault) => {
                let said = Said { condition: format!("{} ({fault})", self.text), ..Said::default() };
                Ruling {
                    measured: None,
                    holds: None,
                    value_holds: None,
                    estimate: Estimate::default(),
                    text: said.text(Lang::English),
                    said,
                }
            }
        }
    }

    fn judge_as(&self, name: Name, summary: &Summary) -> Ruling {
        let censored = name.statistic.percentile().and_then(|p| summary.censored(name.metric, p));
        let measured = match censored {
            Some(Censored::Above(least)) => Some(least),
            Some(Censored::Value(value)) => Some(value),
            None => summary.number(name),
        };
        let above = matches!(censored, Some(Censored::Above(_)));
        // What is only known to be longer than `measured` cannot be shown to be short.
        let upward = matches!(self.op, Op::Greater | Op::GreaterEqual);
        let value_holds = measured.map(|value| (!above || upward) && self.op.compares(value, self.bound));
        let estimate = match (name.statistic.percentile(), censored) {
            (Some(p), Some(censored)) => summary.estimate_censored(name.metric, p, censored),
            _ => summary.estimate_of(name),
        };
        let holds = self.decide(value_holds, &estimate);
        let count = summary.count_of(name.metric);
        let few = measured.is_some() && name.statistic.percentile().is_some_and(|p| !supports(count, p));
        let said = Said {
            condition: self.text.clone(),
            holds,
            undecided: holds.is_none() && measured.is_some(),
            // Half an interval decides nothing, and would read as a whole one.
            interval: estimate.interval.filter(|of| of.high.is_finite()).map(|of| between(of, name)),
            mark: estimate.mark.filter(|mark| !matches!(mark, Mark::NoneSeen)),
            other: (name.to_string() != self.value).then(|| name.to_string()),
            value: measured.map(|value| with_unit(value, name)),
            above,
            censored: censored.is_some(),
            few: few.then_some(count),
        };
        let estimate = Estimate { value: measured, n: count, ..estimate };
        Ruling { measured, holds, value_holds, estimate, text: said.text(Lang::English), said }
    }

    /// By the whole interval, where there is one.
    fn decide(&self, value_holds: Option<bool>, estimate: &Estimate) -> Option<bool> {
        match (estimate.interval, estimate.mark) {
            // What never happened in this run has happened to nobody who could complain: the bound that
            // its number of requests allows is told, and does not decide.
            (_, Some(Mark::NoneSeen)) => value_holds,
            (_, Some(Mark::NotSteady)) => value_holds.filter(|holds| !holds),
            (Some(interval), _) => {
                let [low, high] = [interval.low, interval.high].map(|end| self.op.compares(end, self.bound));
                let few = matches!(estimate.mark, Some(Mark::FewValues { .. }));
                // An upper end that is not known decides nothing.
                if low == high { Some(low) } else { value_holds.filter(|_| few) }
            }
            (None, _) => value_holds,
        }
    }
}

/// `412 to 688 ms`, each with its unit.
fn between(interval: Interval, name: Name) -> String {
    format!("[{} .. {}]", with_unit(interval.low, name), with_unit(interval.high, name))
}

fn with_unit(value: f64, name: Name) -> String {
    match name.unit() {
        Unit::Ms => span(value),
        Unit::Seconds => span(value * 1e3),
        Unit::Share => format!("{:.2} %", value * 100.0),
        Unit::PerSecond => format!("{value:.2} /s"),
        Unit::Plain => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Window;
    use super::super::fixture::{FixtureReply, reply};
    use super::*;
    use crate::record::Outcome;

    fn slo(limits: &[(&str, &str)]) -> Slo {
        let limits = limits.iter().map(|(metric, limit)| Limit::parse(metric, limit).unwrap()).collect();
        Slo { limits, ..Slo::default() }
    }

    fn summary(open: bool, replies: impl IntoIterator<Item = FixtureReply>) -> Summary {
        let mut summary = Summary::new(Window::UNKNOWN, None, open);
        replies.into_iter().for_each(|reply| summary.add(&reply.record()));
        summary
    }

    #[test]
    fn overall_conditions_of_an_open_loop_judge_the_response_times() {
        let replies = || (0..200).map(|i| reply(i, 100).waited(90).tokens_at(&[20, 30]));
        let mut slo = Slo { overall: vec![Condition::parse("ttft.p99 < 50ms").unwrap()], ..Slo::default() };
        let open = slo.judge(&summary(true, replies()));
        assert_eq!((open[0].measured, open[0].holds), (Some(110.0), Some(false)));
        assert_eq!(open[0].text, "ttft.p99 < 50ms: fails, response_ttft.p99 110 ms, no interval");
        assert_eq!(slo.judge(&summary(false, replies()))[0].holds, Some(true));
        slo.from_sent = true;
        assert_eq!(
            slo.judge(&summary(true, replies()))[0].text,
            "ttft.p99 < 50ms: holds, 20 ms, no interval"
        );
    }

    #[test]
    fn a_condition_by_its_own_name_is_taken_as_it_is_written() {
        let summary = summary(true, (0..200).map(|i| reply(i, 100).waited(90).tokens_at(&[20])));
        assert_eq!(Condition::parse("ttft.p99 < 50ms").unwrap().judge(&summary).holds, Some(true));
    }

    #[test]
    fn what_was_not_observed_neither_holds_nor_fails() {
        let verdict = Condition::parse("itl.p50 < 50ms").unwrap().judge(&summary(false, []));
        assert_eq!((verdict.measured, verdict.holds), (None, None));
        assert_eq!(verdict.text, "itl.p50 < 50ms: not observed");
    }

    #[test]
    fn a_run_meets_objectives_when_no_more_than_one_percent_is_over_a_limit() {
        let run = |slow: u32| {
            let replies =
                (0..1000).map(|i| reply(i, 0).tokens_at(&[if i < u64::from(slow) { 500 } else { 20 }, 520]));
            summary(false, replies)
        };
        let ttft = slo(&[("ttft", "400ms")]);
        assert!(ttft.met(&run(0)) && ttft.met(&run(9)));
        assert!(!ttft.met(&run(11)) && !ttft.met(&run(1000)));
        let both = slo(&[("ttft", "400ms"), ("e2el", "519ms")]);
        assert!(!both.met(&run(0)), "every limit counts");
        let failed = (0..100).map(|i| reply(i, 0).fails(Outcome::Status, "500"));
        let replies = (100..1100).map(|i| reply(i, 0).tokens_at(&[20, 30]));
        assert!(!ttft.met(&summary(false, replies.chain(failed))), "failures count as slow");
    }

    #[test]
    fn what_was_not_observed_is_not_met() {
        let nothing = summary(false, []);
        let whole = summary(false, (0..200).map(|i| reply(i, 0).not_streamed(50).usage(5, 9)));
        for metric in ["ttft", "ttfo", "itl", "tpot", "e2el"] {
            let goal = slo(&[(metric, "1h")]);
            assert!(!goal.met(&nothing), "{metric}");
            assert_eq!(goal.met(&whole), metric == "e2el", "{metric}");
        }
        let overall = |text| Slo { overall: vec![Condition::parse(text).unwrap()], ..Slo::default() };
        assert!(!overall("itl.p50 < 1h").met(&whole));
        assert!(overall("e2el.p50 < 1h").met(&whole));
        assert!(!Slo::default().met(&whole), "objectives that ask for nothing");
    }

    #[test]
    fn a_verdict_says_when_the_values_are_too_few() {
        let verdict = Condition::parse("ttft.p99 < 50ms")
            .unwrap()
            .judge(&summary(false, [reply(0, 0).tokens_at(&[9])]));
        assert_eq!(verdict.text, "ttft.p99 < 50ms: holds, 9 ms, too few values (1)");
    }

    #[test]
    fn shedding_load_does_not_improve_a_percentile() {
        let quick = (0..97).map(|i| reply(i, 0).tokens_at(&[20]));
        let failed = (97..100).map(|i| reply(i, 0).times_out(60_000));
        let summary = summary(false, quick.chain(failed));
        let p99 = Condition::parse("ttft.p99 < 50ms").unwrap().judge(&summary);
        assert_eq!((p99.measured, p99.holds), (Some(60_000.0), Some(false)));
        assert_eq!(p99.text, "ttft.p99 < 50ms: fails, > 60 s with failures counted, too few values (97)");
        let p50 = Condition::parse("ttft.p50 < 50ms").unwrap().judge(&summary);
        assert_eq!(p50.text, "ttft.p50 < 50ms: holds, 20 ms with failures counted, no interval");
        assert_eq!(summary.value("ttft.p99"), Ok(Some(20.0)));
    }

    #[test]
    fn a_value_known_only_to_be_longer_can_be_shown_to_be_long() {
        let summary = summary(false, (0..10).map(|i| reply(i, 0).times_out(60_000)));
        assert_eq!(Condition::parse("ttft.p50 > 1s").unwrap().judge(&summary).holds, Some(true));
        // A timeout at 60 s proves nothing of 100 s, and does not hold as fast either.
        assert_eq!(Condition::parse("ttft.p50 < 100s").unwrap().judge(&summary).holds, Some(false));
    }
}
