//! Workloads: what requests ask.

use std::sync::Arc;
use std::time::Duration;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::turn::TurnFunction;
use crate::client::head;
use crate::error::Error;
use crate::experiment::limits;
use crate::experiment::source::{Common, WorkloadSource};
use crate::script::fault::{Fallible, raise};
use crate::script::function::Callable;
use crate::script::hook::Hook;
use crate::script::json;
use crate::script::options::workload::{
    self, CARRY, CHAT, DATASET, ORDER, PREFIX, PROMPTS, RECORDED_CARRY, RECORDED_TURNS,
};
use crate::script::opts::{Opts, need, need_number, number};
use crate::script::reading;
use crate::script::state::State;
use crate::tokens::Tokens;
use crate::workload::read::{self, DataFormat, How};
use crate::workload::{
    Cancel, Carry, Chat, Conversations, Length, Marks, Prefix, Prompts, RecordedCarry, RowOrder, SessionId,
    TOKENS_MAX, Think, TurnHook,
};

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_type_with_name::<Length>("length");
    engine.register_type_with_name::<WorkloadSource>("workload");
    engine.register_global_module(exported_module!(functions).into());
}

fn refuse<T>(told: impl Into<String>) -> Fallible<T> {
    Err(raise(Error::usage(told)))
}

fn checked(call: &str, length: Length) -> Fallible<Length> {
    match length.check() {
        Ok(()) => Ok(length),
        Err(what) => refuse(format!("{call}: {what}")),
    }
}

fn tokens_of(call: &str, argument: &str, value: &Dynamic) -> Fallible<u32> {
    let n = need::<i64>(call, argument, value)?;
    match u32::try_from(n) {
        Ok(n) if n > TOKENS_MAX => {
            refuse(format!("{call}: {argument} must be at most {TOKENS_MAX} tokens, got {n}"))
        }
        Ok(n) if n > 0 => Ok(n),
        Err(_) if n > 0 => refuse(format!("{call}: {argument} must be at most {TOKENS_MAX} tokens, got {n}")),
        _ => refuse(format!("{call}: {argument} must be at least 1 token, got {n}")),
    }
}

/// A length option that must be there.
fn length(opts: &mut Opts, name: &'static str) -> Fallible<Length> {
    let value = opts.need_judged(name)?;
    workload::length(&value).map_err(|told| opts.error(name, &told))
}

/// The options that every workload has.
pub(super) fn common(opts: &mut Opts) -> Fallible<Common> {
    let class = opts.take::<String>("class")?.unwrap_or_default();
    limits::fits("class", "a class", &class).map_err(raise)?;
    let sampling = opts.take::<Map>("sampling")?.unwrap_or_default();
    let models = opts.take::<Array>("models")?.unwrap_or_default();
    let fields = json::faithful(&sampling).map_err(|what| opts.error("sampling", &what))?;
    let extra = (!fields.is_empty()).then(|| Arc::new(fields));
    let (cancel, session_id) = (cancel(opts)?, session_id(opts)?);
    let marks = (cancel.is_some() || session_id.is_some()).then(|| Arc::new(Marks { cancel, session_id }));
    Ok(Common { class: class.into(), extra, marks, models: models.iter().map(ToString::to_string).collect() })
}

/// `next_turn` of a chat, rehearsed.
fn turn_hook(context: &NativeCallContext, function: Callable) -> Fallible<TurnHook> {
    let hook = Hook::new("next_turn", function, State::of(context));
    let cost = hook.cost();
    let function = TurnFunction(hook);
    function.rehearse().map_err(raise)?;
    Ok(TurnHook::new(Arc::new(function), cost))
}

/// How the conversations of a file are played, if all their turns are.
fn conversations(opts: &mut Opts) -> Fallible<Option<Conversations>> {
    if opts.take_word("turns", &RECORDED_TURNS)? != Some(true) {
        return Ok(None);
    }
    let think = match opts.take_judged("think")? {
        Some(value) => workload::think(&value).map_err(|told| opts.error("think", &told))?,
        None => Think::For(Duration::ZERO),
    };
    let carry = opts.take_word("carry", &RECORDED_CARRY)?.unwrap_or(RecordedCarry::Recorded);
    Ok(Some(Conversations { think, carry }))
}

/// Which users hang up.
fn cancel(opts: &mut Opts) -> Fallible<Option<Cancel>> {
    let Some(mut inner) = opts.take_map("cancel")? else { return Ok(None) };
    let share = inner.need::<f64>("share")?;
    let after = workload::after(&inner.need_judged("after")?).map_err(|told| inner.error("after", &told))?;
    inner.finish()?;
    Ok(Some(Cancel { share, after }))
}

/// Where the name of a session stands.
fn session_id(opts: &mut Opts) -> Fallible<Option<SessionId>> {
    let Some(mut inner) = opts.take_map("session_id")? else { return Ok(None) };
    let header = inner.take::<String>("header")?.map(|name| name.to_ascii_lowercase());
    if let Some(told) = header.as_deref().and_then(|name| head::fits(name, "").err()) {
        return Err(inner.error("header", &format!("cannot be used: {told}")));
    }
    let field = inner.take::<String>("field")?;
    inner.finish()?;
    match (&header, &field) {
        (None, None) => Err(opts.error("session_id", "needs `header`, `field`, or both")),
        _ => Ok(Some(SessionId { header, field })),
    }
}

fn prefix(opts: &mut Opts) -> Fallible<Option<Prefix>> {
    match opts.take_map("prefix")? {
        Some(inner) => shared_text(inner),
        None => Ok(None),
    }
}

/// The system prompt of `chat`: a number of tokens is one for all.
fn system(opts: &mut Opts) -> Fallible<Option<Prefix>> {
    let Some(value) = opts.take_judged("system")? else { return Ok(None) };
    match workload::system(&value).map_err(|told| opts.error("system", &told))? {
        Some(map) => shared_text(Opts::of(&PREFIX, map)),
        None => Ok(Some(Prefix { tokens: tokens_of("chat", "system", &value)?, groups: 1 })),
    }
}

fn shared_text(mut inner: Opts) -> Fallible<Option<Prefix>> {
    let tokens = inner.need::<u64>("tokens")?;
    let groups = inner.get::<u64>("groups")?;
    inner.finish()?;
    Ok((tokens > 0).then_some(Prefix { tokens: small(tokens), groups: small(groups) }))
}

fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn format_named(opts: &Opts, name: &str, path: &std::path::Path) -> Fallible<DataFormat> {
    let lower = path.to_string_lossy().to_lowercase();
    let by_ending = || match read::ending(&lower) {
        _ if path.is_dir() => Some(DataFormat::Hf),
        "json" => Some(DataFormat::ShareGpt),
        "txt" | "md" => Some(DataFormat::Lines),
        "tsv" => Some(DataFormat::Csv),
        ending => DataFormat::named(ending),
    };
    match name {
        // What vLLM calls custom are JSON lines, whatever the file's name.
        "custom" => {
            Ok(by_ending().filter(|format| *format != DataFormat::ShareGpt).unwrap_or(DataFormat::Jsonl))
        }
        name => DataFormat::named(name)
            .or_else(by_ending)
            .ok_or_else(|| opts.error("format", "is missing, and the file's ending does not tell it")),
    }
}

#[export_module]
mod functions {
    /// Always `n` tokens.
    #[rhai_fn(return_raw)]
    pub fn fixed(n: Dynamic) -> Fallible<Length> {
        Ok(Length::Fixed(tokens_of("fixed", "the length", &n)?))
    }

    /// Any length from `low` to `high` tokens, all equally likely.
    #[rhai_fn(return_raw)]
    pub fn uniform(low: Dynamic, high: Dynamic) -> Fallible<Length> {
        let low = tokens_of("uniform", "the least length", &low)?;
        let high = tokens_of("uniform", "the greatest length", &high)?;
        checked("uniform", Length::Uniform(low, high))
    }

    /// Normally distributed tokens, at least 1.
    #[rhai_fn(return_raw)]
    pub fn normal(mean: Dynamic, sd: Dynamic) -> Fallible<Length> {
        let mean = need_number("normal", "the mean", &mean)?;
        checked("normal", Length::Normal { mean, sd: need_number("normal", "the deviation", &sd)? })
    }

    /// Log-normally distributed tokens with this median, at least 1.
    #[rhai_fn(return_raw)]
    pub fn lognormal(median: Dynamic, sigma: Dynamic) -> Fallible<Length> {
        let median = need_number("lognormal", "the median", &median)?;
        checked("lognormal", Length::Lognormal { median, sigma: need_number("lognormal", "sigma", &sigma)? })
    }

    /// One of the given lengths: `empirical([[128, 0.7], [2048, 0.3]])`.
    #[rhai_fn(return_raw)]
    pub fn empirical(list: Array) -> Fallible<Length> {
        let mut values = Vec::new();
        for (i, pair) in list.into_iter().enumerate() {
            let pair = pair.into_array().unwrap_or_default();
            let [value, weight] = &pair[..] else {
                return refuse(format!("empirical: entry {} must be [tokens, weight]", i + 1));
            };
            values.push((
                tokens_of("empirical", "a length", value)?,
                need_number("empirical", "a weight", weight)?,
            ));
        }
        checked("empirical", Length::Empirical(values))
    }

    /// Uniform within `ratio` of `n` on both sides: `ranged(100, 0.2)` is 80 to 120.
    #[rhai_fn(return_raw)]
    pub fn ranged(n: Dynamic, ratio: Dynamic) -> Fallible<Length> {
        let n = tokens_of("ranged", "the length", &n)?;
        let ratio = need_number("ranged", "the ratio", &ratio)?;
        Length::ranged(n, ratio).map_err(|what| raise(Error::usage(format!("ranged: {what}"))))
    }

    /// Random words: `prompts(#{ input: 512, output: 128 })`, in tokens.
    #[rhai_fn(return_raw)]
    pub fn prompts(options: Map) -> Fallible<WorkloadSource> {
        let mut opts = Opts::of(&PROMPTS, options);
        let input = length(&mut opts, "input")?;
        let output = length(&mut opts, "output")?;
        let prefix = prefix(&mut opts)?;
        let common = common(&mut opts)?;
        opts.finish()?;
        let shape = Prompts {
            class: common.class,
            input,
            output,
            prefix,
            extra: common.extra,
            tokens: Arc::new(Tokens::Words),
        };
        Ok(WorkloadSource::Prompts { shape, models: common.models, marks: common.marks })
    }

    /// Conversations: `chat(#{ turns: uniform(2, 8), user: 60, reply: 180, think: "5s" })`. Each turn sends
    /// what was said before it again. With `closed(n)` a user has one conversation after another; with
    /// arrivals of a rate, conversations arrive. A reply that fails ends its conversation. With
    /// `next_turn: |turn| ...` a function says how it goes on.
    #[rhai_fn(volatile, return_raw)]
    pub fn chat(context: NativeCallContext, options: Map) -> Fallible<WorkloadSource> {
        let mut opts = Opts::of(&CHAT, options);
        let (turns, user, reply) =
            (length(&mut opts, "turns")?, length(&mut opts, "user")?, length(&mut opts, "reply")?);
        let think = match opts.take_judged("think")? {
            Some(value) => workload::think(&value).map_err(|told| opts.error("think", &told))?,
            None => Think::For(Duration::ZERO),
        };
        let system = system(&mut opts)?;
        let carry = opts.take_word("carry", &CARRY)?.unwrap_or(Carry::Reply);
        let next_turn = opts.take_fn("next_turn", &context)?;
        let common = common(&mut opts)?;
        opts.finish()?;
        let (class, extra) = (common.class, common.extra);
        let next_turn = next_turn.map(|function| turn_hook(&context, function)).transpose()?;
        let tokens = Arc::new(Tokens::Words);
        let shape = Chat { class, turns, think, system, user, reply, carry, next_turn, extra, tokens };
        Ok(WorkloadSource::Chat { shape, models: common.models, marks: common.marks })
    }

    /// Prompts from a file, also a `.gz`, or a folder of sound.
    #[rhai_fn(volatile, return_raw)]
    pub fn dataset(context: NativeCallContext, path: &str, options: Map) -> Fallible<WorkloadSource> {
        let state = State::of(&context);
        if path.is_empty() {
            return Err(raise(Error::usage("dataset: no file is named").hint("--dataset-path FILE")));
        }
        let mut opts = Opts::of(&DATASET, options);
        let common = common(&mut opts)?;
        let format = opts.take::<String>("format")?.unwrap_or_else(|| "auto".into());
        let is_there = state.experiment.access.is_there(path);
        let path = match format == "hf" {
            true => reading::data_set(&state, path).map_err(raise)?,
            false => state.experiment.access.may_read(path).map_err(raise)?,
        };
        if is_there {
            state.experiment.access.check_links(&path).map_err(raise)?;
        }
        let order = opts.take_word("order", &ORDER)?.unwrap_or(RowOrder::Sequential);
        let output = opts.take::<u64>("output")?.map(small);
        if format == "sonnet" {
            let (input, prefix) = (small(opts.get("input")?), small(opts.get("prefix")?));
            opts.finish()?;
            return Ok(WorkloadSource::Sonnet { path, input, prefix, output: output.unwrap_or(150), common });
        }
        if format == "audio" {
            let seconds = opts.take::<Duration>("seconds")?;
            opts.finish()?;
            let micros = seconds.map(|seconds| u64::try_from(seconds.as_micros()).unwrap_or(u64::MAX));
            return Ok(WorkloadSource::Audio { path, micros, output, common });
        }
        let mut text = |name| opts.take::<String>(name).map(|text| text.filter(|text| !text.is_empty()));
        let (prompt_column, reply_column) = (text("prompt_column")?, text("reply_column")?);
        let (split, subset) = (text("split")?, text("subset")?);
        let strict = opts.get("strict")?;
        let conversations = conversations(&mut opts)?;
        let format = format_named(&opts, &format, &path)?;
        opts.finish()?;
        let stop = Some(state.cancel.clone());
        let all_turns = conversations.is_some();
        let how = How { format, prompt_column, reply_column, split, subset, all_turns, strict, stop };
        let rows = reading::rows(&state, &path, how).map_err(raise)?;
        Ok(WorkloadSource::Dataset { rows, order, output, conversations, common })
    }

    /// Prompts from a file, everything by default: the format is the one of the file's ending.
    #[rhai_fn(name = "dataset", volatile, return_raw)]
    pub fn dataset_plain(context: NativeCallContext, path: &str) -> Fallible<WorkloadSource> {
        dataset(context, path, Map::new())
    }

    /// Several workloads in one run, by weight: `mix([[0.9, short], [0.1, long]])`.
    #[rhai_fn(return_raw)]
    pub fn mix(list: Array) -> Fallible<WorkloadSource> {
        let mut parts = Vec::new();
        for (i, pair) in list.into_iter().enumerate() {
            let pair = pair.into_array().unwrap_or_default();
            let parsed = match &pair[..] {
                [weight, part] => number(weight).zip(part.clone().try_cast::<WorkloadSource>()),
                _ => None,
            };
            let Some((weight, part)) = parsed else {
                return refuse(format!("mix: part {} must be [weight, workload]", i + 1));
            };
            if !(weight.is_finite() && weight > 0.0) {
                return refuse(format!("mix: the weight of part {} must be above 0, got {weight}", i + 1));
            }
            parts.push((weight, part));
        }
        let all = parts.iter().map(|(_, part)| limits::parts(part)).fold(0, usize::saturating_add);
        if all > limits::PARTS_MAX {
            return refuse(format!("mix: it has {all} parts in all, and may have {}", limits::PARTS_MAX));
        }
        match parts.is_empty() {
            true => {
                refuse("mix: give at least one part, such as [[1.0, prompts(#{ input: 512, output: 128 })]]")
            }
            false => Ok(WorkloadSource::Mix(parts)),
        }
    }

    /// The workload in words.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_string(_workload: &mut WorkloadSource) -> ImmutableString {
        "workload".into()
    }
}
