//! `Slo`: what makes one request good, and what makes a run good. Parsed before any load.

use super::Summary;
use super::names::{Metric, Name, Unit, metric_named};
use super::sample::supports;
use super::words::{Lang, Said, span};
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
pub struct Verdict {
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

    /// Every overall condition against a finished run. In an open loop `ttft` and `e2el` are
    /// read as their response_ times, as limits are.
    pub fn judge(&self, summary: &Summary) -> Vec<Verdict> {
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
        let bound = bound_of(bound, name).map_err(wrong)?;
        Ok(Condition { text: text.trim().into(), value: value.into(), op, bound })
    }

    /// Compares with a run. Where more than 1 % of the requests failed, a percentile of a
    /// latency is that of all requests, failures lying above every success.
    pub fn judge(&self, summary: &Summary) -> Verdict {
        match Name::parse(&self.value) {
            Ok(name) => self.judge_as(name, summary),
            Err(fault) => {
                let said = Said { condition: format!("{} ({fault})", self.text), ..Said::default() };
                Verdict { measured: None, holds: None, text: said.text(Lang::English), said }
            }
        }
    }

    fn judge_as(&self, name: Name, summary: &Summary) -> Verdict {
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
        Verdict { measured, holds, text: said.text(Lang::English), said }
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
            (Some(Some(percent)), _) => Ok(percent / 100.0),
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
