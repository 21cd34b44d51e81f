//! `Occupancy`: how many requests were waiting, in flight and failing over time.

use super::fold::Fold;
use super::levels::Levels;
use super::thinned::Thinned;
use super::turnout::Turnout;
use crate::record::{Fields, Nanos, Record};

/// Failures of which the time is kept: as many as a picture has dots.
const FAILURES_MAX: usize = 1 << 14;

/// Less than a millisecond is the way to the socket and no queue.
const WAITED_MIN: Nanos = 1_000_000;

/// From the times of records alone.
#[derive(Debug, Clone)]
pub struct Occupancy {
    pub turnout: Turnout,
    pub in_flight: Levels,
    /// Requests that were due and not sent yet.
    pub waiting: Levels,
    failures: Thinned<(u64, u32, Nanos)>,
    /// End of the last request.
    end: Option<Nanos>,
}

impl Default for Occupancy {
    fn default() -> Occupancy {
        Occupancy {
            turnout: Turnout::default(),
            in_flight: Levels::default(),
            waiting: Levels::default(),
            failures: Thinned::at_most(FAILURES_MAX),
            end: None,
        }
    }
}

impl Occupancy {
    /// When the last request ended; 0 without any.
    pub fn end(&self) -> Nanos {
        self.end.unwrap_or(0)
    }

    /// When requests failed, in the order of the schedule; of very many an even part.
    pub fn failures(&self) -> Vec<Nanos> {
        let mut failures: Vec<_> = self.failures.kept().copied().collect();
        failures.sort_unstable();
        failures.into_iter().map(|failure| failure.2).collect()
    }
}

impl Fold for Occupancy {
    fn fields(&self) -> Fields {
        Fields::TIMES
    }

    fn add(&mut self, record: &Record) {
        let timeline = &record.timeline;
        self.turnout.add(record);
        self.end = self.end.max(Some(timeline.end));
        if let Some(sent) = timeline.sent {
            self.in_flight.add(sent, timeline.end);
        }
        let left = timeline.sent.unwrap_or(timeline.end);
        if left - timeline.planned > WAITED_MIN {
            self.waiting.add(timeline.planned, left);
        }
        if !record.success() {
            self.failures.add(number(record), (record.seq, record.turn, timeline.end));
        }
    }

    fn merge(&mut self, other: Occupancy) {
        self.turnout.merge(other.turnout);
        self.end = self.end.max(other.end);
        self.in_flight.merge(other.in_flight);
        self.waiting.merge(other.waiting);
        self.failures.merge(other.failures);
    }

    fn fresh(&self) -> Occupancy {
        Occupancy::default()
    }
}

/// A number for each request of a run: turns of a session may share their place in the schedule.
pub(super) fn number(record: &Record) -> u64 {
    record.seq ^ u64::from(record.turn) << 40
}
