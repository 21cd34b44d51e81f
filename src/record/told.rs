//! `Told`: what a server's own counters say of the window of a run.

/// What a server's own counters grew by from the last scrape before the window to the last one of
/// the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Told {
    /// Tokens of prompts that were looked up in the prefix cache, and those found there.
    pub cache: Option<PartOf>,
    /// Tokens that speculative decoding drafted, and those that were accepted.
    pub drafts: Option<PartOf>,
    /// Drafts are made, also where nobody counts them.
    pub speculates: bool,
    /// Share of the drafts that are accepted, of a server that tells it as it stands.
    pub acceptance: Option<f64>,
    /// By the number of the [`Span`].
    pub means: [Option<Mean>; Span::ALL.len()],
    /// How often counters began again at zero.
    pub restarts: u32,
    /// Answers came from several servers in turn: counters that go up and down are none.
    pub jumps: bool,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartOf {
    pub part: f64,
    pub whole: f64,
}

impl PartOf {
    /// `None` of nothing.
    pub fn share(self) -> Option<f64> {
        (self.whole > 0.0).then(|| (self.part / self.whole).clamp(0.0, 1.0))
    }
}

/// Milliseconds, and of how many observations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    pub ms: f64,
    pub count: f64,
}

/// What servers tell the mean of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Ttft,
    Itl,
    Queue,
    E2el,
    /// Of a KV cache from the server of the prompt to that of the reply.
    KvTransfer,
}

impl Span {
    pub const ALL: [Span; 5] = [Span::Ttft, Span::Itl, Span::Queue, Span::E2el, Span::KvTransfer];

    pub fn name(self) -> &'static str {
        match self {
            Span::Ttft => "ttft",
            Span::Itl => "itl",
            Span::Queue => "queue",
            Span::E2el => "e2el",
            Span::KvTransfer => "kv_transfer",
        }
    }
}

impl Told {
    pub fn mean(&self, span: Span) -> Option<Mean> {
        self.means[span as usize]
    }

    /// Share of the drafted tokens that were accepted.
    pub fn accepted(&self) -> Option<f64> {
        self.drafts.and_then(PartOf::share).or(self.acceptance)
    }
}
