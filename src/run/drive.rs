//! `drive`: the loop of one plan, from its first slot to its last straggler.

use super::concurrency_limit::{ConcurrencyLimit, GiveUp, Permit, Sessions};
use super::conversations::Conversations;
use super::ended::{Ended, Reason};
use super::load::{Load, Zero};
use super::maker::Prepared;
use super::monitor::Monitor;
use super::plan::{OverCap, Plan};
use super::prepare::Ahead;
use super::session::{self, Seats, Shared};
use super::stages::Stages;
use super::watch::Watch;
use super::{Control, Message, Stop, rest};
use crate::client::{Outage, OutgoingRequest};
use crate::error::Error;
use crate::os;
use crate::record::{Due, Nanos, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

/// How long before its time a slot is handed to its session, which opens a connection if it
/// must and gives its bytes to the pacer.
pub(super) const LEAD: Nanos = 20_000_000;

/// How often the loop looks whether it should stop.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long the requests in flight are given up one by one, each with its row: whoever wants the
/// end twice does not wait until ten thousand have theirs.
const GIVING_UP: Duration = Duration::from_millis(100);

/// A load that may begin, with what was made ahead of the zero.
pub(super) struct Start<'a> {
    pub load: Load<'a>,
    pub prepared: Ahead,
    pub monitor: Monitor,
    /// Requests in flight at most.
    pub places: usize,
}

/// Runs one plan from `zero` on; every request becomes one record in the load's channel.
pub(super) async fn drive(start: Start<'_>, zero: Zero, control: &Control) -> Ended {
    let Start { load, mut prepared, monitor, places } = start;
    let Load { plan, client, progress, out, .. } = load;
    if let Some(start) = plan.window_start() {
        progress.open_window(start);
        let _ = out.send(Message::Window(start)).await;
    }
    let connect_time = client.connect_time();
    let mut drive = Drive {
        plan,
        users: plan.users().map(|users| ConcurrencyLimit::new(Some(users))),
        sessions: Sessions::new(),
        cancel: GiveUp::default(),
        shared: Arc::new(Shared {
            client,
            progress,
            out,
            zero: zero.at,
            open: plan.open(),
            // An open loop sends when it is time, whoever listens.
            outage: Arc::new(Outage::new(plan.target.timeouts.reconnect, !plan.open())),
            conversations: Conversations::new(prepared.turns()),
            stages: Stages::new(plan),
            // Without a cap the requests wait for a connection, rather than fail for want of one.
            in_flight: ConcurrencyLimit::new(Some(places)),
            at_the_limit: plan.at_the_limit(places),
            lead: LEAD.max(3 * connect_time),
            keep_text: plan.keeps_text(),
            handing_over: AtomicI64::new(0),
            last_end: AtomicI64::new(0),
        }),
        waiting: None,
        never_sent: 0,
    };
    let mut reason = drive.send_all(control, &mut prepared).await;
    drive.close_places();
    let all_sent = matches!(reason, Reason::Requests | Reason::Schedule);
    if !all_sent {
        drive.shared.outage.give_up();
    }
    let shared = drive.shared.clone();
    let conversations = &shared.conversations;
    conversations.end_at(match shared.stages.window_end() {
        _ if shared.stages.are_full() => Nanos::MIN,
        None if all_sent => Nanos::MAX,
        Some(end) if all_sent || reason == Reason::Duration => zero.at + end,
        _ => Nanos::MIN,
    });
    drive.cut_off(control, &mut prepared, &reason).await;
    prepared.stop();
    drive.shared.progress.drain();
    let all = drive.drain(control).await;
    if let Some(error) = conversations.broken() {
        reason = Reason::Preparation(error.clone());
    } else if all_sent && control.stop() > Stop::No && conversations.were_cut() {
        reason = Reason::Interrupted;
    }
    if !all {
        let _ = drive.shared.out.send(Message::End).await;
    }
    let handing_over = drive.shared.handing_over.load(Relaxed);
    Ended {
        reason,
        zero: zero.at,
        zero_ms: zero.wall_ms,
        lasted: drive.shared.last_end.load(Relaxed),
        never_sent: drive.never_sent,
        unrecorded: 0,
        health: monitor.finish(handing_over, control.stop() == Stop::Abort).await,
    }
}

struct Drive<'a> {
    plan: &'a Plan,
    /// The users of a closed loop who keep their places from turn to turn.
    users: Option<ConcurrencyLimit>,
    sessions: Sessions,
    cancel: GiveUp,
    shared: Arc<Shared>,
    /// The slot in hand when the run was ended.
    waiting: Option<Prepared>,
    /// Slots of which one row tells that they were due and never sent.
    never_sent: u64,
}

/// A slot that has its time and, unless it is dropped, its place.
struct Admitted {
    planned: Nanos,
    user: Option<Permit>,
    place: Option<Permit>,
}

impl<'a> Drive<'a> {
    /// Sends slot after slot until something says stop.
    async fn send_all(&mut self, control: &Control, prepared: &mut Ahead) -> Reason {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if !self.shared.stages.want_more() {
                return Reason::Requests;
            }
            let watch = Watch { plan: self.plan, control, shared: self.shared.clone() };
            let next = match watch.over(&mut look, prepared.next()).await {
                Ok(Some(next)) => next,
                Ok(None) if self.shared.stages.are_counted() => return Reason::Requests,
                Ok(None) => return Reason::Schedule,
                Err(reason) => return reason,
            };
            let due = next.slot.due;
            let admitted = watch.over(&mut look, self.admit(due)).await;
            // What came with the free place may end the run.
            match admitted.and_then(|admitted| watch.ended_by(admitted)) {
                Ok(admitted) if self.shared.stages.are_past_the_end(admitted.planned) => {
                    return Reason::Duration;
                }
                Ok(admitted) => match self.start(next, admitted).await {
                    Ok(true) => {}
                    Ok(false) => return Reason::Requests,
                    Err(error) => return Reason::Preparation(error),
                },
                Err(reason) => {
                    self.waiting = Some(next);
                    return reason;
                }
            }
        }
    }

    /// Waits until the slot is nearly due and a place is in hand.
    async fn admit(&self, due: Due) -> Admitted {
        let in_flight = &self.shared.in_flight;
        match due {
            Due::Free { think } => {
                let user = match &self.users {
                    Some(users) => Some(users.take().await),
                    None => None,
                };
                let place = in_flight.take().await;
                let free_since = user.as_ref().unwrap_or(&place).free_since;
                let planned = (free_since - self.shared.zero).max(0) + think;
                Admitted { planned, user, place: Some(place) }
            }
            Due::At(planned) => {
                self.shared.nearly(self.shared.zero + planned - self.shared.lead).await;
                let user = self.users.as_ref().and_then(ConcurrencyLimit::try_take);
                if let Some(place) = in_flight.try_take() {
                    return Admitted { planned, user, place: Some(place) };
                }
                let place = match self.plan.over_cap {
                    OverCap::Wait => Some(in_flight.take().await),
                    OverCap::Drop => {
                        let left = self.shared.zero + planned - os::now();
                        let left = Duration::from_nanos(left.max(0) as u64);
                        tokio::time::timeout(left, in_flight.take()).await.ok()
                    }
                };
                Admitted { planned, user, place }
            }
        }
    }

    /// Starts the session of a slot, or records that it was dropped; false: no more are wanted. Fails
    /// when its request could not be made.
    async fn start(&self, next: Prepared, admitted: Admitted) -> Result<bool, Error> {
        let (made, shared) = (next.first?, &self.shared);
        let planned = admitted.planned + shared.zero;
        let Some(phase) = shared.enter(next.slot.seq, 0, planned).await else { return Ok(false) };
        let (mut order, conversation) = shared.order(made, planned, phase);
        let Some(place) = admitted.place else {
            shared.record_unsent(order, Outcome::Dropped, shared.at_the_limit.clone()).await;
            return Ok(true);
        };
        order.admitted = place.free_since.max(order.planned);
        shared.progress.start(phase);
        let alive = self.sessions.start();
        let (shared, cancel) = (shared.clone(), self.cancel.clone());
        let seats = Seats { user: admitted.user, request: Some(place) };
        tokio::spawn(session::play(order, conversation, seats, shared, cancel, alive));
        Ok(true)
    }

    /// No slot takes a place any more.
    fn close_places(&self) {
        self.users.iter().chain([&self.shared.in_flight]).for_each(ConcurrencyLimit::close);
    }

    /// Slots that were due before the end and still wait for a place are records, too: leaving
    /// them out would make an overloaded server look faster.
    async fn cut_off(&mut self, control: &Control, prepared: &mut Ahead, reason: &Reason) {
        let waiting = self.waiting.take();
        match reason {
            Reason::Requests | Reason::Schedule => return,
            Reason::Interrupted | Reason::Early(_) | Reason::Enough(_) | Reason::Preparation(_) => {
                return self.cut_rest(waiting, prepared).await;
            }
            Reason::Duration => {}
        }
        if let Some(next) = waiting {
            self.cut(next).await;
        }
        let now = os::now() - self.shared.zero;
        let end = self.shared.stages.window_end().map_or(now, |end| end.min(now));
        while let Some(next) = prepared.next().await {
            if control.stop() > Stop::No {
                return self.cut_rest(Some(next), prepared).await;
            }
            match next.slot.due {
                Due::At(planned) if planned < end && self.shared.stages.want_more() => self.cut(next).await,
                _ => return,
            }
        }
    }

    /// Whoever ends a run by hand does not wait until each of a million slots has its row: one row
    /// stands for all that were due and had no place.
    async fn cut_rest(&mut self, waiting: Option<Prepared>, prepared: &mut Ahead) {
        let next = match waiting {
            Some(next) => next,
            None => match tokio::time::timeout(LOOK_EVERY, prepared.next()).await {
                Ok(Some(next)) => next,
                _ => return,
            },
        };
        let now = os::now() - self.shared.zero;
        let end = self.shared.stages.window_end().map_or(now, |end| end.min(now));
        let Due::At(planned) = next.slot.due else { return };
        if planned >= end || !self.shared.stages.want_more() {
            return;
        }
        let (count, all) = rest::due(self.plan, next.slot.seq, end).await;
        let Some(order) = self.unsent(next, planned).await else { return };
        self.never_sent = count;
        let held = self.shared.never_had_a_place();
        let message = match count {
            0 | 1 => held,
            n => format!(
                "{held}; this row stands for {}{n} requests that were due and never sent",
                if all { "" } else { "more than " }
            ),
        };
        self.shared.record_unsent(order, Outcome::Cancelled, message).await;
    }

    /// Records a slot that was due and never got a place; one that was not due yet is nothing.
    async fn cut(&mut self, next: Prepared) {
        let Due::At(planned) = next.slot.due else { return };
        let now = os::now() - self.shared.zero;
        if planned >= now || self.shared.stages.are_past_the_end(planned) {
            return;
        }
        let Some(order) = self.unsent(next, planned).await else { return };
        self.shared.record_unsent(order, Outcome::Cancelled, self.shared.never_had_a_place()).await;
    }

    /// The request of a slot that was due; `None`: no more are wanted, or it could not be made, which
    /// ends the run.
    async fn unsent(&self, next: Prepared, planned: Nanos) -> Option<Box<OutgoingRequest>> {
        let planned = planned + self.shared.zero;
        match next.first {
            Ok(made) => {
                let phase = self.shared.enter(next.slot.seq, 0, planned).await?;
                Some(self.shared.order(made, planned, phase).0)
            }
            Err(error) => {
                self.shared.conversations.fail(error);
                None
            }
        }
    }

    /// Waits for what is in flight: as long as the plan allows, or until the second Ctrl-C. False:
    /// not all of it had the time to end after that.
    async fn drain(&mut self, control: &Control) -> bool {
        let (cancel, conversations) = (self.cancel.clone(), &self.shared.conversations);
        let drain = self.plan.drain;
        let give_up = async {
            let started = os::now();
            while control.stop() != Stop::Abort {
                if control.stop() > Stop::No {
                    conversations.end_at(Nanos::MIN);
                }
                tokio::time::sleep(LOOK_EVERY).await;
                let waited = Duration::from_nanos((os::now() - started) as u64);
                if drain.is_some_and(|drain| waited >= drain) {
                    cancel.give_up();
                }
            }
            // Nothing is measured any more: this thread may go before others.
            os::be_urgent(true);
            cancel.give_up();
            tokio::time::sleep(GIVING_UP).await;
        };
        tokio::select! {
            () = self.sessions.all_ended() => true,
            () = give_up => false,
        }
    }
}
