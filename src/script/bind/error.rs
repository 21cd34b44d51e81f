//! What a script sees of an error of ours that it catches.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Engine, ImmutableString};

use crate::error::Kind;
use crate::script::fault::Fault;
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Fault>("error");
    engine.register_global_module(exported_module!(functions).into());
}

#[export_module]
mod functions {
    /// What went wrong, as a sentence: `try { ... } catch (e) { info(e.message) }`.
    #[rhai_fn(get = "message", pure)]
    pub fn message(fault: &mut Fault) -> ImmutableString {
        fault.error.message.as_str().into()
    }

    /// The kind of an error: `"run"`, `"usage"`, `"not ready"`, `"not valid"`, `"check"`.
    #[rhai_fn(get = "kind", pure)]
    pub fn kind(fault: &mut Fault) -> ImmutableString {
        match fault.error.kind {
            Kind::Run => "run",
            Kind::Usage => "usage",
            Kind::NotValid => "not valid",
            Kind::NotReady => "not ready",
            Kind::Failed => "failed",
            Kind::Check => "check",
            Kind::Interrupted => "interrupted",
        }
        .into()
    }

    /// The error's sentence, so that it can be printed.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(fault: &mut Fault) -> ImmutableString {
        fault.error.message.as_str().into()
    }
}
