//! Waiting, and the time since the session began.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, NativeCallContext};

use crate::script::fault::Fallible;
use crate::script::opts::need;
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// How often a wait looks at the cancel token.
const LOOK: Duration = Duration::from_millis(20);

fn wait(context: &NativeCallContext, how_long: Dynamic) -> Fallible<()> {
    let state = State::of(context);
    let how_long = need::<Duration>("sleep", "the time", &how_long)?;
    // In virtual time nothing happens meanwhile.
    let how_long = if state.experiment.switches.dry { Duration::ZERO } else { how_long };
    let end = std::time::Instant::now() + how_long;
    loop {
        state.go_on()?;
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK));
    }
}

// `sleep` has a built-in form for ints and one for floats that cannot be interrupted; the exact
// type wins, so each is replaced.
#[export_module]
mod functions {
    /// Waits `seconds`; Ctrl-C ends it.
    #[rhai_fn(name = "sleep", volatile, return_raw)]
    pub fn sleep_int(context: NativeCallContext, seconds: i64) -> Fallible<()> {
        wait(&context, seconds.into())
    }

    /// Waits `seconds`; Ctrl-C ends it.
    #[rhai_fn(name = "sleep", volatile, return_raw)]
    pub fn sleep_float(context: NativeCallContext, seconds: f64) -> Fallible<()> {
        wait(&context, seconds.into())
    }

    /// Waits for a time such as `"250ms"`, `"5s"`, `"1m30s"`; Ctrl-C ends it.
    #[rhai_fn(name = "sleep", volatile, return_raw)]
    pub fn sleep_text(context: NativeCallContext, how_long: &str) -> Fallible<()> {
        wait(&context, how_long.to_string().into())
    }

    /// Seconds since the script began.
    #[rhai_fn(volatile)]
    pub fn elapsed(context: NativeCallContext) -> f64 {
        (crate::os::now() - State::of(&context).experiment.started) as f64 / 1e9
    }

    /// A time in seconds, from a number of seconds or text such as `"250ms"`.
    #[rhai_fn(return_raw)]
    pub fn seconds(time: Dynamic) -> Fallible<f64> {
        need::<Duration>("seconds", "the time", &time).map(|time| time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing;

    #[test]
    fn times_are_seconds_or_text() {
        assert_eq!(
            testing::printed(
                "print(seconds(\"250ms\")); print(seconds(2)); sleep(0); sleep(0.0); sleep(\"0s\");"
            ),
            "0.25\n2.0\n"
        );
        assert_eq!(testing::printed("print(elapsed() >= 0.0);"), "true\n");
        assert!(testing::error("sleep(\"soon\");").starts_with("sleep: the time must be a duration such as"));
    }
}
