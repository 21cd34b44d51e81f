//! `Prepared`: requests made ahead of their time, by a thread of their own into a bounded
//! queue, so that making them is never a latency.

use super::Plan;
use crate::client::Client;
use crate::record::{Request, Slot};
use crate::workload::Session;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A slot with its first request, ready for the wire.
pub struct Prepared {
    pub slot: Slot,
    pub session: Session,
    pub request: Request,
    pub id: String,
    pub bytes: Bytes,
}

/// Most requests that are handed over in one go.
const BUNDLE_MAX: usize = 32;

/// The requests that are ready, in the order of their slots.
pub struct Ahead {
    bundles: mpsc::Receiver<Vec<Prepared>>,
    bundle: std::vec::IntoIter<Prepared>,
}

impl Ahead {
    /// The next one, once it is made; `None` after the last. Nothing is lost when the wait is
    /// broken off.
    pub async fn next(&mut self) -> Option<Prepared> {
        loop {
            if let Some(next) = self.bundle.next() {
                return Some(next);
            }
            self.bundle = self.bundles.recv().await?.into_iter();
        }
    }
}

/// Starts the thread. The queue ends after `limit` slots, or with the schedule.
pub fn start(
    plan: &Plan,
    client: Arc<Client>,
    id_prefix: String,
    limit: Option<u64>,
) -> std::io::Result<Ahead> {
    let places = plan.places().unwrap_or(128);
    let (queue, bundles) = mpsc::channel(places.saturating_mul(2).clamp(128, 4096) / BUNDLE_MAX);
    let schedule = plan.schedule();
    let workload = plan.workload.clone();
    let traffic = plan.traffic();
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    std::thread::Builder::new().name("prepare".into()).spawn(move || {
        let mut bundle = Vec::new();
        for slot in schedule.take(limit) {
            let mut session = workload.session(&traffic, slot.seq);
            let Some(request) = session.next(None) else { continue };
            let id = format!("{id_prefix}-{}", slot.seq);
            let bytes = client.encode(&request, &id);
            bundle.push(Prepared { slot, session, request, id, bytes });
            // With nothing ahead of it, a request does not wait for others.
            let awaited = queue.capacity() == queue.max_capacity();
            if (awaited || bundle.len() >= BUNDLE_MAX)
                && queue.blocking_send(std::mem::take(&mut bundle)).is_err()
            {
                return;
            }
        }
        // A run that has ended needs no more.
        let _ = queue.blocking_send(bundle);
    })?;
    Ok(Ahead { bundles, bundle: Vec::new().into_iter() })
}
