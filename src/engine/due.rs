//! `Deadline`: a deadline of a request, and what it does after it.

use crate::engine::config::Config;
use crate::engine::nanos::Nanos;

/// What a request does after one of its deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It wants its next token.
    Token,
    /// It has nothing left; its slot is free.
    Done,
    /// It keeps its slot and wants no more deadlines, until [`Pace::cancel`](super::scheduler::Scheduler::cancel).
    Hold,
    /// It has already been cancelled.
    Gone,
}

/// A deadline: when it is, and when its request got a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    pub at: Nanos,
    pub admitted: Nanos,
    /// Tokens of its prompt that were in the prefix cache.
    pub cached: u32,
}

/// The slots of a configuration, where 0 stands for no limit.
pub fn slots(config: &Config) -> usize {
    if config.slots == 0 { usize::MAX } else { config.slots }
}
