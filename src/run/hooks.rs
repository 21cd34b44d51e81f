//! `Hooks`: functions of the user's that take part in a run. They are called on threads that make
//! requests and on one that hears of finished ones, never where something is sent or read.

use crate::error::Result;
use crate::record::{Nanos, Record, Request};
use crate::stats::Summary;
use crate::stats::own::OwnValue;
use crate::workload::{HookCost, Traffic};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::sync::Arc;

/// `before_request`: changes a request before it is put into bytes.
pub trait BeforeRequest: Send + Sync {
    /// `due`: since the zero, where it is known when a request is made. The generator is the request's
    /// own. Fails with the place in the script.
    fn prepare(&self, request: &mut Request, due: Option<Nanos>, rng: ChaCha8Rng) -> Result<()>;
}

/// `on_response`: hears of every request that has ended.
pub trait OnResponse: Send + Sync {
    /// Whether it wants the text of replies.
    fn reads_text(&self) -> bool;

    /// What it measured.
    fn hear(&self, response: Arc<Record>) -> Result<Vec<OwnValue>>;
}

/// `stop_when`: whether a run has gone on for long enough.
pub trait StopWhen: Send + Sync {
    /// Of what was measured so far, in the seconds since the zero.
    fn judge(&self, so_far: Summary, seconds: f64) -> Result<bool>;
}

/// A hook with what it costs in a run.
pub struct Hooked<H: ?Sized> {
    pub hook: Arc<H>,
    pub cost: Arc<HookCost>,
}

impl<H: ?Sized> Hooked<H> {
    pub fn new(hook: Arc<H>, cost: HookCost) -> Hooked<H> {
        Hooked { hook, cost: Arc::new(cost) }
    }
}

impl<H: ?Sized> Clone for Hooked<H> {
    fn clone(&self) -> Self {
        Hooked { hook: self.hook.clone(), cost: self.cost.clone() }
    }
}

/// Those of a plan.
#[derive(Clone, Default)]
pub struct Hooks {
    pub before_request: Option<Hooked<dyn BeforeRequest>>,
    pub on_response: Option<Hooked<dyn OnResponse>>,
    pub stop_when: Option<Hooked<dyn StopWhen>>,
}

impl Hooks {
    /// Has a request changed that was made for `due`.
    pub fn prepare(&self, traffic: &Traffic, request: &mut Request, due: Option<Nanos>) -> Result<()> {
        let Some(Hooked { hook, cost }) = &self.before_request else { return Ok(()) };
        let purpose = format!("before request {} ", request.turn);
        let rng = traffic.rng(&purpose, request.seq);
        cost.time(|| hook.prepare(request, due, rng))
    }

    /// For another run.
    pub fn anew(&self) -> Hooks {
        fn anew<H: ?Sized>(hooked: &Option<Hooked<H>>) -> Option<Hooked<H>> {
            hooked.as_ref().map(|Hooked { hook, cost }| Hooked { hook: hook.clone(), cost: cost.anew() })
        }
        Hooks {
            before_request: anew(&self.before_request),
            on_response: anew(&self.on_response),
            stop_when: anew(&self.stop_when),
        }
    }

    /// Whether one of them wants the text of replies.
    pub fn read_text(&self) -> bool {
        self.on_response.as_ref().is_some_and(|hooked| hooked.hook.reads_text())
    }

    /// Whether one of them wants to hear of finished requests.
    pub fn listen(&self) -> bool {
        self.on_response.is_some() || self.stop_when.is_some()
    }

    pub fn costs(&self) -> Vec<Arc<HookCost>> {
        let Hooks { before_request, on_response, stop_when } = self;
        let before = before_request.iter().map(|hooked| &hooked.cost);
        let after = on_response.iter().map(|hooked| &hooked.cost);
        before.chain(after).chain(stop_when.iter().map(|hooked| &hooked.cost)).cloned().collect()
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.costs().iter().map(|cost| cost.name)).finish()
    }
}
