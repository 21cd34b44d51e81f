//! The shared words of a measurement, as plain data: a [`Slot`] is due, a [`Request`] is
//! sent, a [`Record`] comes back. Nothing here reads a clock, a socket or a file.

mod adaption;
mod clip;
mod doubts;
mod event;
mod fields;
mod health;
mod measure;
mod outcome;
mod packed;
mod packed_record;
mod point;
mod request;
mod said;
mod timeline;
mod told;
mod verbatim;

pub use adaption::Adaption;
pub use clip::Clip;
pub use doubts::{Doubts, Seen};
pub use event::{EventKind, Events};
pub use fields::Fields;
pub use health::{Health, Throttled};
pub use measure::{OutputSource, stalls};
pub use outcome::{Outcome, Timeout};
pub use packed::Packed;
pub use packed_record::PackedRecord;
pub use point::{Point, Source};
pub use request::{Leave, Prompt, Reply, Request};
pub use said::Said;
pub use timeline::{Clock, Connect, Timeline};
pub use told::{Mean, PartOf, Span, Told};
pub use verbatim::{Key, Verbatim};

use std::sync::Arc;

/// Nanoseconds on the monotonic clock. In a finished record: since the run's zero
/// (negative for a connection opened before it).
pub type Nanos = i64;

/// One place in the schedule: the `seq`-th request and when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub seq: u64,
    pub due: Due,
}

/// When a slot wants its request to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this time after the run's zero.
    At(Nanos),
    /// As soon as a place is free, and `think` after its previous request ended.
    Free { think: Nanos },
}

/// Which part of a run a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Warmup,
    Measured,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Warmup => "warmup",
            Phase::Measured => "measured",
        }
    }
}

/// Token counts that the server reported. `None`: it did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: Option<u32>,
    pub output: Option<u32>,
    pub cached: Option<u32>,
    pub reasoning: Option<u32>,
}

/// Everything that is known of one request, owned and finished.
#[derive(Debug, Clone)]
pub struct Record {
    /// Place in the run's schedule, from 0 (warm-up included).
    pub seq: u64,
    /// The `x-request-id` that was sent.
    pub id: String,
    pub phase: Phase,
    pub session: u64,
    pub turn: u32,
    /// For whom, where a load has several.
    pub tenant: Option<Arc<str>>,
    /// Which of several ways on from its parent.
    pub branch: Option<u32>,
    pub class: Arc<str>,
    /// Input tokens that the workload asked for, before BOS and chat template.
    pub asked_input: Option<u32>,
    /// Output tokens that the request allowed (`max_tokens`), of all its replies together.
    pub asked_output: u32,
    /// The request kept the model from ending its reply (`ignore_eos`, `min_tokens`).
    pub forced_length: bool,
    /// The prompt was made of random words.
    pub synthetic_text: bool,
    pub streamed: bool,
    pub timeline: Timeline,
    pub outcome: Outcome,
    /// What the server or the system said about a failure, at most 500 characters.
    pub error: Option<String>,
    pub status: Option<u16>,
    /// The `finish_reason` of the first choice, as the server said it.
    pub finish: Option<String>,
    pub usage: Usage,
    /// Which counts of `usage` cannot be, and are used for nothing.
    pub doubts: Doubts,
    /// Output tokens by our tokenizer, counted after the run; only where usage is missing.
    pub counted_output: Option<u32>,
    /// Input tokens by our tokenizer, when there is one.
    pub counted_input: Option<u32>,
    pub text: Option<String>,
    /// How long the sound in the request plays, milliseconds; `None`: there was none, or nobody
    /// knows.
    pub audio_ms: Option<u64>,
    /// Bytes of the response body.
    pub body_bytes: u64,
    /// The request went over a connection that had carried another one.
    pub reused: bool,
    /// Second tries on a fresh connection after a reused one died unread (0 or 1).
    pub reconnects: u32,
    /// Tries of this request to open a connection: 0 when it found one, above 1 when it waited for
    /// a server that refused.
    pub connect_tries: u32,
    /// The reply said everything, `[DONE]` too, and its body had no end.
    pub unclosed: bool,
}
