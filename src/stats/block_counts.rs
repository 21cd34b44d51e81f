//! `BlockCounts`: what is counted in a stretch of time, for the intervals of shares and rates.

use super::blocks::{Joins, TimeBlocks};
use super::quotient::Quotient;
use crate::record::{Nanos, Record};

/// Requests by the time for which they were planned, with what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BlockCounts {
    pub requests: u64,
    pub failed: u64,
    pub good: u64,
    pub forced_length: u64,
    pub synthetic_text: u64,
    pub cached_tokens: u64,
    /// Of the replies that report cached tokens.
    pub cached_inputs: u64,
    pub audio_ms: u64,
}

/// What arrived, by the time of its arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BlockArrivals {
    pub ended: u64,
    pub input_tokens: u64,
    pub uncached_tokens: u64,
}

impl BlockCounts {
    pub fn add(&mut self, record: &Record, good: bool) {
        self.requests += 1;
        self.good += u64::from(good);
        self.forced_length += u64::from(record.forced_length);
        self.synthetic_text += u64::from(record.synthetic_text);
        if !record.success() {
            self.failed += u64::from(record.failed());
            return;
        }
        if let (Some(cached), Some(input)) = (record.cached_tokens(), record.input_tokens()) {
            self.cached_tokens += u64::from(cached);
            self.cached_inputs += u64::from(input);
        }
        self.audio_ms += record.audio_ms.unwrap_or(0);
    }
}

impl Joins for BlockCounts {
    fn join(&mut self, other: &BlockCounts) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.good += other.good;
        self.forced_length += other.forced_length;
        self.synthetic_text += other.synthetic_text;
        self.cached_tokens += other.cached_tokens;
        self.cached_inputs += other.cached_inputs;
        self.audio_ms += other.audio_ms;
    }
}

impl Joins for BlockArrivals {
    fn join(&mut self, other: &BlockArrivals) {
        self.ended += other.ended;
        self.input_tokens += other.input_tokens;
        self.uncached_tokens += other.uncached_tokens;
    }
}

/// One count over another, block by block.
pub fn share<B: Joins>(blocks: &TimeBlocks<B>, of: impl Fn(&B) -> (u64, u64)) -> Quotient {
    Quotient::share(blocks.blocks().iter().map(|block| {
        let (part, whole) = of(block);
        (part as f64, whole as f64)
    }))
}

/// An amount over the seconds in which it came, block by block of the whole window: what is in `more`
/// comes on top, as (time, amount).
pub fn rate<B: Joins>(
    blocks: &TimeBlocks<B>,
    (start, end): (Nanos, Nanos),
    of: impl Fn(&B) -> f64,
    more: impl Iterator<Item = (Nanos, f64)>,
) -> Quotient {
    let mut blocks = blocks.clone();
    // Time in which nothing came is time, too.
    blocks.at(start);
    blocks.at(end);
    let width = blocks.width();
    let mut amounts: Vec<f64> = blocks.blocks().iter().map(of).collect();
    for (time, amount) in more {
        let place = (time - blocks.start(0)).div_euclid(width).clamp(0, amounts.len() as i64 - 1);
        amounts[place as usize] += amount;
    }
    let seconds = |block: usize| {
        let (from, to) = (blocks.start(block), blocks.start(block).saturating_add(width));
        (to.min(end) - from.max(start)).max(0) as f64 / 1e9
    };
    Quotient::rate(amounts.into_iter().enumerate().map(|(block, amount)| (amount, seconds(block))))
}
