//! TGI `/generate_stream` and `/generate`: one event a token, the last one with the whole text
//! and the finish reason.

use super::finish::FinishReason;
use super::meaning::EventMeaning;
use super::overlay::{extras, lay_over};
use super::reading::word;
use super::text::ReplyText;
use super::usage::Count;
use super::{completions, fault, json};
use crate::client::Target;
use crate::client::target::Exact;
use crate::record::{EventKind, Prompt, Request, Usage};
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) fn body(target: &Target, request: &Request) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("max_new_tokens".into(), request.max_tokens.into());
    // A temperature of 0 is an error here; not sampling is what it means elsewhere.
    let temperature = target.temperature.filter(|temperature| *temperature > 0.0);
    parameters.insert("do_sample".into(), temperature.is_some().into());
    if let Some(temperature) = temperature {
        parameters.insert("temperature".into(), temperature.into());
    }
    if let Some(input) = request.counted_input.or(request.asked_input) {
        parameters.insert("truncate".into(), input.into());
    }
    if target.exact != Exact::No {
        parameters.insert("ignore_eos_token".into(), true.into());
    }
    if !target.stream {
        // Without it the reply has neither a finish reason nor a token count.
        parameters.insert("details".into(), true.into());
    }
    let mut fields = Map::new();
    fields.insert("inputs".into(), completions::text(&request.prompt).into());
    fields.insert("parameters".into(), parameters.into());
    target.dialect.apply(&mut fields);
    for extra in extras(target, request) {
        lay_over(&mut fields, &below_parameters(extra));
    }
    if let Prompt::Verbatim(recorded) = &request.prompt {
        lay_over(&mut fields, &below_parameters(&recorded.values()));
    }
    fields
}

/// Sampling fields, which other APIs have at the top, belong below `parameters`.
fn below_parameters(extra: &Map<String, Value>) -> Map<String, Value> {
    let mut placed = Map::new();
    let mut parameters = Map::new();
    for (key, value) in extra {
        match (key.as_str(), value) {
            ("parameters", Value::Object(given)) => parameters.extend(given.clone()),
            ("inputs" | "parameters" | "stream" | "model" | "adapter_id", _) => {
                placed.insert(key.clone(), value.clone());
            }
            _ => {
                parameters.insert(key.clone(), value.clone());
            }
        }
    }
    if !parameters.is_empty() {
        placed.insert("parameters".into(), parameters.into());
    }
    placed
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    token: Option<Token<'a>>,
    #[serde(borrow)]
    generated_text: Option<ReplyText<'a>>,
    #[serde(borrow)]
    details: Option<Details<'a>>,
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Token<'a> {
    #[serde(borrow)]
    text: Option<ReplyText<'a>>,
    special: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details<'a> {
    #[serde(borrow)]
    finish_reason: Option<ReplyText<'a>>,
    generated_tokens: Count,
    input_length: Count,
}

/// A reply that was not streamed comes as an object or, from the path `/`, as a list of one.
pub(super) fn read(data: &[u8], text: Option<&mut String>) -> serde_json::Result<EventMeaning> {
    let data = match data.trim_ascii() {
        [b'[', only @ .., b']'] => only,
        data => data,
    };
    match json::object::<Event>(data) {
        Ok(event) if event.error.is_none() && event.says_something() => Ok(event.read(text)),
        read => {
            let fields = json::mended(data).map_err(|error| read.err().unwrap_or(error))?;
            match fault::in_reply(&fields) {
                Some(words) => Ok(EventMeaning::error(words)),
                None => Ok(Event::loosely(&fields).read(text)),
            }
        }
    }
}

impl<'a> Event<'a> {
    fn says_something(&self) -> bool {
        self.token.is_some() || self.generated_text.is_some() || self.details.is_some()
    }

    /// Whatever of the event is as it should be.
    fn loosely(fields: &'a Map<String, Value>) -> Event<'a> {
        let details = fields.get("details").and_then(Value::as_object);
        Event {
            token: fields.get("token").map(|token| Token {
                text: token.get("text").or(Some(token)).and_then(ReplyText::of),
                special: token.get("special").and_then(Value::as_bool).unwrap_or(false),
            }),
            generated_text: fields.get("generated_text").and_then(ReplyText::of),
            details: details.map(|details| Details {
                finish_reason: details.get("finish_reason").map(word).map(ReplyText::from),
                generated_tokens: details.get("generated_tokens").map(Count::of).unwrap_or_default(),
                input_length: details.get("input_length").map(Count::of).unwrap_or_default(),
            }),
            error: None,
        }
    }

    fn read(&self, mut text: Option<&mut String>) -> EventMeaning {
        let mut meaning = EventMeaning::default();
        meaning.choice(0);
        if let Some(token) = &self.token {
            // The text of a special token such as `</s>` is no part of the reply.
            let piece = token.text.as_ref().filter(|_| !token.special).map_or("", ReplyText::as_str);
            meaning.output(EventKind::CONTENT, piece, &mut text);
            meaning.tokens = 1;
        } else if let Some(whole) = &self.generated_text {
            meaning.output(EventKind::CONTENT, whole.as_str(), &mut text);
            meaning.whole = true;
        }
        let details = self.details.as_ref();
        if self.generated_text.is_some() || details.is_some() {
            let reason =
                details.and_then(|details| details.finish_reason.as_ref()).map_or("", ReplyText::as_str);
            if reason.is_empty() || FinishReason::of(reason) != FinishReason::Not {
                meaning.finish(0, reason);
            }
        }
        if let Some(output) = details.and_then(|details| details.generated_tokens.0) {
            meaning.add(EventKind::USAGE);
            let input = details.and_then(|details| details.input_length.0);
            meaning.usage = Usage { input, output: Some(output), ..Usage::default() };
        }
        meaning
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::{Api, read_event, read_reply};
    use serde_json::json;

    fn event(data: Value) -> (EventMeaning, String) {
        let mut text = String::new();
        let meaning = read_event(Api::Tgi, data.to_string().as_bytes(), Some(&mut text)).expect("an event");
        (meaning, text)
    }

    #[test]
    fn every_event_is_a_token() {
        let (meaning, text) =
            event(json!({"index": 1, "token": {"id": 7, "text": " red", "logprob": -0.1, "special": false},
                "generated_text": null, "details": null}));
        assert_eq!((meaning.kind, meaning.tokens, meaning.bytes), (EventKind::CONTENT, 1, 4));
        assert_eq!((text.as_str(), meaning.choices), (" red", 1));
    }

    #[test]
    fn the_last_event_has_the_finish_and_the_usage_but_its_whole_text_is_not_output_again() {
        let (meaning, text) = event(
            json!({"index": 2, "token": {"id": 2, "text": "</s>", "special": true}, "generated_text": " red",
                "details": {"finish_reason": "eos_token", "generated_tokens": 2, "input_length": 5, "seed": null}}),
        );
        assert_eq!((meaning.kind, text.as_str()), (EventKind::FINISH.with(EventKind::USAGE), ""));
        assert_eq!(meaning.finishes, [(0, "eos_token".to_string())]);
        assert_eq!(meaning.usage, Usage { input: Some(5), output: Some(2), ..Usage::default() });
    }

    #[test]
    fn errors_are_seen() {
        let (meaning, _) =
            event(json!({"error": "Input validation error: too long", "error_type": "validation"}));
        assert_eq!(meaning.kind, EventKind::ERROR);
        assert_eq!(meaning.error.as_deref(), Some("Input validation error: too long"));
    }

    #[test]
    fn a_whole_reply_may_be_a_list_of_one() {
        let reply =
            json!({"generated_text": "red", "details": {"finish_reason": "length", "generated_tokens": 1}});
        for reply in [reply.to_string(), json!([reply]).to_string()] {
            let mut text = String::new();
            let meaning = read_reply(Api::Tgi, reply.as_bytes(), Some(&mut text)).expect("a reply");
            assert_eq!((text.as_str(), meaning.usage.output), ("red", Some(1)));
            assert_eq!(meaning.finishes, [(0, "length".to_string())]);
        }
    }
}
