//! What a script may ask of a run at most, whatever it says. The built-in commands are their
//! user's own and know only the first three.

use crate::error::{Error, Result};
use crate::schedule::Shape;
use crate::workload::Length;

use super::source::WorkloadSource;

/// Requests of one run, warm-up included.
pub const REQUESTS_MAX: u64 = 100_000_000;

/// Requests per second.
pub const RATE_MAX: f64 = 1_000_000.0;

/// Users of a closed loop, and requests in flight.
pub const PLACES_MAX: usize = 10_000_000;

/// Tokens of the prompts that may be in memory at once, some bytes each.
pub const TOKENS_MAX: u64 = 64_000_000;

/// Parts of a mix, those of mixes inside of it included.
pub const PARTS_MAX: usize = 1_000;

/// Checks how many requests a run is to send.
pub fn requests(call: &str, n: Option<u64>) -> Result<()> {
    match n.filter(|n| *n > REQUESTS_MAX) {
        Some(n) => Err(Error::usage(format!("{call}: a run sends at most {REQUESTS_MAX} requests, got {n}"))),
        None => Ok(()),
    }
}

/// Checks how fast a shape is at its fastest.
pub fn rate(call: &str, shape: &Shape) -> Result<()> {
    let peak = match shape {
        Shape::Rate { per_second, .. } => *per_second,
        Shape::Ramp { from, to, .. } | Shape::RampUp { from, to, .. } => from.max(*to),
        Shape::Steps { steps, .. } => steps.iter().map(|(rate, _)| *rate).fold(0.0, f64::max),
        Shape::Closed { .. } | Shape::AtOnce => 0.0,
    };
    match peak > RATE_MAX {
        true => Err(Error::usage(format!(
            "{call}: at most {RATE_MAX} requests per second can be asked for, got {peak}"
        ))),
        false => Ok(()),
    }
}

/// Checks how much the prompts of a script take that are in memory at once.
pub fn prompts(call: &str, workload: &WorkloadSource, in_flight: u64) -> Result<()> {
    let tokens = in_flight.saturating_mul(longest(workload));
    match tokens > TOKENS_MAX {
        true => Err(Error::usage(format!(
            "{call}: a script may have at most {TOKENS_MAX} tokens in flight, and this could have {tokens}"
        ))
        .hint("ask for fewer requests at a time (max_in_flight), or for shorter prompts")),
        false => Ok(()),
    }
}

/// Tokens of the longest usual prompt; what comes from a file is as large as the file.
fn longest(workload: &WorkloadSource) -> u64 {
    match workload {
        WorkloadSource::Prompts { shape, .. } => {
            usual_most(&shape.input) + shape.prefix.as_ref().map_or(0, |prefix| u64::from(prefix.tokens))
        }
        WorkloadSource::Mix(parts) => parts.iter().map(|(_, part)| longest(part)).max().unwrap_or(0),
        _ => 0,
    }
}

fn usual_most(length: &Length) -> u64 {
    match length {
        Length::Fixed(n) | Length::Uniform(_, n) => u64::from(*n),
        Length::Normal { mean, sd } => (mean + 3.0 * sd).max(1.0) as u64,
        Length::Lognormal { median, sigma } => (median * (3.0 * sigma).exp()) as u64,
        Length::Empirical(values) => values.iter().map(|(n, _)| u64::from(*n)).max().unwrap_or(0),
    }
}

/// How many parts a mix has in all.
pub fn parts(workload: &WorkloadSource) -> usize {
    match workload {
        WorkloadSource::Mix(inner) => {
            inner.iter().map(|(_, part)| parts(part)).fold(1, usize::saturating_add)
        }
        _ => 1,
    }
}
