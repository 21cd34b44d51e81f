//! `TargetServer`: a target as a script holds it, made ready once before its first load.
//!
//! Ready means: it answers, its model is known, its tokenizer is loaded, and one preflight
//! request, not measured, has shown that key, path and body are right and which fields the
//! server takes.

use super::Experiment;
use super::hints::Hints;
use super::preflight::{Learnt, Preflight};
use crate::client::Target;
use crate::client::control::{Again, ModelListing, Patience, ServerControl, Unlisted};
use crate::client::target::{HeaderValue, Timeouts};
use crate::engine;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Adaption;
use crate::tokens::Tokens;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Sets of fields of one plan that are tried, each by a request: parts of a mix, several models.
const SETS_MAX: usize = 8;

/// Names of models that a message shows.
const MODELS_SHOWN: usize = 20;

/// A target as a script holds it.
pub struct TargetServer {
    asked: Target,
    /// The model that the script asked for; `auto`: the only one that the server lists.
    model: String,
    /// What `tokenizer` said; empty: the model's name, without a complaint when it is not found.
    tokenizer: String,
    ready_timeout: Duration,
    preflight: bool,
    temperature_given: bool,
    /// A built-in engine that lives as long as this target.
    engine: Option<super::child::Child>,
    /// Of a dry run: what is played in its place.
    simulated: Option<Arc<engine::Config>>,
    known: Mutex<Option<Known>>,
}

/// What the body of a request has beside the target's own fields.
pub type BodyFields = Option<Arc<Map<String, Value>>>;

/// What was found out about a server.
struct Known {
    ready: Ready,
    /// As the user configured it, its model known.
    target: Target,
    learnt: Learnt,
    /// Fields with which a first request went out.
    tried: Vec<BodyFields>,
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
    /// What every request goes without, or with under another name.
    pub adaptions: Arc<Vec<Adaption>>,
    /// What is played in its place.
    pub simulated: Option<Arc<engine::Config>>,
}

/// How a server is asked for and waited for.
pub struct TargetOptions {
    pub target: Target,
    pub model: String,
    pub tokenizer: String,
    pub ready_timeout: Duration,
    pub preflight: bool,
    /// The user asked for the target's temperature.
    pub temperature_given: bool,
    pub engine: Option<super::child::Child>,
    pub simulated: Option<engine::Config>,
}

impl TargetServer {
    pub fn new(wanted: TargetOptions) -> TargetServer {
        TargetServer {
            asked: wanted.target,
            model: wanted.model,
            tokenizer: wanted.tokenizer,
            ready_timeout: wanted.ready_timeout,
            preflight: wanted.preflight,
            temperature_given: wanted.temperature_given,
            engine: wanted.engine,
            simulated: wanted.simulated.map(Arc::new),
            known: Mutex::new(None),
        }
    }

    /// The target as it was asked for; its model may not be known yet.
    pub fn asked(&self) -> &Target {
        &self.asked
    }

    /// What of it defines a load, for the manifest: as it was asked for. Secrets have no values in it.
    pub fn definition(&self) -> Value {
        let target = &self.asked;
        let header = |(name, value): &(String, HeaderValue)| match value {
            HeaderValue::Text(text) => (name.clone(), text.as_str().into()),
            HeaderValue::Secret(_) => (name.clone(), Value::from("<secret>")),
        };
        let Timeouts { connect, first_token, idle, total, reconnect } = target.timeouts;
        // A built-in engine has another port each time.
        let url = self.engine.as_ref().map(|engine| format!("builtin:{}", engine.config));
        let timeouts = [connect, first_token, idle, total, reconnect].map(|time| time.as_secs_f64());
        json!({
            "base_url": url.unwrap_or_else(|| target.base.to_string()),
            "api": target.api.name(),
            "endpoint": target.endpoint,
            "model": self.model,
            "tokenizer": self.tokenizer,
            "stream": target.stream,
            "exact": target.exact_length,
            "temperature": target.temperature,
            "extra_body": target.extra_body,
            "headers": target.headers.iter().map(header).collect::<Map<_, _>>(),
            "connections": format!("{:?}", target.connections),
            "timeouts_s": timeouts,
        })
    }

    /// The target of a run that was measured before, of a model that is known; nobody is asked.
    pub fn of_model(&self, model: &str) -> Ready {
        let simulated = self.simulated.clone();
        Ready {
            target: Arc::new(Target { model: model.to_string(), ..self.asked.clone() }),
            tokens: Arc::new(Tokens::Words),
            facts: Arc::default(),
            notes: Arc::default(),
            adaptions: Arc::default(),
            simulated,
        }
    }

    /// What is played in its place, in a dry run.
    pub fn simulated(&self) -> Option<&engine::Config> {
        self.simulated.as_deref()
    }

    /// The model's name is known without asking the server.
    fn named(&self) -> bool {
        self.model != "auto" && !self.model.is_empty()
    }

    /// Waits until the server answers. Exit 97 when it does not in time.
    pub fn wait(&self, experiment: &Experiment, limit: Duration) -> Result<()> {
        if self.simulated.is_some() {
            return Ok(());
        }
        let lang = experiment.console.words();
        let (stop, tell) = (
            || experiment.host.stop_requested(),
            |left: Option<u64>, why: &str| experiment.console.mention(&lang.waiting(left, why)),
        );
        let control = ServerControl::new(&self.asked)?;
        experiment.runtime()?.block_on(control.ready(&mut Patience::new(limit, &stop, &tell), self.named()))
    }

    /// The server made ready; at its first call this waits, asks and tries. `fields`: those of the
    /// requests to come; one request goes out for each set of them that was not tried yet.
    pub fn ready(&self, experiment: &Experiment, fields: &[BodyFields]) -> Result<Ready> {
        if let Some(config) = &self.simulated {
            return Ok(self.of_model(if self.named() { &self.model } else { &config.model }));
        }
        let made = self.make_ready(experiment, fields);
        // Once load was sent, what goes wrong is the end of a run like any other.
        made.map_err(|error| match (experiment.kind_of_fault(), error.kind) {
            (ErrorKind::Run, ErrorKind::Usage | ErrorKind::NotReady) => {
                Error { kind: ErrorKind::Run, ..error }
            }
            _ => error,
        })
    }

    fn make_ready(&self, experiment: &Experiment, fields: &[BodyFields]) -> Result<Ready> {
        let (mut slot, lang) =
            (self.known.lock().unwrap_or_else(PoisonError::into_inner), experiment.console.words());
        let (stop, tell) = (
            || experiment.host.stop_requested(),
            |left: Option<u64>, why: &str| experiment.console.mention(&lang.waiting(left, why)),
        );
        let mut patience = Patience::new(self.ready_timeout, &stop, &tell);
        let known = match &mut *slot {
            Some(known) => known,
            none => none.insert(self.found_out(experiment, &mut patience)?),
        };
        let none = [None];
        let untried = if known.tried.is_empty() && fields.is_empty() { &none[..] } else { fields };
        for fields in untried.iter().take(SETS_MAX).filter(|_| self.preflight) {
            if !known.tried.contains(fields) {
                self.try_out(experiment, known, fields, &mut patience)?;
            }
        }
        Ok(known.ready.clone())
    }

    /// Waits until it answers, and asks what can be asked before a first request.
    fn found_out(&self, experiment: &Experiment, patience: &mut Patience<'_>) -> Result<Known> {
        let mut target = self.asked.clone();
        let control = ServerControl::new(&target)?;
        let listing =
            experiment.runtime()?.block_on(self.found(&control, patience, Hints::of(&experiment.program)))?;
        target.model = self.choose_model(experiment, &control, listing.as_ref())?;
        let tokens = Arc::new(self.find_tokens(experiment, &target.model)?);
        let facts = match patience.is_none() {
            true => Map::new(),
            false => {
                let told = control.fingerprint(listing.as_ref().and_then(|listing| listing.as_ref().ok()));
                experiment.runtime()?.block_on(patience.over(told))?
            }
        };
        let ready = Ready {
            target: Arc::new(target.clone()),
            tokens,
            facts: Arc::new(facts),
            notes: Arc::default(),
            adaptions: Arc::default(),
            simulated: None,
        };
        Ok(Known { ready, target, learnt: Learnt::default(), tried: Vec::new() })
    }

    /// Sends a request with these fields, and learns.
    fn try_out(
        &self,
        experiment: &Experiment,
        known: &mut Known,
        fields: &BodyFields,
        patience: &mut Patience<'_>,
    ) -> Result<()> {
        let (target, tokens) = (known.target.clone(), known.ready.tokens.clone());
        let learnt = known.learnt.clone();
        let mut preflight =
            Preflight::new(experiment, target, &tokens, fields.clone(), self.temperature_given, learnt);
        let record = preflight.learn(patience)?;
        let lang = experiment.console.words();
        let notes = preflight.notes(&record, lang);
        let heard = |note: &&String| {
            known.ready.notes.contains(note) || !known.tried.is_empty() && **note == preflight.ahead(lang)
        };
        for note in notes.iter().filter(|note| !heard(note)) {
            experiment.console.mention(&lang.note(note));
        }
        let mut facts = (*known.ready.facts).clone();
        facts.insert("preflight".into(), preflight.told(&record));
        known.learnt = preflight.learnt();
        known.ready = Ready {
            target: Arc::new(preflight.target()),
            tokens: tokens.clone(),
            facts: Arc::new(facts),
            notes: Arc::new(notes),
            adaptions: Arc::new(preflight.adaptions()),
            simulated: None,
        };
        known.tried.push(fields.clone());
        Ok(())
    }

    /// Waits for the server and asks for its list of models, once. With the model named both are
    /// hints, and without patience nobody is asked.
    async fn found(
        &self,
        control: &ServerControl,
        patience: &mut Patience<'_>,
        hints: Hints,
    ) -> Result<Option<std::result::Result<ModelListing, Unlisted>>> {
        if !patience.is_none() {
            let ready = control.ready(patience, self.named()).await;
            ready.map_err(|error| self.hint_to_wait(error, patience.limit(), hints))?;
        } else if self.named() {
            return Ok(None);
        }
        loop {
            let awaited = format!("the list of models of {}", self.asked.name);
            let listing = patience.aloud(&awaited, control.list(self.named())).await?;
            let Some(error) = listing.as_ref().err().filter(|unlisted| unlisted.busy && !self.named()) else {
                return Ok(Some(listing));
            };
            let why = error.error.message.clone();
            if patience.again(None, &why).await? != Again::Yes {
                let hint = "name the model, wait longer, or look into the server's log";
                return Err(Error::new(ErrorKind::NotReady, why).hint(hint));
            }
        }
    }

    /// What to do when a server was never ready, unless that is told already.
    fn hint_to_wait(&self, error: Error, limit: Duration, hints: Hints) -> Error {
        if error.hint.is_some() || !matches!(error.kind, ErrorKind::NotReady | ErrorKind::Usage) {
            return error;
        }
        if error.kind == ErrorKind::Usage {
            return error.hint(self.hint_to_path(hints));
        }
        let (wait, seconds) = (hints.option("ready_timeout"), limit.as_secs_f64());
        let says = |digit: &str| error.message.contains(&format!("says {digit}"));
        let refused = error.message.contains("refused");
        let hint = match self.named() {
            _ if refused && self.asked.base.port().is_none() => format!(
                "check that a server runs at {}: without a port in the address that is port {} (vLLM listens at 8000, llama.cpp at 8080)",
                self.asked.base,
                self.asked.base.port_or_known_default().unwrap_or_default()
            ),
            false if says("404") || says("405") => {
                format!(
                    "name the model: {}; then the first request shows whether it is there",
                    hints.set("model", "NAME")
                )
            }
            true if says("5") => format!(
                "look into the server's log, wait longer than {seconds} s ({wait}), or send the first request at once ({})",
                hints.set("ready_timeout", "0")
            ),
            _ => format!(
                "check that a server runs at {}, or wait longer than {seconds} s ({wait})",
                self.asked.base
            ),
        };
        error.hint(hint)
    }

    /// What to do when no list of models is where it should be.
    fn hint_to_path(&self, hints: Hints) -> String {
        let twice = match self.asked.base.path().ends_with("/v1") && self.asked.endpoint.starts_with("/v1/") {
            true => "its /v1 is there twice; ",
            false => "",
        };
        format!(
            "name the model ({}), or check the path of the base URL: {twice}requests would go to {}",
            hints.set("model", "NAME"),
            self.asked.endpoint_url()
        )
    }

    fn choose_model(
        &self,
        experiment: &Experiment,
        control: &ServerControl,
        listing: Option<&std::result::Result<ModelListing, Unlisted>>,
    ) -> Result<String> {
        let (name, hints) = (&self.asked.name, Hints::of(&experiment.program));
        let listed = listing.map(|listing| match listing {
            Ok(listing) => control.names(listing),
            Err(unlisted) => Err(unlisted.error.clone()),
        });
        if self.named() {
            if let Some(Ok(listed)) = &listed
                && !listed.is_empty()
                && !listed.iter().any(|known| same_model(known, &self.model))
            {
                let some: Vec<String> = listed.iter().take(MODELS_SHOWN).map(|model| shown(model)).collect();
                let some = some.join(", ");
                experiment.console.warn(&experiment.console.words().model_not_listed(
                    name,
                    &self.model,
                    &some,
                ));
            }
            return Ok(self.model.clone());
        }
        let by_name = format!("name the model: {}", hints.set("model", "NAME"));
        let listed = listed.unwrap_or_else(|| Err(Error::run("it was not asked")));
        let listed = listed.map_err(|error| {
            let who = error.message.contains("says 401") || error.message.contains("says 403");
            let hint = match error.kind {
                _ if who => hints.key(&self.asked),
                ErrorKind::Usage => self.hint_to_path(hints),
                _ => by_name.clone(),
            };
            Error::new(error.kind, error.message).hint(hint)
        })?;
        // Adapters are listed beside the model that they belong to.
        let bases = listing.and_then(|listing| listing.as_ref().ok()?.bases());
        match &listed[..] {
            [one] => Ok(one.clone()),
            many if let Some([base]) = bases.as_deref()
                && many.contains(base) =>
            {
                Ok(base.clone())
            }
            [] => Err(Error::usage(format!("{name} lists no model")).hint(by_name)),
            many => {
                let shown = many.iter().take(MODELS_SHOWN).map(|model| shown(model)).collect::<Vec<_>>();
                let more = match many.len().saturating_sub(MODELS_SHOWN) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                Err(Error::usage(format!("{name} lists {} models", many.len())).hint(format!(
                    "choose one with {}: {}{more}",
                    hints.option("model"),
                    shown.join(", ")
                )))
            }
        }
    }

    fn find_tokens(&self, experiment: &Experiment, model: &str) -> Result<Tokens> {
        // A file or folder of that name is read only where the script may; a server, too, can
        // give its model the name of a path.
        let name = if self.tokenizer.is_empty() { model } else { &self.tokenizer };
        if !name.is_empty() && std::path::Path::new(name).exists() {
            experiment.access.may_read(name)?;
        }
        if self.tokenizer.is_empty() {
            let folder = std::path::Path::new(model);
            if folder.is_dir() {
                return match Tokens::find(model) {
                    Ok((tokens, warning)) => {
                        let told =
                            warning.map(|warning| experiment.console.words().no_tokenizer(model, &warning));
                        told.iter().for_each(|told| experiment.console.warn(told));
                        Ok(tokens)
                    }
                    Err(error) => {
                        let told = format!("{}; prompts are made of common English words", error.message);
                        experiment.console.warn(&experiment.console.words().no_tokenizer(model, &told));
                        Ok(Tokens::Words)
                    }
                };
            }
            // Nobody asked for one: the word list serves when the model's own is not at hand.
            let looks_like_a_file = folder.exists();
            return Ok(if looks_like_a_file {
                Tokens::Words
            } else {
                Tokens::find(model).map_or(Tokens::Words, |found| found.0)
            });
        }
        let (tokens, warning) = Tokens::find(&self.tokenizer)?;
        if let Some(warning) = warning {
            experiment.console.warn(&experiment.console.words().no_tokenizer(&self.tokenizer, &warning));
        }
        Ok(tokens)
    }
}

/// A name from a server, for a terminal.
fn shown(name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    if name.chars().any(char::is_control) { format!("{name:?}") } else { name }
}

/// Ollama lists `llama3:latest` and takes `llama3`.
fn same_model(listed: &str, asked: &str) -> bool {
    listed == asked || listed.strip_prefix(asked).is_some_and(|rest| rest == ":latest")
}
