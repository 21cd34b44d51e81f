//! `WorkloadSource`: a workload as a script describes it; it becomes one when the tokenizer of
//! its target is known.

use crate::error::{Error, Result};
use crate::tokens::Tokens;
use crate::workload::read::{self, PromptRows};
use crate::workload::{
    self, Ask, Cancel, CancelAfter, Chat, Clips, Conversations, Dataset, Length, Marked, Marks, Models,
    PromptRow, Prompts, Replay, RowOrder, Sonnet, Think, Trace, TurnHook, Workload, clips,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;

/// What `prompts`, `dataset` and `mix` return.
#[derive(Debug, Clone)]
pub enum WorkloadSource {
    Prompts {
        shape: Prompts,
        models: Vec<String>,
        marks: Option<Arc<Marks>>,
    },
    /// Rows of a file, read when the script asked for it.
    Dataset {
        rows: PromptRows,
        order: RowOrder,
        output: Option<u32>,
        /// Its conversations are played with all their turns.
        conversations: Option<Conversations>,
        common: Common,
    },
    Sonnet {
        path: PathBuf,
        input: u32,
        prefix: u32,
        output: u32,
        common: Common,
    },
    /// A folder of sound; how long its files play where they do not say, microseconds.
    Audio {
        path: PathBuf,
        micros: Option<u64>,
        output: Option<u32>,
        common: Common,
    },
    Chat {
        shape: Chat,
        models: Vec<String>,
        marks: Option<Arc<Marks>>,
    },
    /// Rows of a trace, read when the script asked for it.
    Trace {
        trace: Arc<Trace>,
        common: Common,
    },
    Mix(Vec<(f64, WorkloadSource)>),
}

/// What every workload may have.
#[derive(Debug, Clone)]
pub struct Common {
    pub class: Arc<str>,
    pub extra: Option<Arc<Map<String, Value>>>,
    /// Model names, of which each request takes one.
    pub models: Vec<String>,
    /// What else is written on its requests.
    pub marks: Option<Arc<Marks>>,
}

/// Reply length of a row that does not say: vLLM's default.
const REPLY_TOKENS: u32 = 256;

/// Longest transcript: what Whisper can say of one window.
const TRANSCRIPT_TOKENS: u32 = 448;

impl WorkloadSource {
    /// What its requests have in their bodies beside the target's own fields, of each part in turn:
    /// sampling, and each of several models.
    pub fn extras(&self) -> Vec<Option<Arc<Map<String, Value>>>> {
        let (extra, models) = match self {
            WorkloadSource::Prompts { shape, models, .. } => (&shape.extra, models),
            WorkloadSource::Chat { shape, models, .. } => (&shape.extra, models),
            WorkloadSource::Dataset { common, .. }
            | WorkloadSource::Sonnet { common, .. }
            | WorkloadSource::Trace { common, .. }
            | WorkloadSource::Audio { common, .. } => (&common.extra, &common.models),
            WorkloadSource::Mix(parts) => return parts.iter().flat_map(|(_, part)| part.extras()).collect(),
        };
        if models.is_empty() {
            return vec![extra.clone()];
        }
        let model = |model: &String| Map::from_iter([("model".into(), model.as_str().into())]);
        models.iter().map(|name| workload::merged(extra, &Some(Arc::new(model(name))))).collect()
    }

    /// What of it defines a load, for the manifest; a file is known by its prompts.
    pub fn definition(&self) -> Value {
        let of_common = |common: &Common, mut map: Value| {
            map["class"] = (*common.class).into();
            map["body"] = json!(common.extra.as_deref());
            map["models"] = json!(common.models);
            map["marks"] = marked(common.marks.as_deref());
            map
        };
        match self {
            WorkloadSource::Prompts { shape, models, marks } => json!({
                "prompts": "random words",
                "class": &*shape.class,
                "input": length(&shape.input),
                "output": length(&shape.output),
                "prefix_tokens": shape.prefix.as_ref().map(|prefix| prefix.tokens),
                "prefix_groups": shape.prefix.as_ref().map(|prefix| prefix.groups),
                "body": shape.extra.as_deref(),
                "models": models,
                "marks": marked(marks.as_deref()),
            }),
            WorkloadSource::Chat { shape, models, marks } => json!({
                "prompts": "conversations of random words",
                "class": &*shape.class,
                "turns": length(&shape.turns),
                "user": length(&shape.user),
                "reply": length(&shape.reply),
                "think_s": match &shape.think {
                    Think::For(time) => time.as_secs_f64().into(),
                    Think::Drawn(seconds) => length(seconds),
                },
                "system_tokens": shape.system.as_ref().map(|system| system.tokens),
                "system_groups": shape.system.as_ref().map(|system| system.groups),
                "carry": format!("{:?}", shape.carry).to_lowercase(),
                "next_turn": shape.next_turn.as_ref().map(|hook| &*hook.cost.sha256),
                "body": shape.extra.as_deref(),
                "models": models,
                "marks": marked(marks.as_deref()),
            }),
            WorkloadSource::Dataset { rows, order, output, conversations, common } => of_common(
                common,
                json!({
                    "prompts": &*rows.name,
                    "rows": rows.rows.len(),
                    "rows_sha256": rows_hash(&rows.rows),
                    "order": format!("{order:?}").to_lowercase(),
                    "output": output,
                    "turns": conversations.as_ref().map(|how| format!("all, {how:?}").to_lowercase()),
                }),
            ),
            WorkloadSource::Trace { trace, common } => of_common(
                common,
                json!({
                    "trace": &*trace.name,
                    "rows": trace.rows(),
                    "rows_sha256": trace.hash(),
                    "input_tokens": trace.input_tokens(),
                    "reusable_input_tokens": trace.reusable_tokens(),
                }),
            ),
            WorkloadSource::Sonnet { path, input, prefix, output, common } => of_common(
                common,
                json!({
                    "prompts": path.display().to_string(),
                    "input": input,
                    "prefix_tokens": prefix,
                    "output": output,
                }),
            ),
            WorkloadSource::Audio { path, micros, output, common } => of_common(
                common,
                json!({ "prompts": path.display().to_string(), "audio_us": micros, "output": output }),
            ),
            WorkloadSource::Mix(parts) => {
                let part = |(weight, part): &(f64, WorkloadSource)| json!({ "weight": weight, "of": part.definition() });
                json!({ "mix": parts.iter().map(part).collect::<Vec<_>>() })
            }
        }
    }

    /// Whether a session may have more than one request.
    pub fn converses(&self) -> bool {
        match self {
            WorkloadSource::Chat { .. } => true,
            WorkloadSource::Dataset { conversations, .. } => conversations.is_some(),
            WorkloadSource::Mix(parts) => parts.iter().any(|(_, part)| part.converses()),
            _ => false,
        }
    }

    /// Prompts that a file has, where it is read for them.
    pub fn prompts(&self) -> Option<usize> {
        match self {
            WorkloadSource::Dataset { rows, .. } => Some(rows.rows.len()),
            _ => None,
        }
    }

    /// True when some request asks token ids, which only an API of completions can be sent.
    pub fn has_token_ids(&self) -> bool {
        match self {
            WorkloadSource::Prompts { .. }
            | WorkloadSource::Chat { .. }
            | WorkloadSource::Sonnet { .. }
            | WorkloadSource::Trace { .. }
            | WorkloadSource::Audio { .. } => false,
            WorkloadSource::Mix(parts) => parts.iter().any(|(_, part)| part.has_token_ids()),
            WorkloadSource::Dataset { rows, .. } => rows.rows.iter().any(|row| match &row.ask {
                Ask::Verbatim(asked) => asked.ids().is_some(),
                _ => false,
            }),
        }
    }

    /// Reads what must be read. Errors name the file, line and column.
    pub fn build(&self, tokens: &Arc<Tokens>) -> Result<Workload> {
        let workload = match self {
            WorkloadSource::Prompts { shape, models, marks } => {
                let prompts = Prompts { tokens: tokens.clone(), ..shape.clone() };
                with_models(Workload::Prompts(prompts), models, marks)
            }
            WorkloadSource::Chat { shape, models, marks } => {
                let next_turn = shape.next_turn.as_ref().map(TurnHook::anew);
                let chat = Chat { tokens: tokens.clone(), next_turn, ..shape.clone() };
                with_models(Workload::Chat(Arc::new(chat)), models, marks)
            }
            WorkloadSource::Mix(parts) => {
                let parts = parts.iter().map(|(weight, part)| Ok((*weight, part.build(tokens)?)));
                Workload::Mix(parts.collect::<Result<_>>()?)
            }
            WorkloadSource::Dataset { rows, order, output, conversations, common } => {
                let dataset = Dataset {
                    class: common.class.clone(),
                    name: rows.name.clone(),
                    skipped: rows.skipped.clone(),
                    counts: Arc::new(workload::count(&rows.rows, tokens, *output)),
                    rows: rows.rows.clone(),
                    order: *order,
                    output: Length::Fixed(REPLY_TOKENS),
                    fixed_output: *output,
                    conversations: conversations.clone().map(Arc::new),
                    extra: common.extra.clone(),
                    tokens: tokens.clone(),
                };
                with_models(Workload::Dataset(dataset), &common.models, &common.marks)
            }
            WorkloadSource::Trace { trace, common } => {
                let replay = Replay {
                    trace: trace.clone(),
                    class: common.class.clone(),
                    extra: common.extra.clone(),
                    tokens: tokens.clone(),
                };
                with_models(Workload::Trace(replay), &common.models, &common.marks)
            }
            WorkloadSource::Audio { path, micros, output, common } => {
                let clips = Clips {
                    class: common.class.clone(),
                    name: path.display().to_string().into(),
                    clips: Arc::new(clips(path, *micros)?),
                    output: output.unwrap_or(TRANSCRIPT_TOKENS),
                    extra: common.extra.clone(),
                };
                with_models(Workload::Clips(clips), &common.models, &common.marks)
            }
            WorkloadSource::Sonnet { path, input, prefix, output, common } => {
                let sonnet = Sonnet {
                    class: common.class.clone(),
                    lines: Arc::new(read::poem(path, tokens)?),
                    input: *input,
                    prefix: *prefix,
                    output: *output,
                    extra: common.extra.clone(),
                    tokens: tokens.clone(),
                };
                with_models(Workload::Sonnet(sonnet), &common.models, &common.marks)
            }
        };
        workload.check().map_err(Error::usage)?;
        Ok(workload)
    }
}

/// A number, or a distribution in words.
fn length(of: &Length) -> Value {
    match of {
        Length::Fixed(tokens) => (*tokens).into(),
        other => format!("{other:?}").into(),
    }
}

/// Rows that a hash looks at: with their number enough to tell two files apart.
const ROWS_HASHED: usize = 4_096;

fn rows_hash(rows: &[PromptRow]) -> String {
    let mut hash = Sha256::new();
    rows.iter().take(ROWS_HASHED).for_each(|row| hash.update(format!("{row:?}\n")));
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn with_models(workload: Workload, models: &[String], marks: &Option<Arc<Marks>>) -> Workload {
    let workload = match models {
        [] => workload,
        models => Workload::Models(Models { models: models.to_vec(), workload: Box::new(workload) }),
    };
    match marks {
        None => workload,
        Some(marks) => Workload::Marked(Marked { marks: marks.clone(), workload: Box::new(workload) }),
    }
}

/// Which users hang up, and where a session's name stands, for the manifest.
fn marked(marks: Option<&Marks>) -> Value {
    let Some(Marks { cancel, session_id }) = marks else { return Value::Null };
    let id = session_id.as_ref().map(|id| json!({ "header": id.header, "field": id.field }));
    json!({ "cancel": cancel.as_ref().map(cancelled), "session_id": id })
}

fn cancelled(cancel: &Cancel) -> Value {
    let after = match &cancel.after {
        CancelAfter::Tokens(tokens) => json!({ "tokens": length(tokens) }),
        CancelAfter::Time(Think::For(time)) => json!({ "time_s": time.as_secs_f64() }),
        CancelAfter::Time(Think::Drawn(seconds)) => json!({ "time_s": length(seconds) }),
        CancelAfter::Silence(time) => json!({ "without_first_token_s": time.as_secs_f64() }),
    };
    json!({ "share": cancel.share, "after": after })
}
