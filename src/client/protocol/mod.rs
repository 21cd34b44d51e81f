//! One API a file: build a body, read an event. Pure.
//!
//! [`ReplyState`] adds the meanings of one reply up and says how the request ended.

mod api;
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
mod meaning;
mod mii;
mod odd;
mod openai;
mod overlay;
mod reading;
mod reply_state;
mod template;
mod tensorrt;
mod text;
mod tgi;
mod usage;
mod verbatim;

#[cfg(test)]
mod replay;

pub use api::Api;
pub use asked::asked_output;
pub use audio::content_type as audio_content_type;
pub use fault::error_words;
pub use forced::forces_length;
pub use meaning::EventMeaning;
pub use reply_state::{ReplyEnd, ReplyState};
pub use template::TemplateReader;

use super::Target;
use crate::record::{EventKind, Prompt, Request};
use serde_json::{Map, Value};

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
        headers: Vec::new(),
        leave: None,
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
pub fn read_event(api: Api, data: &[u8], text: Option<&mut String>) -> Result<EventMeaning, String> {
    match data.trim_ascii() {
        b"[DONE]" => Ok(EventMeaning { kind: EventKind::DONE, ..EventMeaning::default() }),
        bare if !matches!(bare, [b'{' | b'[', ..]) && is_keep_alive(bare) => {
            Ok(EventMeaning::default().sealed())
        }
        bare if bare.len() <= 12 && is_done(bare) => {
            Ok(EventMeaning { kind: EventKind::DONE, ..EventMeaning::default() })
        }
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
pub fn read_fault(data: &[u8]) -> EventMeaning {
    EventMeaning::error(error_words(data))
}

/// Reads the whole body of a reply that was not streamed.
pub fn read_reply(api: Api, body: &[u8], text: Option<&mut String>) -> Result<EventMeaning, String> {
    let read = match api {
        Api::Completions | Api::Chat | Api::Mii | Api::Audio => event::read(body, text),
        Api::Tgi => tgi::read(body, text),
        Api::TensorRt => tensorrt::read(body, text),
    };
    read.map(EventMeaning::sealed).map_err(|error| {
        let start: String = String::from_utf8_lossy(body).chars().take(80).collect();
        format!("cannot read {start:?} as a reply of {}: {error}", api.name())
    })
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
            headers: Vec::new(),
            leave: None,
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
