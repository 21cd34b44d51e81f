//! Records made by hand, for the tests of this module.

use super::{Summary, Window};
use crate::record::{EventKind, Events, Nanos, Outcome, Phase, Record, Timeline, Timeout, Usage};

pub const MS: Nanos = 1_000_000;

/// A record under construction. Times are milliseconds.
#[derive(Clone)]
pub struct FixtureReply(Record);

/// The `seq`-th request, planned and sent at `at_ms`, a success of a streamed reply with no
/// events and no usage yet.
pub fn reply(seq: u64, at_ms: Nanos) -> FixtureReply {
    let mut timeline = Timeline::planned(at_ms * MS, at_ms * MS);
    timeline.sent = Some(at_ms * MS);
    timeline.events = Events::default();
    FixtureReply(Record {
        seq,
        id: format!("r{seq}"),
        phase: Phase::Measured,
        session: seq,
        turn: 0,
        tenant: None,
        branch: None,
        class: "".into(),
        asked_input: None,
        asked_output: 4,
        forced_length: false,
        synthetic_text: false,
        streamed: true,
        timeline,
        outcome: Outcome::Success,
        error: None,
        status: Some(200),
        finish: Some("length".into()),
        usage: Usage::default(),
        counted_output: None,
        counted_input: None,
        text: None,
        body_bytes: 0,
        reused: false,
        reconnects: 0,
        connect_tries: 0,
        unclosed: false,
        audio_ms: None,
        doubts: Default::default(),
    })
}

impl FixtureReply {
    /// An event `at_ms` after `sent`; the request ends with it at the earliest.
    pub fn event(mut self, at_ms: u32, kind: EventKind, tokens: u32) -> FixtureReply {
        self.0.timeline.events.push(at_ms * 1_000, kind, tokens, 4);
        let at = self.0.timeline.sent.expect("a reply with events was sent") + Nanos::from(at_ms) * MS;
        self.0.timeline.end = self.0.timeline.end.max(at);
        self
    }

    /// Content events at these times, tokens unknown.
    pub fn tokens_at(self, times_ms: &[u32]) -> FixtureReply {
        times_ms.iter().fold(self, |reply, at| reply.event(*at, EventKind::CONTENT, 0))
    }

    pub fn usage(mut self, input: u32, output: u32) -> FixtureReply {
        self.0.usage.input = Some(input);
        self.0.usage.output = Some(output);
        self
    }

    pub fn cached(mut self, cached: u32) -> FixtureReply {
        self.0.usage.cached = Some(cached);
        self
    }

    pub fn asked(mut self, input: u32, output: u32) -> FixtureReply {
        self.0.asked_input = Some(input);
        self.0.asked_output = output;
        self
    }

    /// A body that came whole, `after_ms` after `sent`.
    pub fn not_streamed(mut self, after_ms: Nanos) -> FixtureReply {
        self.0.streamed = false;
        self.ends(after_ms)
    }

    pub fn ends(mut self, after_ms: Nanos) -> FixtureReply {
        self.0.timeline.end = self.0.timeline.sent.unwrap_or(self.0.timeline.planned) + after_ms * MS;
        self
    }

    /// Planned this much earlier than it was sent.
    pub fn waited(mut self, ms: Nanos) -> FixtureReply {
        self.0.timeline.planned -= ms * MS;
        self
    }

    pub fn warmup(mut self) -> FixtureReply {
        self.0.phase = Phase::Warmup;
        self
    }

    pub fn fails(mut self, outcome: Outcome, error: &str) -> FixtureReply {
        self.0.outcome = outcome;
        self.0.error = Some(error.into());
        self
    }

    /// Gave up after this long.
    pub fn times_out(self, after_ms: Nanos) -> FixtureReply {
        self.ends(after_ms).fails(Outcome::TimedOut(Timeout::Total), "no end of the reply in time")
    }

    pub fn dropped(mut self) -> FixtureReply {
        self.0.timeline.sent = None;
        self.fails(Outcome::Dropped, "max_in_flight was reached")
    }

    /// What kind of load it is.
    pub fn load(mut self, forced_length: bool, synthetic_text: bool) -> FixtureReply {
        self.0.forced_length = forced_length;
        self.0.synthetic_text = synthetic_text;
        self
    }

    pub fn record(self) -> Record {
        self.0
    }
}

/// A run that ends with its last request.
pub const COUNT_BOUND: Window = Window::UNKNOWN;

pub fn filled(window: Window, replies: impl IntoIterator<Item = FixtureReply>) -> Summary {
    let mut summary = Summary::new(window, None, false);
    replies.into_iter().for_each(|reply| summary.add(&reply.record()));
    summary
}

/// The summary of a closed run by count.
pub fn all(replies: impl IntoIterator<Item = FixtureReply>) -> Summary {
    filled(COUNT_BOUND, replies)
}

pub fn seconds(start: Nanos, end: Nanos) -> Window {
    Window::Over { start: start * 1_000 * MS, end: end * 1_000 * MS }
}

/// Checks each name's value; `None` is null.
pub fn says(summary: &Summary, expected: &[(&str, Option<f64>)]) {
    for (name, value) in expected {
        match (summary.value(name).unwrap(), value) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{name}: {a}, not {b}"),
            (a, b) => assert_eq!(a, *b, "{name}"),
        }
    }
}
