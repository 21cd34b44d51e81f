//! `run(plan)`: one measured run.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, FnPtr, Map, NativeCallContext};

use super::result::Handle;
use super::target;
use crate::client::protocol::Api;
use crate::error::{Error, Result};
use crate::experiment::limits;
use crate::experiment::recorded;
use crate::experiment::server::Ready;
use crate::experiment::source::WorkloadSource;
use crate::experiment::vllm::{self as results, Wanted};
use crate::experiment::{Experiment, folder, measure};
use crate::os::heap;
use crate::run::Plan;
use crate::run::plan::{Capture, MaxErrors, OverCap, Warmup};
use crate::run::room::{connections_max, no_files};
use crate::schedule::{Shape, Share};
use crate::script::duration;
use crate::script::fault::{Fallible, raise};
use crate::script::function::bind;
use crate::script::json;
use crate::script::opts::{OptionValue, Opts, number};
use crate::script::state::State;
use crate::script::text::text;
use crate::script::vllm;
use crate::script::weight::weigh_all;
use crate::stats::Slo;
use crate::tokens::Tokens;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// A plan whose server has not been asked anything yet.
pub struct Draft {
    name: Option<String>,
    traffic: Option<String>,
    server: target::Handle,
    workload: WorkloadSource,
    arrivals: Shape,
    cap: Option<usize>,
    over_cap: OverCap,
    requests: Option<u64>,
    /// No prompt of a file is asked twice.
    once: bool,
    duration: Option<Duration>,
    max_errors: Option<MaxErrors>,
    warmup: Warmup,
    drain: Option<Duration>,
    pub cooldown: Duration,
    seed: u64,
    slo: Option<Slo>,
    capture: Capture,
    tags: Map,
    save_vllm: Option<Wanted>,
}

impl Draft {
    /// Reads and checks a plan. Errors stand at the option that is wrong.
    pub fn read(call: &'static str, map: Map) -> Fallible<Draft> {
        let mut opts = Opts::new(call, map);
        let mut draft = Draft {
            name: opts.take::<String>("name")?.filter(|name| !name.is_empty()),
            traffic: opts.take::<String>("traffic")?.filter(|traffic| !traffic.is_empty()),
            server: need_handle(&mut opts, "target", "target(\"http://127.0.0.1:8000\")")?,
            workload: need_handle(&mut opts, "workload", "prompts(#{ input: 512, output: 128 })")?,
            arrivals: need_handle(&mut opts, "arrivals", "poisson(4.0) or closed(16)")?,
            cap: cap(&mut opts)?,
            over_cap: opts
                .take_word("over_cap", &[("wait", OverCap::Wait), ("drop", OverCap::Drop)])?
                .unwrap_or(OverCap::Wait),
            requests: at_least_one(&mut opts, "requests")?,
            once: opts.take::<bool>("once")?.unwrap_or(false),
            duration: above_zero(&mut opts, "duration")?,
            max_errors: max_errors(&mut opts)?,
            warmup: warmup(&mut opts)?,
            drain: drain(&mut opts)?,
            cooldown: opts.take::<Duration>("cooldown")?.unwrap_or_default(),
            seed: opts.take::<u64>("seed")?.unwrap_or(0),
            slo: slo(&mut opts)?,
            capture: opts
                .take_word("capture", &[("none", Capture::None), ("all", Capture::All)])?
                .unwrap_or(Capture::None),
            tags: opts.take::<Map>("tags")?.unwrap_or_default(),
            save_vllm: save_vllm(&mut opts)?,
        };
        weigh_all(call, draft.tags.values())?;
        let text = |value| text(value, limits::TAGS_MAX, &mut Dynamic::to_string).len();
        let tags: Vec<(&str, usize)> =
            draft.tags.iter().map(|(key, value)| (key.as_str(), text(value))).collect();
        limits::names(call, draft.name.as_deref(), draft.traffic.as_deref(), tags.into_iter())
            .map_err(raise)?;
        opts.finish()?;
        if let Some(prompts) = draft.workload.prompts().filter(|_| draft.once) {
            draft.requests = Some(draft.requests.unwrap_or(u64::MAX).min(prompts as u64));
        }
        let ends = draft.requests.is_some() || draft.duration.is_some() || draft.arrivals.length().is_some();
        if !ends {
            let told =
                format!("{call}: nothing says when to stop; give `duration` (such as \"30s\") or `requests`");
            return Err(raise(Error::usage(told)));
        }
        if let (Shape::AtOnce, Warmup::Time(_)) = (&draft.arrivals, draft.warmup) {
            let told = format!(
                "{call}: at_once() has all its requests at time 0, and none after a `warmup` by time"
            );
            return Err(raise(Error::usage(told).hint("give `warmup` as a number of requests")));
        }
        draft.stays_within(call).map_err(raise)?;
        draft.fits(connections_max())?;
        Ok(draft)
    }

    /// Fails when it asks for more than any run may.
    fn stays_within(&self, call: &str) -> Result<()> {
        let warmup = match self.warmup {
            Warmup::Requests(n) => n,
            _ => 0,
        };
        limits::requests(call, Some(self.requests.unwrap_or(0).saturating_add(warmup)))?;
        limits::rate(call, &self.arrivals)
    }

    /// Requests that are made or under way at once, at most.
    fn at_once(&self) -> u64 {
        let places = [self.cap, self.arrivals.places()].into_iter().flatten().min().unwrap_or(128) as u64;
        places.min(self.requests.unwrap_or(u64::MAX)).max(1)
    }

    /// Fails when the requests in flight need more connections than there can be.
    fn fits(&self, room: usize) -> Fallible<()> {
        let places = [self.cap, self.arrivals.places()].into_iter().flatten().min();
        let requests = self.requests.map(|requests| match self.warmup {
            Warmup::Requests(more) => requests.saturating_add(more),
            Warmup::Time(_) => u64::MAX,
            Warmup::None => requests,
        });
        // Without a cap requests wait for a connection: one must be possible.
        let most = places.map_or(1, |places| requests.map_or(places as u64, |n| n.min(places as u64)));
        if most <= room as u64 {
            return Ok(());
        }
        Err(raise(no_files(most, room as u64)))
    }

    fn plan(self, experiment: &Experiment, ready: &Ready, name: String) -> Fallible<Plan> {
        let workload = self.workload.build(&ready.tokens).map_err(raise)?;
        let sends_audio = ready.target.api == Api::Audio;
        if workload.is_audio() != Some(sends_audio) {
            let told = match sends_audio {
                true => {
                    "run: the backend openai-audio sends files of sound, and the workload has other prompts"
                }
                false => "run: the workload has files of sound, which only the backend openai-audio sends",
            };
            let hint = "dataset(\"folder\", #{ format: \"audio\" }) with backend: \"openai-audio\" (--backend openai-audio --dataset-name audio --dataset-path FOLDER)";
            return Err(raise(Error::usage(told).hint(hint)));
        }
        let counts = matches!(*ready.tokens, Tokens::Real(_));
        let capture = match self.capture {
            Capture::None if counts => Capture::Count,
            capture => capture,
        };
        let traffic = self.traffic.unwrap_or_else(|| name.clone());
        Ok(Plan {
            name,
            salt: experiment.salt_of(&traffic, &ready.target),
            traffic,
            target: ready.target.clone(),
            workload,
            arrivals: self.arrivals,
            cap: self.cap,
            over_cap: self.over_cap,
            requests: self.requests,
            duration: self.duration,
            max_errors: self.max_errors,
            warmup: self.warmup,
            drain: self.drain,
            seed: experiment.switches.seed.unwrap_or(self.seed),
            slo: self.slo,
            capture,
            share: Share::WHOLE,
            tags: json::object(&self.tags),
        })
    }

    /// Runs it, whatever it takes to make its server ready included.
    pub fn run(self, state: &State, point: Map) -> Fallible<Handle> {
        let mut handle = heap::aside(|| self.measure(state, point))?;
        // What the script goes on holding of it is at its charge.
        let run = &mut handle.portion.run;
        run.summary = Arc::new((*run.summary).clone());
        Ok(handle)
    }

    fn measure(mut self, state: &State, point: Map) -> Fallible<Handle> {
        state.go_on()?;
        if !state.experiment.program.built_in {
            limits::prompts("run", &self.workload, self.at_once()).map_err(raise)?;
        }
        state.experiment.quota.check_runs("run", 1, self.requests.unwrap_or(0)).map_err(raise)?;
        let experiment = &state.experiment;
        // A built-in engine ends with its last handle, and a plan may hold the only one.
        let server = self.server.clone();
        folder::check(experiment).map_err(raise)?;
        if server.asked().api != Api::Completions && self.workload.has_token_ids() {
            let api = server.asked().api.name();
            let told = format!("run: the data set asks token ids, which {api} does not take");
            let hint = "--backend vllm (or openai), whose /v1/completions does";
            return Err(raise(Error::usage(told).hint(hint)));
        }
        let ready = server.ready(experiment, &self.workload.extras()).map_err(raise)?;
        let name = experiment.free_name(self.name.clone());
        let cooldown = self.cooldown;
        let save = self.save_vllm.take();
        let plan = self.plan(experiment, &ready, name)?;
        recorded::tell(&state.console, &plan);
        let mut measured = measure::measure(experiment, vec![(plan, &ready)]).map_err(raise)?;
        let (finished, judged) = measured.pop().expect("one plan, one result");
        state.experiment.quota.add_run(finished.summary.tally().requests);
        let result = Handle::new(finished, point);
        let saved: Result<()> = save.map_or(Ok(()), |wanted| {
            // After the first Ctrl-C it takes the time that it takes, as the rows do.
            let _measuring = state.experiment.host.measuring(state.console.words().interrupted_unsaved());
            let path = results::save(experiment, &result.portion, &wanted)?;
            // A sweep leaves one a cell: those are found in its folder.
            if state.experiment.cells.label().is_empty() {
                state.console.mention(&state.console.words().wrote(&path.display().to_string()));
            }
            Ok(())
        });
        // What was measured until Ctrl-C is kept as well, and nothing else is said in its place.
        judged.map_err(|error| {
            if let Err(lost) = &saved {
                state.console.warn(&lost.to_string());
            }
            raise(error)
        })?;
        saved.map_err(raise)?;
        if !cooldown.is_zero() {
            state.pause(cooldown)?;
        }
        Ok(result)
    }
}

fn need_handle<T: Clone + Send + Sync + 'static>(
    opts: &mut Opts,
    name: &'static str,
    example: &'static str,
) -> Fallible<T> {
    let value = opts.need_any(name, example)?;
    match value.clone().try_cast::<T>() {
        Some(handle) => Ok(handle),
        None => Err(opts.wrong(name, &format!("must be like {example}"), &value)),
    }
}

fn cap(opts: &mut Opts) -> Fallible<Option<usize>> {
    Ok(at_least_one(opts, "max_in_flight")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
}

fn at_least_one(opts: &mut Opts, name: &'static str) -> Fallible<Option<u64>> {
    match opts.take::<i64>(name)? {
        Some(n) if n < 1 => Err(opts.error(name, &format!("must be at least 1, got {n}"))),
        n => Ok(n.map(i64::unsigned_abs)),
    }
}

fn above_zero(opts: &mut Opts, name: &'static str) -> Fallible<Option<Duration>> {
    match opts.take::<Duration>(name)? {
        Some(time) if time.is_zero() => Err(opts.error(name, "must be above 0")),
        time => Ok(time),
    }
}

/// What a flag that was not given looks like.
fn is_empty_text(value: &Dynamic) -> bool {
    value.clone().into_string().is_ok_and(|text| text.trim().is_empty())
}

/// A time; nothing, or "", is no limit.
fn drain(opts: &mut Opts) -> Fallible<Option<Duration>> {
    let Some(value) = opts.take_any("drain").filter(|value| !is_empty_text(value)) else { return Ok(None) };
    match <Duration as OptionValue>::of(&value) {
        Some(time) => Ok(Some(time)),
        None => Err(opts.wrong("drain", &format!("must be {}", <Duration as OptionValue>::WANTED), &value)),
    }
}

/// `50`, or `"5%"` of the finished requests.
fn max_errors(opts: &mut Opts) -> Fallible<Option<MaxErrors>> {
    let given = opts.take_any("max_errors").filter(|value| !is_empty_text(value));
    let Some(value) = given else { return Ok(None) };
    // A flag brings a number as text.
    let value = match value.clone().into_string().ok().and_then(|text| text.trim().parse::<i64>().ok()) {
        Some(n) => Dynamic::from(n),
        None => value,
    };
    let share = value.clone().into_string().ok();
    let share = share.as_deref().and_then(|text| text.trim().strip_suffix('%')?.trim().parse::<f64>().ok());
    match (value.as_int(), share) {
        (Ok(n), _) if n >= 0 => Ok(Some(MaxErrors::Count(n.unsigned_abs()))),
        (_, Some(share)) if (0.0..=100.0).contains(&share) => Ok(Some(MaxErrors::Share(share / 100.0))),
        _ => Err(opts.wrong("max_errors", "must be a number of requests or a share such as \"5%\"", &value)),
    }
}

/// A number of requests (5), or a time ("10s"); text without a unit is a number of requests.
fn warmup(opts: &mut Opts) -> Fallible<Warmup> {
    let Some(value) = opts.take_any("warmup") else { return Ok(Warmup::None) };
    let text = value.clone().into_string().ok();
    let count = number(&value).or_else(|| text.as_deref()?.trim().parse().ok());
    match (count, text.as_deref().and_then(duration::parse)) {
        (Some(0.0), _) => Ok(Warmup::None),
        (Some(n), _) if n > 0.0 && n < 9e15 && n.fract() == 0.0 => Ok(Warmup::Requests(n as u64)),
        (None, Some(time)) if time.is_zero() => Ok(Warmup::None),
        (None, Some(time)) => Ok(Warmup::Time(time)),
        _ => Err(opts.wrong("warmup", "must be a number of requests or a time such as \"10s\"", &value)),
    }
}

/// How the result is written as vLLM's JSON; nothing: it is not.
fn save_vllm(opts: &mut Opts) -> Fallible<Option<Wanted>> {
    let Some(options) = opts.take::<Map>("save_vllm")? else { return Ok(None) };
    let mut inner = Opts::new("save_vllm", options);
    let wanted = vllm::wanted(&mut inner)?;
    inner.finish()?;
    Ok(Some(wanted))
}

fn slo(opts: &mut Opts) -> Fallible<Option<Slo>> {
    let Some(value) = opts.take_any("slo") else { return Ok(None) };
    if let Some(slo) = value.clone().try_cast::<Slo>() {
        return Ok(Some(slo));
    }
    match value.clone().try_cast::<Map>() {
        Some(map) => super::slo::read(&map).map(Some),
        None => Err(opts.wrong("slo", "must be like slo(#{ ttft: \"400ms\" })", &value)),
    }
}

/// Binds every function of a plan, so that a library can return it.
fn bound(context: &NativeCallContext, mut map: Map) -> Map {
    for value in map.values_mut() {
        if let Some(function) = value.clone().try_cast::<FnPtr>() {
            *value = bind(context, &function).into_value();
        }
    }
    map
}

#[export_module]
mod functions {
    /// Runs a plan and waits for its end. `target`, `workload` and `arrivals` are needed, and
    /// `duration` or `requests` (both count measured traffic; warm-up comes on top). Further:
    /// `name`, `traffic` (runs of the same traffic and seed ask for the same lengths at the same
    /// planned times; by default the run's name), `once` (no prompt of a file is asked twice),
    /// `warmup` (requests or a time), `max_in_flight`, `over_cap` (`"wait"`, `"drop"`),
    /// `max_errors`, `drain`, `cooldown`, `slo`, `seed`, `capture` (`"all"` keeps the text of
    /// replies), `tags`, `save_vllm` (options as of `save_vllm`: the result is written as soon as
    /// the run has ended, also when Ctrl-C ended it).
    #[rhai_fn(name = "run", volatile, return_raw)]
    pub fn run(context: NativeCallContext, plan: Map) -> Fallible<Handle> {
        let state = State::of(&context);
        Draft::read("run", plan)?.run(&state, Map::new())
    }

    /// The same plan, checked now, its functions bound: what a library returns.
    #[rhai_fn(name = "plan", volatile, return_raw)]
    pub fn plan(context: NativeCallContext, plan: Map) -> Fallible<Dynamic> {
        Draft::read("plan", plan.clone())?;
        Ok(bound(&context, plan).into())
    }
}
