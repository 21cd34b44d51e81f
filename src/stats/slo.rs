//! `Slo`: what makes one request good, and what makes a run good. Parsed before any load.

use super::Summary;
use super::names::{Metric, Name, Statistic, Unit, metric_named};
use super::sample::supports;
use super::words::{Said, span};
use crate::lang::Lang;
use crate::record::Record;

/// A per-request limit: `metric` (ttft, ttfo, itl, tpot, e2el, response_ttft, ...) at most `ms`.
/// `itl` limits the mean gap of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub metric: String,
    pub ms: f64,
}

/// `ttft.p99 < 500ms`, `errors.share < 1%`: a value of a summary against a bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As it was written.
    pub text: String,
    /// `metric.statistic`, as in [`super::Summary::value`].
    pub value: String,
    pub op: Op,
    /// In the value's own unit (ms, seconds for `duration`, per second, share from 0 to 1).
    pub bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Service-level objectives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slo {
    pub limits: Vec<Limit>,
    pub overall: Vec<Condition>,
    /// Judge from `sent` even in an open loop (`from: "sent"`).
    pub from_sent: bool,
}

/// What became of a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// In the value's own unit. `None`: not observed.
    pub measured: Option<f64>,
    /// `None`: cannot be told, since the value was not observed.
    pub holds: Option<bool>,
    /// One line: the condition and what was measured.
    pub text: String,
    /// The parts of the line, for other languages.
    pub said: Said,
}

impl Slo {
    /// Whether a request succeeded within every limit. `open`: the run has an open-loop
    /// schedule, so that ttft and e2el are judged from the planned time.
    pub fn good(&self, record: &Record, open: bool) -> bool {
        record.success() && self.limits.iter().all(|limit| limit.holds(record, open && !self.from_sent))
    }

    /// Whether a run as a whole is good: every overall condition holds, and no more than 1 % of
    /// its requests are over a limit or failed. What was not observed does not hold, and
    /// objectives that ask for nothing are not met.
    pub fn met(&self, summary: &Summary) -> bool {
        let response = summary.is_open() && !self.from_sent;
        let limits = self.limits.iter().map(|limit| limit.met_by_most(response, summary));
        let overall = self.judge(summary).into_iter().map(|ruling| ruling.holds == Some(true));
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
                    condition.judge_as(Name { metric: from_planned(name.metric), ..name }, summary)
                }
                _ => condition.judge(summary),
            })
            .collect()
    }
}

/// The metric that counts the wait before `sent` too.
fn from_planned(metric: Metric) -> Metric {
    match metric {
        Metric::Ttft => Metric::ResponseTtft,
        Metric::E2el => Metric::ResponseE2el,
        other => other,
    }
}

impl Limit {
    /// `metric`: one of the per-request metrics; `limit`: text with a unit, such as `"400ms"`.
    pub fn parse(metric: &str, limit: &str) -> Result<Limit, String> {
        limited(metric)?;
        let ms = time_ms(limit).map_err(|fault| format!("the limit {metric}: {fault}"))?;
        Ok(Limit { metric: metric.into(), ms })
    }

    /// vLLM's `--goodput ttft:400` (milliseconds).
    pub fn parse_goodput(text: &str) -> Result<Limit, String> {
        let (metric, ms) = text
            .split_once(':')
            .ok_or_else(|| format!("a goodput limit is written KEY:MS, such as ttft:400, got \"{text}\""))?;
        limited(metric.trim())?;
        match ms.trim().parse::<f64>() {
            Ok(ms) if ms.is_finite() && ms >= 0.0 => Ok(Limit { metric: metric.trim().into(), ms }),
            _ => Err(format!("the goodput limit of {metric} must be a number of milliseconds, got \"{ms}\"")),
        }
    }

    /// Whether 99 % of all requests, failed ones included, are within the limit.
    fn met_by_most(&self, from_planned_time: bool, summary: &Summary) -> bool {
        let Ok(metric) = limited(&self.metric) else { return false };
        let metric = match metric {
            // The mean gap of a request: pooled gaps would weigh long replies more.
            Metric::Itl => Metric::ItlRequest,
            metric if from_planned_time => from_planned(metric),
            metric => metric,
        };
        let name = Name { metric, statistic: Statistic::Percentile(99.0) };
        let text = format!("{} <= {}ms", name, self.ms);
        let condition = Condition { value: name.to_string(), text, op: Op::LessEqual, bound: self.ms };
        condition.judge_as(name, summary).holds == Some(true)
    }

    /// A value that was not observed fails the limits that every reply must have a value for,
    /// and passes those that need a second token.
    fn holds(&self, record: &Record, from_planned_time: bool) -> bool {
        let Ok(metric) = limited(&self.metric) else { return false };
        let metric = if from_planned_time { from_planned(metric) } else { metric };
        match (observed(record, metric), metric) {
            (Some(ms), _) => ms <= self.ms,
            (None, Metric::Ttft | Metric::Ttfo | Metric::ResponseTtft) => !record.streamed,
            (None, Metric::Tpot | Metric::Ntpot | Metric::Itl | Metric::ItlRequest) => true,
            (None, _) => false,
        }
    }
}

/// The metric of a limit.
fn limited(name: &str) -> Result<Metric, String> {
    let metric = metric_named(name, name)?;
    if metric.is_time_of_request() {
        return Ok(metric);
    }
    let known: Vec<_> =
        Metric::ALL.into_iter().filter(|metric| metric.is_time_of_request()).map(Metric::name).collect();
    Err(format!("{name} cannot limit a single request; limits are on {}", known.join(", ")))
}

/// The value of one request, milliseconds.
fn observed(record: &Record, metric: Metric) -> Option<f64> {
    match metric {
        Metric::Ttft => record.ttft_ms(),
        Metric::Ttfo => record.ttfo_ms(),
        Metric::Itl | Metric::ItlRequest => record.itl_request_ms(),
        Metric::Tpot => record.tpot_ms(),
        Metric::Ntpot => record.ntpot_ms(),
        Metric::E2el => record.e2el_ms(),
        Metric::ResponseTtft => record.response_ttft_ms(),
        Metric::ResponseE2el => record.response_e2el_ms(),
        Metric::QueueDelay => record.queue_delay_ms(),
        Metric::Lateness => record.lateness_ms(),
        _ => None,
    }
}

impl Condition {
    /// Parses `"ttft.p99 < 500ms"`. Errors are sentences with the nearest known name.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let wrong = |fault: String| format!("cannot read the condition \"{text}\": {fault}");
        let place = text
            .find(['<', '>'])
            .ok_or_else(|| wrong("it needs one of < <= > >=, such as \"ttft.p99 < 500ms\"".into()))?;
        let (value, rest) = (text[..place].trim(), &text[place..]);
        let (op, bound) =
            [("<=", Op::LessEqual), (">=", Op::GreaterEqual), ("<", Op::Less), (">", Op::Greater)]
                .into_iter()
                .find_map(|(sign, op)| rest.strip_prefix(sign).map(|bound| (op, bound.trim())))
                .ok_or_else(|| wrong("it needs one of < <= > >=".into()))?;
        let name = Name::parse(value).map_err(wrong)?;
        let (written, bound) = (bound, bound_of(bound, name).map_err(wrong)?);
        let upward = matches!(op, Op::Greater | Op::GreaterEqual);
        if name.unit() == Unit::Share && bound == 1.0 && !upward && !written.ends_with('%') {
            return Err(wrong(
                "a share of 1 is all of them, which nearly always holds; say \"1%\" or \"100%\"".into(),
            ));
        }
        Ok(Condition { text: text.trim().into(), value: value.into(), op, bound })
    }

    /// Compares with a run. Where more than 1 % of the requests failed, a percentile of a
    /// latency is that of all requests, failures lying above every success.
    pub fn judge(&self, summary: &Summary) -> Ruling {
        match Name::parse(&self.value) {
            Ok(name) => self.judge_as(name, summary),
            Err(fault) => {
                let said = Said { condition: format!("{} ({fault})", self.text), ..Said::default() };
                Ruling { measured: None, holds: None, text: said.text(Lang::English), said }
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
        let holds = measured.map(|value| (!above || upward) && self.op.compares(value, self.bound));
        let count = summary.count_of(name.metric);
        let few = measured.is_some() && name.statistic.percentile().is_some_and(|p| !supports(count, p));
        let said = Said {
            condition: self.text.clone(),
            holds,
            other: (name.to_string() != self.value).then(|| name.to_string()),
            value: measured.map(|value| with_unit(value, name)),
            above,
            censored: censored.is_some(),
            few: few.then_some(count),
        };
        Ruling { measured, holds, text: said.text(Lang::English), said }
    }
}

/// A percentile of a latency over all requests, failures lying above every success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Censored {
    Value(f64),
    /// Among the failures: longer than this.
    Above(f64),
}

impl Op {
    fn compares(self, value: f64, bound: f64) -> bool {
        match self {
            Op::Less => value < bound,
            Op::LessEqual => value <= bound,
            Op::Greater => value > bound,
            Op::GreaterEqual => value >= bound,
        }
    }
}

/// A bound in the unit of `name`.
fn bound_of(text: &str, name: Name) -> Result<f64, String> {
    let plain = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    match name.unit() {
        Unit::Ms => time_ms(text),
        Unit::Seconds => Ok(time_ms(text)? / 1e3),
        Unit::Share => match (text.strip_suffix('%').map(plain), plain(text)) {
            (Some(Some(percent)), _) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
            (Some(Some(percent)), _) => Err(format!("a share is from 0% to 100%, got {percent}%")),
            (None, Some(share)) if (0.0..=1.0).contains(&share) => Ok(share),
            (None, Some(number)) => Err(format!("a share is from 0 to 1; say \"{number}%\"")),
            _ => Err(format!("\"{text}\" is no share; say \"1%\" or 0.01")),
        },
        Unit::PerSecond => plain(text.trim_end_matches("/s"))
            .ok_or_else(|| format!("\"{text}\" is no rate; say a number per second, such as 1000")),
        Unit::Plain => plain(text).ok_or_else(|| format!("\"{text}\" is not a number")),
    }
}

/// A time with its unit, as milliseconds.
fn time_ms(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_alphabetic() || c == '%').unwrap_or(text.len());
    let (number, unit) = (text[..split].trim(), &text[split..]);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("\"{text}\" is no time; say a number with a unit, such as \"500ms\""))?;
    let scale = match unit {
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3_600e3,
        "" => return Err(format!("{number} has no unit; say \"{number}ms\"")),
        other => return Err(format!("\"{other}\" is no unit of time; units are us, ms, s, m, h")),
    };
    match number * scale {
        ms if ms.is_finite() && ms >= 0.0 => Ok(ms),
        _ => Err(format!("a time cannot be {text}")),
    }
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
    use super::super::fixture::{Reply, reply};
    use super::*;
    use crate::record::Outcome;

    fn slo(limits: &[(&str, &str)]) -> Slo {
        let limits = limits.iter().map(|(metric, limit)| Limit::parse(metric, limit).unwrap()).collect();
        Slo { limits, ..Slo::default() }
    }

    fn summary(open: bool, replies: impl IntoIterator<Item = Reply>) -> Summary {
        let mut summary = Summary::new(Window::UNKNOWN, None, open);
        replies.into_iter().for_each(|reply| summary.add(&reply.record()));
        summary
    }

    #[test]
    fn conditions_are_read_with_their_units() {
        for (text, op, bound) in [
            ("ttft.p99 < 500ms", Op::Less, 500.0),
            ("ttft.p99<=0.5 s", Op::LessEqual, 500.0),
            ("lateness.p99 < 100us", Op::Less, 0.1),
            ("e2el.max < 2m", Op::Less, 120_000.0),
            ("duration > 1h", Op::Greater, 3_600.0),
            ("errors.share < 1%", Op::Less, 0.01),
            ("goodput.share >= 0.95", Op::GreaterEqual, 0.95),
            ("goodput.share >= 1", Op::GreaterEqual, 1.0),
            ("errors.share <= 100%", Op::LessEqual, 1.0),
            ("output_tokens.rate >= 1000", Op::GreaterEqual, 1_000.0),
            ("requests.rate > 2.5/s", Op::Greater, 2.5),
            ("errors.count < 3", Op::Less, 3.0),
        ] {
            let condition = Condition::parse(text).unwrap();
            assert_eq!((condition.op, condition.bound), (op, bound), "{text}");
        }
    }

    #[test]
    fn wrong_conditions_say_what_to_write() {
        for (text, fault) in [
            ("ttft.p99", "it needs one of < <= > >=, such as \"ttft.p99 < 500ms\""),
            ("ttft.p99 < 500", "500 has no unit; say \"500ms\""),
            ("ttft.p99 < 5 parsecs", "\"parsecs\" is no unit of time; units are us, ms, s, m, h"),
            ("ttft.p99 < soon", "\"soon\" is no time; say a number with a unit, such as \"500ms\""),
            ("ttfft.p99 < 5ms", "there is no metric \"ttfft\"; did you mean \"ttft.p99\"?"),
            ("errors.share < 5", "a share is from 0 to 1; say \"5%\""),
            (
                "errors.share < 1",
                "a share of 1 is all of them, which nearly always holds; say \"1%\" or \"100%\"",
            ),
            ("errors.share < 150%", "a share is from 0% to 100%, got 150%"),
            ("errors.share < -1%", "a share is from 0% to 100%, got -1%"),
            ("errors.share < x%", "\"x%\" is no share; say \"1%\" or 0.01"),
            ("requests.rate > fast", "\"fast\" is no rate; say a number per second, such as 1000"),
        ] {
            let expected = format!("cannot read the condition \"{text}\": {fault}");
            assert_eq!(Condition::parse(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn limits_need_a_unit_and_a_metric_of_one_request() {
        assert_eq!(Limit::parse("ttft", "0.4s").unwrap(), Limit { metric: "ttft".into(), ms: 400.0 });
        assert_eq!(
            Limit::parse("ttft", "400").unwrap_err(),
            "the limit ttft: 400 has no unit; say \"400ms\""
        );
        assert!(Limit::parse("tppt", "4ms").unwrap_err().contains("did you mean \"tpot\"?"));
        assert!(
            Limit::parse("requests", "4ms")
                .unwrap_err()
                .starts_with("requests cannot limit a single request")
        );
    }

    #[test]
    fn goodput_limits_are_milliseconds() {
        assert_eq!(Limit::parse_goodput("ttft:400").unwrap(), Limit { metric: "ttft".into(), ms: 400.0 });
        assert_eq!(
            Limit::parse_goodput("ttft=400").unwrap_err(),
            "a goodput limit is written KEY:MS, such as ttft:400, got \"ttft=400\""
        );
        assert_eq!(
            Limit::parse_goodput("ttft:fast").unwrap_err(),
            "the goodput limit of ttft must be a number of milliseconds, got \"fast\""
        );
    }

    #[test]
    fn a_good_request_meets_every_limit() {
        let slo = slo(&[("ttft", "20ms"), ("itl", "15ms"), ("tpot", "15ms")]);
        assert!(slo.good(&reply(0, 0).tokens_at(&[20, 30, 50]).record(), false));
        assert!(!slo.good(&reply(0, 0).tokens_at(&[21, 30, 40]).record(), false));
        assert!(!slo.good(&reply(0, 0).tokens_at(&[20, 30, 51]).record(), false));
        assert!(!slo.good(&reply(0, 0).tokens_at(&[20, 30]).fails(Outcome::Truncated, "").record(), false));
    }

    #[test]
    fn a_tpot_limit_ignores_a_reply_of_one_token() {
        assert!(slo(&[("tpot", "1ms")]).good(&reply(0, 0).tokens_at(&[20]).usage(5, 1).record(), false));
    }

    #[test]
    fn a_ttft_limit_fails_a_streamed_reply_without_a_first_token_and_passes_one_that_is_not_streamed() {
        let slo = slo(&[("ttft", "1h")]);
        assert!(!slo.good(&reply(0, 0).usage(5, 1).record(), false));
        assert!(slo.good(&reply(0, 0).not_streamed(50).record(), false));
    }

    #[test]
    fn open_loops_judge_from_the_planned_time_unless_told_otherwise() {
        let record = reply(0, 100).waited(90).tokens_at(&[20, 30]).record();
        let mut slo = slo(&[("ttft", "50ms"), ("e2el", "50ms")]);
        assert!(slo.good(&record, false));
        assert!(!slo.good(&record, true));
        slo.from_sent = true;
        assert!(slo.good(&record, true));
    }

    #[test]
    fn overall_conditions_of_an_open_loop_judge_the_response_times() {
        let replies = || (0..200).map(|i| reply(i, 100).waited(90).tokens_at(&[20, 30]));
        let mut slo = Slo { overall: vec![Condition::parse("ttft.p99 < 50ms").unwrap()], ..Slo::default() };
        let open = slo.judge(&summary(true, replies()));
        assert_eq!((open[0].measured, open[0].holds), (Some(110.0), Some(false)));
        assert_eq!(open[0].text, "ttft.p99 < 50ms: fails, response_ttft.p99 110 ms");
        assert_eq!(slo.judge(&summary(false, replies()))[0].holds, Some(true));
        slo.from_sent = true;
        assert_eq!(slo.judge(&summary(true, replies()))[0].text, "ttft.p99 < 50ms: holds, 20 ms");
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
        assert_eq!(p50.text, "ttft.p50 < 50ms: holds, 20 ms with failures counted");
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
