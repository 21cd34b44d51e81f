//! OpenAI `/v1/completions`: the body. Events are read in `openai`.

use super::openai;
use super::overlay::{extras, lay_over};
use crate::client::Target;
use crate::record::{Prompt, Request};
use serde_json::{Map, Value};
use std::borrow::Cow;

pub(super) fn body(target: &Target, request: &Request) -> Map<String, Value> {
    let mut fields = openai::model(target);
    fields.insert("prompt".into(), text(&request.prompt).into());
    openai::sampling(target, &mut fields);
    fields.insert("max_tokens".into(), request.max_tokens.into());
    openai::exact_length(target, request, &mut fields);
    openai::stream(target, &mut fields);
    target.dialect.apply(&mut fields);
    for extra in extras(target, request) {
        lay_over(&mut fields, extra);
    }
    fields
}

/// A prompt for an API without roles: the texts of the messages, one below the other.
pub(super) fn text(prompt: &Prompt) -> Cow<'_, str> {
    match prompt {
        Prompt::Text(text) => Cow::Borrowed(text),
        Prompt::Verbatim(recorded) => Cow::Owned(recorded.texts().join("\n")),
        Prompt::Audio(_) => Cow::Borrowed(""),
    }
}
