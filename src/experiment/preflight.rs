//! `Preflight`: the requests before any load, and what they teach of the server.
//!
//! The body goes out as it is configured. A field of ours that the server names in its refusal is
//! left out or renamed, and stays so for every later request of the target; what the user asked
//! for is never taken away. A server that is not up yet is asked again while there is patience.

use super::Experiment;
use super::bound::Bound;
use super::hints::Hints;
use crate::client::blame::{Blame, may_pass};
use crate::client::control::{Again, Patience};
use crate::client::dialect::LIMITS;
use crate::client::protocol::{Api, own_fields};
use crate::client::refusal::{self, OPTIONAL, Remedy, Sent};
use crate::client::target::Exact;
use crate::client::{OutgoingRequest, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::lang::Lang;
use crate::os;
use crate::record::{Adaption, Outcome, Record, Request, Timeout};
use crate::tokens::Tokens;
use crate::workload::{Length, Prompts, Traffic, Workload};
use serde_json::{Map, Value, json};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Tokens of its prompt and reply.
const INPUT: u32 = 16;
const OUTPUT: u32 = 4;

/// A server that does not keep to the length is cut off after so many events a choice.
const EVENTS_MAX: usize = 64;

/// Bodies that are tried at most.
const BODIES_MAX: u32 = 16;

/// How gateways that have no better status say that their back end is not there yet.
const NOBODY_BEHIND: [&str; 8] = [
    "connection error",
    "connection refused",
    "connect error",
    "econnrefused",
    "failed to connect",
    "cannot connect",
    "no healthy",
    "still loading",
];

/// The requests before any load.
pub struct Preflight<'a> {
    experiment: &'a Experiment,
    /// As the user configured it, its model known.
    asked: Target,
    tokens: &'a Arc<Tokens>,
    /// What the first requests of the load will have in their bodies beside that.
    extra: Option<Arc<Map<String, Value>>>,
    /// The user gave a temperature.
    temperature_given: bool,
    learnt: Learnt,
    /// Tokens of the reply that are asked for.
    output: u32,
    keeps_no_length: bool,
}

/// What is known of the fields that a server takes.
#[derive(Debug, Clone, Default)]
pub struct Learnt {
    /// Fields that are left out, and whether the server named them.
    left_out: Vec<(String, bool)>,
    /// The name of the limit, where it is not the usual one, and what it replaces.
    limit: Option<(String, String)>,
    refused_limits: Vec<String>,
    /// The server ignored the usual limit.
    ignored: bool,
    /// Requests that it took, and the output tokens of all of them.
    tries: u32,
    output_tokens: u32,
}

/// One reply.
struct Probe {
    record: Record,
    retry_after: Option<Duration>,
}

impl<'a> Preflight<'a> {
    pub fn new(
        experiment: &'a Experiment,
        asked: Target,
        tokens: &'a Arc<Tokens>,
        extra: Option<Arc<Map<String, Value>>>,
        temperature_given: bool,
        learnt: Learnt,
    ) -> Preflight<'a> {
        let mut preflight = Preflight {
            experiment,
            asked,
            tokens,
            extra,
            temperature_given,
            learnt,
            output: OUTPUT,
            keeps_no_length: false,
        };
        // A least length of the user's own must not be refused for our sake.
        preflight.output = preflight.number("min_tokens").map_or(OUTPUT, |least| least.clamp(OUTPUT, 4_096));
        preflight
    }

    /// What to start from when other fields are tried.
    pub fn learnt(&self) -> Learnt {
        let mut learnt = self.learnt.clone();
        // A guess that has held is none any more.
        learnt.left_out.iter_mut().for_each(|(_, named)| *named = true);
        learnt
    }

    /// The target as it is to be used.
    pub fn target(&self) -> Target {
        let fields: Vec<String> = self.learnt.left_out.iter().map(|(field, _)| field.clone()).collect();
        self.asked.adapted(&fields, self.learnt.limit.as_ref().map(|(name, _)| name.as_str()))
    }

    /// Tries until a reply shows that load can be sent.
    pub fn learn(&mut self, patience: &mut Patience<'_>) -> Result<Record> {
        let mut bodies = 1;
        loop {
            let probe = self.send(patience)?;
            if shows_enough(&probe.record) {
                let record = self.restore(probe.record, patience)?;
                return self.learn_limit(record, patience);
            }
            if busy(&probe.record) {
                self.wait(&probe, patience)?;
                continue;
            }
            bodies += 1;
            if bodies > BODIES_MAX || !self.adapts(&probe.record) {
                return Err(self.failed(&probe.record, patience.limit()));
            }
        }
    }

    /// Waits for a server that has nobody to answer yet.
    fn wait(&self, probe: &Probe, patience: &mut Patience<'_>) -> Result<()> {
        let said = self.words(&probe.record);
        let url = self.asked.endpoint_url();
        let why = format!("{url} says: {said}");
        let again = self.experiment.runtime()?.block_on(patience.again(probe.retry_after, &why))?;
        let (limit, hints) = (patience.limit().as_secs_f64(), Hints::of(&self.experiment.program));
        let longer =
            format!("wait longer for it ({}), or look into the server's log", hints.option("ready_timeout"));
        let failed = |told: String| Err(Error::new(ErrorKind::NotReady, told).hint(longer));
        match again {
            Again::Yes => Ok(()),
            Again::No if limit == 0.0 => failed(format!("the first request to {url} failed: {said}")),
            Again::No => {
                let name = &self.asked.name;
                failed(format!(
                    "{name} was not ready after {limit} s: the first request to {url} failed: {said}"
                ))
            }
            Again::NotThatLong(asked) => failed(format!(
                "the first request to {url} failed: {said}; it asks to come back in {} s, which is more than is left of {limit} s",
                asked.as_secs()
            )),
        }
    }

    /// Changes the body as a refusal asks for; false when nothing can be changed.
    fn adapts(&mut self, record: &Record) -> bool {
        let target = self.target();
        let (refusal, certain) = self.refusal(&target, record);
        let about_the_body = record.outcome == Outcome::Status && matches!(record.status, Some(400 | 422));
        let elsewhere = matches!(record.status, Some(401 | 403 | 404 | 405 | 407));
        let told = certain && !elsewhere && matches!(record.outcome, Outcome::Status | Outcome::ServerError);
        if !about_the_body && !told {
            return false;
        }
        match refusal {
            Remedy::LeaveOut(field) => self.learnt.left_out.push((field, true)),
            Remedy::Limit(name) => self.rename_limit(&target, name),
            Remedy::AtLeast(least) if least > self.output => self.output = least,
            Remedy::Silent => return self.guesses(&target),
            _ => return false,
        }
        true
    }

    fn rename_limit(&mut self, target: &Target, name: String) {
        let sent = own_fields(target).into_iter().find(|field| LIMITS.contains(&field.as_str()));
        self.learnt.refused_limits.extend(sent);
        let usual = own_fields(&self.asked).into_iter().find(|field| LIMITS.contains(&field.as_str()));
        self.learnt.limit = usual.map(|usual| (name, usual));
    }

    /// A refusal without a name: the fields that fewest servers know go first.
    fn guesses(&mut self, target: &Target) -> bool {
        let (ours, asked) = (own_fields(target), self.asked_fields());
        let free = |field: &&&str| {
            ours.iter().any(|name| name == **field) && !asked.iter().any(|name| name == **field)
        };
        if let Some(field) = OPTIONAL.iter().find(free) {
            self.learnt.left_out.push((field.to_string(), false));
            return true;
        }
        let sent = Sent { ours: &ours, asked: &asked, refused: &self.learnt.refused_limits };
        match refusal::next_limit(sent) {
            Some(name) => self.rename_limit(target, name),
            None => return false,
        }
        true
    }

    /// Fields that were left out by guessing come back one by one, but for the last, without which
    /// the body was taken.
    fn restore(&mut self, mut record: Record, patience: &Patience<'_>) -> Result<Record> {
        let guessed: Vec<String> =
            self.learnt.left_out.iter().filter(|(_, named)| !named).map(|(field, _)| field.clone()).collect();
        let needed = if self.learnt.limit.is_some() { 0 } else { 1 };
        for field in guessed.iter().take(guessed.len().saturating_sub(needed)) {
            let kept = self.learnt.left_out.clone();
            self.learnt.left_out.retain(|(left, _)| left != field);
            let probe = self.send(patience)?;
            if shows_enough(&probe.record) {
                record = probe.record;
            } else {
                self.learnt.left_out = kept;
            }
        }
        Ok(record)
    }

    /// A server that ignores `max_completion_tokens` says more than it was allowed to.
    fn learn_limit(&mut self, record: Record, patience: &Patience<'_>) -> Result<Record> {
        let allowed = self.allowed();
        let too_long = |record: &Record| {
            allowed.is_some_and(|allowed| record.output_tokens().is_some_and(|(n, _)| n > allowed))
        };
        let usual =
            self.learnt.limit.is_none() && own_fields(&self.asked).iter().any(|field| field == LIMITS[0]);
        if self.asked.api != Api::Chat || !too_long(&record) {
            return Ok(record);
        }
        if usual {
            self.learnt.limit = Some(("max_tokens".into(), LIMITS[0].into()));
            let second = self.send(patience)?.record;
            if shows_enough(&second) && !too_long(&second) {
                self.learnt.ignored = true;
                return Ok(second);
            }
            self.learnt.limit = None;
        }
        self.keeps_no_length = true;
        Ok(record)
    }

    /// Most output tokens of a reply that keeps to its limit; `None`: too many to be sure.
    fn allowed(&self) -> Option<u32> {
        let given = LIMITS.iter().filter_map(|name| self.number(name)).max();
        let choices = self.choices();
        let allowed = given.unwrap_or(self.output).saturating_mul(choices).saturating_add(choices);
        ((allowed as usize) < EVENTS_MAX).then_some(allowed)
    }

    /// Replies to one request.
    fn choices(&self) -> u32 {
        self.number("n").unwrap_or(1).clamp(1, 1_000)
    }

    /// A number that the user lays over the body.
    fn number(&self, name: &str) -> Option<u32> {
        let theirs = self.extra.as_deref().and_then(|extra| extra.get(name));
        let parameters = self.asked.extra_body.get("parameters");
        let given =
            theirs.or(self.asked.extra_body.get(name)).or(parameters.and_then(|below| below.get(name)));
        given?.as_u64().map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// Names of the fields that the user asked for.
    fn asked_fields(&self) -> Vec<String> {
        let extra = self.extra.as_deref().into_iter().chain([&self.asked.extra_body]);
        let mut fields: Vec<String> = Vec::new();
        for (name, value) in extra.flatten() {
            match value {
                // What they want taken away is nothing that is sent.
                Value::Null => {}
                Value::Object(below) if name == "parameters" => fields.extend(below.keys().cloned()),
                _ => fields.push(name.clone()),
            }
        }
        if self.temperature_given {
            fields.push("temperature".into());
        }
        fields
    }

    fn refusal(&self, target: &Target, record: &Record) -> (Remedy, bool) {
        let (ours, asked) = (own_fields(target), self.asked_fields());
        let sent = Sent { ours: &ours, asked: &asked, refused: &self.learnt.refused_limits };
        let words = record.error.as_deref().unwrap_or_default();
        refusal::read_closely(words, sent)
    }

    fn send(&mut self, patience: &Patience<'_>) -> Result<Probe> {
        let mut target = self.target();
        target.events_max = EVENTS_MAX * self.choices() as usize;
        let bound = Bound::of(&target.timeouts, patience.limit());
        target.timeouts = bound.applied(&target.timeouts);
        let request = self.request()?;
        let awaited = format!(
            "the first reply of {}, up to {} s ({})",
            target.endpoint_url(),
            bound.time.as_secs_f64(),
            Hints::of(&self.experiment.program).options(&bound)
        );
        let probe = async {
            let client = self.experiment.client_of(&Arc::new(target)).await?;
            let id = format!("preflight-{:016x}", os::wall());
            let bytes = client.encode(&request, &id);
            let order = OutgoingRequest::alone(request, id, bytes, false);
            let parcel = client.send(order, pin!(std::future::pending())).await;
            Ok(Probe { retry_after: parcel.retry_after, record: *parcel.open() })
        };
        let probe: Probe = self.experiment.runtime()?.block_on(patience.aloud(&awaited, probe))??;
        self.learnt.tries += 1;
        self.learnt.output_tokens += probe.record.output_tokens().map_or(0, |(n, _)| n);
        Ok(probe)
    }

    /// A request of its own prompt.
    fn request(&self) -> Result<Request> {
        let workload = Workload::Prompts(Prompts {
            class: "".into(),
            input: Length::Fixed(INPUT),
            output: Length::Fixed(self.output),
            prefix: None,
            extra: self.extra.clone(),
            tokens: self.tokens.clone(),
        });
        let salt = self.experiment.salt ^ os::wall() as u64;
        let traffic = Traffic { seed: 0, key: "preflight".into(), salt };
        let first = workload.session(&traffic, 0).next(None)?;
        Ok(first.expect("a plain session has one request").request)
    }

    /// What every later request goes without, or with under another name.
    pub fn adaptions(&self) -> Vec<Adaption> {
        let limit = self
            .learnt
            .limit
            .as_ref()
            .map(|(name, usual)| Adaption { ignored: self.learnt.ignored, ..Adaption::renamed(usual, name) });
        self.learnt.left_out.iter().map(|(field, _)| Adaption::left_out(field)).chain(limit).collect()
    }

    /// Sentences for the report. The server's own counters have seen these requests, so it must
    /// own up to them.
    pub fn notes(&self, record: &Record, lang: Lang) -> Vec<String> {
        let mut notes: Vec<String> = lang.adaptions(&self.adaptions()).collect();
        notes.extend(self.keeps_no_length.then(|| lang.keeps_no_length()));
        notes.push(self.ahead(lang));
        notes.extend(self.overhead(record).filter(|n| *n != 0).map(|n| lang.overhead(n)));
        notes
    }

    /// How many requests it took so far.
    pub fn ahead(&self, lang: Lang) -> String {
        lang.tried(self.learnt.tries, self.learnt.output_tokens)
    }

    /// What it showed, for the manifest.
    pub fn told(&self, record: &Record) -> Value {
        let target = self.target();
        let adaptions: Vec<Value> = self
            .adaptions()
            .into_iter()
            .map(|Adaption { field, instead, ignored }| {
                json!({ "field": field, "instead": instead, "server": if ignored { "ignores" } else { "refuses" } })
            })
            .collect();
        json!({
            "requests_not_measured": self.learnt.tries,
            "output_tokens": self.learnt.output_tokens,
            "input_tokens": record.usage.input,
            "counted_input_tokens": record.counted_input,
            "overhead_tokens": self.overhead(record),
            "exact_length": match target.exact {
                Exact::No => "not asked",
                Exact::IgnoreEos => "ignore_eos",
                Exact::MinTokens if self.learnt.left_out.iter().any(|(field, _)| field == "ignore_eos") => "min_tokens",
                Exact::MinTokens => "ignore_eos and min_tokens",
            },
            "limit_field": self.learnt.limit.as_ref().map_or("usual", |(name, _)| name.as_str()),
            "adaptions": adaptions,
        })
    }

    /// Tokens that the server adds to a prompt (BOS, chat template), where both counts are known.
    fn overhead(&self, record: &Record) -> Option<i64> {
        let (input, counted) = (i64::from(record.usage.input?), i64::from(record.counted_input?));
        // Some servers count the prompt once for each of several replies.
        let choices = i64::from(self.choices());
        let each = if input % choices == 0 && input / choices >= counted { input / choices } else { input };
        Some(each - counted)
    }

    /// What a reply that is no success said.
    fn words(&self, record: &Record) -> String {
        let words = record.error.as_deref().filter(|words| !words.is_empty());
        self.asked.scrub(words.unwrap_or("no reply")).into_owned()
    }

    /// `ready`: how long the server is waited for.
    fn failed(&self, record: &Record, ready: Duration) -> Error {
        let (url, hints, target) =
            (self.asked.endpoint_url(), Hints::of(&self.experiment.program), self.target());
        if let Outcome::TimedOut(limit) = record.outcome
            && limit != Timeout::Connect
        {
            return hints.late(&url, &Bound::of(&target.timeouts, ready).passed(limit, &target.timeouts));
        }
        let (refusal, certain) = self.refusal(&target, record);
        let kind = Blame::of(record, Some(&refusal).filter(|_| certain)).kind();
        let error = Error::new(kind, format!("the first request to {url} failed: {}", self.words(record)));
        let about_the_body = matches!(record.status, Some(400 | 422)) || certain;
        error.hint(match about_the_body.then(|| self.hint_of(&refusal, &target)).flatten() {
            Some(hint) => hint,
            None => hints.failed(record, &target),
        })
    }

    /// What to do about a refusal that nothing of ours can mend.
    fn hint_of(&self, refusal: &Remedy, target: &Target) -> Option<String> {
        let hints = Hints::of(&self.experiment.program);
        Some(match refusal {
            Remedy::Asked(field) => {
                let in_extra = |extra: &Map<String, Value>| {
                    extra.contains_key(field)
                        || extra.get("parameters").is_some_and(|below| below.get(field).is_some())
                };
                let place = if in_extra(&self.asked.extra_body) { None } else { Some(hints.sampling(field)) };
                match place {
                    None => format!("take {field:?} out of {}", hints.option("extra_body")),
                    Some(place) => format!("leave out {place}, which asks for {field:?}"),
                }
            }
            Remedy::Needed(field) if LIMITS.contains(&field.as_str()) => {
                let fields = own_fields(target).into_iter().filter(|field| LIMITS.contains(&field.as_str()));
                let fields: Vec<String> = fields.map(|field| format!("{field:?}: null")).collect();
                format!(
                    "say the limit of a reply as this server wants it: {}",
                    hints.extra_body(&format!("{{{}, \"NAME\": 256}}", fields.join(", ")))
                )
            }
            Remedy::Needed(field) if field == "stream" => {
                format!("ask for replies in one piece: {}", hints.set("stream", "false"))
            }
            Remedy::Needed(field) if field == "model" => {
                format!("check the model's name ({:?})", target.model)
            }
            Remedy::Needed(field) => {
                format!(
                    "the server does not take {field:?}: check {} and {}",
                    hints.option("backend"),
                    hints.option("endpoint")
                )
            }
            Remedy::Wants(field) => match field.as_str() {
                "messages" => format!("it wants a chat: {}", hints.set("backend", "openai-chat")),
                "inputs" => format!("it speaks another API: {}", hints.set("backend", "tgi")),
                "text_input" => format!("it speaks another API: {}", hints.set("backend", "tensorrt-llm")),
                _ => format!("it wants a prompt and no chat: {}", hints.set("backend", "openai")),
            },
            Remedy::Length => format!(
                "the first request asks for {INPUT} tokens and {} more: look at the server's limit of the context",
                self.output
            ),
            _ => return None,
        })
    }
}

/// The reply shows that key, path and body are right. One that we cut off does, too.
fn shows_enough(record: &Record) -> bool {
    let cut =
        matches!(record.outcome, Outcome::Cancelled | Outcome::TimedOut(Timeout::Total | Timeout::Idle));
    record.success() || (cut && record.timeline.events.output().next().is_some())
}

/// Nobody was there to answer: it may be otherwise in a moment.
fn busy(record: &Record) -> bool {
    match (record.outcome, record.status) {
        (Outcome::Status, Some(status)) if may_pass(status) => true,
        (Outcome::Status, Some(500)) => {
            let words = record.error.as_deref().unwrap_or_default().to_lowercase();
            NOBODY_BEHIND.iter().any(|sign| words.contains(sign))
        }
        (Outcome::Connect | Outcome::Disconnected | Outcome::TimedOut(Timeout::Connect), _) => {
            !record.error.as_deref().is_some_and(|words| words.contains("certificate"))
        }
        _ => false,
    }
}
