//! Load shapes: when requests arrive.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext};

use crate::error::Error;
use crate::schedule::{Growth, Process, Shape, pieces_in, start_of};
use crate::script::fault::{Fallible, raise, shown};
use crate::script::function::bind;
use crate::script::options::arrivals::VLLM_ARRIVALS;
use crate::script::opts::{Opts, need, need_number, number};
use crate::script::state::State;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Shape>("arrivals");
    engine.register_global_module(exported_module!(functions).into());
}

fn checked(call: &str, shape: Shape) -> Fallible<Shape> {
    match shape.check() {
        Ok(()) => Ok(shape),
        Err(what) => Err(raise(Error::usage(format!("{call}: {what}")))),
    }
}

fn seconds(call: &str, argument: &str, value: &Dynamic) -> Fallible<f64> {
    need::<Duration>(call, argument, value).map(|time| time.as_secs_f64())
}

fn places(call: &str, argument: &str, value: &Dynamic) -> Fallible<usize> {
    let n = need::<i64>(call, argument, value)?;
    usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
        raise(Error::usage(format!("{call}: {argument} must be a whole number of at least 1, got {n}")))
    })
}

/// The same shape with another process of arrivals.
fn with_process(call: &str, shape: Shape, process: Process) -> Fallible<Shape> {
    let Some(shape) = shape.with_process(process) else {
        let told = format!("{call}: users that wait for their replies have no process of arrivals");
        return Err(raise(Error::usage(told)));
    };
    checked(call, shape)
}

/// Seconds that a sampled schedule may last: a day has 864,000 rates.
const SCHEDULE_MAX: f64 = 86_400.0;

/// The rates that a function gives, each for a tenth of a second.
fn sampled(context: &NativeCallContext, over: f64, function: &FnPtr) -> Fallible<Shape> {
    if over > SCHEDULE_MAX {
        let told = format!("schedule: the time must be at most a day, got {over} s");
        return Err(raise(Error::usage(told).hint("a.then(b) has one schedule after the other")));
    }
    let function = bind(context, function);
    let state = State::of(context);
    let mut rates = Vec::new();
    for index in 0..pieces_in(over) {
        state.go_on()?;
        let t = start_of(index);
        let rate = function.call(context.engine(), [t.into()])?;
        rates.push(number(&rate).ok_or_else(|| {
            let got = if rate.is_unit() { "()".to_string() } else { shown(&rate) };
            raise(Error::usage(format!("schedule: the rate at t = {t} s must be a number, got {got}")))
        })?);
    }
    checked("schedule", Shape::Sampled { rates: rates.into(), over, process: Process::Poisson })
}

/// Two shapes together, unless they cannot be.
fn combined(call: &str, both: Result<Shape, String>) -> Fallible<Shape> {
    both.map_err(|told| raise(Error::usage(format!("{call}: {told}"))))
}

/// vLLM's burstiness as a process: gaps of a gamma distribution with this shape.
fn burstiness(shape: f64) -> Process {
    match shape {
        1.0 => Process::Poisson,
        f64::INFINITY => Process::Even,
        shape => Process::Gamma { cv: 1.0 / shape.sqrt() },
    }
}

/// Arrivals by the options of `vllm_arrivals`.
fn like_vllm(mut opts: Opts) -> Fallible<Shape> {
    let process = burstiness(opts.get("burstiness")?);
    let users = opts.take::<u64>("users")?;
    let requests = opts.take::<u64>("requests")?;
    let rate: f64 = opts.get("request_rate")?;
    let strategy: String = opts.get("ramp_up_strategy")?;
    let from = opts.take::<f64>("ramp_up_start_rps")?;
    let to = opts.take::<f64>("ramp_up_end_rps")?;
    let Some((_, growth)) = Growth::NAMES.into_iter().find(|(name, _)| *name == strategy) else {
        if from.is_some() || to.is_some() {
            let told = "is missing: linear or exponential (--ramp-up-strategy)";
            return Err(opts.error("ramp_up_strategy", told));
        }
        opts.finish()?;
        return match (rate.is_finite(), users) {
            (true, _) => checked("request_rate", Shape::Rate { per_second: rate, process }),
            (false, Some(users)) => {
                let places = usize::try_from(users).unwrap_or(usize::MAX);
                checked("users", Shape::Closed { places, from: places, over: 0.0 })
            }
            (false, None) => Ok(Shape::AtOnce),
        };
    };
    if rate.is_finite() {
        let told =
            "cannot go with a ramp, which has rates of its own (--request-rate and --ramp-up-strategy)";
        return Err(opts.error("request_rate", told));
    }
    let (Some(from), Some(to)) = (from, to) else {
        let told = "needs the rates at its ends: --ramp-up-start-rps and --ramp-up-end-rps";
        return Err(opts.error("ramp_up_strategy", told));
    };
    let Some(requests) = requests else {
        let told = "needs a number of requests to grow over (--num-prompts); ramp() grows over a time";
        return Err(opts.error("ramp_up_strategy", told));
    };
    opts.finish()?;
    checked("ramp_up_strategy", Shape::RampUp { from, to, requests, growth, process })
}

#[export_module]
mod functions {
    /// Evenly spaced arrivals: `constant(4)` is one request every 250 ms.
    #[rhai_fn(return_raw)]
    pub fn constant(rate: Dynamic) -> Fallible<Shape> {
        let per_second = need_number("constant", "the rate", &rate)?;
        checked("constant", Shape::Rate { per_second, process: Process::Even })
    }

    /// Independent arrivals at a mean rate per second: what many unrelated users do.
    #[rhai_fn(return_raw)]
    pub fn poisson(rate: Dynamic) -> Fallible<Shape> {
        let per_second = need_number("poisson", "the rate", &rate)?;
        checked("poisson", Shape::Rate { per_second, process: Process::Poisson })
    }

    /// Bursty arrivals: gaps with coefficient of variation `cv` (1 is Poisson, 2 is bursty,
    /// below 1 more even). vLLM's burstiness b is `cv` = 1 / sqrt(b).
    #[rhai_fn(return_raw)]
    pub fn gamma(rate: Dynamic, cv: Dynamic) -> Fallible<Shape> {
        let per_second = need_number("gamma", "the rate", &rate)?;
        let cv = need_number("gamma", "the coefficient of variation", &cv)?;
        checked("gamma", Shape::Rate { per_second, process: Process::Gamma { cv } })
    }

    /// Poisson arrivals whose rate goes from `from` to `to` in the time `over`; the run ends
    /// with the ramp.
    #[rhai_fn(return_raw)]
    pub fn ramp(from: Dynamic, to: Dynamic, over: Dynamic) -> Fallible<Shape> {
        let from = need_number("ramp", "the first rate", &from)?;
        let to = need_number("ramp", "the last rate", &to)?;
        let over = seconds("ramp", "the time", &over)?;
        checked("ramp", Shape::Ramp { from, to, over, process: Process::Poisson })
    }

    /// Poisson arrivals in steps of `[rate, time]`: `steps([[2, "30s"], [8, "10s"]])`.
    #[rhai_fn(return_raw)]
    pub fn steps(list: Array) -> Fallible<Shape> {
        let mut steps = Vec::new();
        for (i, step) in list.into_iter().enumerate() {
            let pair = step.into_array().unwrap_or_default();
            let [rate, time] = &pair[..] else {
                let told = format!("steps: step {} must be [rate, time], such as [4, \"30s\"]", i + 1);
                return Err(raise(Error::usage(told)));
            };
            steps.push((need_number("steps", "a rate", rate)?, seconds("steps", "a time", time)?));
        }
        checked("steps", Shape::Steps { steps, process: Process::Poisson })
    }

    /// Poisson arrivals at the rate that the function gives for each time: `schedule("60s", |t| 5 + t / 10)`.
    /// It is called ahead, with t = 0.0, 0.1, 0.2 ... seconds, and what it gives holds for a tenth of a second.
    #[rhai_fn(volatile, return_raw)]
    pub fn schedule(context: NativeCallContext, over: Dynamic, rate: FnPtr) -> Fallible<Shape> {
        let over = seconds("schedule", "the time", &over)?;
        sampled(&context, over, &rate)
    }

    /// Both at the same time: each has arrivals of its own, and the first those that it has alone.
    #[rhai_fn(name = "+", return_raw)]
    pub fn plus(one: Shape, other: Shape) -> Fallible<Shape> {
        combined("+", one.plus(other))
    }

    /// `other` begins when the first shape has had its time: `ramp(1, 20, "60s").then(poisson(20))`.
    #[rhai_fn(return_raw)]
    pub fn then(shape: Shape, other: Shape) -> Fallible<Shape> {
        combined("then", shape.then(other))
    }

    /// Arrivals by the options of vLLM's benchmark.
    #[rhai_fn(return_raw)]
    pub fn vllm_arrivals(options: Map) -> Fallible<Shape> {
        like_vllm(Opts::of(&VLLM_ARRIVALS, options))
    }

    /// `users` users; each waits for its reply before it asks again.
    #[rhai_fn(return_raw)]
    pub fn closed(users: Dynamic) -> Fallible<Shape> {
        let places = places("closed", "the number of users", &users)?;
        checked("closed", Shape::Closed { places, from: places, over: 0.0 })
    }

    /// As above; they start one after another: `from` of them at once, all of them after `over`.
    #[rhai_fn(name = "closed", return_raw)]
    pub fn closed_ramp(from: Dynamic, users: Dynamic, over: Dynamic) -> Fallible<Shape> {
        let all = places("closed", "the number of users", &users)?;
        let from = places("closed", "the first number of users", &from)?;
        let over = seconds("closed", "the time", &over)?;
        checked("closed", Shape::Closed { places: all, from, over })
    }

    /// `n` requests under way at any time, whatever conversations they belong to: while a user thinks,
    /// another conversation has the place. For requests that stand alone it is `closed(n)`.
    #[rhai_fn(return_raw)]
    pub fn closed_requests(n: Dynamic) -> Fallible<Shape> {
        let places = places("closed_requests", "the number of requests", &n)?;
        checked("closed_requests", Shape::InFlight { places })
    }

    /// Every request at the start of the run; `max_in_flight` then says how many go at a time.
    pub fn at_once() -> Shape {
        Shape::AtOnce
    }

    /// The same rates with evenly spaced arrivals.
    #[rhai_fn(return_raw)]
    pub fn even(shape: Shape) -> Fallible<Shape> {
        with_process("even", shape, Process::Even)
    }

    /// The same rates with bursty arrivals, as in `gamma`.
    #[rhai_fn(return_raw)]
    pub fn bursty(shape: Shape, cv: Dynamic) -> Fallible<Shape> {
        let cv = number(&cv).unwrap_or(f64::NAN);
        with_process("bursty", shape, Process::Gamma { cv })
    }

    /// The shape in words.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(shape: &mut Shape) -> ImmutableString {
        shape.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use crate::script::testing::{error, printed};

    #[test]
    fn a_schedule_is_sampled_ahead_every_tenth_of_a_second() {
        let script = "let peak = 8.0;\n\
            let s = schedule(\"2s\", |t| if t < 1.0 { 2 } else { peak });\nprint(s);\nprint(s.even());\n\
            print(schedule(1, |t| t).bursty(2));";
        let told = printed(script);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("poisson, 20 rates from 2 to 8 per second over 2 s, "), "{told}");
        assert!(lines[1].starts_with("even, 20 rates from 2 to 8 per second over 2 s, "), "{told}");
        assert!(
            lines[2].starts_with("gamma with cv 2, 10 rates from 0 to 0.9 per second over 1 s, "),
            "{told}"
        );
    }

    #[test]
    fn a_rate_that_is_none_is_named_with_its_time() {
        for (function, told) in [
            ("|t| 3 - t * 10", "schedule: the rate at t = 0.4 s must not be negative, got -1"),
            (
                "|t| if t >= 0.5 { 0.0 / 0.0 } else { 1 }",
                "schedule: the rate at t = 0.5 s must be a number, got NaN",
            ),
            (
                "|t| if t >= 0.7 { 1.0 / 0.0 } else { 1 }",
                "schedule: the rate at t = 0.7 s must be finite, got inf",
            ),
            ("|t| \"fast\"", "schedule: the rate at t = 0 s must be a number, got \"fast\""),
            ("|t| { }", "schedule: the rate at t = 0 s must be a number, got ()"),
            ("|t| 0", "schedule: a schedule with no rate above 0 sends nothing"),
        ] {
            let script = format!("let a = 1;\nschedule(\"1s\", {function});");
            let got = error(&script);
            assert!(got.starts_with(told), "{got}");
            assert!(got.contains("test.rhai:2:"), "{got}");
        }
        assert!(error("schedule(0, |t| 1);").starts_with("schedule: the time"));
        assert!(error("schedule(\"25h\", |t| 1);").starts_with("schedule: the time must be at most a day"));
        let got = error("schedule(\"1s\", |t, u| 3);");
        assert!(
            got.starts_with("a function that is called with 1 argument takes another number of them"),
            "{got}"
        );
        // An error inside of the function stands at its own line.
        let got = error("schedule(\"1s\", |t| {\n  let x = [1];\n  x[4]\n});");
        assert!(got.contains("test.rhai:3:"), "{got}");
    }

    #[test]
    fn shapes_are_put_together_in_words_that_can_be_read() {
        assert_eq!(
            printed("print(poisson(5) + steps([[0, 2], [50, 1]]).even());"),
            "(poisson, 5 per second) and (even, 0 per second for 2 s, then 50 per second for 1 s)\n"
        );
        assert_eq!(
            printed("print(ramp(1, 9, \"4s\").then(constant(9)));"),
            "(poisson, from 1 to 9 per second over 4 s), then (even, 9 per second)\n"
        );
        assert!(
            error("poisson(5).then(poisson(6));").starts_with("then: poisson, 5 per second: it never ends")
        );
        assert!(error("poisson(5) + closed(3);").starts_with("+: closed, 3 users: users that wait"));
        assert!(error("poisson(5) + 3;").starts_with("`+` does not work between"));
    }
}
