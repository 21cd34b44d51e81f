//! `Reading`: an event that is being read, whatever its fields are.

use super::finish::FinishReason;
use super::meaning::EventMeaning;
use crate::record::EventKind;
use serde_json::{Map, Value};

pub(super) type Object = Map<String, Value>;

/// Deepest look for text.
const DEPTH_MAX: u32 = 8;

/// The choices, at the top or in the envelope that a gateway puts round a reply; one may stand
/// without its list. `None`: there are none, or an empty list of them.
pub(super) fn choices(reply: &Object) -> Option<&[Value]> {
    let of = reply.get("choices").map(items).filter(|items| !items.is_empty());
    of.or_else(|| {
        let envelope = ["output", "data", "result", "response", "body"].iter();
        let mut inner = envelope.filter_map(|key| reply.get(*key)?.get("choices"));
        inner.next().map(items).filter(|items| !items.is_empty())
    })
}

/// The members of a list; anything else but null is its own only one.
pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// An event that is being read.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) meaning: EventMeaning,
    /// Its text.
    pub(super) said: String,
}

impl Reading {
    pub(super) fn choice(&mut self, position: u32, choice: &Value) {
        let fields = match choice {
            Value::Object(fields) => fields,
            Value::String(piece) => {
                self.meaning.add(EventKind::CHOICES);
                self.meaning.choice(position);
                return self.output(EventKind::CONTENT, piece);
            }
            _ => return,
        };
        let index = fields.get("index").and_then(index).unwrap_or(position);
        self.meaning.add(EventKind::CHOICES);
        self.meaning.choice(index);
        self.delta(fields.get("delta").unwrap_or(&Value::Null));
        if let Some(message) = fields.get("message")
            && !self.meaning.kind.has(EventKind::OUTPUT)
        {
            self.delta(message);
            self.meaning.whole |= self.meaning.kind.has(EventKind::OUTPUT);
        }
        self.text(EventKind::CONTENT, fields.get("text"));
        let blank = |delta: &Value| delta.get("role").is_none() && delta.get("content") == Some(&"".into());
        let delta = fields.get("delta").or(fields.get("message"));
        if delta.is_none_or(blank) && !self.meaning.kind.has(EventKind::OUTPUT) {
            self.meaning.add(EventKind::BLANK);
        }
        self.tokens(fields);
        let word = word(fields.get("finish_reason").unwrap_or(&Value::Null));
        if FinishReason::of(&word) != FinishReason::Not {
            self.meaning.finish(index, &word);
        }
    }

    /// What a choice adds, or the whole of its message.
    pub(super) fn delta(&mut self, delta: &Value) {
        let Value::Object(fields) = delta else { return self.text(EventKind::CONTENT, Some(delta)) };
        if fields.get("role").and_then(Value::as_str).is_some_and(|role| !role.is_empty()) {
            self.meaning.add(EventKind::ROLE);
        }
        // The same thought may stand under several names: the first that says anything counts.
        let known = ["reasoning", "reasoning_content"].iter().filter_map(|key| fields.get_key_value(*key));
        let others = fields.iter().filter(|(key, _)| is_reasoning(key));
        for (_, value) in known.chain(others) {
            let before = self.meaning.bytes;
            self.parts(EventKind::REASONING, value, DEPTH_MAX);
            if self.meaning.bytes > before {
                break;
            }
        }
        self.text(EventKind::CONTENT, fields.get("content"));
        for call in ["tool_calls", "function_call"].iter().filter_map(|key| fields.get(*key)).flat_map(items)
        {
            self.tool(call);
        }
        for (key, value) in fields {
            let read = matches!(key.as_str(), "content" | "tool_calls" | "function_call");
            if !read && !is_reasoning(key) && !is_no_output(key) {
                self.unless_said(
                    if key.contains("tool") { EventKind::TOOL } else { EventKind::CONTENT },
                    key,
                    value,
                );
            }
        }
    }

    /// What stands under a name that is not known; some gateways send the same under two.
    fn unless_said(&mut self, kind: EventKind, key: &str, value: &Value) {
        let mut apart = Reading::default();
        apart.member(kind, key, value, DEPTH_MAX);
        if apart.said.is_empty() {
            self.meaning.add(apart.meaning.kind);
        } else if apart.said != self.said {
            self.output(
                if apart.meaning.kind.has(EventKind::REASONING) { EventKind::REASONING } else { kind },
                &apart.said,
            );
        }
    }

    /// A call of a tool: its name, and its arguments as text or as an object.
    fn tool(&mut self, call: &Value) {
        let Value::Object(call) = call else { return self.parts(EventKind::TOOL, call, DEPTH_MAX) };
        let inner = ["function", "custom"].iter().find_map(|key| call.get(*key)?.as_object());
        let function = inner.unwrap_or(call);
        self.text(EventKind::TOOL, function.get("name"));
        for (key, value) in function.iter().filter(|(key, _)| key.as_str() != "name") {
            match value {
                Value::Object(given) if given.is_empty() => {}
                Value::Object(_) | Value::Array(_)
                    if matches!(key.as_str(), "arguments" | "input" | "parameters") =>
                {
                    self.output(EventKind::TOOL, &value.to_string());
                }
                _ if is_no_output(key) => {}
                _ => self.parts(EventKind::TOOL, value, DEPTH_MAX),
            }
        }
    }

    /// Text, a number for text, or parts of it.
    pub(super) fn text(&mut self, kind: EventKind, value: Option<&Value>) {
        match value {
            Some(Value::Number(number)) => self.output(kind, &number.to_string()),
            Some(value) => self.parts(kind, value, DEPTH_MAX),
            None => {}
        }
    }

    /// All text in a value: thinking is reasoning, everything else is of the kind given.
    fn parts(&mut self, kind: EventKind, value: &Value, depth: u32) {
        match value {
            _ if depth == 0 => {}
            Value::String(piece) => self.output(kind, piece),
            Value::Array(parts) => parts.iter().for_each(|part| self.parts(kind, part, depth - 1)),
            Value::Object(part) => {
                let named = part.get("type").and_then(Value::as_str).unwrap_or("");
                let kind = if is_reasoning(named) { EventKind::REASONING } else { kind };
                for (key, value) in part {
                    self.member(kind, key, value, depth - 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn member(&mut self, kind: EventKind, key: &str, value: &Value, depth: u32) {
        if is_data(key) {
            // A sound, an image: output, and no text.
            let mut data = Reading::default();
            data.parts(kind, value, depth);
            self.meaning.add(data.meaning.kind);
        } else if !is_no_output(key) {
            self.parts(if is_reasoning(key) { EventKind::REASONING } else { kind }, value, depth);
        }
    }

    fn tokens(&mut self, choice: &Object) {
        let length = |value: Option<&Value>| value.and_then(Value::as_array).map(Vec::len);
        let logprobs = choice.get("logprobs");
        let inside = |key| length(logprobs.and_then(|logprobs| logprobs.get(key)));
        let tokens =
            length(choice.get("token_ids")).or_else(|| inside("content")).or_else(|| inside("tokens"));
        let tokens = u32::try_from(tokens.unwrap_or(0)).unwrap_or(u32::MAX);
        self.meaning.tokens = self.meaning.tokens.saturating_add(tokens);
    }

    pub(super) fn output(&mut self, kind: EventKind, piece: &str) {
        self.meaning.output(kind, piece, &mut Some(&mut self.said));
    }
}

fn index(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The word in a finish reason, which SGLang may give as `{"type": "stop"}`.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Object(fields) => {
            let mut inner =
                ["type", "reason", "finish_reason", "value"].iter().filter_map(|key| fields.get(*key));
            inner.next().map_or_else(|| value.to_string(), word)
        }
        Value::Array(items) => items.first().map(word).unwrap_or_default(),
        Value::Null | Value::Bool(false) => String::new(),
        other => other.to_string(),
    }
}

fn is_reasoning(key: &str) -> bool {
    key.contains("reason") && !key.contains("finish") && !key.contains("stop")
        || key.contains("think")
        || key.contains("thought")
}

/// Data that is no text.
fn is_data(key: &str) -> bool {
    matches!(key, "data" | "b64_json" | "audio_data" | "image_url" | "url" | "image" | "images")
}

/// Names under which a delta, or a part of one, has text that is no output of the model.
pub(super) fn is_no_output(key: &str) -> bool {
    matches!(
        key,
        "role"
            | "id"
            | "name"
            | "type"
            | "object"
            | "index"
            | "model"
            | "format"
            | "status"
            | "mime_type"
            | "media_type"
            | "language"
            | "signature"
            | "created"
            | "created_at"
            | "expires_at"
            | "encrypted"
            | "encrypted_content"
            | "provider"
            | "finish_reason"
            | "stop_reason"
            | "metadata"
            | "annotations"
            | "citations"
            | "sources"
            | "references"
            | "logprobs"
            | "usage"
            | "detail"
            | "channel"
            | "recipient"
            | "content_type"
            | "phase"
            | "author"
            | "sender"
            | "token_ids"
            | "tokens"
            | "timestamp"
            | "version"
    ) || key.ends_with("_id")
        || key.ends_with("_ids")
        || key.ends_with("_at")
        || key.starts_with('@')
}
