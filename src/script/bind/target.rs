//! Targets: which server is loaded, and how it is talked to.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use crate::client::Target;
use crate::client::caps::Caps;
use crate::client::control::{Patience, ServerControl};
use crate::client::head;
use crate::client::target::{Connections, Exact, HeaderValue, HiddenValue, Timeouts, usually_secret};
use crate::error::{Error, Result};
use crate::experiment::child::Child;
use crate::experiment::limits;
use crate::experiment::secret::Secret;
use crate::experiment::server::{TargetOptions, TargetServer};
use crate::os::listener::Listener;
use crate::script::fault::{Fallible, a, raise, raise_at};
use crate::script::json;
use crate::script::options::target::{self as options, ENGINE, TARGET, setting};
use crate::script::opts::{Opts, need};
use crate::script::state::State;
use crate::script::vocabulary::friendly;

/// A target as scripts hold it.
pub type TargetHandle = Arc<TargetServer>;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<TargetHandle>("target");
    engine.register_global_module(exported_module!(functions).into());
}

/// Where the built-in engine would be that a dry run does not start.
const SIMULATED: &str = "http://simulated:1";

/// The server behind `url`, or the built-in engine that `builtin:...` starts.
fn start(context: &NativeCallContext, url: &str, options: Map) -> Fallible<TargetHandle> {
    let state = State::of(context);
    let mut opts = Opts::of(&TARGET, options);
    let dry = state.experiment.switches.dry;
    let builtin = url.strip_prefix("builtin:").or((url == "builtin").then_some(""));
    let config = builtin
        .map(crate::engine::parse)
        .transpose()
        .map_err(|what| raise(Error::usage(format!("target: {what}"))))?;
    let engine = match builtin.filter(|_| !dry) {
        Some(config) => Some(Child::start(config).map_err(|error| raise(error.context("target")))?),
        None => None,
    };
    let simulated = dry.then(|| config.unwrap_or_default());
    let url = match (builtin, &engine) {
        (Some(_), None) => SIMULATED,
        (_, engine) => engine.as_ref().map_or(url, |engine| &engine.url),
    };
    let base = Target::base_url(url)
        .map_err(|what| raise_at("base_url", Error::usage(format!("target: {what}"))))?;
    if engine.is_none() && !dry {
        let host = base.host_str().unwrap_or_default();
        state.experiment.access.may_reach(host, base.port_or_known_default().unwrap_or(80)).map_err(raise)?;
    }
    let (target, wishes) = read_target(&state, &mut opts, base)?;
    opts.finish()?;
    Ok(Arc::new(TargetServer::new(TargetOptions { target, engine, simulated, ..wishes })))
}

fn read_target(state: &State, opts: &mut Opts, base: url::Url) -> Fallible<(Target, TargetOptions)> {
    let backend = opts.take::<String>("backend")?;
    let api = opts.take::<String>("api")?;
    let name = backend.or(api).unwrap_or_else(|| "openai".into());
    let backend = Target::backend(&name)
        .map_err(|what| raise_at("backend", Error::usage(format!("target: {what}"))))?;
    let endpoint = opts.take::<String>("endpoint")?.filter(|endpoint| !endpoint.is_empty());
    let api = endpoint.as_deref().map_or(backend.api, |endpoint| backend.api_at(endpoint));
    let mut target = Target::new(base, api);
    if let Some(endpoint) = endpoint {
        target.endpoint = format!("/{}", endpoint.trim_start_matches('/'));
    }
    target.stream = opts.get::<bool>("stream")? && backend.stream;
    // Random prompts want replies of the asked length; a server that refuses is asked less.
    let exact = opts.get("exact")?;
    target.exact_length = exact;
    target.exact = if exact { backend.exact } else { Exact::No };
    if let Some(name) = opts.take::<String>("name")? {
        limits::fits("target", "`name`", &name).map_err(raise)?;
        target.name = name;
    }
    target.connections = opts.take_word("connections", &Connections::NAMES)?.unwrap_or_default();
    let temperature = opts.take::<f64>("temperature")?;
    target.temperature = temperature.or(target.temperature);
    read_identity(state, opts, &mut target)?;
    read_server(state, opts, &mut target)?;
    target.timeouts = read_timeouts(opts)?;
    target.caps = read_caps(opts)?;
    let wanted = TargetOptions {
        target: target.clone(),
        model: opts.get("model")?,
        tokenizer: opts.take::<String>("tokenizer")?.unwrap_or_default(),
        ready_timeout: opts.get("ready_timeout")?,
        preflight: opts.get("preflight")?,
        temperature_given: temperature.is_some(),
        engine: None,
        simulated: None,
    };
    Ok((target, wanted))
}

/// Keys, headers, TLS, and fields of the body.
fn read_identity(state: &State, opts: &mut Opts, target: &mut Target) -> Fallible<()> {
    if let Some(secret) = opts.take_made::<Secret>("api_key")? {
        target.api_key = Some(HiddenValue::new(secret.expose()));
    }
    for (name, value) in opts.take::<Map>("headers")?.unwrap_or_default() {
        // Before anybody is asked for anything: these go with every call.
        if head::is_ours(&name) {
            let told = format!("must not hold {name:?}, which is about the connection and ours to handle");
            return Err(opts.error("headers", &told));
        }
        let plain = value.is_string() || value.is_int() || value.is_float() || value.is_bool();
        let value = match value.clone().try_cast::<Secret>() {
            Some(secret) => HeaderValue::Secret(HiddenValue::new(secret.expose())),
            // Typed in the open, but nobody wants to find it in the results.
            None if plain && usually_secret(&name) => {
                let value = value.to_string();
                state.experiment.secrets.learn(&format!("header {name}"), &value);
                HeaderValue::Secret(HiddenValue::new(&value))
            }
            None if plain => HeaderValue::Text(value.to_string()),
            None => {
                let must = format!("must hold text or secrets, and `{name}`");
                return Err(opts.error("headers", &format!("{must} is {}", a(&friendly(value.type_name())))));
            }
        };
        target.headers.push((name.to_string(), value));
    }
    if let Some(map) = opts.take::<Map>("extra_body")? {
        target.extra_body = json::faithful(&map).map_err(|what| opts.error("extra_body", &what))?;
    }
    target.scrubber = state.experiment.secrets.scrubber();
    target.insecure = opts.get("insecure")?;
    if let Some(path) = opts.take::<String>("ca_cert")?.filter(|path| !path.is_empty()) {
        target.ca_cert =
            Some(state.experiment.access.may_read(&path).map_err(|error| raise_at("ca_cert", error))?);
    }
    Ok(())
}

/// What belongs to the server beside its address: pages of metrics, programs of this machine.
fn read_server(state: &State, opts: &mut Opts, target: &mut Target) -> Fallible<()> {
    let pages = opts.take_judged("metrics_url")?.map(|value| options::metrics_urls(&value));
    for page in pages.unwrap_or(Ok(Vec::new())).map_err(|what| opts.error("metrics_url", &what))? {
        let (host, port) = (page.url.host_str().unwrap_or_default(), page.url.port_or_known_default());
        state.experiment.access.may_reach(host, port.unwrap_or(80)).map_err(raise)?;
        target.metrics_urls.push(page);
    }
    let processes = opts.take_judged("server_process")?.map(|value| options::texts(&value));
    target.server_processes =
        processes.unwrap_or(Ok(Vec::new())).map_err(|what| opts.error("server_process", &what))?;
    for name in target.server_processes.iter().filter(|name| !Listener::is_here(name)) {
        state
            .console
            .warn(&format!("server_process: no program of this machine is {name:?} by name, number or port"));
    }
    Ok(())
}

fn read_timeouts(opts: &mut Opts) -> Fallible<Timeouts> {
    Ok(Timeouts {
        connect: opts.get("connect_timeout")?,
        first_token: opts.get("first_token_timeout")?,
        idle: opts.get("idle_timeout")?,
        total: opts.get("timeout")?,
        reconnect: opts.get("reconnect_for")?,
    })
}

fn read_caps(opts: &mut Opts) -> Fallible<Caps> {
    let mut cap = |name| opts.get::<u64>(name).map(|cap| u32::try_from(cap).unwrap_or(u32::MAX));
    Ok(Caps { events: cap("max_reply_events")?, mib: cap("max_reply_mib")? })
}

/// A control call of a target, on the script's own thread.
fn ask<T>(
    context: &NativeCallContext,
    server: &TargetHandle,
    call: impl AsyncFnOnce(&ServerControl) -> Result<T>,
) -> Fallible<T> {
    let state = State::of(context);
    let experiment = &state.experiment;
    let control = ServerControl::new(server.asked()).map_err(raise)?;
    let (stop, tell) = (|| state.experiment.host.stop_requested(), |_: Option<u64>, _: &str| {});
    let patience = Patience::new(Duration::ZERO, &stop, &tell);
    experiment
        .runtime()
        .map_err(raise)?
        .block_on(patience.over(call(&control)))
        .and_then(|answer| answer)
        .map_err(raise)
}

#[export_module]
mod functions {
    /// A server to send load to: `target("http://127.0.0.1:8000")`, with or without `/v1`; or
    /// `target("builtin:ttft=50ms,itl=10ms")` for the built-in engine, which lives as long as
    /// the script. No traffic yet.
    #[rhai_fn(name = "target", volatile, return_raw)]
    pub fn target(context: NativeCallContext, url: &str) -> Fallible<TargetHandle> {
        start(&context, url, Map::new())
    }

    /// As above, with options.
    #[rhai_fn(name = "target", volatile, return_raw)]
    pub fn target_with(context: NativeCallContext, url: &str, options: Map) -> Fallible<TargetHandle> {
        start(&context, url, options)
    }

    /// The built-in engine as a target: `engine(#{ ttft: "50ms", itl: "10ms", slots: 32 })`.
    #[rhai_fn(name = "engine", volatile, return_raw)]
    pub fn engine(context: NativeCallContext, options: Map) -> Fallible<TargetHandle> {
        for (key, value) in &options {
            ENGINE.judge_rest(key, Some(value)).map_err(|told| raise_at(key, Error::usage(told)))?;
        }
        let parts: Vec<String> = options.iter().map(|(key, value)| setting(key, value)).collect();
        start(&context, &format!("builtin:{}", parts.join(",")), Map::new())
    }

    /// Waits until the server answers; false when it does not within `limit`.
    #[rhai_fn(volatile, return_raw)]
    pub fn ready(context: NativeCallContext, server: &mut TargetHandle, limit: Dynamic) -> Fallible<bool> {
        let limit = need::<Duration>("ready", "the limit", &limit)?;
        let state = State::of(&context);
        let experiment = &state.experiment;
        match server.wait(experiment, limit) {
            Ok(()) => Ok(true),
            Err(error) if error.kind == crate::error::ErrorKind::NotReady => Ok(false),
            Err(error) => Err(raise(error)),
        }
    }

    /// The names of the models that the server lists.
    #[rhai_fn(volatile, return_raw)]
    pub fn models(context: NativeCallContext, server: &mut TargetHandle) -> Fallible<Array> {
        if server.simulated().is_some() {
            let state = State::of(&context);
            let ready = server.ready(&state.experiment, &[]).map_err(raise)?;
            return Ok(vec![ready.target.model.clone().into()]);
        }
        let names = ask(&context, server, async |control| control.models().await)?;
        let secrets = &State::of(&context).experiment.secrets;
        Ok(names.iter().map(|name| secrets.scrub(name).into_owned().into()).collect())
    }

    /// The value of one of the server's own metrics, such as `"vllm:num_requests_waiting"`; 0 in a dry run.
    #[rhai_fn(volatile, return_raw)]
    pub fn scrape(context: NativeCallContext, server: &mut TargetHandle, name: &str) -> Fallible<f64> {
        if server.simulated().is_some() {
            return Ok(0.0);
        }
        ask(&context, server, async |control| control.scrape(name).await)
    }

    /// A POST without a body, such as `t.post("/start_profile")`.
    #[rhai_fn(volatile, return_raw)]
    pub fn post(context: NativeCallContext, server: &mut TargetHandle, path: &str) -> Fallible<()> {
        if server.simulated().is_some() {
            return Ok(());
        }
        ask(&context, server, async |control| control.post(path).await)
    }

    /// The target's name in reports.
    #[rhai_fn(get = "name", pure)]
    pub fn name(server: &mut TargetHandle) -> ImmutableString {
        server.asked().name.as_str().into()
    }

    /// The base URL.
    #[rhai_fn(get = "url", pure)]
    pub fn url(server: &mut TargetHandle) -> ImmutableString {
        server.asked().base.as_str().into()
    }

    /// The model's name; this asks the server when it was `"auto"`.
    #[rhai_fn(name = "model", volatile, return_raw)]
    pub fn model(context: NativeCallContext, server: &mut TargetHandle) -> Fallible<ImmutableString> {
        let state = State::of(&context);
        let experiment = &state.experiment;
        let ready = server.ready(experiment, &[]).map_err(raise)?;
        Ok((&*state.experiment.secrets.scrub(&ready.target.model)).into())
    }

    /// The target's name, for printing.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(server: &mut TargetHandle) -> ImmutableString {
        format!("target {}", server.asked().name).into()
    }
}
