//! `request(target, options)`: one request outside any run.

use std::pin::pin;
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::{metric, target};
use crate::client::OutgoingRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::os;
use crate::record::{EventKind, Key, Outcome, Prompt, Record, Request, Verbatim};
use crate::run::hooks::OnResponse;
use crate::script::fault::{Fallible, raise};
use crate::script::hook::Hook;
use crate::script::json;
use crate::script::options::request::REQUEST;
use crate::script::opts::Opts;
use crate::script::state::State;
use crate::simulate::alone;
use crate::stats::own::OwnValue;

/// The finished record of one request.
pub type RequestHandle = Arc<Record>;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
    register_response(engine);
}

/// What is known of a request that has ended: also what `on_response` can ask.
pub fn register_response(engine: &mut Engine) {
    engine.register_type_with_name::<RequestHandle>("response");
    engine.register_global_module(exported_module!(response).into());
}

/// `on_response` of a script.
pub struct ResponseFunction {
    pub hook: Hook,
    /// It looks at the text of replies.
    pub reads_text: bool,
}

impl ResponseFunction {
    /// Calls it once with a made-up reply.
    pub fn rehearse(&self) -> Result<()> {
        let asked = Map::from([("prompt".into(), "so".into())]);
        let request = read(asked).map_err(|error| self.hook.wrong(error))?;
        let mut order = OutgoingRequest::alone(request, "rehearsal".into(), Default::default(), true);
        (order.planned, order.admitted) = (0, 0);
        let mut record = order.record(true);
        record.timeline.sent = Some(0);
        for ms in [20, 30, 40] {
            record.timeline.events.push(ms * 1_000, EventKind::CONTENT, 1, 2);
        }
        record.timeline.end = 40_000_000;
        record.outcome = Outcome::Success;
        (record.status, record.finish) = (Some(200), Some("stop".into()));
        (record.usage.input, record.usage.output) = (Some(1), Some(3));
        record.text = Some("so so so".into());
        self.hear(Arc::from(record)).map(drop)
    }
}

impl OnResponse for ResponseFunction {
    fn reads_text(&self) -> bool {
        self.reads_text
    }

    fn hear(&self, response: Arc<Record>) -> Result<Vec<OwnValue>> {
        let (answer, values) = metric::gather(|| self.hook.call([Dynamic::from(response)]));
        answer.map(|_| values)
    }
}

/// Messages with all their keys.
fn messages(opts: &Opts, list: Array) -> Fallible<Prompt> {
    let must = "must be a list of #{ role: \"user\", content: \"...\" }";
    let mut read = Vec::new();
    for message in list {
        let map = message.try_cast::<Map>().ok_or_else(|| opts.error("messages", must))?;
        if map.get("role").is_none_or(|role| !role.is_string()) {
            return Err(opts.error("messages", must));
        }
        read.push(json::faithful(&map).map_err(|what| opts.error("messages", &what))?);
    }
    if read.is_empty() {
        return Err(opts.error("messages", must));
    }
    let text = serde_json::to_string(&read).expect("maps of JSON values are JSON");
    Ok(Prompt::Verbatim(Verbatim::new(Key::Messages, text).into()))
}

fn read(options: Map) -> Fallible<Request> {
    let mut opts = Opts::of(&REQUEST, options);
    let prompt = opts.take::<String>("prompt")?;
    let chat = opts.take::<Array>("messages")?;
    let max_tokens: u64 = opts.get("max_tokens")?;
    let sampling = opts.take::<Map>("sampling")?.unwrap_or_default();
    let prompt = match (prompt, chat) {
        (Some(text), None) => Prompt::Text(text),
        (None, Some(list)) => messages(&opts, list)?,
        (Some(_), Some(_)) => return Err(opts.error("messages", "and `prompt` exclude each other")),
        (None, None) => return Err(raise(Error::usage("request: give `prompt` or `messages`"))),
    };
    opts.finish()?;
    Ok(Request {
        seq: 0,
        session: 0,
        turn: 0,
        class: "".into(),
        prompt,
        asked_input: None,
        counted_input: None,
        max_tokens: u32::try_from(max_tokens).unwrap_or(u32::MAX),
        synthetic: false,
        forced_length: false,
        extra: (!sampling.is_empty()).then(|| Arc::new(json::object(&sampling))),
        headers: Vec::new(),
        leave: None,
    })
}

#[export_module]
mod functions {
    /// Sends one request now, outside any run, with the same timing: for probes and checks.
    /// A failed request is a result, too: look at `.error`.
    #[rhai_fn(name = "request", volatile, return_raw)]
    pub fn request(
        context: NativeCallContext,
        server: target::TargetHandle,
        options: Map,
    ) -> Fallible<RequestHandle> {
        let state = State::of(&context);
        let request = read(options)?;
        let experiment = &state.experiment;
        let ready = server.ready(experiment, std::slice::from_ref(&request.extra)).map_err(raise)?;
        if let Some(config) = &ready.simulated {
            let record = alone(&ready.target, request, config).map_err(raise)?;
            return Ok(Arc::from(record));
        }
        let client = experiment.client(&ready.target).map_err(raise)?;
        state.experiment.load_begins();
        let id = format!("request-{:016x}", os::wall());
        let bytes = client.encode(&request, &id);
        let host = state.experiment.host.clone();
        let record = experiment.runtime().map_err(raise)?.block_on(async {
            client.open_ahead(1).await;
            client.send(OutgoingRequest::alone(request, id, bytes, true), pin!(stopped(host))).await.open()
        });
        if state.experiment.host.stop_requested() {
            return Err(raise(Error::new(ErrorKind::Interrupted, "interrupted during a request")));
        }
        let mut record = record;
        let sent = record.timeline.sent.unwrap_or(record.timeline.planned);
        record.timeline.rebase(sent);
        if record.told_output().is_none() {
            record.counted_output = record.text.as_deref().and_then(|text| ready.tokens.count(text));
        }
        Ok(Arc::from(record))
    }
}

#[export_module]
mod response {
    /// The reply's text.
    #[rhai_fn(get = "text", pure)]
    pub fn text(response: &mut RequestHandle) -> ImmutableString {
        response.text.as_deref().unwrap_or_default().into()
    }

    /// Whether it succeeded.
    #[rhai_fn(get = "ok", pure)]
    pub fn ok(response: &mut RequestHandle) -> bool {
        response.success()
    }

    /// What went wrong, `()` when nothing did.
    #[rhai_fn(get = "error", pure)]
    pub fn error(response: &mut RequestHandle) -> Dynamic {
        match &response.error {
            Some(words) => words.as_str().into(),
            None if response.success() => Dynamic::UNIT,
            None => response.outcome.name().into(),
        }
    }

    /// The HTTP status; `()` when none came.
    #[rhai_fn(get = "status", pure)]
    pub fn status(response: &mut RequestHandle) -> Dynamic {
        response.status.map_or(Dynamic::UNIT, |status| i64::from(status).into())
    }

    /// Time to first token in ms; `()` when there was none.
    #[rhai_fn(get = "ttft", pure)]
    pub fn ttft(response: &mut RequestHandle) -> Dynamic {
        response.ttft_ms().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// End-to-end latency in ms; `()` when it failed.
    #[rhai_fn(get = "e2el", pure)]
    pub fn e2el(response: &mut RequestHandle) -> Dynamic {
        response.e2el_ms().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// Time per output token in ms; `()` below two tokens.
    #[rhai_fn(get = "tpot", pure)]
    pub fn tpot(response: &mut RequestHandle) -> Dynamic {
        response.tpot_ms().map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// The number of its request in the run, from 0; of a later turn, that of its conversation.
    #[rhai_fn(get = "index", pure)]
    pub fn index(response: &mut RequestHandle) -> i64 {
        response.seq as i64
    }

    /// Which turn of its conversation it answers, from 0.
    #[rhai_fn(get = "turn", pure)]
    pub fn turn(response: &mut RequestHandle) -> i64 {
        i64::from(response.turn)
    }

    /// The class of its request.
    #[rhai_fn(get = "class", pure)]
    pub fn class(response: &mut RequestHandle) -> ImmutableString {
        (&*response.class).into()
    }

    /// Tokens of the request, as far as they are known; else `()`.
    #[rhai_fn(get = "input_tokens", pure)]
    pub fn input_tokens(response: &mut RequestHandle) -> Dynamic {
        response.input_tokens().map_or(Dynamic::UNIT, |tokens| i64::from(tokens).into())
    }

    /// Tokens of the reply, as far as they are known; else `()`.
    #[rhai_fn(get = "output_tokens", pure)]
    pub fn output_tokens(response: &mut RequestHandle) -> Dynamic {
        response.output_tokens().map_or(Dynamic::UNIT, |(tokens, _)| i64::from(tokens).into())
    }

    /// The gaps between output events in ms.
    #[rhai_fn(get = "itl", pure)]
    pub fn itl(response: &mut RequestHandle) -> Array {
        response.itl_ms().into_iter().map(Dynamic::from).collect()
    }

    /// Token counts: `input`, `output`, `cached`, as far as the server tells them.
    #[rhai_fn(get = "usage", pure)]
    pub fn usage(response: &mut RequestHandle) -> Map {
        let count = |n: Option<u32>| n.map_or(Dynamic::UNIT, |n| i64::from(n).into());
        let usage = &response.usage;
        [("input", usage.input), ("output", usage.output), ("cached", usage.cached)]
            .into_iter()
            .map(|(key, n)| (key.into(), count(n)))
            .collect()
    }

    /// The response in a few words.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(response: &mut RequestHandle) -> ImmutableString {
        match &response.error {
            Some(words) => format!("{}: {words}", response.outcome.name()).into(),
            None => response.outcome.name().into(),
        }
    }
}

/// Ends when Ctrl-C was pressed.
async fn stopped(host: crate::host::Host) {
    while !host.stop_requested() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
