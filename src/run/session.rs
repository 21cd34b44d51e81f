//! `play`: one session from its first request to its last, in its place.

use super::places::{Alive, Cancel, Place};
use super::{Message, Progress, setback};
use crate::client::{Client, Order, Outage};
use crate::os;
use crate::record::{Nanos, Parcel, Reply};
use crate::workload::Session;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};

/// What all sessions of a run share.
pub(super) struct Shared {
    pub client: Arc<Client>,
    pub progress: Arc<Progress>,
    pub out: mpsc::Sender<Message>,
    pub zero: Nanos,
    /// Arrivals do not wait for replies.
    pub open: bool,
    pub outage: Arc<Outage>,
    /// How long finished requests waited for the collector, added up.
    pub handing_over: AtomicI64,
    /// End of the last request so far, since zero.
    pub last_end: AtomicI64,
}

impl Shared {
    /// How long a place rests after this end; arrivals of an open loop wait for nobody.
    fn pause(&self, parcel: &Parcel, setbacks: &mut u32) -> Duration {
        if self.open {
            return Duration::ZERO;
        }
        setback::pause(&parcel.record, parcel.retry_after, setbacks, self.outage.borne())
    }

    /// Gives a record to the collector.
    pub async fn hand_over(&self, parcel: Parcel) {
        self.last_end.fetch_max(parcel.record.timeline.end, Relaxed);
        let message = Message::Record(parcel);
        let Err(TrySendError::Full(message)) = self.out.try_send(message) else { return };
        let begun = os::now();
        // A collector that is gone has told its own error.
        let _ = self.out.send(message).await;
        self.handing_over.fetch_add(os::now() - begun, Relaxed);
    }
}

/// Plays one session to its end, request after request, in its place.
// An `async fn` would keep its arguments twice, in every session's task.
#[allow(clippy::manual_async_fn)]
pub(super) fn play(
    mut session: Session,
    mut order: Box<Order>,
    mut place: Place,
    shared: Arc<Shared>,
    cancel: Cancel,
    alive: Alive,
) -> impl Future<Output = ()> + Send {
    async move {
        let mut turn = 0u32;
        let mut first_id = None;
        loop {
            let (phase, keep_text) = (order.phase, order.keep_text);
            let mut parcel = shared.client.send(order, pin!(cancel.given())).await;
            let end = match parcel.record.unclosed {
                // Its place was held until the body was given up.
                true => os::now(),
                false => parcel.record.timeline.end,
            };
            parcel.record.timeline.rebase(shared.zero);
            shared.progress.finish(&parcel);
            let Some(request) = session.next(Some(&reply(&parcel))) else {
                let pause = shared.pause(&parcel, &mut place.setbacks);
                if pause.is_zero() {
                    place.free(end);
                    shared.hand_over(parcel).await;
                } else {
                    shared.hand_over(parcel).await;
                    place.rest(pause).await;
                    place.free(os::now());
                }
                break;
            };
            let first_id = first_id.get_or_insert_with(|| parcel.record.id.clone());
            shared.hand_over(parcel).await;
            shared.progress.start(phase);
            turn += 1;
            let id = format!("{first_id}.{turn}");
            let bytes = shared.client.encode(&request, &id);
            let outage = Some(shared.outage.clone());
            let next = Order { request, id, bytes, phase, planned: end, admitted: end, keep_text, outage };
            order = next.into();
        }
        drop(alive);
    }
}

/// What the next turn is built from.
fn reply(parcel: &Parcel) -> Reply {
    Reply {
        text: parcel.record.text.clone().unwrap_or_default(),
        output_tokens: parcel.output_tokens().map_or(0, |(n, _)| n),
        success: parcel.record.success(),
    }
}
