//! Lines for the user, verdicts and notes.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, NativeCallContext};

use crate::error::{Error, Kind};
use crate::script::fault::{Fallible, raise};
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// What `print` would show.
fn line(context: &NativeCallContext, value: Dynamic) -> String {
    context
        .call_native_fn::<rhai::ImmutableString>("to_string", (value.clone(),))
        .map_or_else(|_| value.to_string(), |text| text.to_string())
}

#[export_module]
mod functions {
    /// Prints one line of information; silent with `--quiet`.
    #[rhai_fn(volatile)]
    pub fn info(context: NativeCallContext, value: Dynamic) {
        State::of(&context).inform(&line(&context, value));
    }

    /// Prints a warning on standard error, also with `--quiet`.
    #[rhai_fn(volatile)]
    pub fn warn(context: NativeCallContext, value: Dynamic) {
        State::of(&context).warn(&line(&context, value));
    }

    /// Ends the script now with exit code 98; what was measured so far is kept.
    #[rhai_fn(volatile, return_raw)]
    pub fn fail(context: NativeCallContext, reason: Dynamic) -> Fallible<()> {
        let reason = match line(&context, reason) {
            reason if reason.trim().is_empty() => "the script failed and did not say why".into(),
            reason => reason,
        };
        Err(raise(Error::new(Kind::Failed, State::of(&context).secrets.scrub(&reason))))
    }

    /// Records a verdict and goes on; the process ends with exit code 99 when one did not hold.
    /// Returns `held`.
    #[rhai_fn(volatile)]
    pub fn check(context: NativeCallContext, name: &str, held: bool) -> bool {
        let state = State::of(&context);
        state.check(name, held);
        if !held {
            state.warn(&format!("check failed: {name}"));
        }
        held
    }

    /// Keeps a value in the manifest of the results folder, under `key`.
    #[rhai_fn(volatile)]
    pub fn note(context: NativeCallContext, key: &str, value: Dynamic) {
        let state = State::of(&context);
        state.tally().notes.push((key.into(), value.flatten()));
    }
}
