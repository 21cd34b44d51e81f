//! What a script sees of an error of ours that it catches.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Engine, ImmutableString};

use crate::error::ErrorKind;
use crate::script::fault::ScriptFault;
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<ScriptFault>("error");
    engine.register_global_module(exported_module!(functions).into());
}

#[export_module]
mod functions {
    /// What went wrong, as a sentence: `try { ... } catch (e) { info(e.message) }`.
    #[rhai_fn(get = "message", pure)]
    pub fn message(fault: &mut ScriptFault) -> ImmutableString {
        fault.error.message.as_str().into()
    }

    /// The kind of an error: `"run"`, `"usage"`, `"not ready"`, `"not valid"`, `"check"`, `"undecided"`.
    #[rhai_fn(get = "kind", pure)]
    pub fn kind(fault: &mut ScriptFault) -> ImmutableString {
        match fault.error.kind {
            ErrorKind::Run => "run",
            ErrorKind::Usage => "usage",
            ErrorKind::NotValid => "not valid",
            ErrorKind::NotReady => "not ready",
            ErrorKind::Failed => "failed",
            ErrorKind::Check => "check",
            ErrorKind::Undecided => "undecided",
            ErrorKind::Interrupted => "interrupted",
        }
        .into()
    }

    /// The error's sentence, so that it can be printed.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(fault: &mut ScriptFault) -> ImmutableString {
        fault.error.message.as_str().into()
    }
}
