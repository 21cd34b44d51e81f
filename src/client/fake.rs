//! `Fake`: a client without a network, for tests of everything above it.
//!
//! It sends exactly when a request is due and answers exactly `takes` later: the times in its
//! records are computed and not measured, so a test can name them to the nanosecond. It still
//! sleeps, so that replies come back in the order of their times.

use super::Cancel;
use super::order::Order;
use crate::os;
use crate::record::{Clock, Kind, Nanos, Outcome, Parcel, Usage};
use std::time::Duration;

/// How the fake answers.
pub struct Fake {
    pub takes: Duration,
    /// How the request with this sequence number ends.
    pub outcome: fn(u64) -> Outcome,
}

impl Fake {
    /// Answers well after `takes`.
    pub fn after(takes: Duration) -> Fake {
        Fake { takes, outcome: |_| Outcome::Success }
    }

    /// See [`super::Client::send`].
    pub async fn send(&self, order: Box<Order>, cancel: Cancel<'_>) -> Parcel {
        let takes = self.takes.as_nanos() as Nanos;
        let mut record = order.record(true);
        let sent = record.timeline.planned.max(record.timeline.admitted);
        record.timeline.clock = Clock::Read;
        record.timeline.sent = Some(sent);
        record.timeline.written = Some(sent);
        let ended = tokio::select! {
            () = sleep_until(sent + takes) => true,
            () = cancel => false,
        };
        if !ended {
            record.timeline.end = os::now();
            return Parcel::from(*record);
        }
        record.timeline.end = sent + takes;
        record.outcome = (self.outcome)(record.seq);
        if record.success() {
            let at_us = (takes / 1_000) as u32;
            record.timeline.head = Some(sent + takes);
            record.timeline.events.push(at_us, Kind::CONTENT.with(Kind::FINISH), 0, 4);
            record.status = Some(200);
            record.finish = Some("length".into());
            record.usage = Usage { input: Some(1), output: Some(1), ..Usage::default() };
        }
        Parcel::from(*record)
    }
}

async fn sleep_until(time: Nanos) {
    let left = time - os::now();
    tokio::time::sleep(Duration::from_nanos(left.max(0) as u64)).await;
}
