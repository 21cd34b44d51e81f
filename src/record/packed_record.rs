//! `PackedRecord`: a finished record on its way to the results, its events packed.
//!
//! Many requests may end in one moment; unpacked, their events would take three times the room
//! until they are rows.

use super::{Events, OutputSource, Packed, Record, Said};

/// A record whose events are beside it.
#[derive(Debug, Clone)]
pub struct PackedRecord {
    /// Without its events.
    pub record: Box<Record>,
    /// When the server that refused it wants to be asked again.
    pub retry_after: Option<std::time::Duration>,
    /// What it said, where that is not all of its text.
    pub said: Option<Box<Said>>,
    events: Packed,
}

impl PackedRecord {
    pub fn new(record: Box<Record>, events: Packed) -> PackedRecord {
        PackedRecord { record, retry_after: None, said: None, events }
    }

    /// The whole record.
    pub fn open(self) -> Box<Record> {
        let mut record = self.record;
        record.timeline.events = self.events.unpack();
        record
    }

    /// Shows the whole record; its events are unpacked into `room`, which can be used again.
    pub fn show(&mut self, room: &mut Events, see: impl FnOnce(&mut Record)) {
        self.events.unpack_into(room);
        std::mem::swap(&mut self.record.timeline.events, room);
        see(&mut self.record);
        std::mem::swap(&mut self.record.timeline.events, room);
    }

    /// The same as [`Record::output_tokens`].
    pub fn output_tokens(&self) -> Option<(u32, OutputSource)> {
        if self.record.told_output().is_some() {
            return self.record.output_tokens();
        }
        let events = self.events.unpack();
        self.record.output_tokens_of(events.output().map(|i| events.tokens[i]))
    }

    /// Its events, packed.
    pub fn events(&self) -> &Packed {
        &self.events
    }

    /// Roughly its bytes in memory.
    pub fn weight(&self) -> usize {
        let length = |words: &Option<String>| words.as_ref().map_or(0, String::len);
        size_of::<Record>() + self.events.bytes() + length(&self.record.text) + length(&self.record.error)
    }
}

impl From<Record> for PackedRecord {
    fn from(mut record: Record) -> PackedRecord {
        let events = Packed::of(&std::mem::take(&mut record.timeline.events));
        PackedRecord::new(Box::new(record), events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EventKind, Outcome, Phase, Timeline, Usage};

    fn record(tokens: [u32; 3], usage: Option<u32>) -> Record {
        let mut timeline = Timeline::planned(0, 0);
        timeline.sent = Some(5);
        for (i, tokens) in tokens.into_iter().enumerate() {
            timeline.events.push(1_000 + i as u32, EventKind::CONTENT, tokens, 4);
        }
        timeline.events.push(1_100, EventKind::DONE, 0, 0);
        Record {
            seq: 1,
            id: "a".into(),
            phase: Phase::Measured,
            session: 1,
            turn: 0,
            tenant: None,
            branch: None,
            class: "".into(),
            asked_input: None,
            asked_output: 3,
            forced_length: false,
            synthetic_text: false,
            streamed: true,
            timeline,
            outcome: Outcome::Success,
            error: None,
            status: Some(200),
            finish: None,
            usage: Usage { output: usage, ..Usage::default() },
            doubts: Default::default(),
            counted_output: None,
            counted_input: None,
            text: Some("text".into()),
            audio_ms: None,
            body_bytes: 0,
            reused: false,
            reconnects: 0,
            connect_tries: 0,
            unclosed: false,
        }
    }

    #[test]
    fn a_parcel_shows_and_gives_the_record_that_went_in() {
        let whole = record([1, 2, 1], None);
        let mut parcel = PackedRecord::from(whole.clone());
        assert!(parcel.record.timeline.events.is_empty());
        let mut room = Events::default();
        room.push(9, EventKind::ERROR, 9, 9);
        for _ in 0..2 {
            parcel.show(&mut room, |seen| assert_eq!(format!("{seen:?}"), format!("{whole:?}")));
        }
        assert!(parcel.record.timeline.events.is_empty());
        assert_eq!(format!("{:?}", parcel.open()), format!("{whole:?}"));
    }

    #[test]
    fn tokens_are_counted_without_the_lists_as_with_them() {
        for (tokens, usage) in [([1, 2, 1], None), ([1, 0, 1], None), ([0, 0, 0], Some(7))] {
            let whole = record(tokens, usage);
            assert_eq!(PackedRecord::from(whole.clone()).output_tokens(), whole.output_tokens());
        }
    }
}
