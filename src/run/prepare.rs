//! `Prepared`: requests made ahead of their time, by a thread of their own into a bounded
//! queue, so that making them is never a latency.

use super::Plan;
use crate::client::Client;
use crate::record::{Request, Slot};
use crate::workload::{Session, Traffic};
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

/// Starts the thread. The queue ends after `limit` slots, or with the schedule.
pub fn start(
    plan: &Plan,
    client: Arc<Client>,
    id_prefix: String,
    limit: Option<u64>,
) -> std::io::Result<mpsc::Receiver<Prepared>> {
    let places = plan.places().unwrap_or(128);
    let (queue, prepared) = mpsc::channel(places.saturating_mul(2).clamp(64, 4096));
    let schedule = plan.arrivals.schedule(plan.seed, &plan.name);
    let workload = plan.workload.clone();
    let traffic = Traffic { seed: plan.seed, cell: plan.name.clone(), salt: plan.salt };
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    std::thread::Builder::new().name("prepare".into()).spawn(move || {
        for slot in schedule.take(limit) {
            let mut session = workload.session(&traffic, slot.seq);
            let Some(request) = session.next(None) else { continue };
            let id = format!("{id_prefix}-{}", slot.seq);
            let bytes = client.encode(&request, &id);
            if queue.blocking_send(Prepared { slot, session, request, id, bytes }).is_err() {
                return;
            }
        }
    })?;
    Ok(prepared)
}
