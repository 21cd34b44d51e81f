//! `play`: one session from its first request to its last, in its place.

use super::concurrency_limit::{Alive, GiveUp, Permit};
use super::conversations::Conversations;
use super::maker::{Conversation, MadeRequest};
use super::{Message, Progress, setback};
use crate::client::{Client, Outage, OutgoingRequest};
use crate::os;
use crate::record::{Nanos, PackedRecord, Phase, Reply};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};

/// A request that near to being handed over is handed over with the one before it: one wake for all.
const TOGETHER: Nanos = 5_000_000;

/// What all sessions of a run share.
pub(super) struct Shared {
    pub client: Arc<Client>,
    pub progress: Arc<Progress>,
    pub out: mpsc::Sender<Message>,
    pub conversations: Conversations,
    pub zero: Nanos,
    /// How long before its time a request is handed to the client, which opens a connection if it
    /// must and gives its bytes to the pacer.
    pub lead: Nanos,
    /// Arrivals do not wait for replies.
    pub open: bool,
    /// The text of replies is wanted in the records.
    pub keep_text: bool,
    pub outage: Arc<Outage>,
    /// How long finished requests waited for the collector, added up.
    pub handing_over: AtomicI64,
    /// End of the last request so far, since zero.
    pub last_end: AtomicI64,
}

impl Shared {
    /// A request on its way, and what comes after it. `planned` is absolute.
    pub fn order(
        &self,
        made: MadeRequest,
        planned: Nanos,
        phase: Phase,
    ) -> (Box<OutgoingRequest>, Option<Box<Conversation>>) {
        let order = OutgoingRequest {
            request: made.request,
            id: made.id,
            bytes: made.bytes,
            phase,
            planned,
            admitted: planned,
            // The next turn is made from it.
            keep_text: self.keep_text || made.conversation.is_some(),
            outage: Some(self.outage.clone()),
        };
        (Box::new(order), made.conversation)
    }

    /// Sleeps until `time`, absolute, unless that is nearly now.
    pub async fn nearly(&self, time: Nanos) {
        let left = time - os::now();
        if left > TOGETHER {
            tokio::time::sleep(Duration::from_nanos(left as u64)).await;
        }
    }

    /// How long a place rests after this end; arrivals of an open loop wait for nobody.
    fn pause(&self, parcel: &PackedRecord, setbacks: &mut u32) -> Duration {
        if self.open {
            return Duration::ZERO;
        }
        setback::pause(&parcel.record, parcel.retry_after, setbacks, self.outage.borne())
    }

    /// Gives a record to the collector.
    pub async fn hand_over(&self, parcel: PackedRecord) {
        self.last_end.fetch_max(parcel.record.timeline.end, Relaxed);
        let message = Message::Record(parcel);
        let Err(TrySendError::Full(message)) = self.out.try_send(message) else { return };
        let begun = os::now();
        // A collector that is gone has told its own error.
        let _ = self.out.send(message).await;
        self.handing_over.fetch_add(os::now() - begun, Relaxed);
    }

    /// Gives the record of a turn away, has the next one made from it, and waits until that is
    /// nearly due. `end` is absolute. `None`: there is no next turn.
    async fn follow(
        &self,
        conversation: Box<Conversation>,
        parcel: PackedRecord,
        end: Nanos,
        pause: Duration,
        cancel: &GiveUp,
    ) -> Option<(Box<OutgoingRequest>, Option<Box<Conversation>>)> {
        let (phase, reply) = (parcel.record.phase, reply(&parcel));
        self.hand_over(parcel).await;
        let next = async {
            let made = self.conversations.next(conversation, reply, end).await?;
            let planned = end + made.after.max(pause).as_nanos() as Nanos;
            self.conversations.until_no_more(planned, self.nearly(planned - self.lead)).await?;
            self.progress.start(phase);
            Some(self.order(made, planned, phase))
        };
        tokio::select! {
            biased;
            () = cancel.given() => None,
            next = next => next,
        }
    }
}

/// Plays one session to its end, request after request, in its place.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` would keep its arguments twice, in every session's task"
)]
pub(super) fn play(
    mut order: Box<OutgoingRequest>,
    mut conversation: Option<Box<Conversation>>,
    mut place: Permit,
    shared: Arc<Shared>,
    cancel: GiveUp,
    alive: Alive,
) -> impl Future<Output = ()> + Send {
    async move {
        let (last, end, pause) = loop {
            let mut parcel = shared.client.send(order, pin!(cancel.given())).await;
            let end = match parcel.record.unclosed {
                // Its place was held until the body was given up.
                true => os::now(),
                false => parcel.record.timeline.end,
            };
            parcel.record.timeline.rebase(shared.zero);
            shared.progress.finish(&parcel);
            let pause = shared.pause(&parcel, &mut place.setbacks);
            let Some(goes_on) = conversation.take() else { break (Some(parcel), end, pause) };
            // Boxed: a session of one request has no room for it in its task.
            match Box::pin(shared.follow(goes_on, parcel, end, pause, &cancel)).await {
                Some(next) => (order, conversation) = next,
                None => break (None, end, pause),
            }
        };
        if pause.is_zero() {
            place.free(end);
            if let Some(parcel) = last {
                shared.hand_over(parcel).await;
            }
        } else {
            if let Some(parcel) = last {
                shared.hand_over(parcel).await;
            }
            place.rest(pause).await;
            place.free(os::now());
        }
        drop(alive);
    }
}

/// What the next turn is built from.
fn reply(parcel: &PackedRecord) -> Reply {
    Reply {
        text: parcel.record.text.clone().unwrap_or_default(),
        output_tokens: parcel.output_tokens().map_or(0, |(n, _)| n),
        success: parcel.record.success(),
    }
}
