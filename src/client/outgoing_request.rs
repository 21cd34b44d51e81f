//! `OutgoingRequest`: one request with its times, on its way to the socket.

use super::outage::Outage;
use crate::os;
use crate::record::{Nanos, Outcome, Phase, Prompt, Record, Request, Timeline, Usage};
use bytes::Bytes;
use std::sync::Arc;

/// One request to be sent. Times are absolute on the monotonic clock.
pub struct OutgoingRequest {
    pub request: Request,
    /// The `x-request-id`.
    pub id: String,
    /// Head and body, before TLS.
    pub bytes: Bytes,
    pub phase: Phase,
    pub planned: Nanos,
    pub admitted: Nanos,
    /// Keep the reply's text in the record.
    pub keep_text: bool,
    /// What the run knows of its server's absence; alone, a request does not wait for it to end.
    pub outage: Option<Arc<Outage>>,
}

impl OutgoingRequest {
    /// A request outside any run, due now.
    pub fn alone(request: Request, id: String, bytes: Bytes, keep_text: bool) -> Box<OutgoingRequest> {
        let (now, phase) = (os::now(), Phase::Measured);
        Box::new(OutgoingRequest {
            request,
            id,
            bytes,
            phase,
            planned: now,
            admitted: now,
            keep_text,
            outage: None,
        })
    }

    /// The record of this request before anything has happened to it.
    pub fn record(self, streamed: bool) -> Box<Record> {
        Box::new(Record {
            seq: self.request.seq,
            id: self.id,
            phase: self.phase,
            session: self.request.session,
            turn: self.request.turn,
            tenant: None,
            branch: None,
            class: self.request.class,
            asked_input: self.request.asked_input,
            asked_output: self.request.max_tokens,
            forced_length: self.request.forced_length,
            synthetic_text: self.request.synthetic,
            streamed,
            timeline: Timeline::planned(self.planned, self.admitted),
            outcome: Outcome::Cancelled,
            error: None,
            status: None,
            finish: None,
            usage: Usage::default(),
            doubts: Default::default(),
            counted_output: None,
            counted_input: self.request.counted_input,
            text: None,
            audio_ms: match &self.request.prompt {
                Prompt::Audio(clip) => clip.ms(),
                _ => None,
            },
            body_bytes: 0,
            reused: false,
            reconnects: 0,
            connect_tries: 0,
            unclosed: false,
        })
    }

    /// The record of a request that was never sent.
    pub fn unsent(self, outcome: Outcome, error: String, end: Nanos) -> Box<Record> {
        let mut record = self.record(true);
        record.outcome = outcome;
        record.error = Some(error);
        record.timeline.end = end;
        record
    }
}
