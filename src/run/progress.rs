//! `Progress`: counters that the display reads while a run goes on.

use crate::client::Live;
use crate::record::{Nanos, Outcome, PackedRecord, Phase, Timeout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// How far a run has come.
#[derive(Debug)]
pub struct Progress {
    pub started: AtomicU64,
    pub finished: AtomicU64,
    pub failed: AtomicU64,
    /// Of those, requests of the measured part.
    measured_started: AtomicU64,
    measured_finished: AtomicU64,
    /// Failures to connect since the last request that connected.
    pub connect_failures_in_row: AtomicU32,
    /// What arrives of requests in flight.
    pub live: Arc<Live>,
    /// The run's zero on the monotonic clock; 0 until it is known.
    zero: AtomicI64,
    /// Where the measured window begins, after the zero; negative until it is known.
    window: AtomicI64,
    /// Nothing more is sent.
    drains: AtomicBool,
}

/// Requests of one part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageProgress {
    pub finished: u64,
    pub in_flight: u64,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::of(Arc::default())
    }
}

impl Progress {
    /// With the client whose arrivals are watched.
    pub fn of(live: Arc<Live>) -> Progress {
        Progress {
            started: AtomicU64::default(),
            finished: AtomicU64::default(),
            failed: AtomicU64::default(),
            measured_started: AtomicU64::default(),
            measured_finished: AtomicU64::default(),
            connect_failures_in_row: AtomicU32::default(),
            live,
            zero: AtomicI64::default(),
            window: AtomicI64::new(-1),
            drains: AtomicBool::default(),
        }
    }

    pub fn in_flight(&self) -> u64 {
        self.started.load(Relaxed).saturating_sub(self.finished.load(Relaxed))
    }

    /// The measured part: its requests and no others.
    pub fn measured(&self) -> StageProgress {
        // Finished first: a request that starts and ends in between is not in flight.
        let finished = self.measured_finished.load(Relaxed);
        StageProgress { finished, in_flight: self.measured_started.load(Relaxed).saturating_sub(finished) }
    }

    /// The warm-up.
    pub fn warmup(&self) -> StageProgress {
        let measured = self.measured();
        let (finished, started) = (self.finished.load(Relaxed), self.started.load(Relaxed));
        let in_flight = started.saturating_sub(finished).saturating_sub(measured.in_flight);
        StageProgress { finished: finished.saturating_sub(measured.finished), in_flight }
    }

    /// The run's zero on the monotonic clock, once it is known.
    pub fn zero(&self) -> Option<Nanos> {
        Some(self.zero.load(Relaxed)).filter(|zero| *zero != 0)
    }

    /// Where the measured window begins, in time from the zero, once it is known.
    pub fn window(&self) -> Option<Nanos> {
        Some(self.window.load(Relaxed)).filter(|start| *start >= 0)
    }

    /// Whether all has been sent, and only replies are waited for.
    pub fn drains(&self) -> bool {
        self.drains.load(Relaxed)
    }

    pub(super) fn begin(&self, zero: Nanos) {
        self.zero.store(zero, Relaxed);
    }

    pub(super) fn open_window(&self, start: Nanos) {
        self.window.store(start.max(0), Relaxed);
    }

    pub(super) fn drain(&self) {
        self.drains.store(true, Relaxed);
    }

    pub(super) fn start(&self, phase: Phase) {
        self.started.fetch_add(1, Relaxed);
        self.measured_started.fetch_add(u64::from(phase == Phase::Measured), Relaxed);
    }

    pub(super) fn finish(&self, parcel: &PackedRecord) {
        let record = &parcel.record;
        self.finished.fetch_add(1, Relaxed);
        self.measured_finished.fetch_add(u64::from(record.phase == Phase::Measured), Relaxed);
        if record.failed() {
            self.failed.fetch_add(1, Relaxed);
        }
        if matches!(record.outcome, Outcome::Connect | Outcome::TimedOut(Timeout::Connect)) {
            self.connect_failures_in_row.fetch_add(1, Relaxed);
        } else {
            self.connect_failures_in_row.store(0, Relaxed);
        }
    }
}
