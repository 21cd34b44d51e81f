//! `param`: a value that the command line may set.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};

use crate::script::fault::{Fallible, raise};
use crate::script::json;
use crate::script::options::param::PRESET;
use crate::script::opts::Opts;
use crate::script::param::{Kind, Param};
use crate::script::preset;
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

fn value(context: &NativeCallContext, name: &str, default: Dynamic, options: Map) -> Fallible<Dynamic> {
    let state = State::of(context);
    let param = Param::describe(name, Some(&default.flatten()), options)?;
    let given = state.given(name);
    let value = param.value(given.as_ref()).map_err(raise)?;
    if param.kind == Some(Kind::Url) {
        // What a file of presets says is no word of the command line.
        let typed = state.args.given.iter().filter(|given| given.name == name);
        let urls = typed.flat_map(|given| &given.texts).flat_map(|text| text.split(','));
        urls.for_each(|url| state.experiment.access.grant(url));
    }
    let mut findings = state.experiment.findings();
    if findings.params.iter().all(|(known, _)| known != name) {
        findings.params.push((name.into(), json::from_dynamic(&value)));
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

    /// As above, with options.
    #[rhai_fn(name = "param", volatile, return_raw)]
    pub fn param_with(
        context: NativeCallContext,
        name: &str,
        default: Dynamic,
        options: Map,
    ) -> Fallible<Dynamic> {
        value(&context, name, default, options)
    }

    /// Reads a YAML file whose keys are parameters of this script: from now on `param` gives what
    /// stands there, unless the command line gives something else. `file` is what `read` may read.
    /// Keys that begin with `x-` are the file's own business. Returns what the file says, as a map.
    #[rhai_fn(volatile, return_raw)]
    pub fn preset(context: NativeCallContext, file: &str, options: Map) -> Fallible<Map> {
        let mut opts = Opts::of(&PRESET, options);
        let required = opts.take::<Array>("required")?.unwrap_or_default();
        opts.finish()?;
        let required: Vec<String> = required.iter().map(ToString::to_string).collect();
        preset::read(&State::of(&context), file, &required).map_err(raise)
    }
}
