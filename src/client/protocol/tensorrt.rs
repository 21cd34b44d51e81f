//! TensorRT-LLM behind Triton, `/v2/models/<model>/generate_stream`: text and nothing else; the
//! end of the stream is the only sign that it is complete.

use super::meaning::EventMeaning;
use super::overlay::{extras, lay_over};
use super::reading::items;
use super::text::ReplyText;
use super::{completions, fault, json, openai};
use crate::client::Target;
use crate::client::target::Exact;
use crate::record::{EventKind, Prompt, Request};
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) fn body(target: &Target, request: &Request) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("text_input".into(), completions::text(&request.prompt).into());
    openai::sampling(target, &mut fields);
    fields.insert("max_tokens".into(), request.max_tokens.into());
    if target.exact != Exact::No {
        fields.insert("min_length".into(), request.max_tokens.into());
    }
    fields.insert("stream".into(), target.stream.into());
    target.dialect.apply(&mut fields);
    for extra in extras(target, request) {
        lay_over(&mut fields, extra);
    }
    if let Prompt::Verbatim(recorded) = &request.prompt {
        lay_over(&mut fields, &recorded.values());
    }
    fields
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    text_output: ReplyText<'a>,
    #[serde(default)]
    error: Option<Value>,
}

/// An event is its text. One without is an error, or says nothing.
pub(super) fn read(data: &[u8], mut text: Option<&mut String>) -> serde_json::Result<EventMeaning> {
    let mut meaning = EventMeaning::default();
    meaning.choice(0);
    match json::object::<Event>(data) {
        Ok(event) if event.error.as_ref().and_then(fault::words).is_none() => {
            meaning.output(EventKind::CONTENT, event.text_output.as_str(), &mut text);
        }
        read => {
            let fields = json::mended(data).map_err(|error| read.err().unwrap_or(error))?;
            if let Some(words) = fault::in_reply(&fields) {
                return Ok(EventMeaning::error(words));
            }
            // With several outputs it is a list.
            let pieces = fields.get("text_output").map_or(&[][..], items);
            for piece in pieces.iter().filter_map(Value::as_str) {
                meaning.output(EventKind::CONTENT, piece, &mut text);
            }
        }
    }
    Ok(meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::{Api, read_event};

    #[test]
    fn events_are_text_or_an_error() {
        let mut text = String::new();
        let mut read =
            |data: &str| read_event(Api::TensorRt, data.as_bytes(), Some(&mut text)).expect("an event");
        let content = read(r#"{"model_name":"ensemble","sequence_end":false,"text_output":" r\u00e9d"}"#);
        assert_eq!((content.kind, content.bytes), (EventKind::CONTENT, 5));
        assert_eq!(read(r#"{"model_name":"ensemble","text_output":""}"#).kind, EventKind::EMPTY);
        let error = read(r#"{"error":"in ensemble: too long"}"#);
        assert_eq!((error.kind, error.error.as_deref()), (EventKind::ERROR, Some("in ensemble: too long")));
        assert_eq!(text, " réd");
    }
}
