//! `Flight`: a request in the server, and the record that it becomes.

use crate::client::Target;
use crate::engine::{self, Ending, Written};
use crate::record::{
    Clock, EventKind, Events, Nanos, Outcome, Phase, Record, Reply, Request, Timeline, Usage,
};
use crate::workload::Session;

/// See the file's head.
pub struct Flight {
    pub record: Box<Record>,
    /// Where the turn after it comes from, if one may come.
    pub session: Option<Session>,
    /// Requests that failed at once in its place, one after another.
    pub setbacks: u32,
    prompt_tokens: u32,
    /// Its number in the engine, from its arrival on.
    number: u64,
    /// Words of the reply.
    words: u32,
}

/// When a request leaves, and as what.
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    pub planned: Nanos,
    pub admitted: Nanos,
    pub phase: Phase,
    pub setbacks: u32,
}

/// Events beside those of tokens: role, usage, end.
const FURTHER_EVENTS: usize = 3;

/// No reply makes the simulator take this much memory beforehand.
const EVENTS_AHEAD_MAX: usize = 4096;

impl Flight {
    pub fn new(
        request: Request,
        session: Option<Session>,
        target: &Target,
        prompt_tokens: u32,
        leaving: Leaving,
    ) -> Flight {
        let mut timeline = Timeline::planned(leaving.planned, leaving.admitted);
        timeline.clock = Clock::Read;
        let turn = if request.turn > 0 { format!(".{}", request.turn) } else { String::new() };
        let record = Box::new(Record {
            seq: request.seq,
            id: format!("simulated-{}{turn}", request.seq),
            phase: leaving.phase,
            session: request.session,
            turn: request.turn,
            tenant: None,
            branch: None,
            class: request.class,
            asked_input: request.asked_input,
            asked_output: request.max_tokens,
            forced_length: request.forced_length,
            synthetic_text: request.synthetic,
            streamed: target.stream,
            timeline,
            outcome: Outcome::Cancelled,
            error: None,
            status: None,
            finish: None,
            usage: Usage::default(),
            doubts: Default::default(),
            counted_output: None,
            counted_input: request.counted_input,
            text: None,
            audio_ms: None,
            body_bytes: 0,
            reused: true,
            reconnects: 0,
            connect_tries: 0,
            unclosed: false,
        });
        Flight { record, session, setbacks: leaving.setbacks, prompt_tokens, number: 0, words: 0 }
    }

    /// It leaves when it was planned, and has a place by then.
    pub fn send(&mut self) {
        let timeline = &mut self.record.timeline;
        let sent = timeline.planned.max(timeline.admitted);
        timeline.sent = Some(sent);
        timeline.written = Some(sent);
        if self.record.streamed {
            let room = (self.record.asked_output as usize).min(EVENTS_AHEAD_MAX);
            timeline.events = Events::with_capacity(room + FURTHER_EVENTS);
        }
    }

    /// The server has the request as its `number`-th, and has begun to answer.
    pub fn open(&mut self, at: Nanos, number: u64) {
        self.number = number;
        self.record.status = Some(200);
        self.record.timeline.head = Some(at);
    }

    /// Whether the time of it can be kept; a client gives a reply up that goes on for longer.
    pub fn write(&mut self, at: Nanos, written: Written) -> bool {
        let (kind, bytes) = match written {
            Written::Role => (EventKind::ROLE.with(EventKind::CHOICES), 0),
            Written::Token { bytes, finish } => {
                self.words += u32::from(bytes > 0);
                let text = if bytes > 0 { EventKind::CONTENT } else { EventKind::BLANK };
                let end = if finish.is_some() { EventKind::FINISH } else { EventKind(0) };
                let kind = text.with(end);
                let kind = if kind == EventKind::BLANK { kind.with(EventKind::EMPTY) } else { kind };
                (kind.with(EventKind::CHOICES), bytes)
            }
        };
        self.event(at, kind, bytes)
    }

    fn event(&mut self, at: Nanos, kind: EventKind, bytes: u32) -> bool {
        let timeline = &mut self.record.timeline;
        timeline.end = at;
        if !self.record.streamed {
            return true;
        }
        let since = (at - timeline.sent.unwrap_or(at)) / 1_000;
        let Ok(at_us) = u32::try_from(since.max(0)) else {
            self.fail(at, Outcome::Protocol, Events::TOO_LATE.into());
            return false;
        };
        timeline.events.push(at_us, kind, 0, bytes);
        true
    }

    /// Whether an event came after times that can be kept.
    pub fn is_too_late(&self) -> bool {
        self.record.outcome == Outcome::Protocol
    }

    /// Whether the first token has come.
    pub fn has_begun(&self) -> bool {
        !self.record.timeline.events.is_empty()
    }

    pub fn end(&mut self, at: Nanos, ending: Ending) {
        if self.is_too_late() {
            return;
        }
        self.record.timeline.end = at;
        match ending {
            Ending::Whole { tokens, finish, cached } => {
                self.record.finish = finish.map(|finish| finish.name().to_string());
                self.record.outcome = if finish.is_some() { Outcome::Success } else { Outcome::Unfinished };
                if finish.is_some() {
                    self.record.usage.input = Some(self.prompt_tokens);
                    self.record.usage.output = Some(tokens);
                    self.record.usage.cached = cached;
                    self.event(at, EventKind::USAGE, 0);
                } else {
                    self.record.error = Some("the reply has no finish reason".into());
                }
                self.event(at, EventKind::DONE, 0);
            }
            Ending::ErrorEvent => {
                self.event(at, EventKind::ERROR, 0);
                self.event(at, EventKind::DONE, 0);
                self.fail(at, Outcome::ServerError, "simulated failure".into());
            }
            Ending::Cut => self.fail(at, Outcome::Truncated, "the reply was cut off".into()),
        }
    }

    pub fn fail(&mut self, at: Nanos, outcome: Outcome, error: String) {
        self.record.timeline.end = at;
        self.record.outcome = outcome;
        self.record.error = Some(error);
    }

    /// What the next turn is built from.
    pub fn reply(&self) -> Reply {
        Reply {
            text: (0..self.words).map(|index| engine::word(self.number, index)).collect(),
            tool_calls: Vec::new(),
            output_tokens: self.record.usage.output.unwrap_or(0),
            input_tokens: self.record.usage.input,
            finish_reason: self.record.finish.clone(),
            success: self.record.success(),
        }
    }
}
