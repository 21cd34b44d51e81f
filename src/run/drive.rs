//! `drive`: the loop of one plan, from its first slot to its last straggler.

use super::concurrency_limit::{ConcurrencyLimit, GiveUp, Permit, Sessions};
use super::conversations::Conversations;
use super::ended::{Ended, Reason};
use super::load::{Load, Zero};
use super::maker::Prepared;
use super::monitor::Monitor;
use super::plan::{OverCap, Plan, Warmup};
use super::prepare::Ahead;
use super::session::{self, Shared};
use super::watch::Watch;
use super::{Control, Message, Stop, rest};
use crate::client::{Outage, OutgoingRequest};
use crate::error::Error;
use crate::os;
use crate::record::{Due, Nanos, Outcome, PackedRecord, Phase};
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
    /// Where the measured window begins, if that is known so early.
    pub window: Option<Nanos>,
    /// Measured requests to send.
    pub requests: Option<u64>,
    /// Requests in flight at most.
    pub places: usize,
}

/// Runs one plan from `zero` on; every request becomes one record in the load's channel.
pub(super) async fn drive(start: Start<'_>, zero: Zero, control: &Control) -> Ended {
    let Start { load, mut prepared, monitor, window, requests, places } = start;
    let Load { plan, client, progress, out, .. } = load;
    if let Some(start) = window {
        progress.open_window(start);
        let _ = out.send(Message::Window(start)).await;
    }
    let connect_time = client.connect_time();
    let mut drive = Drive {
        plan,
        // Without a cap the requests wait for a connection, rather than fail for want of one.
        places: ConcurrencyLimit::new(Some(places)),
        most: places,
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
            lead: LEAD.max(3 * connect_time),
            keep_text: plan.keeps_text(),
            handing_over: AtomicI64::new(0),
            last_end: AtomicI64::new(0),
        }),
        window,
        requests,
        measured: 0,
        waiting: None,
        never_sent: 0,
    };
    let mut reason = drive.send_all(control, &mut prepared).await;
    drive.places.close();
    let all_sent = matches!(reason, Reason::Requests | Reason::Schedule);
    if !all_sent {
        drive.shared.outage.give_up();
    }
    let shared = drive.shared.clone();
    let conversations = &shared.conversations;
    conversations.end_at(match drive.window_end() {
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
    places: ConcurrencyLimit,
    /// How many of them there are.
    most: usize,
    sessions: Sessions,
    cancel: GiveUp,
    shared: Arc<Shared>,
    /// Where the measured window begins, once known.
    window: Option<Nanos>,
    /// Measured slots to send, and so far.
    requests: Option<u64>,
    measured: u64,
    /// The slot in hand when the run was ended.
    waiting: Option<Prepared>,
    /// Slots of which one row tells that they were due and never sent.
    never_sent: u64,
}

/// A slot that has its time and, unless it is dropped, its place.
struct Admitted {
    planned: Nanos,
    place: Option<Permit>,
}

impl<'a> Drive<'a> {
    /// Sends slot after slot until something says stop.
    async fn send_all(&mut self, control: &Control, prepared: &mut Ahead) -> Reason {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if !self.wants_more() {
                return Reason::Requests;
            }
            let watch = self.watch(control);
            let next = match watch.over(&mut look, prepared.next()).await {
                Ok(Some(next)) => next,
                Ok(None) if self.requests.is_some() => return Reason::Requests,
                Ok(None) => return Reason::Schedule,
                Err(reason) => return reason,
            };
            let due = next.slot.due;
            let admitted = watch.over(&mut look, self.admit(due)).await;
            // What came with the free place may end the run.
            match admitted.and_then(|admitted| watch.ended_by(admitted)) {
                Ok(admitted) if self.past_the_end(admitted.planned) => return Reason::Duration,
                Ok(admitted) => {
                    if let Err(error) = self.start(next, admitted).await {
                        return Reason::Preparation(error);
                    }
                }
                Err(reason) => {
                    self.waiting = Some(next);
                    return reason;
                }
            }
        }
    }

    /// Waits until the slot is nearly due and a place is in hand.
    async fn admit(&mut self, due: Due) -> Admitted {
        match due {
            Due::Free { think } => {
                let place = self.places.take().await;
                let planned = (place.free_since - self.shared.zero).max(0) + think;
                Admitted { planned, place: Some(place) }
            }
            Due::At(planned) => {
                self.shared.nearly(self.shared.zero + planned - self.shared.lead).await;
                if let Some(place) = self.places.try_take() {
                    return Admitted { planned, place: Some(place) };
                }
                let place = match self.plan.over_cap {
                    OverCap::Wait => Some(self.places.take().await),
                    OverCap::Drop => {
                        let left = self.shared.zero + planned - os::now();
                        let left = Duration::from_nanos(left.max(0) as u64);
                        tokio::time::timeout(left, self.places.take()).await.ok()
                    }
                };
                Admitted { planned, place }
            }
        }
    }

    /// Starts the session of a slot, or records that it was dropped. Fails when its request could
    /// not be made.
    async fn start(&mut self, next: Prepared, admitted: Admitted) -> Result<(), Error> {
        let (made, planned) = (next.first?, admitted.planned);
        let phase = self.phase(next.slot.seq, planned).await;
        let (mut order, conversation) = self.shared.order(made, planned + self.shared.zero, phase);
        let Some(place) = admitted.place else {
            self.record_unsent(order, Outcome::Dropped, self.plan.at_the_limit(self.most)).await;
            return Ok(());
        };
        order.admitted = place.free_since.max(order.planned);
        self.shared.progress.start(phase);
        let alive = self.sessions.start();
        let (shared, cancel) = (self.shared.clone(), self.cancel.clone());
        tokio::spawn(session::play(order, conversation, place, shared, cancel, alive));
        Ok(())
    }

    /// Warm-up or measured; the earliest measured slot opens the window.
    async fn phase(&mut self, seq: u64, planned: Nanos) -> Phase {
        let warm = match self.plan.warmup {
            Warmup::None => false,
            Warmup::Requests(n) => seq < n,
            Warmup::Time(time) => planned < time.as_nanos() as Nanos,
        };
        if warm {
            return Phase::Warmup;
        }
        self.measured += 1;
        // Places come back a little out of order: in a closed loop a later slot may have been due
        // before the first measured one, and must not fall out of the window.
        if self.window.is_none_or(|known| planned < known) {
            self.window = Some(planned);
            self.shared.progress.open_window(planned);
            let _ = self.shared.out.send(Message::Window(planned)).await;
        }
        Phase::Measured
    }

    /// The end of the measured time, once its start is known.
    fn window_end(&self) -> Option<Nanos> {
        Some(self.window? + self.plan.duration?.as_nanos() as Nanos)
    }

    fn watch<'b>(&self, control: &'b Control) -> Watch<'b>
    where
        'a: 'b,
    {
        Watch { plan: self.plan, control, shared: self.shared.clone(), window_end: self.window_end() }
    }

    fn past_the_end(&self, planned: Nanos) -> bool {
        self.window_end().is_some_and(|end| planned >= end)
    }

    /// Slots that were due before the end and still wait for a place are records, too: leaving
    /// them out would make an overloaded server look faster.
    async fn cut_off(&mut self, control: &Control, prepared: &mut Ahead, reason: &Reason) {
        let waiting = self.waiting.take();
        match reason {
            Reason::Requests | Reason::Schedule => return,
            Reason::Interrupted | Reason::Early(_) | Reason::Preparation(_) => {
                return self.cut_rest(waiting, prepared).await;
            }
            Reason::Duration => {}
        }
        if let Some(next) = waiting {
            self.cut(next).await;
        }
        let now = os::now() - self.shared.zero;
        let end = self.window_end().map_or(now, |end| end.min(now));
        while let Some(next) = prepared.next().await {
            if control.stop() > Stop::No {
                return self.cut_rest(Some(next), prepared).await;
            }
            match next.slot.due {
                Due::At(planned) if planned < end && self.wants_more() => self.cut(next).await,
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
        let end = self.window_end().map_or(now, |end| end.min(now));
        let Due::At(planned) = next.slot.due else { return };
        if planned >= end || !self.wants_more() {
            return;
        }
        let (count, all) = rest::due(self.plan, next.slot.seq, end).await;
        let Some(order) = self.unsent(next, planned).await else { return };
        self.never_sent = count;
        let held = self.plan.at_the_limit(self.most);
        let message = match count {
            0 | 1 => format!("until the run ended {held}"),
            n => format!(
                "until the run ended {held}; this row stands for {}{n} requests that were due and never sent",
                if all { "" } else { "more than " }
            ),
        };
        self.record_unsent(order, Outcome::Cancelled, message).await;
    }

    fn wants_more(&self) -> bool {
        self.requests.is_none_or(|requests| self.measured < requests)
    }

    /// Records a slot that was due and never got a place; one that was not due yet is nothing.
    async fn cut(&mut self, next: Prepared) {
        let Due::At(planned) = next.slot.due else { return };
        let now = os::now() - self.shared.zero;
        if planned >= now || self.past_the_end(planned) {
            return;
        }
        let Some(order) = self.unsent(next, planned).await else { return };
        let message = format!("until the run ended {}", self.plan.at_the_limit(self.most));
        self.record_unsent(order, Outcome::Cancelled, message).await;
    }

    /// The request of a slot that was due; `None`: it could not be made, which ends the run.
    async fn unsent(&mut self, next: Prepared, planned: Nanos) -> Option<Box<OutgoingRequest>> {
        match next.first {
            Ok(made) => {
                let phase = self.phase(next.slot.seq, planned).await;
                Some(self.shared.order(made, planned + self.shared.zero, phase).0)
            }
            Err(error) => {
                self.shared.conversations.fail(error);
                None
            }
        }
    }

    async fn record_unsent(&self, order: Box<OutgoingRequest>, outcome: Outcome, message: String) {
        let mut parcel = PackedRecord::from(*order.unsent(outcome, message, os::now()));
        parcel.record.timeline.rebase(self.shared.zero);
        self.shared.progress.start(parcel.record.phase);
        self.shared.progress.finish(&parcel);
        self.shared.hand_over(parcel).await;
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
