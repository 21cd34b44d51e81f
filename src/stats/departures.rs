//! `Departures`: when a run's requests were to leave, and when they left.

use super::fold::Fold;
use crate::record::{Fields, Nanos, Phase, Record};

/// Of the measured requests that a schedule sent: later turns of a conversation follow a reply.
/// 16 bytes a request.
#[derive(Debug, Clone, Default)]
pub struct Departures {
    pub planned: Vec<Nanos>,
    pub sent: Vec<Nanos>,
}

impl Fold for Departures {
    fn fields(&self) -> Fields {
        Fields::TIMES
    }

    fn add(&mut self, record: &Record) {
        if record.phase == Phase::Measured && record.turn == 0 {
            self.planned.push(record.timeline.planned);
            self.sent.extend(record.timeline.sent);
        }
    }

    fn merge(&mut self, other: Departures) {
        self.planned.extend(other.planned);
        self.sent.extend(other.sent);
    }

    fn fresh(&self) -> Departures {
        Departures::default()
    }
}
