//! The functions that scripts call, one file for each module of the crate that they expose.
//!
//! # Writing one
//!
//! A file exports a module of documented functions and registers it:
//!
//! ```text
//! pub fn register(engine: &mut Engine, _state: &Arc<State>) {
//!     engine.register_type_with_name::<Target>("target");
//!     engine.register_global_module(exported_module!(functions).into());
//! }
//!
//! #[export_module]
//! mod functions {
//!     /// A server to send load to; `url` may be `"builtin:..."`.
//!     #[rhai_fn(name = "target", return_raw, volatile)]
//!     pub fn target(context: NativeCallContext, url: &str, options: Map) -> Fallible<Target> {
//!         let state = State::of(&context);
//!         let mut opts = Opts::of(&TARGET, options);
//!         let timeout = opts.take::<Duration>("timeout")?;
//!         let hook = opts.take_fn("on_response", &context)?;
//!         opts.finish()?;
//!         Target::new(url, timeout, hook, &state).map_err(raise)
//!     }
//! }
//! ```
//!
//! - Numbers and durations arrive as `Dynamic` and go through [`need`](super::opts::need), because
//!   `f(4)` does not find a function that takes an `f64`. Handles of ours are taken by type.
//! - Every function has a doc comment; a test asks for it. A getter (`#[rhai_fn(get = "name")]`)
//!   needs one too. Where a closure is handier than a module, use `FuncRegistration` with
//!   `with_comments` and `with_params_info`.
//! - Option maps are read by [`Opts`](super::opts::Opts) alone, each by its table in
//!   [`options`](super::options), which is also what `rampant check` and the reference read; functions
//!   in them by `take_fn`, which binds them. A function that is a plain argument is bound by
//!   [`bind`](super::function::bind) before anything else happens to it.
//! - Errors are [`crate::error::Error`] values through [`raise`](super::fault::raise); kind, hint
//!   and exit code arrive in `main`, the place in the script is added on the way.
//!   `raise_at("option", error)` puts the caret under an option.
//! - [`State::of`] gives the session: `host`, `switches`, `secrets`, `tally()`. Before a file is
//!   read call `state.experiment.access.may_read(path)`, and `learn` after; before a host is asked,
//!   `may_reach`. A function that sends load calls `state.experiment.load_begins()`; one that waits calls
//!   `state.go_on()?` often. A verdict is `state.experiment.check(name, held)`.
//! - A function of a built-in name (`sleep`, `round`) must be registered for each built-in type:
//!   the exact type wins over `Dynamic`.

use std::sync::Arc;

use rhai::Engine;

use super::state::State;

pub mod accuracy;
pub mod arrivals;
pub mod chart;
pub mod comparison;
pub mod error;
pub mod files;
pub mod growth;
pub mod lists;
pub mod metric;
pub mod numbers;
pub mod outgoing;
pub mod output;
pub mod param;
pub mod random;
pub mod request;
pub mod result;
pub mod run;
pub mod secret;
pub mod slo;
pub mod so_far;
pub mod sweep;
pub mod target;
pub mod time;
pub mod trace;
pub mod turn;
pub mod workload;

/// Registers everything that scripts can call.
pub fn register_all(engine: &mut Engine, state: &Arc<State>) {
    accuracy::register(engine, state);
    arrivals::register(engine, state);
    chart::register(engine, state);
    comparison::register(engine, state);
    error::register(engine, state);
    files::register(engine, state);
    growth::register(engine, state);
    lists::register(engine, state);
    metric::register(engine, state);
    numbers::register(engine, state);
    outgoing::register(engine, state);
    output::register(engine, state);
    param::register(engine, state);
    random::register(engine, state);
    request::register(engine, state);
    result::register(engine, state);
    run::register(engine, state);
    secret::register(engine, state);
    slo::register(engine, state);
    so_far::register(engine, state);
    sweep::register(engine, state);
    target::register(engine, state);
    time::register(engine, state);
    trace::register(engine, state);
    turn::register(engine, state);
    workload::register(engine, state);
}

/// Registers what a hook can call: functions of their arguments alone, and what it is given. Everything
/// else is refused by not being there.
pub fn register_for_hooks(engine: &mut Engine, state: &Arc<State>) {
    error::register(engine, state);
    growth::register(engine, state);
    lists::register(engine, state);
    numbers::register(engine, state);
    random::register(engine, state);
    metric::register_for_hooks(engine);
    outgoing::register(engine, state);
    request::register_response(engine);
    so_far::register(engine, state);
    turn::register(engine, state);
}

#[cfg(test)]
mod tests {
    use crate::script::testing;

    #[test]
    fn every_function_and_property_of_ours_is_documented() {
        let session = testing::session("");
        let bare = |info: rhai::FuncInfo| {
            let named = info.metadata.name.starts_with(|c: char| c.is_alphabetic());
            let bare = info.metadata.comments.iter().all(|text| text.trim().is_empty());
            let of_the_language = crate::script::vocabulary::stands_for_the_languages(info.metadata);
            (named && bare && !of_the_language).then(|| info.metadata.name.to_string())
        };
        assert_eq!(session.engine.collect_fn_metadata(None, bare, false), Vec::<String>::new());
        assert!(session.state.vocabulary().ours().count() > 20);
    }

    #[test]
    fn definitions_for_editors_can_be_made() {
        let session = testing::session("");
        let definitions = session.engine.definitions().single_file();
        assert!(definitions.contains("fn geometric("));
    }
}
