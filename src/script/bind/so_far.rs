//! `so_far`: what a run has measured, as `stop_when` sees it each second.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Engine};

use crate::error::{Error, Result};
use crate::run::hooks::StopWhen;
use crate::script::fault::{Fallible, a, raise};
use crate::script::hook::Hook;
use crate::script::state::State;
use crate::script::vocabulary::friendly;
use crate::stats::Summary;
use crate::stats::names::Name;

/// A run that goes on.
#[derive(Clone)]
pub struct SoFar {
    /// `None`: it is made up.
    summary: Option<Arc<Summary>>,
    seconds: f64,
}

/// `stop_when` of a script.
pub struct StopFunction(pub Hook);

impl StopFunction {
    /// Calls it once with made-up numbers.
    pub fn rehearse(&self) -> Result<()> {
        self.call(SoFar { summary: None, seconds: 1.0 }).map(drop)
    }

    fn call(&self, so_far: SoFar) -> Result<bool> {
        let answer = self.0.call([Dynamic::from(so_far)])?;
        answer.as_bool().map_err(|_| {
            let got = a(&friendly(answer.type_name()));
            self.0.error(format!("stop_when: it must return true or false, got {got}"))
        })
    }
}

impl StopWhen for StopFunction {
    fn judge(&self, so_far: Summary, seconds: f64) -> Result<bool> {
        self.call(SoFar { summary: Some(Arc::new(so_far)), seconds })
    }
}

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<SoFar>("so far");
    engine.register_global_module(exported_module!(functions).into());
}

#[export_module]
mod functions {
    /// A value of what was measured so far, such as `so_far["ttft.p99"]`; `()` when it was not observed.
    #[rhai_fn(index_get, pure, return_raw)]
    pub fn at(so_far: &mut SoFar, name: &str) -> Fallible<Dynamic> {
        let Some(summary) = &so_far.summary else {
            return match Name::parse(name) {
                Ok(_) => Ok(1.0.into()),
                Err(told) => Err(raise(Error::usage(told))),
            };
        };
        let value = summary.value(name).map_err(|told| raise(Error::usage(told)))?;
        Ok(value.map_or(Dynamic::UNIT, Dynamic::from))
    }

    /// Seconds since the run began, its warm-up among them.
    #[rhai_fn(get = "seconds", pure)]
    pub fn seconds(so_far: &mut SoFar) -> f64 {
        so_far.seconds
    }
}
