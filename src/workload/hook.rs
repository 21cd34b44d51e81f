//! Functions of the user's that take part in a run. Who implements them knows the language that they
//! are written in; a workload knows what they are told and what they answer.

use super::Extra;
use crate::error::Result;
use crate::os;
use crate::record::Nanos;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the calls of one hook have cost in one run so far.
#[derive(Debug)]
pub struct HookCost {
    /// `next_turn`, say.
    pub name: &'static str,
    /// Where it is written: `chats.rhai:12:16`.
    pub place: Arc<str>,
    /// What it does, as the first digits of a hash of its text.
    pub sha256: Arc<str>,
    calls: AtomicU64,
    nanos: AtomicU64,
    nanos_max: AtomicU64,
    overruns: AtomicU64,
    overrun_nanos: AtomicU64,
}

/// The same, when the run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookTotals {
    pub calls: u64,
    /// In all calls.
    pub time: Duration,
    pub longest: Duration,
    /// Turns that came later than their user had thought for, and by how long in all.
    pub overruns: u64,
    pub overrun: Duration,
}

impl HookCost {
    pub fn new(name: &'static str, place: impl Into<Arc<str>>, sha256: impl Into<Arc<str>>) -> HookCost {
        HookCost {
            name,
            place: place.into(),
            sha256: sha256.into(),
            calls: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            nanos_max: AtomicU64::new(0),
            overruns: AtomicU64::new(0),
            overrun_nanos: AtomicU64::new(0),
        }
    }

    /// Of the same hook in another run.
    pub fn anew(&self) -> Arc<HookCost> {
        Arc::new(HookCost::new(self.name, self.place.clone(), self.sha256.clone()))
    }

    /// Adds what a call takes.
    pub fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let begun = os::now();
        let done = call();
        let nanos = (os::now() - begun).max(0) as u64;
        self.calls.fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos, Relaxed);
        self.nanos_max.fetch_max(nanos, Relaxed);
        done
    }

    /// A turn was made so long after it was due.
    pub fn overran(&self, by: Nanos) {
        self.overruns.fetch_add(1, Relaxed);
        self.overrun_nanos.fetch_add(by.max(0) as u64, Relaxed);
    }

    pub fn totals(&self) -> HookTotals {
        let time = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Relaxed));
        HookTotals {
            calls: self.calls.load(Relaxed),
            time: time(&self.nanos),
            longest: time(&self.nanos_max),
            overruns: self.overruns.load(Relaxed),
            overrun: time(&self.overrun_nanos),
        }
    }
}

/// `next_turn`: what a conversation asks next.
pub trait NextTurn: Send + Sync {
    /// For one conversation, with whatever it notes.
    fn session(&self) -> Box<dyn SessionTurns>;
}

/// `next_turn` in one conversation: one call at a time.
pub trait SessionTurns: Send {
    /// What is asked after this reply; `None`: the conversation ends. Fails with the place in the script.
    fn next(&mut self, heard: Heard) -> Result<Option<FollowUp>>;
}

/// What `next_turn` is told.
pub struct Heard {
    /// The turn that is asked for; the first one is made without it, so it is at least 1.
    pub index: u32,
    /// What the server said.
    pub text: String,
    /// Its calls of tools, as the server made them.
    pub tool_calls: Vec<Value>,
    pub output_tokens: u32,
    pub input_tokens: u32,
    /// Of all that was said so far, the latest reply included.
    pub history_tokens: u32,
    pub finish_reason: Option<String>,
    /// The reply came whole.
    pub ok: bool,
    /// Its own for this turn: the same values however many threads there are.
    pub rng: ChaCha8Rng,
}

/// What is asked next.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowUp {
    pub says: Says,
    /// Tokens to allow for the reply, instead of the chat's.
    pub max_tokens: Option<u32>,
    /// Instead of the chat's.
    pub think: Option<Duration>,
    /// Fields of the body.
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// The words of the user.
    Text(String),
    /// Messages of any role, behind those before.
    Messages(Vec<Value>),
    /// A question of random words, as the chat has it.
    Random,
}

/// `next_turn` as a chat has it, with what it costs in a run.
#[derive(Clone)]
pub struct TurnHook {
    hook: Arc<dyn NextTurn>,
    pub cost: Arc<HookCost>,
}

impl TurnHook {
    pub fn new(hook: Arc<dyn NextTurn>, cost: HookCost) -> TurnHook {
        TurnHook { hook, cost: Arc::new(cost) }
    }

    /// For another run.
    pub fn anew(&self) -> TurnHook {
        TurnHook { hook: self.hook.clone(), cost: self.cost.anew() }
    }

    pub fn session(&self) -> Box<dyn SessionTurns> {
        self.hook.session()
    }
}

impl fmt::Debug for TurnHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "next_turn at {}", self.cost.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_another_run_begins_at_nothing() {
        let cost = HookCost::new("next_turn", "a.rhai:1:1", "");
        assert_eq!(cost.time(|| 5), 5);
        cost.time(|| ());
        cost.overran(30);
        let totals = cost.totals();
        assert_eq!((totals.calls, totals.overruns, totals.overrun), (2, 1, Duration::from_nanos(30)));
        assert!(totals.longest <= totals.time);
        let anew = cost.anew();
        assert_eq!((anew.totals().calls, &*anew.place), (0, "a.rhai:1:1"));
    }
}
