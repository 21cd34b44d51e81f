//! `Stages`: which requests are warm-up and which are measured, where the measured window begins, and how
//! many are still wanted. Slots and the later turns of sessions ask it alike.

use super::plan::{Plan, Warmup};
use crate::record::{Nanos, Phase};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// See the file's head. Times are since the zero.
pub(crate) struct Stages {
    warmup: Warmup,
    duration: Option<Duration>,
    /// Measured requests to send.
    requests: Option<u64>,
    /// Sessions to start in the measured part.
    sessions: Option<u64>,
    /// Sessions may have several requests: a warm-up of so many counts the requests as they come.
    converses: bool,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: u64,
    measured: u64,
    sessions: u64,
    /// Where the measured window begins, once known.
    window: Option<Nanos>,
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered {
    pub phase: Phase,
    /// The window begins here, earlier than was known.
    pub opens: Option<Nanos>,
}

impl Stages {
    pub fn new(plan: &Plan) -> Stages {
        Stages {
            warmup: plan.warmup,
            duration: plan.duration,
            requests: plan.measured(),
            sessions: plan.sessions,
            converses: plan.workload.converses(),
            counts: Mutex::new(Counts { window: plan.window_start(), ..Counts::default() }),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that was due at `planned`. `None`: no more are wanted.
    pub fn enter(&self, seq: u64, turn: u32, planned: Nanos) -> Option<Entered> {
        let mut counts = self.counts();
        let warm = match self.warmup {
            Warmup::None => false,
            Warmup::Requests(n) if self.converses => counts.all < n,
            Warmup::Requests(n) => seq < n,
            Warmup::Time(time) => planned < time.as_nanos() as Nanos,
        };
        if warm {
            counts.all += 1;
            return Some(Entered { phase: Phase::Warmup, opens: None });
        }
        if self.requests.is_some_and(|most| counts.measured >= most) {
            return None;
        }
        counts.all += 1;
        counts.measured += 1;
        counts.sessions += u64::from(turn == 0);
        // Places come back a little out of order: in a closed loop a later slot may have been due
        // before the first measured one, and must not fall out of the window.
        let opens = counts.window.is_none_or(|known| planned < known).then_some(planned);
        counts.window = opens.or(counts.window);
        Some(Entered { phase: Phase::Measured, opens })
    }

    /// Whether another slot is wanted.
    pub fn want_more(&self) -> bool {
        let counts = self.counts();
        self.requests.is_none_or(|most| counts.measured < most)
            && self.sessions.is_none_or(|most| counts.sessions < most)
    }

    /// Whether every measured request has been sent, so that no turn is wanted either.
    pub fn are_full(&self) -> bool {
        self.requests.is_some_and(|most| self.counts().measured >= most)
    }

    /// Whether so many requests or sessions are wanted, and no more.
    pub fn are_counted(&self) -> bool {
        self.requests.is_some() || self.sessions.is_some()
    }

    /// Where the measured window begins, once known.
    pub(crate) fn window(&self) -> Option<Nanos> {
        self.counts().window
    }

    /// The end of the measured time, once its start is known.
    pub fn window_end(&self) -> Option<Nanos> {
        Some(self.counts().window? + self.duration?.as_nanos() as Nanos)
    }

    pub fn are_past_the_end(&self, planned: Nanos) -> bool {
        self.window_end().is_some_and(|end| planned >= end)
    }
}
