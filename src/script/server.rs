//! `Server`: a target as a script holds it, made ready once before its first load.
//!
//! Ready means: it answers, its model is known, its tokenizer is loaded, and one preflight
//! request, not measured, has shown that key, path and body are right and which fields the
//! server takes.

use super::bench::Bench;
use super::state::State;
use crate::client::control::Control;
use crate::client::target::Exact;
use crate::client::{Client, Order, Target};
use crate::error::{Error, Kind, Result};
use crate::os;
use crate::record::{Outcome, Phase, Record};
use crate::tokens::Tokens;
use crate::workload::{Length, Prompts, Traffic, Workload};
use serde_json::{Map, Value, json};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Tokens of the preflight's prompt and reply.
const PREFLIGHT_INPUT: u32 = 16;
const PREFLIGHT_OUTPUT: u32 = 4;

/// Names of models that a message shows.
const MODELS_SHOWN: usize = 20;

const KEY_HINT: &str = "give the API key in OPENAI_API_KEY, or name another variable with --api-key-env";

/// A target as a script holds it.
pub struct Server {
    asked: Target,
    /// The model that the script asked for; `auto`: the only one that the server lists.
    model: String,
    /// What `tokenizer` said; empty: the model's name, without a complaint when it is not found.
    tokenizer: String,
    ready_timeout: Duration,
    preflight: bool,
    /// A built-in engine that lives as long as this target.
    #[allow(dead_code)]
    engine: Option<super::child::Child>,
    ready: Mutex<Option<Ready>>,
}

/// A server that may be sent load.
#[derive(Clone)]
pub struct Ready {
    pub target: Arc<Target>,
    pub tokens: Arc<Tokens>,
    /// Facts for the manifest: what the server says of itself, what the preflight showed.
    pub facts: Arc<Map<String, Value>>,
    /// Sentences for the report.
    pub notes: Arc<Vec<String>>,
}

/// How a server is asked for and waited for.
pub struct Wanted {
    pub target: Target,
    pub model: String,
    pub tokenizer: String,
    pub ready_timeout: Duration,
    pub preflight: bool,
    pub engine: Option<super::child::Child>,
}

impl Server {
    pub fn new(wanted: Wanted) -> Server {
        Server {
            asked: wanted.target,
            model: wanted.model,
            tokenizer: wanted.tokenizer,
            ready_timeout: wanted.ready_timeout,
            preflight: wanted.preflight,
            engine: wanted.engine,
            ready: Mutex::new(None),
        }
    }

    /// The target as it was asked for; its model may not be known yet.
    pub fn asked(&self) -> &Target {
        &self.asked
    }

    /// Waits until the server answers. Exit 97 when it does not in time.
    pub fn wait(&self, state: &State, bench: &Bench, limit: Duration) -> Result<()> {
        let stop = || state.host.stop_requested();
        let control = Control::new(&self.asked)?;
        bench.runtime.block_on(control.ready(limit, &stop)).map(|_| ())
    }

    /// The server made ready; at its first call this waits, asks and tries.
    pub fn ready(&self, state: &State, bench: &Bench) -> Result<Ready> {
        let mut slot = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*slot {
            return Ok(ready.clone());
        }
        self.wait(state, bench, self.ready_timeout)?;
        let mut target = self.asked.clone();
        let control = Control::new(&target)?;
        let listed = unless_stopped(state, bench, control.models())?;
        target.model = self.choose_model(state, listed)?;
        let tokens = Arc::new(self.find_tokens(state, &target.model)?);
        let mut facts = unless_stopped(state, bench, control.fingerprint())?;
        let mut notes = Vec::new();
        if self.preflight {
            let mut preflight = Preflight::new(state, bench, target, &tokens);
            let record = preflight.learn()?;
            facts.insert("preflight".into(), preflight.told(&record));
            notes = preflight.notes(&record);
            target = preflight.target;
        }
        let ready =
            Ready { target: Arc::new(target), tokens, facts: Arc::new(facts), notes: Arc::new(notes) };
        for note in ready.notes.iter() {
            state.inform(&format!("note: {note}"));
        }
        *slot = Some(ready.clone());
        Ok(ready)
    }

    fn choose_model(&self, state: &State, listed: Result<Vec<String>>) -> Result<String> {
        let name = &self.asked.name;
        if self.model != "auto" && !self.model.is_empty() {
            if let Ok(listed) = &listed
                && !listed.is_empty()
                && !listed.contains(&self.model)
            {
                let some: Vec<String> = listed.iter().take(MODELS_SHOWN).map(|model| shown(model)).collect();
                let some = some.join(", ");
                state.warn(&format!("{name} does not list model {:?}; it lists {some}", self.model));
            }
            return Ok(self.model.clone());
        }
        let listed = listed.map_err(|error| {
            let hint = match error.message.contains("401") || error.message.contains("403") {
                true => KEY_HINT,
                false => "name the model: --model NAME, or model: \"NAME\" in target()",
            };
            Error::usage(error.message).hint(hint)
        })?;
        match &listed[..] {
            [one] => Ok(one.clone()),
            [] => {
                Err(Error::usage(format!("{name} lists no model")).hint("name the model with --model NAME"))
            }
            many => {
                let shown = many.iter().take(MODELS_SHOWN).map(|model| shown(model)).collect::<Vec<_>>();
                let more = match many.len().saturating_sub(MODELS_SHOWN) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                Err(Error::usage(format!("{name} lists {} models", many.len()))
                    .hint(format!("choose one with --model: {}{more}", shown.join(", "))))
            }
        }
    }

    fn find_tokens(&self, state: &State, model: &str) -> Result<Tokens> {
        if self.tokenizer.is_empty() {
            // Nobody asked for one: the word list serves when the model's own is not at hand.
            let looks_like_a_file = std::path::Path::new(model).exists();
            return Ok(if looks_like_a_file {
                Tokens::Words
            } else {
                Tokens::find(model).map_or(Tokens::Words, |found| found.0)
            });
        }
        let (tokens, warning) = Tokens::find(&self.tokenizer)?;
        if let Some(warning) = warning {
            state.warn(&warning);
        }
        Ok(tokens)
    }
}

/// The request before any load, and what it teaches.
struct Preflight<'a> {
    state: &'a State,
    bench: &'a Bench,
    target: Target,
    tokens: &'a Arc<Tokens>,
    notes: Vec<String>,
    /// Requests that it took, and the output tokens of all of them.
    tries: u32,
    output_tokens: u32,
}

impl<'a> Preflight<'a> {
    fn new(state: &'a State, bench: &'a Bench, target: Target, tokens: &'a Arc<Tokens>) -> Preflight<'a> {
        Preflight { state, bench, target, tokens, notes: Vec::new(), tries: 0, output_tokens: 0 }
    }

    /// Tries the body as configured; fields that the server refuses are given up one by one.
    fn learn(&mut self) -> Result<Record> {
        let mut record = self.send()?;
        let first_words = record.error.clone().unwrap_or_default();
        while refused(&record) {
            self.target.exact = match self.target.exact {
                Exact::MinTokens => Exact::IgnoreEos,
                Exact::IgnoreEos => Exact::No,
                Exact::No => break,
            };
            record = self.send()?;
            if record.success() {
                let field = if self.target.exact == Exact::No { "ignore_eos" } else { "min_tokens" };
                self.notes.push(format!("the server refuses {field}, so replies may be shorter than asked"));
            }
        }
        if !record.success() {
            let words = if first_words.is_empty() { "no reply".to_string() } else { first_words };
            return Err(self.failed(&record, &words));
        }
        self.learn_limit(record)
    }

    /// A server that ignores `max_completion_tokens` says more than it was allowed to.
    fn learn_limit(&mut self, record: Record) -> Result<Record> {
        let too_long =
            |record: &Record| record.output_tokens().is_some_and(|(n, _)| n > PREFLIGHT_OUTPUT + 1);
        if self.target.api != crate::client::protocol::Api::Chat || !too_long(&record) {
            return Ok(record);
        }
        self.target.old_max_tokens = true;
        let second = self.send()?;
        if second.success() && !too_long(&second) {
            self.notes.push("the server ignores max_completion_tokens; max_tokens is sent instead".into());
            return Ok(second);
        }
        self.target.old_max_tokens = false;
        self.notes.push("the server does not keep to the asked reply length".into());
        Ok(record)
    }

    fn send(&mut self) -> Result<Record> {
        let client = self.bench.client(&Arc::new(self.target.clone()))?;
        let record = unless_stopped(self.state, self.bench, probe(&client, self.tokens, self.bench.salt))?;
        self.tries += 1;
        self.output_tokens += record.output_tokens().map_or(0, |(n, _)| n);
        Ok(record)
    }

    /// Sentences for the report. The server's own counters have seen these requests, so it must
    /// own up to them.
    fn notes(&self, record: &Record) -> Vec<String> {
        let (s, tries, tokens) = (if self.tries == 1 { "" } else { "s" }, self.tries, self.output_tokens);
        let mut notes = self.notes.clone();
        notes.push(format!(
            "{tries} request{s} with {tokens} output tokens went ahead to try key, path and body, and stand in no result"
        ));
        notes.extend(overhead(record).filter(|n| *n != 0).map(overhead_note));
        notes
    }

    /// What it showed, for the manifest.
    fn told(&self, record: &Record) -> Value {
        json!({
            "requests_not_measured": self.tries,
            "output_tokens": self.output_tokens,
            "input_tokens": record.usage.input,
            "counted_input_tokens": record.counted_input,
            "overhead_tokens": overhead(record),
            "exact_length": match self.target.exact {
                Exact::No => "not asked",
                Exact::IgnoreEos => "ignore_eos",
                Exact::MinTokens => "ignore_eos and min_tokens",
            },
            "limit_field": if self.target.old_max_tokens { "max_tokens" } else { "usual" },
        })
    }

    fn failed(&self, record: &Record, words: &str) -> Error {
        let url = self.target.endpoint_url();
        let words = self.target.scrub(words);
        let error = Error::new(kind_of(record), format!("the first request to {url} failed: {words}"));
        match (record.outcome, record.status) {
            (_, Some(401 | 403)) => error.hint(KEY_HINT),
            (_, Some(404 | 405)) => error.hint(format!(
                "check the model's name ({:?}), the base URL and the endpoint (--model, --base-url, --endpoint)",
                self.target.model
            )),
            (_, Some(400 | 422)) => error.hint("check the body that is asked for (--extra-body, --backend, the prompt's length)"),
            (_, Some(300..400)) => error.hint("give the address that it leads to as base URL or endpoint"),
            (_, Some(500..)) => error.hint("look into the server's log"),
            (_, Some(408 | 429)) => error.hint("wait until the server is less busy"),
            (Outcome::Protocol, _) | (Outcome::Unfinished, Some(200)) => error.hint(
                "check that this address is the model server's, http or https as it is, and that --backend fits it",
            ),
            (Outcome::TimedOut(_), _) => {
                error.hint("look whether the server is busy or still loading, or give it more time (--first-token-timeout)")
            }
            _ => error.hint("look into the server's log, and whether a proxy stands in between"),
        }
    }
}

/// What asks for a change of the command line is its mistake; the rest is a server that cannot
/// take load.
fn kind_of(record: &Record) -> Kind {
    match (record.outcome, record.status) {
        (Outcome::Status, Some(408 | 429 | 500..)) => Kind::NotReady,
        (Outcome::Status | Outcome::Protocol, _) => Kind::Usage,
        // Another kind of server answers, such as a page to sign in.
        (Outcome::Unfinished, _) if record.timeline.events.is_empty() => Kind::Usage,
        _ => Kind::NotReady,
    }
}

/// Awaits `call`; an interruption once Ctrl-C was pressed.
fn unless_stopped<T>(state: &State, bench: &Bench, call: impl Future<Output = T>) -> Result<T> {
    let stopped = async {
        while !state.host.stop_requested() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    bench.runtime.block_on(async {
        tokio::select! {
            biased;
            answer = call => Ok(answer),
            () = stopped => {
                Err(Error::new(Kind::Interrupted, "interrupted before any load was sent"))
            }
        }
    })
}

/// A name from a server, for a terminal.
fn shown(name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    if name.chars().any(char::is_control) { format!("{name:?}") } else { name }
}

/// Refused because of the body: then a plainer body may be taken.
fn refused(record: &Record) -> bool {
    record.outcome == Outcome::Status && matches!(record.status, Some(400 | 422))
}

/// One request of its own prompt.
async fn probe(client: &Client, tokens: &Arc<Tokens>, salt: u64) -> Record {
    let workload = Workload::Prompts(Prompts {
        class: "".into(),
        input: Length::Fixed(PREFLIGHT_INPUT),
        output: Length::Fixed(PREFLIGHT_OUTPUT),
        prefix: None,
        extra: None,
        tokens: tokens.clone(),
    });
    let traffic = Traffic { seed: 0, key: "preflight".into(), salt: salt ^ os::wall() as u64 };
    let request = workload.session(&traffic, 0).next(None).expect("a plain session has one request");
    let id = format!("preflight-{:016x}", os::wall());
    let bytes = client.encode(&request, &id);
    let now = os::now();
    let order = Order {
        request,
        id,
        bytes,
        phase: Phase::Measured,
        planned: now,
        admitted: now,
        keep_text: false,
        outage: None,
    };
    *client.send(Box::new(order), pin!(std::future::pending())).await.open()
}

/// Tokens that the server adds to a prompt (BOS, chat template), where both counts are known.
fn overhead(record: &Record) -> Option<i64> {
    Some(i64::from(record.usage.input?) - i64::from(record.counted_input?))
}

fn overhead_note(tokens: i64) -> String {
    let s = if tokens.abs() == 1 { "" } else { "s" };
    format!("the server counts {tokens} token{s} more per prompt than asked (BOS, chat template)")
}
