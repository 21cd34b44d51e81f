//! `Ended`: how a run ended, and why no more was sent.

use crate::error::Error;
use crate::record::{Health, Nanos};

/// Why no more requests were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// All that were asked for were sent.
    Requests,
    Duration,
    /// The load shape came to its end.
    Schedule,
    /// Ctrl-C.
    Interrupted,
    /// Too many failures; the sentence says which.
    Early(String),
    /// A function of the user's said so; where it stands.
    Enough(String),
    /// A request could not be made, or a hook failed.
    Preparation(Error),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub reason: Reason,
    /// The run's zero on the monotonic clock.
    pub zero: Nanos,
    /// Wall clock of the run's zero, milliseconds since 1970.
    pub zero_ms: i64,
    /// Time from zero to the end of the last request.
    pub lasted: Nanos,
    /// Requests that were due when the run was ended by hand and never sent: one row stands for
    /// all of them. 0 or 1: each has its own.
    pub never_sent: u64,
    /// Requests in flight that have no row: the run was ended before each could get one. Whoever
    /// counts the rows knows.
    pub unrecorded: u64,
    /// What happened to this process and its machine meanwhile.
    pub health: Health,
}
