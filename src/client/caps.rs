//! `Caps`: how much a reply may have, so that none of them takes all of the memory.

/// Limits of one reply; whatever passes one ends there, as a failure that names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Events of a stream.
    pub events: u32,
    /// MiB of its text, of one event, or of a reply in one piece.
    pub mib: u32,
}

/// Bytes on the wire for one of text: an event is some hundred bytes around a word.
const WIRE_FACTOR: u64 = 16;

impl Default for Caps {
    fn default() -> Self {
        Caps { events: 1_000_000, mib: 64 }
    }
}

impl Caps {
    /// Bytes that may be held of one reply.
    pub fn held(&self) -> usize {
        usize::try_from(u64::from(self.mib) << 20).unwrap_or(usize::MAX)
    }

    /// Bytes of the whole body of a stream.
    pub fn body(&self) -> u64 {
        (u64::from(self.mib) << 20) * WIRE_FACTOR
    }

    /// What is too much of a reply that has had so many events, bytes of text and bytes at all.
    pub fn passed(&self, events: u32, text_bytes: u64, body_bytes: u64) -> Option<String> {
        if events > self.events {
            return Some(format!("the reply has more than {} events (raise max_reply_events)", self.events));
        }
        if text_bytes > self.held() as u64 {
            return Some(format!("the reply has more than {} MiB of text (raise max_reply_mib)", self.mib));
        }
        let most = self.body();
        (body_bytes > most).then(|| {
            format!(
                "the reply has more than {} MiB, {WIRE_FACTOR} times max_reply_mib (raise it)",
                most >> 20
            )
        })
    }
}
