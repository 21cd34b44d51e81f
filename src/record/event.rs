//! `Events`: what one reply put on the wire, one entry per server-sent event.

/// What an event was: a bit set, since one event may be several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kind(pub u16);

impl Kind {
    pub const ROLE: Kind = Kind(1);
    pub const REASONING: Kind = Kind(2);
    pub const CONTENT: Kind = Kind(4);
    pub const TOOL: Kind = Kind(8);
    pub const FINISH: Kind = Kind(16);
    pub const USAGE: Kind = Kind(32);
    pub const ERROR: Kind = Kind(64);
    pub const DONE: Kind = Kind(128);
    pub const EMPTY: Kind = Kind(256);
    /// Held a non-empty `choices` (what vLLM's client counts as an event).
    pub const CHOICES: Kind = Kind(512);

    /// Any output text: reasoning, content or tool.
    pub const OUTPUT: Kind = Kind(2 | 4 | 8);

    pub fn has(self, other: Kind) -> bool {
        self.0 & other.0 != 0
    }

    pub fn with(self, other: Kind) -> Kind {
        Kind(self.0 | other.0)
    }
}

/// Parallel lists, one entry per event, in order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// Microseconds since `sent`.
    pub at_us: Vec<u32>,
    pub kind: Vec<Kind>,
    /// Output tokens in the event; 0 when the server did not say.
    pub tokens: Vec<u32>,
    /// Bytes of output text (UTF-8).
    pub bytes: Vec<u32>,
}

impl Events {
    pub fn with_capacity(n: usize) -> Self {
        Events {
            at_us: Vec::with_capacity(n),
            kind: Vec::with_capacity(n),
            tokens: Vec::with_capacity(n),
            bytes: Vec::with_capacity(n),
        }
    }

    pub fn push(&mut self, at_us: u32, kind: Kind, tokens: u32, bytes: u32) {
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

    pub fn len(&self) -> usize {
        self.at_us.len()
    }

    pub fn is_empty(&self) -> bool {
        self.at_us.is_empty()
    }

    /// Indexes of the events that hold output text.
    pub fn output(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.len()).filter(|&i| self.kind[i].has(Kind::OUTPUT))
    }
}
