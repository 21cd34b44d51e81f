//! `req`: a request that is about to be put into bytes, as `before_request` sees and changes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use super::random::Random;
use crate::client::head;
use crate::error::{Error, Result};
use crate::experiment::limits;
use crate::random::Stream;
use crate::record::{Key, Nanos, Prompt, Request, Verbatim};
use crate::run::hooks::BeforeRequest;
use crate::script::fault::{Fallible, raise, shown};
use crate::script::hook::Hook;
use crate::script::json;
use crate::script::state::State;
use crate::workload::TOKENS_MAX;

/// A request in the hands of a hook.
#[derive(Debug, Clone)]
pub struct Outgoing(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    request: Request,
    due: Option<Nanos>,
    rng: Random,
}

/// `before_request` of a script.
pub struct RequestFunction(pub Hook);

impl RequestFunction {
    /// Calls it once with a made-up request.
    pub fn rehearse(&self) -> Result<()> {
        let mut request = blank();
        request.prompt = Prompt::Text(["so"; 16].join(" "));
        self.prepare(&mut request, Some(0), Stream::new(0, "rehearsal", "before request").at(0))
    }
}

impl BeforeRequest for RequestFunction {
    fn prepare(&self, request: &mut Request, due: Option<Nanos>, rng: ChaCha8Rng) -> Result<()> {
        let whole = std::mem::replace(request, blank());
        let held = Outgoing(Arc::new(Mutex::new(Held { request: whole, due, rng: Random::of(rng) })));
        let _returned = self.0.call([Dynamic::from(held.clone())])?;
        *request = std::mem::replace(&mut held.lock().request, blank());
        Ok(())
    }
}

/// A request that asks nothing.
fn blank() -> Request {
    Request {
        seq: 0,
        session: 0,
        turn: 0,
        class: "".into(),
        prompt: Prompt::Text(String::new()),
        asked_input: Some(16),
        counted_input: None,
        max_tokens: 16,
        synthetic: false,
        forced_length: false,
        extra: None,
        headers: Vec::new(),
        leave: None,
    }
}

impl Outgoing {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It asks what nobody has counted.
    fn asks(&self, prompt: Prompt) {
        let mut held = self.lock();
        held.request.prompt = prompt;
        held.request.synthetic = false;
        (held.request.asked_input, held.request.counted_input) = (None, None);
    }
}

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Outgoing>("outgoing");
    engine.register_global_module(exported_module!(functions).into());
}

fn refuse<T>(told: impl Into<String>) -> Fallible<T> {
    Err(raise(Error::usage(told)))
}

fn text(what: &str, value: &Dynamic) -> Fallible<String> {
    match value.clone().into_string() {
        Ok(text) => Ok(text),
        Err(_) => refuse(format!("{what}: it must be text, got {}", shown(value))),
    }
}

#[export_module]
mod functions {
    /// Its number in the run, from 0; of a later turn, that of its conversation.
    #[rhai_fn(get = "index", pure)]
    pub fn index(outgoing: &mut Outgoing) -> i64 {
        outgoing.lock().request.seq as i64
    }

    /// Which turn of its conversation it is, from 0.
    #[rhai_fn(get = "turn", pure)]
    pub fn turn(outgoing: &mut Outgoing) -> i64 {
        i64::from(outgoing.lock().request.turn)
    }

    /// When it is due, in seconds since the start; `()` where that is not known beforehand: in a closed
    /// loop, and of later turns.
    #[rhai_fn(get = "at", pure)]
    pub fn at(outgoing: &mut Outgoing) -> Dynamic {
        outgoing.lock().due.map_or(Dynamic::UNIT, |due| (due as f64 / 1e9).into())
    }

    /// Its class, by which results can be split.
    #[rhai_fn(get = "class", pure)]
    pub fn class(outgoing: &mut Outgoing) -> ImmutableString {
        (&*outgoing.lock().request.class).into()
    }

    /// Puts it into another class.
    #[rhai_fn(set = "class", pure, return_raw)]
    pub fn set_class(outgoing: &mut Outgoing, class: Dynamic) -> Fallible<()> {
        let class = text("class", &class)?;
        limits::fits("class", "a class", &class).map_err(raise)?;
        outgoing.lock().request.class = class.into();
        Ok(())
    }

    /// Tokens of its prompt, as far as they are known.
    #[rhai_fn(get = "input_tokens", pure)]
    pub fn input_tokens(outgoing: &mut Outgoing) -> Dynamic {
        let held = outgoing.lock();
        let known = held.request.counted_input.or(held.request.asked_input);
        known.map_or(Dynamic::UNIT, |tokens| i64::from(tokens).into())
    }

    /// Most tokens of its reply.
    #[rhai_fn(get = "max_tokens", pure)]
    pub fn max_tokens(outgoing: &mut Outgoing) -> i64 {
        i64::from(outgoing.lock().request.max_tokens)
    }

    /// Asks for at most so many tokens.
    #[rhai_fn(set = "max_tokens", pure, return_raw)]
    pub fn set_max_tokens(outgoing: &mut Outgoing, tokens: Dynamic) -> Fallible<()> {
        let whole = crate::script::options::table::whole(&tokens).and_then(|n| u32::try_from(n).ok());
        match whole.filter(|n| (1..=TOKENS_MAX).contains(n)) {
            Some(tokens) => {
                outgoing.lock().request.max_tokens = tokens;
                Ok(())
            }
            None => refuse(format!(
                "max_tokens: it must be a whole number from 1 to {TOKENS_MAX}, got {}",
                shown(&tokens)
            )),
        }
    }

    /// Its prompt; `()` where it is a chat, which has `messages`.
    #[rhai_fn(get = "prompt", pure)]
    pub fn prompt(outgoing: &mut Outgoing) -> Dynamic {
        match &outgoing.lock().request.prompt {
            Prompt::Text(text) => text.as_str().into(),
            Prompt::Verbatim(asked) if asked.key == Key::Prompt => {
                serde_json::from_str::<String>(&asked.json).map_or(Dynamic::UNIT, Dynamic::from)
            }
            _ => Dynamic::UNIT,
        }
    }

    /// Asks something else.
    #[rhai_fn(set = "prompt", pure, return_raw)]
    pub fn set_prompt(outgoing: &mut Outgoing, prompt: Dynamic) -> Fallible<()> {
        outgoing.asks(Prompt::Text(text("prompt", &prompt)?));
        Ok(())
    }

    /// Its messages: of a conversation all so far, of a prompt the one that a chat makes of it.
    #[rhai_fn(get = "messages", pure, return_raw)]
    pub fn messages(outgoing: &mut Outgoing) -> Fallible<Dynamic> {
        match &outgoing.lock().request.prompt {
            Prompt::Text(text) => {
                let message =
                    Map::from([("role".into(), "user".into()), ("content".into(), text.as_str().into())]);
                Ok(Array::from([message.into()]).into())
            }
            Prompt::Verbatim(asked) if asked.key == Key::Messages => json::parse(&asked.json)
                .map_err(|error| raise(Error::run(format!("messages: they cannot be read: {error}")))),
            _ => Ok(Dynamic::UNIT),
        }
    }

    /// Asks these messages. The conversation goes on with its own.
    #[rhai_fn(set = "messages", pure, return_raw)]
    pub fn set_messages(outgoing: &mut Outgoing, messages: Dynamic) -> Fallible<()> {
        let list = messages.clone().try_cast::<Array>();
        let Some(list) = list.filter(|list| !list.is_empty() && list.iter().all(Dynamic::is_map)) else {
            return refuse("messages: they must be a list of #{ role: \"user\", content: \"...\" }");
        };
        let fields = json::faithful(&Map::from([("messages".into(), list.into())]))
            .map_err(|what| raise(Error::usage(format!("messages: {what}"))))?;
        let mut asked = Verbatim::new(Key::Messages, fields["messages"].to_string());
        if let Prompt::Verbatim(recorded) = &outgoing.lock().request.prompt {
            asked.fields.clone_from(&recorded.fields);
        }
        outgoing.asks(Prompt::Verbatim(Arc::new(asked)));
        Ok(())
    }

    /// Random values of this request's own: the same in every run, however many threads make requests.
    #[rhai_fn(get = "rng", pure)]
    pub fn rng(outgoing: &mut Outgoing) -> Random {
        outgoing.lock().rng.clone()
    }

    /// Sends it with a header, in the place of the target's of the same name.
    #[rhai_fn(pure, return_raw)]
    pub fn header(outgoing: &mut Outgoing, name: &str, value: Dynamic) -> Fallible<()> {
        let (name, value) = (name.to_ascii_lowercase(), text("header", &value)?);
        head::fits(&name, &value).map_err(|told| raise(Error::usage(format!("header: {told}"))))?;
        let mut held = outgoing.lock();
        let headers = &mut held.request.headers;
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value));
        Ok(())
    }

    /// Sets a field of its body, such as `req.field("temperature", 0.2)`.
    #[rhai_fn(pure, return_raw)]
    pub fn field(outgoing: &mut Outgoing, name: &str, value: Dynamic) -> Fallible<()> {
        let fields = json::faithful(&Map::from([(name.into(), value)]))
            .map_err(|what| raise(Error::usage(format!("field: {what}"))))?;
        let mut held = outgoing.lock();
        let request = &mut held.request;
        request.extra = crate::workload::merged(&request.extra, &Some(Arc::new(fields)));
        Ok(())
    }
}
