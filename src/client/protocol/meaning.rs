//! `EventMeaning`: what one event of a reply says.

use crate::record::{EventKind, Usage};

/// What one event (or the whole body of a reply that was not streamed) means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventMeaning {
    pub kind: EventKind,
    /// Output tokens in this event, when it says so itself (token ids, log probabilities).
    /// [`super::ReplyState::add`] knows more: it also reads continuous usage.
    pub tokens: u32,
    /// Bytes of output text.
    pub bytes: u32,
    /// How many of `bytes` were reasoning; within an event it comes before the rest.
    pub reasoning_bytes: u32,
    /// Of the choices in `choices` when there are any, else of the whole reply.
    pub usage: Usage,
    /// (choice index, finish reason) of each choice that ended here. The reason is empty where
    /// a server says that it has finished, but not why.
    pub finishes: Vec<(u32, String)>,
    /// Indexes of the choices that this event speaks of, as a bit set of the first 64.
    pub choices: u64,
    /// The others of them.
    pub choices_beyond: Vec<u32>,
    /// The output is the message of a choice as a whole: where it was streamed, a repetition.
    pub whole: bool,
    pub error: Option<String>,
}

impl EventMeaning {
    pub(super) fn error(words: String) -> EventMeaning {
        EventMeaning { kind: EventKind::ERROR, error: Some(words), ..EventMeaning::default() }
    }

    pub(super) fn add(&mut self, kind: EventKind) {
        self.kind = self.kind.with(kind);
    }

    /// Output text of a kind; an empty one is no output.
    pub(super) fn output(&mut self, kind: EventKind, piece: &str, text: &mut Option<&mut String>) {
        if piece.is_empty() {
            return;
        }
        self.add(kind);
        self.bytes = self.bytes.saturating_add(length(piece));
        if kind == EventKind::REASONING {
            self.reasoning_bytes = self.reasoning_bytes.saturating_add(length(piece));
        }
        if let Some(text) = text {
            text.push_str(piece);
        }
    }

    pub(super) fn choice(&mut self, index: u32) {
        match 1_u64.checked_shl(index) {
            Some(bit) => self.choices |= bit,
            None => self.choices_beyond.push(index),
        }
    }

    /// A choice ended, for this reason.
    pub(super) fn finish(&mut self, index: u32, reason: &str) {
        self.add(EventKind::FINISH);
        self.finishes.push((index, reason.to_string()));
    }

    /// Takes the output out of it.
    pub(super) fn silence(&mut self) {
        self.kind = EventKind(self.kind.0 & !EventKind::OUTPUT.0);
        (self.bytes, self.reasoning_bytes, self.tokens) = (0, 0, 0);
        *self = std::mem::take(self).sealed();
    }

    /// An event that says nothing of interest is an empty one.
    pub(super) fn sealed(mut self) -> EventMeaning {
        if self.kind.0 & !(EventKind::CHOICES.0 | EventKind::BLANK.0) == 0 {
            self.add(EventKind::EMPTY);
        }
        self
    }
}

pub(super) fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}
