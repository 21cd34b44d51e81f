//! What a script may ask of a run at most, whatever it says. The built-in commands are their
//! user's own and know only the first three.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::schedule::Shape;
use crate::workload::Length;

use super::source::WorkloadSource;
/// Runs of a script in one invocation: the manifest is written anew with each.
pub const RUNS_MAX: u64 = 10_000;

/// Letters of a name: of a run, a tag, a note.
pub const NAME_MAX: usize = 200;

/// Letters of the reason that `fail` gives.
pub const REASON_MAX: usize = 2_000;

/// Bytes of a run's tags as text.
pub const TAGS_MAX: usize = 10_000;

/// Requests of one run, warm-up included; for a script, of all its runs.
pub const REQUESTS_MAX: u64 = 100_000_000;

/// Requests per second.
pub const RATE_MAX: f64 = 1_000_000.0;

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

/// Checks the length of a name; `what` says of what.
pub fn fits(call: &str, what: &str, text: &str) -> Result<()> {
    let letters = text.chars().count();
    match letters > NAME_MAX {
        true => {
            let begin: String = text.chars().take(20).collect();
            let told = format!("{call}: {what} has {letters} letters, and may have {NAME_MAX}: {begin:?}...");
            Err(Error::usage(told))
        }
        false => Ok(()),
    }
}

/// Checks the names that a plan gives, which stand in every table, file and row of the run; of each
/// tag its name, and its bytes as text.
pub fn names<'t>(
    call: &str,
    names: &[(&str, Option<&str>)],
    tags: impl Iterator<Item = (&'t str, usize)> + Clone,
) -> Result<()> {
    names
        .iter()
        .filter_map(|(what, text)| Some((what, (*text)?)))
        .try_for_each(|(what, text)| fits(call, what, text))?;
    tags.clone().try_for_each(|(key, _)| fits(call, "a tag's name", key))?;
    let tags: usize = tags.map(|(key, bytes)| key.len() + bytes).sum();
    match tags > TAGS_MAX {
        true => {
            Err(Error::usage(format!("{call}: the tags may have {TAGS_MAX} bytes as text, and have more"))
                .hint("save(...) and save_table(...) keep what is long"))
        }
        false => Ok(()),
    }
}

/// A text of at most `most` letters; of a longer one its beginning, and how long it is.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some((end, _)) => format!("{}… (cut: {} letters)", &text[..end], text.chars().count()).into(),
    }
}

/// Checks how fast a shape is at its fastest.
pub fn rate(call: &str, shape: &Shape) -> Result<()> {
    let peak = shape.peak();
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
        WorkloadSource::Chat { shape, .. } => {
            let turn = usual_most(&shape.user) + usual_most(&shape.reply);
            let system = shape.system.as_ref().map_or(0, |system| u64::from(system.tokens));
            usual_most(&shape.turns).saturating_mul(turn).saturating_add(system)
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
