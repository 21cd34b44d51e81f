//! `Prepared`: requests made ahead of their time, by a thread of their own into a bounded
//! queue, so that making them is never a latency.

use super::Plan;
use crate::client::Client;
use crate::record::{Request, Slot};
use crate::workload::Session;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
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
/// Bytes from which a bundle is handed over, however few they are in.
const BUNDLE_BYTES: usize = 1 << 20;
/// Bytes that wait in the queue before no more are made.
const QUEUE_BYTES: usize = 32 << 20;

/// The requests that are ready, in the order of their slots.
pub struct Ahead {
    bundles: mpsc::Receiver<Vec<Prepared>>,
    bundle: std::vec::IntoIter<Prepared>,
    /// Bytes of the requests that wait in the queue.
    queued: Arc<AtomicUsize>,
}

impl Ahead {
    /// The next one, once it is made; `None` after the last. Nothing is lost when the wait is
    /// broken off.
    pub async fn next(&mut self) -> Option<Prepared> {
        loop {
            if let Some(next) = self.bundle.next() {
                return Some(next);
            }
            let bundle = self.bundles.recv().await?;
            let weight: usize = bundle.iter().map(|next| next.bytes.len()).sum();
            self.queued.fetch_sub(weight, Relaxed);
            self.bundle = bundle.into_iter();
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
    let queued = Arc::new(AtomicUsize::new(0));
    let waiting = queued.clone();
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    std::thread::Builder::new().name("prepare".into()).spawn(move || {
        let (mut bundle, mut weight) = (Vec::new(), 0);
        for slot in schedule.take(limit) {
            let mut session = workload.session(&traffic, slot.seq);
            let Some(request) = session.next(None) else { continue };
            let id = format!("{id_prefix}-{}", slot.seq);
            let bytes = client.encode(&request, &id);
            weight += bytes.len();
            bundle.push(Prepared { slot, session, request, id, bytes });
            // With nothing ahead of it, a request does not wait for others.
            let awaited = queue.capacity() == queue.max_capacity();
            if awaited || bundle.len() >= BUNDLE_MAX || weight >= BUNDLE_BYTES {
                // Long prompts: what waits is bounded in bytes, too.
                while queued.load(Relaxed) > QUEUE_BYTES && !queue.is_closed() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                queued.fetch_add(std::mem::take(&mut weight), Relaxed);
                if queue.blocking_send(std::mem::take(&mut bundle)).is_err() {
                    return;
                }
            }
        }
        queued.fetch_add(weight, Relaxed);
        // A run that has ended needs no more.
        let _ = queue.blocking_send(bundle);
    })?;
    Ok(Ahead { bundles, bundle: Vec::new().into_iter(), queued: waiting })
}
