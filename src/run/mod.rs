//! The one loop: take a slot, wait until it is due, start its session; finished records go
//! into a channel.
//!
//! Back-traffic is two things only: [`Control::stop`] and the counters of [`Progress`].

mod drive;
mod places;
pub mod plan;
mod prepare;
pub mod progress;

pub use drive::{Ended, Reason, run};
pub use plan::Plan;
pub use progress::Progress;

use crate::record::{Nanos, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a run tells whoever listens.
#[derive(Debug)]
pub enum Message {
    /// The planned time of the first measured request; before any measured record.
    Window(Nanos),
    Record(Box<Record>),
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

/// The outside's hold on a run; shared with the Ctrl-C handler.
#[derive(Debug, Clone, Default)]
pub struct Control {
    level: Arc<AtomicU8>,
}

impl Control {
    /// Watches `level`: 0 run, 1 drain, 2 abort.
    pub fn watching(level: Arc<AtomicU8>) -> Control {
        Control { level }
    }

    pub fn stop(&self) -> Stop {
        match self.level.load(Ordering::Relaxed) {
            0 => Stop::No,
            1 => Stop::Drain,
            _ => Stop::Abort,
        }
    }
}

/// The runtime that carries the sessions.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("client").enable_all().build()
}
