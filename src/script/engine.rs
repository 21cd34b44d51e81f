//! The engine: the script language as we set it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rhai::{Dynamic, Engine, EvalAltResult, FloatWrapper, OptimizationLevel, Position, Token};

use super::bind;
use super::compare;
use super::fault::Fallible;
use super::hook_engines::{HookEngines, REFUSED};
use super::resolver::{Library, Resolver};
use super::state::State;
use super::vocabulary::Vocabulary;
use crate::os::heap;

/// Steps of the language in one evaluation: an endless loop ends after some seconds.
const STEPS_MAX: u64 = 100_000_000;

/// Steps in one call of a hook: a tenth of a second, a thousand times what one should take.
const HOOK_STEPS_MAX: u64 = 1_000_000;

/// Builds an engine with everything that scripts can call, and functions of the caller's own.
/// `cancel` ends whatever runs in it, at its next step and through `try`/`catch`.
///
/// Each thread that calls script functions has an engine of its own.
pub fn build_with(
    state: &Arc<State>,
    library: &Arc<Library>,
    cancel: Arc<AtomicBool>,
    more: impl FnOnce(&mut Engine),
) -> Engine {
    let mut engine = Engine::new();
    restrict(&mut engine);
    let ours = state.clone();
    engine.on_progress(move |_| match cancel.load(Relaxed) {
        true => Some(Dynamic::UNIT),
        false => ours.must_end(),
    });
    engine.set_default_tag(Dynamic::from(state.clone()));
    engine.set_module_resolver(Resolver(library.clone()));
    redirect_output(&mut engine, state);
    bind::register_all(&mut engine, state);
    more(&mut engine);
    state.learn_vocabulary(|| Vocabulary::of(&engine));
    let ours = Arc::downgrade(state);
    state.learn_hook_engines(|| {
        HookEngines::new(move || for_hooks(&ours.upgrade().expect("the session lives")))
    });
    engine
}

/// Builds an engine for functions that are called while a run goes on: pure work on their arguments.
fn for_hooks(state: &Arc<State>) -> Engine {
    let mut engine = Engine::new();
    restrict(&mut engine);
    engine.set_max_operations(HOOK_STEPS_MAX);
    // Of what one call makes; what it leaves belongs to its session.
    engine.on_progress(|_| heap::over().then(|| Dynamic::from("the call holds too much memory")));
    // The session holds these engines, so they do not hold it.
    let weak = Arc::downgrade(state);
    engine.on_print(move |text| {
        if let Some(state) = weak.upgrade()
            && let Some(text) = state.say(text)
        {
            state.console.tell(&text);
        }
    });
    bind::register_for_hooks(&mut engine, state);
    refuse(&mut engine);
    engine
}

/// What comes with the language and is not for hooks, as if it were not there.
fn refuse(engine: &mut Engine) {
    fn absent(name: &str) -> Fallible<()> {
        Err(EvalAltResult::ErrorFunctionNotFound(format!("{name} ()"), Position::NONE).into())
    }
    let [sleep, timestamp, _] = REFUSED;
    engine.register_fn(sleep, move |_: i64| absent(sleep));
    engine.register_fn(sleep, move |_: f64| absent(sleep));
    engine.register_fn(timestamp, move || absent(timestamp));
}

/// What a script may not do, and how much it may use.
fn restrict(engine: &mut Engine) {
    // The optimizer would drop dead code before it was checked.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    engine.disable_symbol("eval");
    // A table of strings behind a lock, which costs more than it saves across threads.
    engine.set_max_strings_interned(0);
    engine.set_max_operations(STEPS_MAX);
    engine.set_max_call_levels(64);
    engine.set_max_expr_depths(64, 32);
    // What a script holds is counted in bytes, by the allocator: the limits of the language would
    // walk through a whole list at each change of it.
    engine.set_max_string_size(0);
    engine.set_max_array_size(0);
    engine.set_max_map_size(0);
    engine.set_max_modules(64);
    engine.set_max_variables(10_000);
    engine.set_max_functions(2_000);
    infinity(engine);
    compare::register(engine);
}

/// `inf` is a number like any other. As a word of the language it is also one where parameters are
/// read without running.
#[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
fn infinity(engine: &mut Engine) {
    engine.on_parse_token(|token, _, _| match token {
        Token::Identifier(name) if name.as_str() == "inf" => {
            Token::FloatConstant(Box::new((FloatWrapper::from(f64::INFINITY), "inf".into())))
        }
        other => other,
    });
}

fn redirect_output(engine: &mut Engine, state: &Arc<State>) {
    let printing = state.clone();
    engine.on_print(move |text| {
        if let Some(text) = printing.say(text) {
            printing.console.tell(&text);
        }
    });
    let debugging = state.clone();
    engine.on_debug(move |text, source, position: Position| {
        let source = source.unwrap_or(&debugging.experiment.program.name);
        let line = position.line().map(|line| format!(":{line}")).unwrap_or_default();
        if let Some(text) = debugging.say(text) {
            debugging
                .experiment
                .host
                .err(&debugging.experiment.secrets.scrub(&format!("debug {source}{line}: {text}")));
        }
    });
}
