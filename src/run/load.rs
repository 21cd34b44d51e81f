//! `Load`: a plan with what carries it out and who hears of it.

use super::plan::Plan;
use super::{Message, Progress};
use crate::client::Client;
use crate::os;
use crate::record::Nanos;
use std::sync::Arc;
use tokio::sync::mpsc;

/// One of the plans that run at the same time.
pub struct Load<'a> {
    pub plan: &'a Plan,
    pub client: Arc<Client>,
    pub progress: Arc<Progress>,
    /// Every request becomes one record in here.
    pub out: mpsc::Sender<Message>,
    /// Starts every `x-request-id`.
    pub id_prefix: &'a str,
}

/// The moment that the times of all loads count from, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zero {
    /// Monotonic.
    pub at: Nanos,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

impl Zero {
    /// So long from now.
    pub fn after(time: Nanos) -> Zero {
        let (now, wall) = (os::now(), os::wall());
        Zero { at: now + time, wall_ms: (wall + time) / 1_000_000 }
    }
}
