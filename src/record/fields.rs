//! `Fields`: which parts of a record somebody reads, so that nothing else is fetched for them.

use super::{Doubts, Outcome, Phase, Record, Timeline, Usage};

/// Parts of a record, as a set. `seq`, `session`, `turn`, `phase`, `class`, `outcome` and `streamed`
/// are in every set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields(u16);

impl Fields {
    pub const NONE: Fields = Fields(0);
    /// `planned`, `admitted`, `sent` and `end`.
    pub const TIMES: Fields = Fields(1);
    /// All else that is known of the way: `connect`, `written`, `head`, `clock`, delays and tries, the
    /// network's own counts, `status`, `body_bytes`.
    pub const WAY: Fields = Fields(2);
    /// Asked lengths, the server's usage, our own counts, and what is doubted of them.
    pub const COUNTS: Fields = Fields(4);
    /// `at_us` and `kind` of the events.
    pub const EVENTS: Fields = Fields(8);
    /// `tokens` of the events.
    pub const EVENT_TOKENS: Fields = Fields(16);
    /// `bytes` of the events.
    pub const EVENT_BYTES: Fields = Fields(32);
    pub const ID: Fields = Fields(64);
    /// `error` and `finish`.
    pub const WORDS: Fields = Fields(128);
    pub const TEXT: Fields = Fields(256);
    /// `tenant` and `branch`: what tells requests of one number apart.
    pub const BELONGS: Fields = Fields(512);

    /// What the latencies of a reply are computed from.
    pub const LATENCIES: Fields = Fields::TIMES.with(Fields::EVENTS);
    /// What its number of output tokens is computed from, and when they came.
    pub const OUTPUT: Fields = Fields::LATENCIES.with(Fields::COUNTS).with(Fields::EVENT_TOKENS);
    pub const ALL: Fields = Fields(1023);

    pub const fn with(self, other: Fields) -> Fields {
        Fields(self.0 | other.0)
    }

    pub const fn without(self, other: Fields) -> Fields {
        Fields(self.0 & !other.0)
    }

    pub const fn has(self, other: Fields) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Record {
    /// A record of which nothing is known.
    pub fn blank() -> Record {
        Record {
            seq: 0,
            id: String::new(),
            phase: Phase::Measured,
            session: 0,
            turn: 0,
            tenant: None,
            branch: None,
            class: "".into(),
            asked_input: None,
            asked_output: 0,
            forced_length: false,
            synthetic_text: false,
            streamed: false,
            timeline: Timeline::planned(0, 0),
            outcome: Outcome::Cancelled,
            error: None,
            status: None,
            finish: None,
            usage: Usage::default(),
            doubts: Doubts::default(),
            counted_output: None,
            counted_input: None,
            text: None,
            audio_ms: None,
            body_bytes: 0,
            reused: false,
            reconnects: 0,
            connect_tries: 0,
            unclosed: false,
        }
    }

    /// A copy that has these fields, and is blank in all others.
    #[cfg(test)]
    pub fn only(&self, fields: Fields) -> Record {
        use super::{Clock, Events};
        let has = |of| fields.has(of);
        let times = if has(Fields::TIMES) { &self.timeline } else { &Timeline::planned(0, 0) };
        let way = if has(Fields::WAY) { self.clone() } else { Record::blank() };
        let counts = if has(Fields::COUNTS) { self.clone() } else { Record::blank() };
        let events = &self.timeline.events;
        Record {
            seq: self.seq,
            id: if has(Fields::ID) { self.id.clone() } else { String::new() },
            phase: self.phase,
            session: self.session,
            turn: self.turn,
            tenant: self.tenant.clone().filter(|_| has(Fields::BELONGS)),
            branch: self.branch.filter(|_| has(Fields::BELONGS)),
            class: self.class.clone(),
            streamed: self.streamed,
            outcome: self.outcome,
            timeline: Timeline {
                planned: times.planned,
                admitted: times.admitted,
                sent: times.sent,
                end: times.end,
                clock: if has(Fields::WAY) { self.timeline.clock } else { Clock::Read },
                events: Events {
                    at_us: if has(Fields::EVENTS) { events.at_us.clone() } else { Vec::new() },
                    kind: if has(Fields::EVENTS) { events.kind.clone() } else { Vec::new() },
                    tokens: if has(Fields::EVENT_TOKENS) { events.tokens.clone() } else { Vec::new() },
                    bytes: if has(Fields::EVENT_BYTES) { events.bytes.clone() } else { Vec::new() },
                },
                ..way.timeline
            },
            error: self.error.clone().filter(|_| has(Fields::WORDS)),
            finish: self.finish.clone().filter(|_| has(Fields::WORDS)),
            text: self.text.clone().filter(|_| has(Fields::TEXT)),
            status: way.status,
            body_bytes: way.body_bytes,
            reused: way.reused,
            reconnects: way.reconnects,
            connect_tries: way.connect_tries,
            unclosed: way.unclosed,
            asked_input: counts.asked_input,
            asked_output: counts.asked_output,
            forced_length: counts.forced_length,
            synthetic_text: counts.synthetic_text,
            usage: counts.usage,
            doubts: counts.doubts,
            counted_output: counts.counted_output,
            counted_input: counts.counted_input,
            audio_ms: counts.audio_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_all_of_them_and_none_in_none() {
        let mut each = Fields::NONE;
        for bit in 0..10 {
            assert!(Fields::ALL.has(Fields(1 << bit)) && !each.has(Fields(1 << bit)));
            each = each.with(Fields(1 << bit));
        }
        assert_eq!(each, Fields::ALL);
    }
}
