//! `Plan`: one run, checked once; past this point nothing is optional or re-validated.

use super::hooks::Hooks;
use crate::client::Target;
use crate::record::{Due, Nanos, Slot};
use crate::schedule::{Deal, Schedule, Shape, Share};
use crate::stats::Slo;
use crate::workload::{HookCost, Traffic, Workload};
use std::sync::Arc;
use std::time::Duration;

/// Traffic before the measured part, on top of `requests` and `duration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    None,
    Requests(u64),
    Time(Duration),
}

/// What a slot does when no place is free at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverCap {
    /// It waits and keeps its planned time.
    Wait,
    /// It becomes a record with the outcome `dropped`.
    Drop,
}

/// How many failures end a run early. Each of several processes judges the requests that it has
/// sent: for the whole load that is what a coordinator adds up, and no decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxErrors {
    Count(u64),
    /// Share of finished requests, judged from 20 on.
    Share(f64),
}

/// Finished requests before a share of failures is judged.
const SHARE_JUDGED_FROM: u64 = 20;

impl MaxErrors {
    /// Why a run ends that has so many finished and failed requests, if it does.
    pub fn passed(self, finished: u64, failed: u64) -> Option<String> {
        match self {
            MaxErrors::Count(most) if failed > most => {
                Some(format!("{failed} failed requests, more than {most}"))
            }
            MaxErrors::Share(most)
                if finished >= SHARE_JUDGED_FROM && failed as f64 > most * finished as f64 =>
            {
                let share = 100.0 * most;
                Some(format!("{failed} of {finished} requests failed, more than {share}%"))
            }
            _ => None,
        }
    }
}

/// Which text is kept in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    None,
    /// Until its tokens are counted, for servers that do not count them.
    Count,
    All,
}

/// Threads that make requests, unless a plan needs more.
pub const PREPARERS: usize = 1;

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Unique within a results folder.
    pub name: String,
    /// What is measured: repeats are runs of the same cell.
    pub cell: String,
    /// What lengths, words and arrivals depend on beside the seed; the name unless said otherwise.
    pub traffic: String,
    pub target: Arc<Target>,
    pub workload: Workload,
    pub arrivals: Shape,
    /// Most requests in flight; closed shapes bring their own.
    pub cap: Option<usize>,
    pub over_cap: OverCap,
    /// Measured requests, warm-up not counted.
    pub requests: Option<u64>,
    /// Conversations to begin in the measured part, where they have several requests.
    pub sessions: Option<u64>,
    /// Measured time, warm-up not counted.
    pub duration: Option<Duration>,
    pub max_errors: Option<MaxErrors>,
    pub warmup: Warmup,
    /// How long stragglers may take after the last request was sent; `None`: until they end.
    pub drain: Option<Duration>,
    pub seed: u64,
    /// What makes the words fresh: the invocation's salt and the earlier runs of this traffic on
    /// the same target.
    pub salt: u64,
    pub slo: Option<Slo>,
    pub capture: Capture,
    /// What this process takes of all that the plan asks: of its slots, places, warm-up and
    /// requests. What is random knows nothing of it.
    pub share: Share,
    /// Threads that make requests. What they make, and its order, does not depend on their number.
    pub preparers: usize,
    /// Functions of the user's that take part.
    pub hooks: Hooks,
    /// Free labels, kept in `runs.parquet`.
    pub tags: serde_json::Map<String, serde_json::Value>,
    /// What defines its load, in full and as it was asked for, for the manifest.
    pub definition: serde_json::Map<String, serde_json::Value>,
}

impl Plan {
    /// A plan that asks for nothing but this: no end, no warm-up and no limit, and seed 0.
    pub fn new(name: &str, target: Target, workload: Workload, arrivals: Shape) -> Plan {
        Plan {
            name: name.into(),
            cell: name.into(),
            traffic: name.into(),
            target: Arc::new(target),
            workload,
            arrivals,
            cap: None,
            over_cap: OverCap::Wait,
            requests: None,
            sessions: None,
            duration: None,
            max_errors: None,
            warmup: Warmup::None,
            drain: None,
            seed: 0,
            salt: 0,
            slo: None,
            capture: Capture::None,
            share: Share::WHOLE,
            preparers: PREPARERS,
            hooks: Hooks::default(),
            tags: serde_json::Map::new(),
            definition: serde_json::Map::new(),
        }
    }

    /// The number of places of all processes: the cap, or those of a closed shape, whichever is
    /// smaller.
    fn places_in_all(&self) -> Option<usize> {
        match (self.cap, self.arrivals.places()) {
            (Some(cap), Some(places)) => Some(cap.min(places)),
            (cap, places) => cap.or(places),
        }
    }

    /// Why a request that was due was not sent: the limit that held it back, as its author wrote it.
    /// `room`: how many the machine lets be in flight.
    pub fn at_the_limit(&self, room: usize) -> String {
        match self.places() {
            Some(limit) => format!("as many requests were in flight as max_in_flight {limit} allows"),
            None => format!("as many requests were in flight as open files and local ports allow ({room})"),
        }
    }

    /// The number of places.
    pub fn places(&self) -> Option<usize> {
        self.places_in_all().map(|places| self.share.of(places as u64) as usize)
    }

    /// Users who keep their places while they think.
    pub(crate) fn users(&self) -> Option<usize> {
        let users = self.arrivals.users().filter(|_| self.workload.converses())?;
        Some(self.share.of(users as u64) as usize)
    }

    /// Requests in flight at most, as far as the plan tells.
    pub(super) fn in_flight_max(&self) -> Option<u64> {
        if self.workload.converses() {
            return self.places().map(|places| places as u64);
        }
        let slots = self.slots().unwrap_or(u64::MAX);
        self.places().map(|places| slots.min(places as u64))
    }

    /// What its hooks cost, those of its workload among them.
    pub fn hook_costs(&self) -> Vec<Arc<HookCost>> {
        [self.workload.hook_costs(), self.hooks.costs()].concat()
    }

    fn deal(&self) -> Deal {
        Deal::new(self.share, self.places_in_all())
    }

    /// What its requests are drawn from.
    pub fn traffic(&self) -> Traffic {
        Traffic { seed: self.seed, key: self.traffic.clone(), salt: self.salt }
    }

    /// Arrivals do not wait for replies.
    pub fn open(&self) -> bool {
        self.arrivals.places().is_none() && self.arrivals != Shape::AtOnce
    }

    /// Whether the text of replies is kept in the records.
    pub(super) fn keeps_text(&self) -> bool {
        self.capture != Capture::None
    }

    /// Slots of all processes, where that is known beforehand.
    pub(super) fn slots_in_all(&self) -> Option<u64> {
        if self.workload.converses() {
            return self.sessions.filter(|_| self.warmup == Warmup::None);
        }
        match self.warmup {
            Warmup::None => self.requests,
            Warmup::Requests(warmup) => self.requests.map(|requests| requests.saturating_add(warmup)),
            Warmup::Time(_) => None,
        }
    }

    /// Slots to send, where that is known beforehand.
    pub(super) fn slots(&self) -> Option<u64> {
        self.slots_in_all().map(|slots| self.deal().of(slots))
    }

    /// Measured requests to send. Those of all processes are the first so many slots after the
    /// warm-up.
    pub(crate) fn measured(&self) -> Option<u64> {
        let requests = self.requests?;
        if self.share == Share::WHOLE {
            return Some(requests);
        }
        let warm = match self.warmup {
            Warmup::None => 0,
            Warmup::Requests(warm) => warm,
            Warmup::Time(time) => {
                let warm = |slot: &Slot| matches!(slot.due, Due::At(at) if at < time.as_nanos() as Nanos);
                // How many a closed loop sends in that time is known to nobody: then so many of all
                // are measured, though perhaps not the first.
                let slots = if self.open() { self.schedule_in_all().take_while(warm).count() } else { 0 };
                slots as u64
            }
        };
        let deal = self.deal();
        Some(deal.of(warm.saturating_add(requests)) - deal.of(warm))
    }

    /// Every slot of all processes, warm-up first.
    pub(super) fn schedule_in_all(&self) -> Schedule {
        self.arrivals.schedule(self.seed, &self.traffic)
    }

    /// Every slot, warm-up first.
    pub(crate) fn schedule(&self) -> Schedule {
        self.schedule_in_all().dealt(self.deal())
    }

    /// Where the measured window begins, if that is known before anything was sent. A warm-up of
    /// so many requests ends in a closed loop when the first request after it has a place.
    pub(crate) fn window_start(&self) -> Option<Nanos> {
        match self.warmup {
            Warmup::None => Some(0),
            Warmup::Time(time) => Some(time.as_nanos() as Nanos),
            Warmup::Requests(_) if self.workload.converses() => None,
            Warmup::Requests(n) => match self.schedule_in_all().nth(usize::try_from(n).ok()?)?.due {
                Due::At(planned) => Some(planned),
                Due::Free { .. } => None,
            },
        }
    }

    /// Connections that are needed at time 0; there is room for so many.
    pub(super) fn connections_at_start(&self, room: usize) -> usize {
        let at_once = match &self.arrivals {
            Shape::Closed { places, from, over } if *over > 0.0 => {
                self.deal().of((*from).max(1).min(*places) as u64) as usize
            }
            Shape::Closed { .. } | Shape::InFlight { .. } | Shape::AtOnce => usize::MAX,
            _ => 1,
        };
        let slots = self.slots().and_then(|slots| usize::try_from(slots).ok()).unwrap_or(usize::MAX);
        at_once.min(room).min(slots).min(8192)
    }
}
