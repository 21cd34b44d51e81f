//! `param`: a value that the command line may set.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, NativeCallContext};

use crate::script::fault::{Fallible, raise};
use crate::script::param::Param;
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

fn value(context: &NativeCallContext, name: &str, default: Dynamic, options: Map) -> Fallible<Dynamic> {
    let state = State::of(context);
    let param = Param::describe(name, Some(&default.flatten()), options)?;
    let given = state.args.given.iter().find(|given| given.name == name);
    let value = param.value(given).map_err(raise)?;
    let mut tally = state.tally();
    if tally.params.iter().all(|(known, _)| known != name) {
        tally.params.push((name.into(), value.clone()));
    }
    Ok(value)
}

#[export_module]
mod functions {
    /// The value of a parameter: from `-p name=...` on the command line, else `default`, whose
    /// type it has (int, float, bool, string, or a list of one of these; a float accepts `8`).
    #[rhai_fn(name = "param", volatile, return_raw)]
    pub fn param(context: NativeCallContext, name: &str, default: Dynamic) -> Fallible<Dynamic> {
        value(&context, name, default, Map::new())
    }

    /// As above. Options: `help`, `min`, `max`, `choices` (a list), `unit`, `type` (`"int"`,
    /// `"float"`, `"bool"`, `"string"`; with the default `()` the parameter is optional), `many`
    /// (may be repeated; the value is a list), `required`, `flag` (another name for the flag).
    #[rhai_fn(name = "param", volatile, return_raw)]
    pub fn param_with(
        context: NativeCallContext,
        name: &str,
        default: Dynamic,
        options: Map,
    ) -> Fallible<Dynamic> {
        value(&context, name, default, options)
    }
}
