//! `run(plan)`: one measured run.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Dynamic, Engine, FnPtr, Map, NativeCallContext};

use super::outgoing::RequestFunction;
use super::request::ResponseFunction;
use super::result::ResultHandle;
use super::so_far::StopFunction;
use super::target;
use crate::client::protocol::Api;
use crate::error::{Error, Result};
use crate::experiment::kept_run;
use crate::experiment::limits;
use crate::experiment::recorded;
use crate::experiment::server::Ready;
use crate::experiment::source::WorkloadSource;
use crate::experiment::vllm::{self as results, VllmOptions};
use crate::experiment::{Experiment, dry, folder, measure};
use crate::os::heap;
use crate::run::hooks::Hooked;
use crate::run::plan::{Capture, MaxErrors, OverCap, PREPARERS, Warmup};
use crate::run::room::{connections_max, no_files};
use crate::run::{Hooks, Plan};
use crate::schedule::{Shape, Share};
use crate::script::fault::{Fallible, raise};
use crate::script::function::bind;
use crate::script::hook::Hook;
use crate::script::json;
use crate::script::options::run::{self as plan, CAPTURE, OVER_CAP, RUN};
use crate::script::opts::Opts;
use crate::script::state::State;
use crate::script::text::text;
use crate::script::vllm;
use crate::script::weight::weigh_all;
use crate::stats::Slo;
use crate::store::Folder;
use crate::tokens::Tokens;
use serde_json::{Value, json};

/// Of `runs.parquet`, with its numbers.
type Row = serde_json::Map<String, Value>;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// A plan whose server has not been asked anything yet.
pub struct Draft {
    name: Option<String>,
    /// What it measures; the run's name where nothing else is said.
    pub cell: Option<String>,
    traffic: Option<String>,
    server: target::TargetHandle,
    workload: WorkloadSource,
    arrivals: Shape,
    cap: Option<usize>,
    over_cap: OverCap,
    requests: Option<u64>,
    sessions: Option<u64>,
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
    hooks: Hooks,
    save_vllm: Option<VllmOptions>,
}

impl Draft {
    /// Reads and checks a plan. Errors stand at the option that is wrong.
    pub fn read(context: &NativeCallContext, call: &'static str, map: Map) -> Fallible<Draft> {
        let mut opts = Opts::of_call(call, &RUN, map);
        let mut draft = Draft {
            name: opts.take::<String>("name")?.filter(|name| !name.is_empty()),
            cell: opts.take::<String>("cell")?.filter(|cell| !cell.is_empty()),
            traffic: opts.take::<String>("traffic")?.filter(|traffic| !traffic.is_empty()),
            server: opts.need_made("target")?,
            workload: opts.need_made("workload")?,
            arrivals: opts.need_made("arrivals")?,
            cap: opts.take::<u64>("max_in_flight")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            over_cap: opts.take_word("over_cap", &OVER_CAP)?.unwrap_or(OverCap::Wait),
            requests: opts.take::<u64>("requests")?,
            sessions: opts.take::<u64>("sessions")?,
            once: opts.get("once")?,
            duration: opts.take::<Duration>("duration")?,
            max_errors: opts.take_judged("max_errors")?.and_then(|value| plan::max_errors(&value)?),
            warmup: opts
                .take_judged("warmup")?
                .and_then(|value| plan::warmup(&value))
                .unwrap_or(Warmup::None),
            drain: opts.take_judged("drain")?.and_then(|value| plan::drain(&value)?),
            cooldown: opts.take::<Duration>("cooldown")?.unwrap_or_default(),
            seed: opts.get("seed")?,
            slo: super::slo::taken(&mut opts)?,
            capture: opts.take_word("capture", &CAPTURE)?.unwrap_or(Capture::None),
            tags: opts.take::<Map>("tags")?.unwrap_or_default(),
            hooks: hooks(&mut opts, context)?,
            save_vllm: save_vllm(&mut opts)?,
        };
        weigh_all(call, draft.tags.values())?;
        let text = |value| text(value, limits::TAGS_MAX, &mut Dynamic::to_string).len();
        let tags: Vec<(&str, usize)> =
            draft.tags.iter().map(|(key, value)| (key.as_str(), text(value))).collect();
        let names = [("`name`", &draft.name), ("`cell`", &draft.cell), ("`traffic`", &draft.traffic)];
        limits::names(call, &names.map(|(what, text)| (what, text.as_deref())), tags.into_iter())
            .map_err(raise)?;
        opts.finish()?;
        if let Some(prompts) = draft.workload.prompts().filter(|_| draft.once) {
            draft.requests = Some(draft.requests.unwrap_or(u64::MAX).min(prompts as u64));
        }
        if draft.sessions.is_some() && !draft.workload.converses() {
            let told =
                format!("{call}: `sessions` counts conversations, and the workload has single requests");
            return Err(raise(Error::usage(told).hint("give `requests`, or chat(#{ ... }) as the workload")));
        }
        let counted = draft.requests.or(draft.sessions).is_some();
        let ends = counted || draft.duration.is_some() || draft.arrivals.length().is_some();
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

    /// The name that was asked for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What defines its load, in full, without secrets.
    pub fn definition(&self, experiment: &Experiment) -> serde_json::Map<String, Value> {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let costs = self.hooks.costs();
        let hooks = costs.iter().map(|cost| (cost.name.to_string(), json!(&*cost.sha256)));
        let Value::Object(definition) = json!({
            "traffic": self.traffic,
            "target": self.server.definition(),
            "workload": self.workload.definition(),
            "arrivals": self.arrivals.to_string(),
            "max_in_flight": self.cap,
            "over_cap": format!("{:?}", self.over_cap).to_lowercase(),
            "requests": self.requests,
            "sessions": self.sessions,
            "once": self.once,
            "duration_s": seconds(self.duration),
            "max_errors": self.max_errors.map(|most| format!("{most:?}").to_lowercase()),
            "warmup": format!("{:?}", self.warmup).to_lowercase(),
            "drain_s": seconds(self.drain),
            "cooldown_s": self.cooldown.as_secs_f64(),
            "seed": experiment.switches.seed.unwrap_or(self.seed),
            "same_bytes": experiment.switches.same_bytes,
            "slo": self.slo.as_ref().map(Slo::to_json),
            "capture": format!("{:?}", self.capture).to_lowercase(),
            "hooks": hooks.collect::<serde_json::Map<_, _>>(),
            "tags": json::object(&self.tags),
        }) else {
            unreachable!("a JSON object literal is an object")
        };
        experiment.secrets.scrub_map(definition)
    }

    /// The file of its own that its result gets in the results folder.
    pub fn own_file(&self, run: &str) -> Option<String> {
        self.save_vllm.as_ref().and_then(|wanted| wanted.file_in_folder(run))
    }

    /// The run of it that an earlier invocation measured; nothing is sent.
    pub fn recall(
        self,
        state: &State,
        point: Map,
        (folder, row): (Arc<Folder>, &Row),
    ) -> Fallible<ResultHandle> {
        heap::aside(|| self.kept(state, point, (folder, row)))
    }

    fn kept(
        mut self,
        state: &State,
        point: Map,
        (folder, row): (Arc<Folder>, &Row),
    ) -> Fallible<ResultHandle> {
        let experiment = &state.experiment;
        let name = experiment.free_name(self.name.clone());
        let model = row.get("model").and_then(Value::as_str).unwrap_or_default();
        let ready = self.server.of_model(model);
        let save = self.save_vllm.take();
        let plan = self.plan(experiment, &ready, name.clone())?;
        let (finished, warnings) = kept_run::kept(plan, folder.clone(), row).map_err(raise)?;
        warnings.iter().for_each(|warning| state.console.warn(warning));
        let result = ResultHandle::new(finished, point);
        // It may have been killed between its last row and this file.
        if let Some(wanted) = save
            && let Some(file) = wanted.file_in_folder(&name)
            && !folder.path().join(file).exists()
        {
            results::save(experiment, &result.portion, &wanted).map_err(raise)?;
        }
        Ok(result)
    }

    fn plan(self, experiment: &Experiment, ready: &Ready, name: String) -> Fallible<Plan> {
        let definition = self.definition(experiment);
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
        let preparers = if workload.hook_costs().is_empty() && self.hooks.before_request.is_none() {
            PREPARERS
        } else {
            threads_for_hooks()
        };
        let counts = matches!(*ready.tokens, Tokens::Real(_));
        let capture = match self.capture {
            Capture::None if counts || self.hooks.read_text() => Capture::Count,
            capture => capture,
        };
        let traffic = self.traffic.unwrap_or_else(|| name.clone());
        let mut tags = json::object(&self.tags);
        if experiment.switches.dry {
            tags.insert("simulated".into(), true.into());
        }
        Ok(Plan {
            salt: experiment.salt_of(&name, &traffic, &ready.target),
            cell: self.cell.unwrap_or_else(|| name.clone()),
            name,
            traffic,
            target: ready.target.clone(),
            workload,
            arrivals: self.arrivals,
            cap: self.cap,
            over_cap: self.over_cap,
            requests: self.requests,
            sessions: self.sessions,
            duration: self.duration,
            max_errors: self.max_errors,
            warmup: self.warmup,
            drain: self.drain,
            seed: experiment.switches.seed.unwrap_or(self.seed),
            slo: self.slo,
            capture,
            share: Share::WHOLE,
            preparers,
            hooks: self.hooks.anew(),
            tags,
            definition,
        })
    }

    /// Runs it, whatever it takes to make its server ready included.
    pub fn run(self, state: &State, point: Map) -> Fallible<ResultHandle> {
        let mut handle = heap::aside(|| self.measure(state, point))?;
        // What the script goes on holding of it is at its charge.
        let run = &mut handle.portion.run;
        run.summary = Arc::new((*run.summary).clone());
        Ok(handle)
    }

    fn measure(mut self, state: &State, point: Map) -> Fallible<ResultHandle> {
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
        let measure = if experiment.switches.dry { dry::play } else { measure::measure };
        let mut measured = measure(experiment, vec![(plan, &ready)]).map_err(raise)?;
        let (finished, judged) = measured.pop().expect("one plan, one result");
        state.experiment.quota.add_run(finished.summary.tally().requests);
        let result = ResultHandle::new(finished, point);
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

/// The hooks of a plan, each rehearsed.
fn hooks(opts: &mut Opts, context: &NativeCallContext) -> Fallible<Hooks> {
    let state = State::of(context);
    let mut hook = |name| {
        let function = opts.take_fn(name, context)?;
        Fallible::Ok(function.map(|function| Hook::new(name, function, state.clone())))
    };
    let (before_request, on_response, stop_when) =
        (hook("before_request")?, hook("on_response")?, hook("stop_when")?);
    let mut hooks = Hooks::default();
    if let Some(hook) = before_request {
        let (cost, function) = (hook.cost(), RequestFunction(hook));
        function.rehearse().map_err(raise)?;
        hooks.before_request = Some(Hooked::new(Arc::new(function), cost));
    }
    if let Some(hook) = on_response {
        let (cost, reads_text) = (hook.cost(), hook.reads("text"));
        let function = ResponseFunction { hook, reads_text };
        function.rehearse().map_err(raise)?;
        hooks.on_response = Some(Hooked::new(Arc::new(function), cost));
    }
    if let Some(hook) = stop_when {
        let (cost, function) = (hook.cost(), StopFunction(hook));
        function.rehearse().map_err(raise)?;
        hooks.stop_when = Some(Hooked::new(Arc::new(function), cost));
    }
    Ok(hooks)
}

/// Threads that make requests where functions of the script take part: some, and never many of those that
/// the machine has. What they make does not depend on it.
fn threads_for_hooks() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (usize::from(cores) / 4).clamp(PREPARERS, 8))
}

/// How the result is written as vLLM's JSON; nothing: it is not.
fn save_vllm(opts: &mut Opts) -> Fallible<Option<VllmOptions>> {
    let Some(mut inner) = opts.take_map("save_vllm")? else { return Ok(None) };
    let wanted = vllm::wanted(&mut inner)?;
    inner.finish()?;
    Ok(Some(wanted))
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
    /// Runs a plan and waits for its end. `duration` or `requests` says when it ends, or arrivals
    /// that have an end of their own.
    #[rhai_fn(name = "run", volatile, return_raw)]
    pub fn run(context: NativeCallContext, plan: Map) -> Fallible<ResultHandle> {
        let state = State::of(&context);
        Draft::read(&context, "run", plan)?.run(&state, Map::new())
    }

    /// The same plan, checked now, its functions bound: what a library returns.
    #[rhai_fn(name = "plan", volatile, return_raw)]
    pub fn plan(context: NativeCallContext, plan: Map) -> Fallible<Dynamic> {
        Draft::read(&context, "plan", plan.clone())?;
        Ok(bound(&context, plan).into())
    }
}
