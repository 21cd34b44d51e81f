//! `Slo`: what makes one request good, and what makes a run good. Parsed before any load.

use super::metric::{MetricReader, Missing};
use super::names::{Metric, Name, Unit, metric_named};
use crate::record::Record;
use serde_json::{Value, json};

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

impl Slo {
    /// As the manifest has it.
    pub fn to_json(&self) -> Value {
        let limit = |limit: &Limit| json!({ "metric": limit.metric, "ms": limit.ms });
        json!({
            "limits": self.limits.iter().map(limit).collect::<Vec<_>>(),
            "overall": self.overall.iter().map(|condition| &condition.text).collect::<Vec<_>>(),
            "from_sent": self.from_sent,
        })
    }

    /// Back from there; what this version does not know any more is left out.
    pub fn from_json(value: &Value) -> Option<Slo> {
        let list = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
        let limit = |limit: &Value| {
            let metric = limit["metric"].as_str().filter(|metric| limited(metric).is_ok())?;
            Some(Limit { metric: metric.to_string(), ms: limit["ms"].as_f64()? })
        };
        value.is_object().then(|| Slo {
            limits: list("limits").filter_map(limit).collect(),
            overall: list("overall").filter_map(|text| Condition::parse(text.as_str()?).ok()).collect(),
            from_sent: value["from_sent"].as_bool().unwrap_or_default(),
        })
    }

    /// Whether a request succeeded within every limit. `open`: the run has an open-loop
    /// schedule, so that ttft and e2el are judged from the planned time.
    pub fn good(&self, record: &Record, open: bool) -> bool {
        record.success() && self.limits.iter().all(|limit| limit.holds(record, open && !self.from_sent))
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

    /// Whether a request is within the limit, or has no such value and needs none.
    fn holds(&self, record: &Record, from_planned_time: bool) -> bool {
        let Ok((metric, missing)) = limited(&self.metric) else { return false };
        let metric = if from_planned_time { metric.when_planned() } else { metric };
        let MetricReader::Each(read) = metric.about().reader else { return false };
        match (read(record), missing) {
            (Some(ms), _) => ms <= self.ms,
            (None, Missing::FailsStreams) => !record.streamed,
            (None, missing) => missing == Missing::Passes,
        }
    }
}

/// The metric that a limit of this name judges by, and what a missing value means.
pub(super) fn limited(name: &str) -> Result<(Metric, Missing), String> {
    metric_named(name, name)?.limit().ok_or_else(|| {
        let known: Vec<_> =
            Metric::all().filter(|metric| metric.limit().is_some()).map(Metric::name).collect();
        format!("{name} cannot limit a single request; limits are on {}", known.join(", "))
    })
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
}

impl Op {
    pub(super) fn compares(self, value: f64, bound: f64) -> bool {
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

#[cfg(test)]
mod tests {
    use super::super::fixture::reply;
    use super::*;
    use crate::record::Outcome;

    fn slo(limits: &[(&str, &str)]) -> Slo {
        let limits = limits.iter().map(|(metric, limit)| Limit::parse(metric, limit).unwrap()).collect();
        Slo { limits, ..Slo::default() }
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
}
