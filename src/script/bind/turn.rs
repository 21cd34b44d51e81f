//! `turn`: what `next_turn` of a chat is told, and what its answer means.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use serde_json::Value;

use super::random::Random;
use crate::error::{Error, Result};
use crate::random::Stream;
use crate::script::fault::{Fallible, a, raise};
use crate::script::hook::Hook;
use crate::script::json;
use crate::script::options::workload::NEXT_TURN;
use crate::script::opts::Opts;
use crate::script::state::State;
use crate::script::vocabulary::friendly;
use crate::workload::{FollowUp, Heard, NextTurn, Says, SessionTurns};

/// A turn that is about to be asked for.
#[derive(Debug, Clone)]
pub struct Turn(Arc<Told>);

#[derive(Debug)]
struct Told {
    index: u32,
    text: ImmutableString,
    tool_calls: Vec<Value>,
    output_tokens: u32,
    input_tokens: u32,
    history_tokens: u32,
    finish_reason: Option<ImmutableString>,
    ok: bool,
    rng: Random,
    /// The conversation's own map: the same one in each of its turns.
    state: Notes,
}

/// What a conversation notes. It is copied in and out: where one names a part of it in a chain, the
/// language takes a shared value away from whoever has a setter for it.
type Notes = Arc<Mutex<Map>>;

/// `next_turn` of a script.
pub struct TurnFunction(pub Hook);

/// It in one conversation.
struct Conversation {
    hook: Hook,
    state: Notes,
}

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Turn>("turn");
    engine.register_global_module(exported_module!(functions).into());
}

impl Told {
    fn notes(&self) -> MutexGuard<'_, Map> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnFunction {
    /// Calls it once with a made-up reply, so that nobody learns of a slip after an hour.
    pub fn rehearse(&self) -> Result<()> {
        self.session().next(Heard {
            index: 1,
            text: ["so"; 16].join(" "),
            tool_calls: Vec::new(),
            output_tokens: 16,
            input_tokens: 64,
            history_tokens: 80,
            finish_reason: Some("stop".into()),
            ok: true,
            rng: Stream::new(0, "rehearsal", "next turn").at(0),
        })?;
        Ok(())
    }
}

impl NextTurn for TurnFunction {
    fn session(&self) -> Box<dyn SessionTurns> {
        Box::new(Conversation { hook: self.0.clone(), state: Notes::default() })
    }
}

impl SessionTurns for Conversation {
    fn next(&mut self, heard: Heard) -> Result<Option<FollowUp>> {
        let turn = Turn(Arc::new(Told {
            index: heard.index,
            text: heard.text.into(),
            tool_calls: heard.tool_calls,
            output_tokens: heard.output_tokens,
            input_tokens: heard.input_tokens,
            history_tokens: heard.history_tokens,
            finish_reason: heard.finish_reason.map(Into::into),
            ok: heard.ok,
            rng: Random::of(heard.rng),
            state: self.state.clone(),
        }));
        let answer = self.hook.call([Dynamic::from(turn)])?;
        if answer.is_unit() {
            return Ok(None);
        }
        follow_up(&self.hook, answer.flatten()).map(Some)
    }
}

/// What an answer asks.
fn follow_up(hook: &Hook, answer: Dynamic) -> Result<FollowUp> {
    let bare = |says| FollowUp { says, max_tokens: None, think: None, extra: None };
    if answer.is_string() {
        return Ok(bare(Says::Text(answer.to_string())));
    }
    let kind = a(&friendly(answer.type_name()));
    let Some(map) = answer.try_cast::<Map>() else {
        return Err(hook.error(format!(
            "next_turn: it must return text, a map such as #{{ user: \"And then?\" }}, or () to end, got {kind}"
        )));
    };
    asked(map).map_err(|error| hook.wrong(error))
}

fn asked(map: Map) -> Fallible<FollowUp> {
    let mut opts = Opts::of(&NEXT_TURN, map);
    let (user, messages) = (opts.take::<String>("user")?, opts.take::<Array>("messages")?);
    let says = match (user, messages) {
        (Some(_), Some(_)) => return Err(opts.error("messages", "and `user` cannot both be given")),
        (Some(user), None) => Says::Text(user),
        (None, Some(list)) => {
            let list = Map::from([("messages".into(), list.into())]);
            let mut fields = json::faithful(&list).map_err(|what| opts.error("messages", &what))?;
            let list = fields.remove("messages").and_then(|list| list.as_array().cloned());
            match list.filter(|list| !list.is_empty()) {
                Some(list) => Says::Messages(list),
                None => return Err(opts.error("messages", "must hold at least one message")),
            }
        }
        (None, None) => Says::Random,
    };
    let max_tokens = opts.take::<i64>("max_tokens")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let think = opts.take::<Duration>("think")?;
    let tools = opts.take::<Array>("tools")?;
    let extra = match tools {
        None => None,
        Some(tools) => {
            let fields = Map::from([("tools".into(), tools.into())]);
            Some(Arc::new(json::faithful(&fields).map_err(|what| opts.error("tools", &what))?))
        }
    };
    opts.finish()?;
    Ok(FollowUp { says, max_tokens, think, extra })
}

fn int(n: u32) -> i64 {
    i64::from(n)
}

#[export_module]
mod functions {
    /// Which turn is asked for; the first one is 0, so here it is at least 1.
    #[rhai_fn(get = "index", pure)]
    pub fn index(turn: &mut Turn) -> i64 {
        int(turn.0.index)
    }

    /// What the server said.
    #[rhai_fn(get = "text", pure)]
    pub fn text(turn: &mut Turn) -> ImmutableString {
        turn.0.text.clone()
    }

    /// The reply's calls of tools: a list of `#{ id, function: #{ name, arguments } }`, arguments as JSON text.
    /// Their results are the `messages` of the next turn.
    #[rhai_fn(get = "tool_calls", pure, return_raw)]
    pub fn tool_calls(turn: &mut Turn) -> Fallible<Dynamic> {
        let calls = Value::Array(turn.0.tool_calls.clone()).to_string();
        json::parse(&calls).map_err(|error| raise(Error::run(format!("tool_calls: {error}"))))
    }

    /// Tokens of the reply.
    #[rhai_fn(get = "output_tokens", pure)]
    pub fn output_tokens(turn: &mut Turn) -> i64 {
        int(turn.0.output_tokens)
    }

    /// Tokens of the request that it answers, the history among them.
    #[rhai_fn(get = "input_tokens", pure)]
    pub fn input_tokens(turn: &mut Turn) -> i64 {
        int(turn.0.input_tokens)
    }

    /// Tokens of all that was said so far, the reply included: what the next request carries.
    #[rhai_fn(get = "history_tokens", pure)]
    pub fn history_tokens(turn: &mut Turn) -> i64 {
        int(turn.0.history_tokens)
    }

    /// Why the reply ended, as the server named it (`"stop"`, `"length"`); `()` where it did not.
    #[rhai_fn(get = "finish_reason", pure)]
    pub fn finish_reason(turn: &mut Turn) -> Dynamic {
        turn.0.finish_reason.clone().map_or(Dynamic::UNIT, Into::into)
    }

    /// Whether the reply came whole. Where it did not, its question is taken back.
    #[rhai_fn(get = "ok", pure)]
    pub fn ok(turn: &mut Turn) -> bool {
        turn.0.ok
    }

    /// Random values of this turn's own: the same in every run, however many threads make requests.
    #[rhai_fn(get = "rng", pure)]
    pub fn rng(turn: &mut Turn) -> Random {
        turn.0.rng.clone()
    }

    /// The conversation's own map, empty at first: what is set in it is there in its next turns
    /// (`turn.state.shorter = true`).
    #[rhai_fn(get = "state", pure)]
    pub fn state(turn: &mut Turn) -> Map {
        turn.0.notes().clone()
    }

    /// Puts another map in the place of the conversation's own.
    #[rhai_fn(set = "state", pure, return_raw)]
    pub fn set_state(turn: &mut Turn, state: Dynamic) -> Fallible<()> {
        let kind = a(&friendly(state.type_name()));
        match state.flatten().try_cast::<Map>() {
            Some(map) => {
                *turn.0.notes() = map;
                Ok(())
            }
            None => {
                let told = format!("state: it must be a map such as #{{ asked: 1 }}, got {kind}");
                Err(raise(Error::usage(told)))
            }
        }
    }
}
