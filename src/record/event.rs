//! `Events`: what one reply put on the wire, one entry per server-sent event.

/// What an event was: a bit set, since one event may be several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventKind(pub u16);

impl EventKind {
    pub const ROLE: EventKind = EventKind(1);
    pub const REASONING: EventKind = EventKind(2);
    pub const CONTENT: EventKind = EventKind(4);
    pub const TOOL: EventKind = EventKind(8);
    pub const FINISH: EventKind = EventKind(16);
    pub const USAGE: EventKind = EventKind(32);
    pub const ERROR: EventKind = EventKind(64);
    pub const DONE: EventKind = EventKind(128);
    pub const EMPTY: EventKind = EventKind(256);
    /// Held a non-empty `choices`.
    pub const CHOICES: EventKind = EventKind(512);
    /// A choice whose text is there and empty, and that names no role: a token without text, such as a special
    /// one. vLLM's client counts it; it is no output.
    pub const BLANK: EventKind = EventKind(1024);

    /// Any output text: reasoning, content or tool.
    pub const OUTPUT: EventKind = EventKind(2 | 4 | 8);

    pub fn has(self, other: EventKind) -> bool {
        self.0 & other.0 != 0
    }

    pub fn with(self, other: EventKind) -> EventKind {
        EventKind(self.0 | other.0)
    }
}

impl From<EventKind> for u32 {
    #[inline]
    fn from(kind: EventKind) -> u32 {
        kind.0.into()
    }
}

/// Parallel lists, one entry per event, in order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// Microseconds since `sent`.
    pub at_us: Vec<u32>,
    pub kind: Vec<EventKind>,
    /// Output tokens in the event; 0 when the server did not say.
    pub tokens: Vec<u32>,
    /// Bytes of output text (UTF-8).
    pub bytes: Vec<u32>,
}

impl Events {
    /// Why a reply fails that goes on for longer than its times can be kept: 2^32 microseconds. A time that is cut
    /// off there would be a wrong latency.
    pub const TOO_LATE: &str =
        "an event came more than 71 minutes after the send, beyond which times of events are not kept";

    pub fn with_capacity(n: usize) -> Self {
        Events {
            at_us: Vec::with_capacity(n),
            kind: Vec::with_capacity(n),
            tokens: Vec::with_capacity(n),
            bytes: Vec::with_capacity(n),
        }
    }

    pub fn push(&mut self, at_us: u32, kind: EventKind, tokens: u32, bytes: u32) {
        self.at_us.push(at_us);
        self.kind.push(kind);
        self.tokens.push(tokens);
        self.bytes.push(bytes);
    }

    /// Empties the lists and keeps their room.
    pub fn clear(&mut self) {
        self.at_us.clear();
        self.kind.clear();
        self.tokens.clear();
        self.bytes.clear();
    }

    /// Makes room for so many, which say nothing yet where they are new.
    pub fn resize(&mut self, count: usize) {
        self.at_us.resize(count, 0);
        self.kind.resize(count, EventKind::default());
        self.tokens.resize(count, 0);
        self.bytes.resize(count, 0);
    }

    pub fn len(&self) -> usize {
        self.at_us.len()
    }

    pub fn is_empty(&self) -> bool {
        self.at_us.is_empty()
    }

    /// Indexes of the events that hold output text.
    pub fn output(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.len()).filter(|&i| self.kind[i].has(EventKind::OUTPUT))
    }
}
