//! `play`: one session from its first request to its last, in its place.

use super::concurrency_limit::{Alive, ConcurrencyLimit, GiveUp, Permit};
use super::conversations::Conversations;
use super::maker::{Conversation, MadeRequest};
use super::stages::Stages;
use super::{Message, Progress, setback};
use crate::client::{Client, Outage, OutgoingRequest};
use crate::os;
use crate::record::{Nanos, Outcome, PackedRecord, Phase, Reply};
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
    pub stages: Stages,
    /// Requests that are under way. A session gives its place back while its user thinks.
    pub in_flight: ConcurrencyLimit,
    /// How a request is told that waited for a place to the end.
    pub at_the_limit: String,
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
            keep_text: self.keep_text || made.conversation.as_ref().is_some_and(|next| next.reads_replies()),
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

    /// Warm-up or measured; `None`: no more requests are wanted. The earliest measured one opens the
    /// window. `planned` is absolute.
    pub async fn enter(&self, seq: u64, turn: u32, planned: Nanos) -> Option<Phase> {
        let entered = self.stages.enter(seq, turn, planned - self.zero)?;
        if let Some(start) = entered.opens {
            self.progress.open_window(start);
            let _ = self.out.send(Message::Window(start)).await;
        }
        Some(entered.phase)
    }

    /// Records a request that was due and is not sent.
    pub async fn record_unsent(&self, order: Box<OutgoingRequest>, outcome: Outcome, message: String) {
        let mut parcel = PackedRecord::from(*order.unsent(outcome, message, os::now()));
        parcel.record.timeline.rebase(self.zero);
        self.progress.start(parcel.record.phase);
        self.progress.finish(&parcel);
        self.hand_over(parcel).await;
    }

    /// What stands in the record of a request that waited for a place until the run ended.
    pub fn never_had_a_place(&self) -> String {
        format!("until the run ended {}", self.at_the_limit)
    }

    /// Gives the record of a turn away, has the next one made from it, and waits until that is
    /// nearly due and has a place. `end` is absolute. `None`: there is no next turn.
    async fn follow(
        &self,
        conversation: Box<Conversation>,
        parcel: PackedRecord,
        end: Nanos,
        pause: Duration,
        cancel: &GiveUp,
    ) -> Option<NextTurn> {
        let (record, reply) = (&parcel.record, reply(&parcel));
        let (seq, turn) = (record.seq, record.turn + 1);
        self.hand_over(parcel).await;
        let next = async {
            let made = self.conversations.next(conversation, reply, end).await?;
            let planned = made.due(end + made.after.max(pause).as_nanos() as Nanos);
            self.conversations.until_no_more(planned, self.nearly(planned - self.lead)).await?;
            let place = match self.in_flight.try_take() {
                Some(place) => Some(place),
                None => self.conversations.until_the_end(self.in_flight.take()).await,
            };
            let phase = self.enter(seq, turn, planned).await?;
            let (mut order, conversation) = self.order(made, planned, phase);
            let Some(place) = place else {
                self.record_unsent(order, Outcome::Cancelled, self.never_had_a_place()).await;
                return None;
            };
            order.admitted = place.free_since.max(planned);
            self.progress.start(phase);
            Some(NextTurn { order, conversation, place })
        };
        tokio::select! {
            biased;
            () = cancel.given() => None,
            next = next => next,
        }
    }
}

/// A turn that is about to leave.
struct NextTurn {
    order: Box<OutgoingRequest>,
    conversation: Option<Box<Conversation>>,
    place: Permit,
}

/// The places of a session.
pub(super) struct Seats {
    /// Its user's, kept from the first turn to the last; `None`: it is nobody's turn of a number of users.
    pub user: Option<Permit>,
    /// Its request's.
    pub request: Option<Permit>,
}

impl Seats {
    /// The one that counts failures, and rests after them.
    fn first(&mut self) -> Option<&mut Permit> {
        self.user.as_mut().or(self.request.as_mut())
    }
}

/// Plays one session to its end, request after request.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` would keep its arguments twice, in every session's task"
)]
pub(super) fn play(
    mut order: Box<OutgoingRequest>,
    mut conversation: Option<Box<Conversation>>,
    mut seats: Seats,
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
            let pause =
                seats.first().map_or(Duration::ZERO, |seat| shared.pause(&parcel, &mut seat.setbacks));
            let Some(goes_on) = conversation.take() else { break (Some(parcel), end, pause) };
            if let Some(seat) = seats.request.take() {
                seat.free(end);
            }
            // Boxed: a session of one request has no room for it in its task.
            match Box::pin(shared.follow(goes_on, parcel, end, pause, &cancel)).await {
                Some(next) => {
                    (order, conversation) = (next.order, next.conversation);
                    seats.request = Some(next.place);
                }
                None => break (None, end, pause),
            }
        };
        if seats.user.is_some()
            && let Some(seat) = seats.request.take()
        {
            seat.free(end);
        }
        let seat = seats.user.or(seats.request);
        if pause.is_zero() {
            seat.into_iter().for_each(|seat| seat.free(end));
            if let Some(parcel) = last {
                shared.hand_over(parcel).await;
            }
        } else {
            if let Some(parcel) = last {
                shared.hand_over(parcel).await;
            }
            if let Some(seat) = seat {
                seat.rest(pause).await;
                seat.free(os::now());
            }
        }
        drop(alive);
    }
}

/// What the next turn is built from.
fn reply(parcel: &PackedRecord) -> Reply {
    let (text, tool_calls) = match &parcel.said {
        Some(said) => (said.content.clone(), said.tool_calls.clone()),
        None => (parcel.record.text.clone().unwrap_or_default(), Vec::new()),
    };
    Reply {
        text,
        tool_calls,
        output_tokens: parcel.output_tokens().map_or(0, |(n, _)| n),
        input_tokens: parcel.record.usage.input,
        finish_reason: parcel.record.finish.clone(),
        success: parcel.record.success(),
    }
}
