//! What the body of a reply says: events, or one piece, by how it begins.

use super::{ERROR_BYTES_MAX, Exchange};
use crate::client::head::ContentKind;
use crate::client::protocol;
use crate::client::sniff::{self, Form};
use crate::client::sse;
use crate::record::{EventKind, Events, Nanos};

/// A byte order mark, which some put before a text.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Most bytes of a stream without events that are quoted.
const OPENING_BYTES_MAX: usize = 120;

/// How the body of the reply is read.
pub(super) enum ContentReading {
    /// Too little has come to say.
    Unknown(Vec<u8>),
    /// Server-sent events.
    Events(sse::Parser),
    /// Gathered, then read as one JSON object.
    Whole(Vec<u8>),
    /// A JSON object a line, each an event; the beginning of a line whose end has not arrived.
    Lines(Vec<u8>),
}

impl Exchange {
    /// Takes body bytes.
    pub(super) fn data(&mut self, data: &[u8], at: Nanos) {
        let ContentReading::Unknown(begun) = &mut self.reading else { return self.known_data(data, at) };
        let mut begun = std::mem::take(begun);
        let begun = match begun.is_empty() {
            // Some send blanks for minutes, to keep the connection alive.
            true => data.trim_ascii_start(),
            false => {
                begun.extend_from_slice(data);
                &begun
            }
        };
        match sniff::form(begun, self.record.streamed) {
            None if begun.len() < OPENING_BYTES_MAX => self.reading = ContentReading::Unknown(begun.to_vec()),
            form => {
                self.reading = self.known(form);
                self.known_data(begun.strip_prefix(MARK).unwrap_or(begun), at);
            }
        }
    }

    /// How a body of this form is read.
    pub(super) fn known(&mut self, form: Option<Form>) -> ContentReading {
        let events = form.map_or(self.record.streamed, |form| form == Form::Events);
        self.record.streamed = events;
        match events {
            true => ContentReading::Events(sse::Parser::new(self.caps.held())),
            false => ContentReading::Whole(Vec::new()),
        }
    }

    /// Takes body bytes of a known form.
    pub(super) fn known_data(&mut self, data: &[u8], at: Nanos) {
        let mut reading = std::mem::replace(&mut self.reading, ContentReading::Lines(Vec::new()));
        match &mut reading {
            ContentReading::Unknown(_) => {}
            ContentReading::Events(parser) => {
                self.quote(data);
                if let Err(why) = parser.feed(data, |event| self.event(event, at)) {
                    self.tally.broken(why);
                }
            }
            ContentReading::Whole(whole) => {
                let success = self.success_status();
                // Blanks keep a connection alive and are nothing of a reply; words of an error are
                // none either.
                if success && !data.trim_ascii().is_empty() {
                    self.latest = Some(at);
                }
                let most = if success { self.caps.held() } else { ERROR_BYTES_MAX };
                let room = most.saturating_sub(whole.len());
                whole.extend_from_slice(&data[..data.len().min(room)]);
                if room < data.len() {
                    let mib = self.caps.mib;
                    self.tally.broken(format!("the reply is longer than {mib} MiB (raise max_reply_mib)"));
                }
                if success && self.is_line_by_line(whole, data) {
                    self.record.streamed = true;
                    let whole = std::mem::take(whole);
                    reading = ContentReading::Lines(Vec::new());
                    if let ContentReading::Lines(line) = &mut reading {
                        self.lines(line, &whole, at);
                    }
                }
            }
            ContentReading::Lines(line) => self.lines(line, data, at),
        }
        self.reading = reading;
        let bytes = self.record.body_bytes;
        if let Some(why) = self.caps.passed(self.event_count, self.tally.text_bytes(), bytes) {
            self.tally.broken(why);
        }
    }

    /// The first line of a body is an object that must go on: it speaks of a choice, and ends none.
    /// `latest`: the last part of `whole`.
    fn is_line_by_line(&self, whole: &[u8], latest: &[u8]) -> bool {
        let before = whole.len().saturating_sub(latest.len());
        let Some(end) = latest.iter().position(|byte| *byte == b'\n') else { return false };
        if whole[..before].contains(&b'\n') {
            return false;
        }
        let first = protocol::read_event(self.api, &whole[..before + end], None);
        first.is_ok_and(|first| first.choices != 0 && first.finishes.is_empty() && first.error.is_none())
    }

    /// Takes bytes of a body that is an object a line.
    fn lines(&mut self, line: &mut Vec<u8>, data: &[u8], at: Nanos) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            if line.len() + part.len() > self.caps.held() {
                let mib = self.caps.mib;
                return self.tally.broken(format!("a line of the stream is longer than {mib} MiB"));
            }
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let whole = std::mem::take(line);
                self.line(&whole, at);
            }
        }
    }

    pub(super) fn line(&mut self, line: &[u8], at: Nanos) {
        let data = line.trim_ascii();
        if !data.is_empty() {
            self.event(sse::Event { data, fault: false }, at);
        }
    }

    /// Keeps how a body begins that may turn out to be no stream of events.
    fn quote(&mut self, data: &[u8]) {
        let room = OPENING_BYTES_MAX.saturating_sub(self.opening.len());
        let other = || self.head.as_ref().is_some_and(|head| head.content != ContentKind::EventStream);
        if room > 0 && other() {
            self.opening.extend_from_slice(&data[..data.len().min(room)]);
        }
    }

    pub(super) fn event(&mut self, event: sse::Event, at: Nanos) {
        self.event_count = self.event_count.saturating_add(1);
        // What follows in the same read is as lost as what would follow in the next.
        if self.event_count > self.caps.events || self.tally.beyond_repair().is_some() {
            return;
        }
        let before = self.text.len();
        let text = self.keep_text.then_some(&mut self.text);
        let data = event.data;
        let meaning = match self.reader.read(event, text) {
            Ok(meaning) => meaning,
            Err(why) => return self.tally.broken(why),
        };
        self.hear(meaning.kind, data, before);
        let sent = self.record.timeline.sent.unwrap_or(at);
        let Ok(at_us) = u32::try_from(((at - sent) / 1_000).max(0)) else {
            return self.tally.broken(Events::TOO_LATE);
        };
        let tokens = self.tally.add(&meaning);
        self.events.push(at_us, meaning.kind, tokens, meaning.bytes);
        let output = meaning.kind.has(EventKind::OUTPUT);
        self.outputs += u32::from(output);
        if output || self.latest.is_some() {
            self.latest = Some(at);
        }
        let last = meaning.kind.has(EventKind::DONE.with(EventKind::ERROR));
        if last && self.whole.is_none() && self.tally.complete() {
            self.whole = Some(at);
        }
    }
}
