//! Load shapes: when requests arrive.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use crate::error::Error;
use crate::schedule::{Growth, Process, Shape};
use crate::script::fault::{Fallible, raise};
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
    let shape = match shape {
        Shape::Rate { per_second, .. } => Shape::Rate { per_second, process },
        Shape::Ramp { from, to, over, .. } => Shape::Ramp { from, to, over, process },
        Shape::RampUp { from, to, requests, growth, .. } => {
            Shape::RampUp { from, to, requests, growth, process }
        }
        Shape::Steps { steps, .. } => Shape::Steps { steps, process },
        Shape::Closed { .. } | Shape::InFlight { .. } | Shape::AtOnce => {
            let told = format!("{call}: users that wait for their replies have no process of arrivals");
            return Err(raise(Error::usage(told)));
        }
    };
    checked(call, shape)
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
