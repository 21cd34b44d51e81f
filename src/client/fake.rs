//! `Fake`: a client without a network, for tests of everything above it.
//!
//! It sends exactly when a request is due and answers exactly `takes` later: the times in its
//! records are computed and not measured, so a test can name them to the nanosecond. It still
//! sleeps, so that replies come back in the order of their times.

use super::Cancel;
use super::outgoing_request::OutgoingRequest;
use crate::os;
use crate::record::{Clock, EventKind, Nanos, Outcome, PackedRecord, Record, Usage};
use std::time::Duration;

/// How the fake answers.
pub struct Fake {
    pub takes: Duration,
    /// How the request with this sequence number ends.
    pub outcome: fn(u64) -> Outcome,
    /// Replies differ by their number, in length, in events, and in what is told of them.
    pub varied: bool,
}

impl Fake {
    /// What it says, where anybody wants to know.
    pub const TEXT: &str = "text";

    /// Answers well after `takes`.
    pub fn after(takes: Duration) -> Fake {
        Fake { takes, outcome: |_| Outcome::Success, varied: false }
    }

    /// Answers after up to `takes`, each request in its own way, and one of nine not well.
    pub fn varied(takes: Duration) -> Fake {
        let outcome = |seq| if seq % 9 == 4 { Outcome::Status } else { Outcome::Success };
        Fake { takes, outcome, varied: true }
    }

    /// See [`super::Client::send`].
    pub async fn send(&self, order: Box<OutgoingRequest>, cancel: Cancel<'_>) -> PackedRecord {
        let mut takes = self.takes.as_nanos() as Nanos;
        if self.varied {
            takes -= takes * (order.request.seq * 7 % 10) as Nanos / 10;
        }
        let keep_text = order.keep_text;
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
            return PackedRecord::from(*record);
        }
        record.timeline.end = sent + takes;
        record.outcome = (self.outcome)(record.seq);
        if record.success() {
            let at_us = (takes / 1_000) as u32;
            record.timeline.head = Some(sent + takes);
            record.timeline.events.push(at_us, EventKind::CONTENT.with(EventKind::FINISH), 0, 4);
            record.status = Some(200);
            record.text = keep_text.then(|| Fake::TEXT.to_string());
            record.finish = Some("length".into());
            record.usage = Usage { input: Some(1), output: Some(1), ..Usage::default() };
            if self.varied {
                vary(&mut record, at_us);
            }
        }
        PackedRecord::from(*record)
    }
}

/// Up to seven events, the last at the end, or none; sometimes with their tokens, sometimes
/// without any count.
fn vary(record: &mut Record, at_us: u32) {
    let seq = record.seq as u32;
    let (events, told) = (1 + seq % 7, seq.is_multiple_of(3));
    record.timeline.events.clear();
    record.streamed = !seq.is_multiple_of(5);
    for i in (0..events).filter(|_| record.streamed) {
        record.timeline.events.push(
            at_us * (i + 1) / events,
            EventKind::CONTENT,
            if told { 1 + i } else { 0 },
            4,
        );
    }
    record.usage.input = Some(10 + seq);
    record.usage.output = (!seq.is_multiple_of(4)).then_some(1 + seq % 11);
}

async fn sleep_until(time: Nanos) {
    let left = time - os::now();
    tokio::time::sleep(Duration::from_nanos(left.max(0) as u64)).await;
}
