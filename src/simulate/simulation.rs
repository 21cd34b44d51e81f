//! `Simulation`: the loop of one plan in virtual time: take a slot, wait until it is due and has a place,
//! send its request. It follows `run/drive.rs` step by step, which waits for a clock where this one leaps.
//!
//! What happens at one moment happens in this order: the server's deadlines, requests that arrive, slots
//! that are due. A place that a reply gives back is used after the server has begun its next step, as it
//! is by a client that has to hear of it first.

use super::asking::{Asked, Asking};
use super::flight::{Flight, Leaving};
use super::{Simulated, Way};
use crate::engine::{self, GenerationRequest, Played, VirtualEngine};
use crate::error::{Error, Result};
use crate::record::{Due, Events, Nanos, Outcome, Record, Slot, Timeout};
use crate::run::plan::{OverCap, Plan};
use crate::run::stages::Stages;
use crate::run::{Reason, setback};
use crate::schedule::Schedule;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// See the file's head.
pub struct Simulation<'a, F> {
    plan: &'a Plan,
    asking: Asking<'a>,
    engine: VirtualEngine<Flight>,
    schedule: Schedule,
    way: Box<dyn FnMut(u64) -> Nanos>,
    see: F,
    now: Nanos,
    hand: Option<Slot>,
    /// The users of a closed loop who keep their places from turn to turn.
    users: Option<Places>,
    /// Requests that are under way.
    places: Places,
    /// Turns that are due and have no place.
    waiting: VecDeque<NextTurn>,
    coming: BinaryHeap<Reverse<Coming>>,
    comings: u64,
    /// When each request that was sent is given up unless it has begun, by its number in the engine.
    patience: VecDeque<(Nanos, u64)>,
    /// Why nothing more is sent.
    reason: Option<Reason>,
    stages: Stages,
    sent: u64,
    in_flight: usize,
    in_flight_max: usize,
    finished: u64,
    failed: u64,
    lasted: Nanos,
}

/// Places that nobody has used yet, and those that were given back: when, and after how many failures.
struct Places {
    unused: usize,
    back: VecDeque<(Nanos, u32)>,
}

/// What happens at a time.
struct Coming {
    at: Nanos,
    /// Of two at the same time, the one that was known first comes first.
    number: u64,
    what: What,
}

enum What {
    Arrives(Box<(Flight, GenerationRequest)>),
    /// A stalled reply is given up.
    GivenUp(u64),
    PlaceRested(u32),
    TurnDue(Box<NextTurn>),
}

/// A turn after the first.
struct NextTurn {
    asked: Asked,
    planned: Nanos,
    setbacks: u32,
}

impl<'a, F: FnMut(Record)> Simulation<'a, F> {
    pub fn new(plan: &'a Plan, engine: &engine::Config, way: Way, see: F) -> Result<Self> {
        Ok(Simulation {
            asking: Asking::new(plan, engine)?,
            engine: VirtualEngine::new(engine.clone()).map_err(Error::usage)?,
            schedule: plan.schedule(),
            way: Box::new(way.times()),
            see,
            now: 0,
            hand: None,
            users: plan.users().map(Places::new),
            places: Places::new(plan.places().unwrap_or(usize::MAX)),
            waiting: VecDeque::new(),
            coming: BinaryHeap::new(),
            comings: 0,
            patience: VecDeque::new(),
            reason: None,
            stages: Stages::new(plan),
            sent: 0,
            in_flight: 0,
            in_flight_max: 0,
            finished: 0,
            failed: 0,
            lasted: 0,
            plan,
        })
    }

    pub fn run(mut self) -> Result<Simulated> {
        let mut give_up_at = None;
        loop {
            self.serve()?;
            if self.reason.is_none() {
                self.send_what_is_due()?;
                if let Some(reason) = &self.reason {
                    let by_hand = matches!(reason, Reason::Early(_));
                    self.cut_off(by_hand)?;
                    let drain = self.plan.drain.map(|drain| drain.as_nanos() as Nanos);
                    give_up_at = drain.map(|drain| self.now + drain);
                }
            }
            match self.next_moment() {
                Some(next) if give_up_at.is_none_or(|end| next < end) => self.now = next.max(self.now),
                next => {
                    let end = give_up_at.filter(|_| next.is_some()).unwrap_or(self.now);
                    self.give_up_all(end);
                    break;
                }
            }
        }
        Ok(Simulated {
            reason: self.reason.clone().unwrap_or(Reason::Schedule),
            window_end: self.stages.window_end(),
            window: self.stages.window(),
            lasted: self.lasted,
            requests: self.finished,
            in_flight_max: self.in_flight_max,
        })
    }

    /// The next moment at which anything happens.
    fn next_moment(&self) -> Option<Nanos> {
        let due = match self.hand {
            Some(Slot { due: Due::At(planned), .. }) if planned > self.now => Some(planned),
            _ => None,
        };
        let sending = self.reason.is_none();
        let patience = self.patience.front().map(|(at, _)| *at);
        [
            self.engine.next(),
            self.coming.peek().map(|Reverse(coming)| coming.at),
            patience,
            due.filter(|_| sending),
            self.stages.window_end().filter(|_| sending),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Everything that the server does up to now, and what reaches it.
    fn serve(&mut self) -> Result<()> {
        self.play_due()?;
        while self.coming.peek().is_some_and(|Reverse(coming)| coming.at <= self.now)
            && let Some(Reverse(coming)) = self.coming.pop()
        {
            match coming.what {
                What::Arrives(request) => self.arrive(coming.at, *request)?,
                What::GivenUp(number) => {
                    let stalled = Outcome::TimedOut(Timeout::Idle);
                    self.give_up(number, coming.at, stalled, "no event for too long")?;
                }
                What::PlaceRested(setbacks) => self.session_place().back.push_back((coming.at, setbacks)),
                What::TurnDue(turn) if turn.planned < self.turns_end() => self.waiting.push_back(*turn),
                What::TurnDue(turn) => self.break_off(turn.setbacks),
            }
        }
        self.send_turns_that_wait();
        while let Some((at, number)) = self.patience.front().copied().filter(|(at, _)| *at <= self.now) {
            self.patience.pop_front();
            if self.engine.get(number).is_some_and(|flight| !flight.has_begun()) {
                let waited = Outcome::TimedOut(Timeout::FirstToken);
                self.give_up(number, at, waited, "no token for too long")?;
            }
        }
        Ok(())
    }

    fn play_due(&mut self) -> Result<()> {
        loop {
            let mut too_late = false;
            let played =
                self.engine.play(self.now, |flight, at, written| too_late |= !flight.write(at, written));
            if too_late {
                self.give_up_late()?;
            }
            match played {
                Played::Nothing => return Ok(()),
                Played::Something => {}
                Played::Stalled(number) => {
                    let at = self.now.saturating_add(nanos(self.plan.target.timeouts.idle));
                    self.comes(at, What::GivenUp(number));
                }
                Played::Ended { mut kept, ending, at, .. } => {
                    kept.end(at, ending);
                    self.finish(kept)?;
                }
            }
        }
    }

    fn arrive(&mut self, at: Nanos, (flight, ask): (Flight, GenerationRequest)) -> Result<()> {
        let number = self.engine.next_number();
        let sent = flight.record.timeline.sent.unwrap_or(at);
        let mut flight = flight;
        flight.open(at, number);
        match self.engine.arrive(&ask, at, flight) {
            Ok(()) => {
                let patience = nanos(self.plan.target.timeouts.first_token);
                self.patience.push_back((sent.saturating_add(patience), number));
                while let Some((_, oldest)) = self.patience.front()
                    && self.engine.get(*oldest).is_none_or(Flight::has_begun)
                {
                    self.patience.pop_front();
                }
                Ok(())
            }
            Err((mut refused, status)) => {
                refused.record.status = Some(status);
                refused.fail(at, Outcome::Status, format!("status {status}: simulated failure"));
                self.finish(refused)
            }
        }
    }

    /// Sends slot after slot, as far as they are due and have places, until something says stop.
    fn send_what_is_due(&mut self) -> Result<()> {
        while self.reason.is_none() {
            if self.stages.are_past_the_end(self.now) {
                self.reason = Some(Reason::Duration);
            } else if let Some(why) =
                self.plan.max_errors.and_then(|most| most.passed(self.finished, self.failed))
            {
                self.reason = Some(Reason::Early(why));
            } else if !self.stages.want_more() {
                self.reason = Some(Reason::Requests);
            } else if let Some(slot) = self.hand.take().or_else(|| self.schedule.next()) {
                if !self.admit(slot)? {
                    self.hand = Some(slot);
                    return Ok(());
                }
            } else if self.stages.are_counted() {
                self.reason = Some(Reason::Requests);
            } else {
                self.reason = Some(Reason::Schedule);
            }
        }
        Ok(())
    }

    /// Sends a slot that is due, or drops it; false: it must wait.
    fn admit(&mut self, slot: Slot) -> Result<bool> {
        match slot.due {
            Due::Free { think } => {
                let (Some(since), true) = (self.session_place().next_since(), self.places.has_one()) else {
                    return Ok(false);
                };
                let planned = since + think;
                if self.stages.are_past_the_end(planned) {
                    self.reason = Some(Reason::Duration);
                    return Ok(true);
                }
                let user = self.users.as_mut().and_then(Places::take);
                let Some((free_since, setbacks)) = self.places.take() else { return Ok(false) };
                self.start(slot, planned, free_since, user.map_or(setbacks, |(_, setbacks)| setbacks))?;
            }
            Due::At(planned) if planned > self.now => return Ok(false),
            Due::At(planned) => match (self.places.take(), self.plan.over_cap) {
                (Some((free_since, setbacks)), _) => {
                    let user = self.users.as_mut().and_then(Places::take);
                    let setbacks = user.map_or(setbacks, |(_, setbacks)| setbacks);
                    self.start(slot, planned, free_since.max(planned), setbacks)?;
                }
                (None, OverCap::Wait) => return Ok(false),
                (None, OverCap::Drop) => {
                    let asked = self.asking.first(slot.seq, Some(planned))?;
                    self.unsent(asked, planned, Outcome::Dropped);
                }
            },
        }
        Ok(true)
    }

    /// Where the place of a session is that rests after failures: its user's, if it has one.
    fn session_place(&mut self) -> &mut Places {
        self.users.as_mut().unwrap_or(&mut self.places)
    }

    fn start(&mut self, slot: Slot, planned: Nanos, admitted: Nanos, setbacks: u32) -> Result<()> {
        let due = matches!(slot.due, Due::At(_)).then_some(planned);
        let asked = self.asking.first(slot.seq, due)?;
        match self.stages.enter(slot.seq, 0, planned) {
            Some(entered) => {
                let (admitted, phase) = (admitted.max(planned), entered.phase);
                self.send(asked, Leaving { planned, admitted, phase, setbacks });
            }
            None => self.reason = Some(Reason::Requests),
        }
        Ok(())
    }

    /// Turns that are due, as far as there are places.
    fn send_turns_that_wait(&mut self) {
        while !self.waiting.is_empty() && self.places.has_one() {
            let (Some(turn), Some((free_since, _))) = (self.waiting.pop_front(), self.places.take()) else {
                return;
            };
            let NextTurn { asked, planned, setbacks } = turn;
            match self.stages.enter(asked.request.seq, asked.request.turn, planned) {
                Some(entered) => {
                    let (admitted, phase) = (free_since.max(planned), entered.phase);
                    self.send(asked, Leaving { planned, admitted, phase, setbacks });
                }
                None => {
                    self.places.back.push_back((free_since, 0));
                    self.break_off(setbacks);
                }
            }
        }
    }

    fn send(&mut self, asked: Asked, leaving: Leaving) {
        let Asked { request, ask, session, .. } = asked;
        let target = &self.plan.target;
        let mut flight = Flight::new(request, session, target, ask.prompt_tokens, leaving);
        flight.send();
        let at = leaving.admitted.max(leaving.planned) + (self.way)(self.sent);
        self.sent += 1;
        self.in_flight += 1;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
        self.comes(at, What::Arrives(Box::new((flight, ask))));
    }

    fn comes(&mut self, at: Nanos, what: What) {
        self.comings += 1;
        self.coming.push(Reverse(Coming { at, number: self.comings, what }));
    }

    /// A request has ended: its record goes out, and its place goes on.
    fn finish(&mut self, mut flight: Flight) -> Result<()> {
        let end = flight.record.timeline.end;
        self.in_flight -= 1;
        let pause = match self.plan.open() {
            true => Duration::ZERO,
            false => {
                let borne = self.plan.target.timeouts.reconnect;
                setback::pause(&flight.record, None, &mut flight.setbacks, borne)
            }
        };
        let next = match flight.session.take() {
            Some(session) => self.asking.turn(session, Some(&flight.reply()))?,
            None => None,
        };
        let setbacks = flight.setbacks;
        self.tell(*flight.record);
        let next =
            next.map(|asked| NextTurn { planned: end + nanos(asked.after.max(pause)), asked, setbacks });
        match next.filter(|turn| turn.planned < self.turns_end()) {
            Some(turn) => {
                self.places.back.push_back((end, 0));
                self.comes(turn.planned, What::TurnDue(Box::new(turn)));
            }
            None => {
                if self.users.is_some() {
                    self.places.back.push_back((end, 0));
                }
                self.end_session(end, setbacks, pause);
            }
        }
        Ok(())
    }

    /// A session ends before a turn; its request has no place then.
    fn break_off(&mut self, setbacks: u32) {
        if let Some(users) = &mut self.users {
            users.back.push_back((self.now, setbacks));
        }
    }

    /// The place of a session goes on to another, after a pause.
    fn end_session(&mut self, end: Nanos, setbacks: u32, pause: Duration) {
        match pause.is_zero() {
            true => self.session_place().back.push_back((end, setbacks)),
            false => self.comes(end + nanos(pause), What::PlaceRested(setbacks)),
        }
    }

    /// No turn begins from here on.
    fn turns_end(&self) -> Nanos {
        match (&self.reason, self.stages.window_end()) {
            (Some(Reason::Early(_)), _) => Nanos::MIN,
            _ if self.stages.are_full() => Nanos::MIN,
            (_, end) => end.unwrap_or(Nanos::MAX),
        }
    }

    fn tell(&mut self, record: Record) {
        self.finished += 1;
        self.failed += u64::from(!record.success());
        self.lasted = self.lasted.max(record.timeline.end);
        (self.see)(record);
    }

    /// A request in the server is given up by its client.
    fn give_up(&mut self, number: u64, at: Nanos, outcome: Outcome, why: &str) -> Result<()> {
        match self.engine.leave(number, at) {
            None => Ok(()),
            Some(mut flight) => {
                flight.fail(at, outcome, why.into());
                self.finish(flight)
            }
        }
    }

    /// Nobody waits for the rest of a reply whose times cannot be kept any more.
    fn give_up_late(&mut self) -> Result<()> {
        let late = self.engine.inside().filter(|(_, flight)| flight.is_too_late());
        let late: Vec<(u64, Nanos)> =
            late.map(|(number, flight)| (number, flight.record.timeline.end)).collect();
        for (number, at) in late {
            self.give_up(number, at, Outcome::Protocol, Events::TOO_LATE)?;
        }
        Ok(())
    }

    /// The time to wait for stragglers is over, or nothing would ever come any more.
    fn give_up_all(&mut self, at: Nanos) {
        let numbers: Vec<u64> = self.engine.inside().map(|(number, _)| number).collect();
        let inside = numbers.into_iter().filter_map(|number| self.engine.leave(number, at)).collect();
        let mut flights: Vec<Flight> = inside;
        for Reverse(coming) in self.coming.drain() {
            if let What::Arrives(request) = coming.what {
                flights.push(request.0);
            }
        }
        for mut flight in flights {
            flight.fail(at, Outcome::Cancelled, "the time to wait for replies was over".into());
            self.tell(*flight.record);
        }
    }

    /// Slots that were due before the end and still wait for a place are records, too.
    fn cut_off(&mut self, by_hand: bool) -> Result<()> {
        if matches!(self.reason, Some(Reason::Requests | Reason::Schedule)) {
            return Ok(());
        }
        let end = self.stages.window_end().map_or(self.now, |end| end.min(self.now));
        for NextTurn { asked, planned, .. } in std::mem::take(&mut self.waiting) {
            self.unsent(asked, planned, Outcome::Cancelled);
        }
        while let Some(slot) = self.hand.take().or_else(|| self.schedule.next()) {
            match slot.due {
                Due::At(planned) if planned < end && self.stages.want_more() => {
                    let asked = self.asking.first(slot.seq, Some(planned))?;
                    self.unsent(asked, planned, Outcome::Cancelled);
                }
                _ => return Ok(()),
            }
            // One row stands for all, where a run is ended before its time.
            if by_hand {
                return Ok(());
            }
        }
        Ok(())
    }

    fn unsent(&mut self, asked: Asked, planned: Nanos, outcome: Outcome) {
        let Asked { request, .. } = asked;
        let Some(entered) = self.stages.enter(request.seq, request.turn, planned) else { return };
        let leaving = Leaving { planned, admitted: planned, phase: entered.phase, setbacks: 0 };
        let mut flight = Flight::new(request, None, &self.plan.target, 0, leaving);
        let held = self.plan.at_the_limit(self.plan.places().unwrap_or(usize::MAX));
        let why = match outcome {
            Outcome::Dropped => held,
            _ => format!("until the run ended {held}"),
        };
        flight.fail(self.now.max(planned), outcome, why);
        self.tell(*flight.record);
    }
}

impl Places {
    fn new(unused: usize) -> Places {
        Places { unused, back: VecDeque::new() }
    }

    fn has_one(&self) -> bool {
        self.unused > 0 || !self.back.is_empty()
    }

    /// Since when the place is free that goes next.
    fn next_since(&self) -> Option<Nanos> {
        if self.unused > 0 { Some(0) } else { self.back.front().map(|(since, _)| *since) }
    }

    fn take(&mut self) -> Option<(Nanos, u32)> {
        if let Some(rest) = self.unused.checked_sub(1) {
            self.unused = rest;
            return Some((0, 0));
        }
        self.back.pop_front()
    }
}

impl Ord for Coming {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Coming {}

fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}
