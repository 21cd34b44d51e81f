//! One API a file: build a body, read an event. Pure.
//!
//! [`Tally`] adds the meanings of one reply up and says how the request ended.

mod asked;
mod audio;
mod chat;
mod completions;
mod event;
mod fault;
mod finish;
mod forced;
mod foreign;
mod json;
mod mii;
mod odd;
mod openai;
mod tally;
mod template;
mod tensorrt;
mod text;
mod tgi;
mod usage;
mod verbatim;

#[cfg(test)]
mod replay;

pub use asked::asked_output;
pub use audio::content_type as audio_content_type;
pub use fault::error_words;
pub use forced::forces_length;
pub use tally::{Tally, Verdict};
pub use template::Reader;

use super::Target;
use crate::record::{Kind, Prompt, Request, Usage};
use serde_json::{Map, Value};

/// The request format of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OpenAI `/v1/completions` (vllm, openai, sglang, lmdeploy, scalellm).
    Completions,
    /// OpenAI `/v1/chat/completions`.
    Chat,
    /// TGI `/generate_stream`.
    Tgi,
    /// TensorRT-LLM / Triton `/v2/models/<m>/generate_stream`.
    TensorRt,
    /// DeepSpeed-MII: a prompt, and `{"text": [..]}`.
    Mii,
    /// OpenAI `/v1/audio/transcriptions`.
    Audio,
}

impl Api {
    pub const NAMES: [&'static str; 6] =
        ["openai-completions", "openai-chat", "tgi", "tensorrt-llm", "deepspeed-mii", "openai-audio"];
    const ALL: [Api; 6] = [Api::Completions, Api::Chat, Api::Tgi, Api::TensorRt, Api::Mii, Api::Audio];

    pub fn name(self) -> &'static str {
        match self {
            Api::Completions => "openai-completions",
            Api::Chat => "openai-chat",
            Api::Tgi => "tgi",
            Api::TensorRt => "tensorrt-llm",
            Api::Mii => "deepspeed-mii",
            Api::Audio => "openai-audio",
        }
    }

    pub fn from_name(name: &str) -> Option<Api> {
        Api::ALL.into_iter().find(|api| api.name() == name)
    }

    /// The usual path; `<model>` stands for the model's name.
    pub fn endpoint(self) -> &'static str {
        match self {
            Api::Completions | Api::Mii => "/v1/completions",
            Api::Chat => "/v1/chat/completions",
            Api::Tgi => "/generate_stream",
            Api::TensorRt => "/v2/models/<model>/generate_stream",
            Api::Audio => "/v1/audio/transcriptions",
        }
    }
}

/// What one event (or the whole body of a reply that was not streamed) means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meaning {
    pub kind: Kind,
    /// Output tokens in this event, when it says so itself (token ids, log probabilities).
    /// [`Tally::add`] knows more: it also reads continuous usage.
    pub tokens: u32,
    /// Bytes of output text.
    pub bytes: u32,
    /// How many of `bytes` were reasoning; within an event it comes before the rest.
    pub reasoning_bytes: u32,
    /// Of the choices in `choices` when there are any, else of the whole reply.
    pub usage: Usage,
    /// (choice index, finish reason) of each choice that ended here. The reason is empty where
    /// a server says that it has finished, but not why.
    pub finishes: Vec<(u32, String)>,
    /// Indexes of the choices that this event speaks of, as a bit set of the first 64.
    pub choices: u64,
    /// The others of them.
    pub choices_beyond: Vec<u32>,
    /// The output is the message of a choice as a whole: where it was streamed, a repetition.
    pub whole: bool,
    pub error: Option<String>,
}

impl Meaning {
    fn error(words: String) -> Meaning {
        Meaning { kind: Kind::ERROR, error: Some(words), ..Meaning::default() }
    }

    fn add(&mut self, kind: Kind) {
        self.kind = self.kind.with(kind);
    }

    /// Output text of a kind; an empty one is no output.
    fn output(&mut self, kind: Kind, piece: &str, text: &mut Option<&mut String>) {
        if piece.is_empty() {
            return;
        }
        self.add(kind);
        self.bytes = self.bytes.saturating_add(length(piece));
        if kind == Kind::REASONING {
            self.reasoning_bytes = self.reasoning_bytes.saturating_add(length(piece));
        }
        if let Some(text) = text {
            text.push_str(piece);
        }
    }

    fn choice(&mut self, index: u32) {
        match 1_u64.checked_shl(index) {
            Some(bit) => self.choices |= bit,
            None => self.choices_beyond.push(index),
        }
    }

    /// A choice ended, for this reason.
    fn finish(&mut self, index: u32, reason: &str) {
        self.add(Kind::FINISH);
        self.finishes.push((index, reason.to_string()));
    }

    /// Takes the output out of it.
    fn silence(&mut self) {
        self.kind = Kind(self.kind.0 & !Kind::OUTPUT.0);
        (self.bytes, self.reasoning_bytes, self.tokens) = (0, 0, 0);
        *self = std::mem::take(self).sealed();
    }

    /// An event that says nothing of interest is an empty one.
    fn sealed(mut self) -> Meaning {
        if matches!(self.kind, Kind(0) | Kind::CHOICES) {
            self.add(Kind::EMPTY);
        }
        self
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// The body of a request, JSON but for sound: our fields, the target's `extra_body` laid over them, then the
/// request's `extra`, then what was recorded. Later ones win; objects are merged key by key; null takes a key away.
pub fn body(target: &Target, request: &Request) -> Vec<u8> {
    let fields = match target.api {
        Api::Completions => completions::body(target, request),
        Api::Chat => chat::body(target, request),
        Api::Tgi => tgi::body(target, request),
        Api::TensorRt => tensorrt::body(target, request),
        Api::Mii => mii::body(target, request),
        Api::Audio => return audio::body(target, request),
    };
    match (&request.prompt, target.api) {
        (Prompt::Verbatim(recorded), Api::Completions | Api::Chat) => {
            verbatim::body(fields, recorded, target.api)
        }
        _ => serde_json::to_vec(&fields).expect("a map of JSON values is JSON"),
    }
}

/// Names of the fields that we send by ourselves, whatever the user lays over them; those of TGI
/// below `parameters`, too.
pub fn own_fields(target: &Target) -> Vec<String> {
    let bare = Target { extra_body: Map::new(), ..target.clone() };
    let request = Request {
        seq: 0,
        session: 0,
        turn: 0,
        class: "".into(),
        prompt: Prompt::Text(String::new()),
        asked_input: Some(1),
        counted_input: None,
        max_tokens: 1,
        synthetic: false,
        forced_length: false,
        extra: None,
    };
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&body(&bare, &request)) else {
        return Vec::new();
    };
    let below = fields.get("parameters").and_then(Value::as_object).into_iter().flatten();
    fields.keys().chain(below.map(|(name, _)| name)).cloned().collect()
}

/// Reads the data of one server-sent event. `text`: where to append output text (reasoning,
/// content, tool names and arguments of all choices, in order of arrival), when it is kept.
/// `Err`: no JSON object, as a sentence.
pub fn read_event(api: Api, data: &[u8], text: Option<&mut String>) -> Result<Meaning, String> {
    match data.trim_ascii() {
        b"[DONE]" => Ok(Meaning { kind: Kind::DONE, ..Meaning::default() }),
        bare if !matches!(bare, [b'{' | b'[', ..]) && is_keep_alive(bare) => Ok(Meaning::default().sealed()),
        bare if bare.len() <= 12 && is_done(bare) => Ok(Meaning { kind: Kind::DONE, ..Meaning::default() }),
        _ => read_reply(api, data, text),
    }
}

/// `[DONE]` in other letters, or as a string.
fn is_done(data: &[u8]) -> bool {
    let end = data.iter().rposition(|byte| !matches!(byte, b',' | b';' | 0)).map_or(0, |last| last + 1);
    let data = data[..end].trim_ascii();
    let word = data.strip_prefix(b"\"").and_then(|data| data.strip_suffix(b"\"")).unwrap_or(data);
    [b"[done]".as_slice(), b"done"].iter().any(|done| word.eq_ignore_ascii_case(done))
}

/// What a server says that has nothing to say.
fn is_keep_alive(data: &[u8]) -> bool {
    let words = ["null", "\"\"", "ping", "\"ping\"", "pong", "keep-alive", "keepalive", "heartbeat"];
    data.starts_with(b":") || words.iter().any(|word| data.eq_ignore_ascii_case(word.as_bytes()))
}

/// The data of an event that is named `error`: a failure, whatever else it says.
pub fn read_fault(data: &[u8]) -> Meaning {
    Meaning::error(error_words(data))
}

/// Reads the whole body of a reply that was not streamed.
pub fn read_reply(api: Api, body: &[u8], text: Option<&mut String>) -> Result<Meaning, String> {
    let read = match api {
        Api::Completions | Api::Chat | Api::Mii | Api::Audio => event::read(body, text),
        Api::Tgi => tgi::read(body, text),
        Api::TensorRt => tensorrt::read(body, text),
    };
    read.map(Meaning::sealed).map_err(|error| {
        let start: String = String::from_utf8_lossy(body).chars().take(80).collect();
        format!("cannot read {start:?} as a reply of {}: {error}", api.name())
    })
}

/// What a user laid over the body, in the order in which it is laid.
fn extras<'a>(target: &'a Target, request: &'a Request) -> impl Iterator<Item = &'a Map<String, Value>> {
    std::iter::once(&target.extra_body).chain(request.extra.as_deref())
}

fn lay_over(fields: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        match (fields.get_mut(key), value) {
            (Some(_), Value::Null) => {
                fields.shift_remove(key);
            }
            (None, Value::Null) => {}
            (Some(Value::Object(ours)), Value::Object(theirs)) => lay_over(ours, theirs),
            _ => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::target::Exact;
    use crate::record::{Key, Verbatim};
    use serde_json::json;
    use std::sync::Arc;

    pub(super) fn target(api: Api) -> Target {
        let mut target = Target::new(Target::base_url("http://localhost:1").expect("a base URL"), api);
        target.model = "m".into();
        target
    }

    pub(super) fn request(extra: Value) -> Request {
        Request {
            seq: 0,
            session: 0,
            turn: 0,
            class: "main".into(),
            prompt: Prompt::Text("hi \"you\"".into()),
            asked_input: Some(3),
            counted_input: None,
            max_tokens: 16,
            synthetic: false,
            forced_length: false,
            extra: extra.as_object().map(|extra| Arc::new(extra.clone())),
        }
    }

    fn built(target: &Target, request: &Request) -> Value {
        serde_json::from_slice(&body(target, request)).expect("JSON")
    }

    #[test]
    fn each_api_gets_the_body_that_it_knows() {
        let mut exact = target(Api::Completions);
        exact.exact = Exact::MinTokens;
        assert_eq!(
            String::from_utf8(body(&exact, &request(json!({})))).expect("UTF-8"),
            r#"{"model":"m","prompt":"hi \"you\"","temperature":0.0,"max_tokens":16,"min_tokens":16,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}"#
        );
        let mut chat = target(Api::Chat);
        chat.exact = Exact::IgnoreEos;
        chat.temperature = None;
        assert_eq!(
            built(&chat, &request(json!({}))),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi \"you\""}], "max_completion_tokens": 16,
                "ignore_eos": true, "stream": true, "stream_options": {"include_usage": true}})
        );
        let mut tgi = target(Api::Tgi);
        tgi.exact = Exact::IgnoreEos;
        assert_eq!(
            built(&tgi, &request(json!({}))),
            json!({"inputs": "hi \"you\"", "parameters": {"max_new_tokens": 16, "do_sample": false, "truncate": 3,
                "ignore_eos_token": true}})
        );
        let mut tensorrt = target(Api::TensorRt);
        tensorrt.exact = Exact::IgnoreEos;
        assert_eq!(
            built(&tensorrt, &request(json!({}))),
            json!({"text_input": "hi \"you\"", "temperature": 0.0, "max_tokens": 16, "min_length": 16, "stream": true})
        );
    }

    #[test]
    fn a_reply_that_is_not_streamed_is_not_asked_for_stream_options() {
        let mut target = target(Api::Completions);
        target.stream = false;
        assert_eq!(
            built(&target, &request(json!({}))),
            json!({"model": "m", "prompt": "hi \"you\"", "temperature": 0.0, "max_tokens": 16, "stream": false})
        );
    }

    #[test]
    fn extra_fields_win_over_ours_and_null_takes_a_field_away() {
        let mut target = target(Api::Completions);
        target.extra_body = json!({"temperature": 0.5, "top_p": 0.9, "model": null,
            "stream_options": {"continuous_usage_stats": true}})
        .as_object()
        .expect("an object")
        .clone();
        assert_eq!(
            built(
                &target,
                &request(json!({"top_p": 0.1, "max_tokens": 4, "chat_template_kwargs": {"x": null}}))
            ),
            json!({"prompt": "hi \"you\"", "temperature": 0.5, "max_tokens": 4, "stream": true, "top_p": 0.1,
                "stream_options": {"include_usage": true, "continuous_usage_stats": true},
                "chat_template_kwargs": {"x": null}})
        );
    }

    #[test]
    fn a_chat_sends_one_kind_of_token_limit() {
        let limits = |target: &Target, extra: Value| {
            let body = built(target, &request(extra));
            (body.get("max_tokens").cloned(), body.get("max_completion_tokens").cloned())
        };
        let mut target = target(Api::Chat);
        assert_eq!(limits(&target, json!({})), (None, Some(json!(16))));
        assert_eq!(limits(&target, json!({"max_tokens": 4})), (Some(json!(4)), None));
        assert_eq!(limits(&target, json!({"max_completion_tokens": 5})), (None, Some(json!(5))));
        target = target.adapted(&[], Some("max_tokens"));
        assert_eq!(limits(&target, json!({})), (Some(json!(16)), None));
        assert_eq!(limits(&target, json!({"max_completion_tokens": 5})), (None, Some(json!(5))));
    }

    #[test]
    fn prompts_fit_the_api() {
        let mut chat = request(json!({}));
        let messages = r#"[{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]"#;
        chat.prompt = Prompt::Verbatim(Verbatim::new(Key::Messages, messages).into());
        assert_eq!(built(&target(Api::Completions), &chat)["prompt"], "be brief\nhi");
        assert_eq!(
            built(&target(Api::Chat), &chat)["messages"],
            json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}])
        );
    }

    #[test]
    fn sampling_fields_go_where_tgi_looks_for_them() {
        let mut target = target(Api::Tgi);
        target.temperature = Some(0.7);
        target.stream = false;
        assert_eq!(
            built(&target, &request(json!({"top_p": 0.9, "parameters": {"seed": 7, "truncate": null}}))),
            json!({"inputs": "hi \"you\"", "parameters": {"max_new_tokens": 16, "do_sample": true, "temperature": 0.7,
                "details": true, "top_p": 0.9, "seed": 7}})
        );
    }

    #[test]
    fn bytes_that_are_no_object_are_an_error_that_shows_them() {
        for api in Api::ALL {
            for data in ["", "hello", "[1]", "\"x\"", "{\"choices\":[{\"delta\":{\"content\":5}}]", "{"] {
                let error = read_event(api, data.as_bytes(), None).expect_err(data);
                assert!(error.starts_with(&format!("cannot read {data:?} as a reply of ")), "{error}");
            }
        }
    }
}
