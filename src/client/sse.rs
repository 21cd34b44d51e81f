//! `Parser`: bytes of a `text/event-stream` -> events. Pure; any cut of the bytes gives the
//! same events.

/// Gathers bytes and gives whole events.
#[derive(Debug, Default)]
pub struct Parser {
    _private: (),
}

impl Parser {
    /// Feeds bytes; calls `each` with the data of every event that they complete (`data:` lines
    /// joined by newlines; comments, `event:`, `id:`, `retry:` and events without data give
    /// nothing). Returns how many events were given.
    pub fn feed(&mut self, _bytes: &[u8], _each: impl FnMut(&[u8])) -> usize {
        todo!()
    }

    /// The body ended: an event without its closing blank line is given as well.
    pub fn finish(&mut self, _each: impl FnMut(&[u8])) {
        todo!()
    }
}
