//! `Progress`: counters that the display reads while a run goes on.

use crate::record::{Nanos, Outcome, Parcel, Timeout};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Counts of a run so far.
#[derive(Debug, Default)]
pub struct Progress {
    pub started: AtomicU64,
    pub finished: AtomicU64,
    pub failed: AtomicU64,
    /// Output tokens of finished requests.
    pub output_tokens: AtomicU64,
    /// Failures to connect since the last request that connected.
    pub connect_failures_in_row: AtomicU32,
    /// The run's zero on the monotonic clock; 0 until it is known.
    zero: AtomicI64,
}

impl Progress {
    pub fn in_flight(&self) -> u64 {
        self.started.load(Relaxed).saturating_sub(self.finished.load(Relaxed))
    }

    /// The run's zero on the monotonic clock, once it is known.
    pub fn zero(&self) -> Option<Nanos> {
        Some(self.zero.load(Relaxed)).filter(|zero| *zero != 0)
    }

    pub(super) fn begin(&self, zero: Nanos) {
        self.zero.store(zero, Relaxed);
    }

    pub(super) fn finish(&self, parcel: &Parcel) {
        let record = &parcel.record;
        self.finished.fetch_add(1, Relaxed);
        if !record.success() {
            self.failed.fetch_add(1, Relaxed);
        }
        if matches!(record.outcome, Outcome::Connect | Outcome::TimedOut(Timeout::Connect)) {
            self.connect_failures_in_row.fetch_add(1, Relaxed);
        } else {
            self.connect_failures_in_row.store(0, Relaxed);
        }
        let tokens = parcel.output_tokens().map_or(0, |(n, _)| n);
        self.output_tokens.fetch_add(u64::from(tokens), Relaxed);
    }
}
