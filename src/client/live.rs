//! `Live`: what arrives while requests are in flight, for whoever watches. The reader adds to it
//! once a round of reads, never once a token.

use crate::record::Nanos;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// How far back the typical latencies look.
pub const LOOKS_BACK: Nanos = 10_000_000_000;

/// Latencies that are kept of that time; with more, the older ones go.
const KEPT_MAX: usize = 4096;

/// Counts since the start, and latencies of the last seconds.
#[derive(Debug, Default)]
pub struct Live {
    /// Events with output that have arrived.
    outputs: AtomicU64,
    /// Those of finished replies whose server has told its tokens, and these tokens.
    told_outputs: AtomicU64,
    told_tokens: AtomicU64,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    first: VecDeque<(Nanos, Nanos)>,
    gaps: VecDeque<(Nanos, Nanos)>,
}

/// What one round of reads brought.
#[derive(Debug, Default)]
pub struct Arrived {
    outputs: u64,
    first: Vec<(Nanos, Nanos)>,
    /// One gap stands for all of its round.
    gap: Option<(Nanos, Nanos)>,
}

impl Arrived {
    /// A read at `at` brought `outputs` events with output to a request sent at `sent`, whose
    /// latest output before had come at `before`.
    pub fn add(&mut self, outputs: u32, at: Nanos, sent: Nanos, before: Option<Nanos>) {
        if outputs == 0 {
            return;
        }
        self.outputs += u64::from(outputs);
        match before {
            None => self.first.push((at, at - sent)),
            Some(before) => {
                self.gap.get_or_insert((at, (at - before).max(0) / Nanos::from(outputs)));
            }
        }
    }
}

impl Live {
    /// Adds a round, which is empty afterwards.
    pub fn add(&self, arrived: &mut Arrived) {
        if arrived.outputs == 0 {
            return;
        }
        self.outputs.fetch_add(std::mem::take(&mut arrived.outputs), Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for first in arrived.first.drain(..) {
            keep(&mut recent.first, first);
        }
        if let Some(gap) = arrived.gap.take() {
            keep(&mut recent.gaps, gap);
        }
    }

    /// A reply of `outputs` events has ended, and its server says that it had `tokens`.
    pub fn told(&self, outputs: u64, tokens: u64) {
        self.told_outputs.fetch_add(outputs, Relaxed);
        self.told_tokens.fetch_add(tokens, Relaxed);
    }

    /// Output tokens so far: events, times the tokens that an event has had up to now.
    pub fn tokens(&self) -> f64 {
        let (outputs, tokens) = (self.told_outputs.load(Relaxed), self.told_tokens.load(Relaxed));
        let each = if outputs == 0 { 1.0 } else { tokens as f64 / outputs as f64 };
        self.outputs.load(Relaxed) as f64 * each
    }

    /// Medians of the times to the first output and of the gaps between outputs, of what arrived
    /// in the [`LOOKS_BACK`] before `now`; nanoseconds. `None`: nothing did.
    pub fn typical(&self, now: Nanos) -> (Option<Nanos>, Option<Nanos>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let median = |kept: &mut VecDeque<(Nanos, Nanos)>| {
            kept.retain(|(at, _)| *at >= now - LOOKS_BACK);
            let mut times: Vec<Nanos> = kept.iter().map(|(_, time)| *time).collect();
            let middle = times.len() / 2;
            (!times.is_empty()).then(|| *times.select_nth_unstable(middle).1)
        };
        (median(&mut recent.first), median(&mut recent.gaps))
    }
}

fn keep(kept: &mut VecDeque<(Nanos, Nanos)>, new: (Nanos, Nanos)) {
    if kept.len() == KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn typical_latencies_are_those_of_the_last_seconds() {
        let (live, mut arrived) = (Live::default(), Arrived::default());
        for (at, sent) in [(S, 0), (12 * S, 11 * S), (13 * S, 10 * S), (14 * S, 12 * S)] {
            arrived.add(1, at, sent, None);
            live.add(&mut arrived);
        }
        arrived.add(4, 15 * S, 12 * S, Some(14 * S));
        live.add(&mut arrived);
        assert_eq!(live.typical(15 * S), (Some(2 * S), Some(S / 4)));
        assert_eq!(live.typical(40 * S), (None, None));
    }

    #[test]
    fn events_count_as_the_tokens_that_servers_have_told() {
        let (live, mut arrived) = (Live::default(), Arrived::default());
        arrived.add(10, S, 0, None);
        arrived.add(0, S, 0, Some(0));
        live.add(&mut arrived);
        assert_eq!(live.tokens(), 10.0);
        live.told(5, 15);
        assert_eq!(live.tokens(), 30.0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (live, mut arrived) = (Live::default(), Arrived::default());
        for i in 0..3 * KEPT_MAX as Nanos {
            arrived.add(1, i, 0, None);
            live.add(&mut arrived);
        }
        assert_eq!(live.recent.lock().unwrap().first.len(), KEPT_MAX);
    }
}
