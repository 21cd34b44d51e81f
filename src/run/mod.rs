//! The one loop: take a slot, wait until it is due, start its session; finished records go
//! into a channel. [`together()`] runs one or several of them from one zero.
//!
//! Back-traffic is three things only: [`Control::stop`], the counters of [`Progress`], and the reply
//! that a session's next turn is made from.

mod concurrency_limit;
mod conversations;
mod drive;
mod ended;
pub mod hooks;
mod load;
mod maker;
mod monitor;
pub mod plan;
pub mod planned;
mod prepare;
pub mod progress;
mod rest;
pub mod room;
mod session;
pub(crate) mod setback;
pub(crate) mod stages;
mod together;
mod watch;

pub use ended::{Ended, Reason};
pub use hooks::Hooks;
pub use load::Load;
pub use plan::Plan;
pub use progress::Progress;
pub use together::together;

use crate::record::{Nanos, PackedRecord};
use std::sync::Arc;

/// What a run tells whoever listens.
#[derive(Debug)]
pub enum Message {
    /// The wall clock of the run's zero, milliseconds since 1970: first of all, and the one answer
    /// for everything that is written. The same for all that run together.
    Zero(i64),
    /// Where the measured window begins: before anything is sent where that is known, else the
    /// planned time of the earliest measured request so far, before its record.
    Window(Nanos),
    Record(PackedRecord),
    /// Nothing more counts, although sessions may still live.
    End,
}

/// How far a run has been asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    No,
    /// Send nothing more, let what is in flight end.
    Drain,
    /// Give up what is in flight, too.
    Abort,
}

/// The outside's hold on a run: asked now and then how far it should stop.
#[derive(Clone)]
pub struct Control {
    ask: Arc<dyn Fn() -> Stop + Send + Sync>,
}

impl Control {
    pub fn watching(ask: impl Fn() -> Stop + Send + Sync + 'static) -> Control {
        Control { ask: Arc::new(ask) }
    }

    pub fn stop(&self) -> Stop {
        (self.ask)()
    }
}

/// The runtime that carries the sessions: one thread. Beside it there are threads of their own
/// for sends at their time, for making requests and for results; with more threads here, each
/// read would wake several (measured: 14 us of CPU a token instead of 7 with 64 streams).
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
pub(crate) mod tests;
