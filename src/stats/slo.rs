//! `Slo`: what makes one request good, and what makes a run good. Parsed before any load.

/// A per-request limit: `metric` (ttft, ttfo, itl, tpot, e2el, response_ttft, ...) at most `ms`.
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
    /// In the value's own unit (ms, per second, share from 0 to 1).
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

impl Condition {
    /// Parses `"ttft.p99 < 500ms"`. Errors are sentences with the nearest known name.
    pub fn parse(_text: &str) -> Result<Condition, String> {
        todo!()
    }
}

impl Limit {
    /// `metric`: one of the per-request metrics; `limit`: text with a unit, such as `"400ms"`.
    pub fn parse(_metric: &str, _limit: &str) -> Result<Limit, String> {
        todo!()
    }

    /// vLLM's `--goodput ttft:400` (milliseconds).
    pub fn parse_goodput(_text: &str) -> Result<Limit, String> {
        todo!()
    }
}
