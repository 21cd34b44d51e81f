//! OpenAI `/v1/chat/completions`: the body. Events are read in `openai`.

use super::overlay::{extras, lay_over};
use super::{completions, openai};
use crate::client::Target;
use crate::record::{Prompt, Request};
use serde_json::{Map, Value, json};

pub(super) fn body(target: &Target, request: &Request) -> Map<String, Value> {
    let mut fields = openai::model(target);
    fields.insert("messages".into(), messages(&request.prompt));
    openai::sampling(target, &mut fields);
    if !limit_is_given(target, request) {
        fields.insert("max_completion_tokens".into(), request.max_tokens.into());
    }
    openai::exact_length(target, request, &mut fields);
    openai::stream(target, &mut fields);
    target.dialect.apply(&mut fields);
    for extra in extras(target, request) {
        lay_over(&mut fields, extra);
    }
    fields
}

/// Recorded messages take the place of these.
fn messages(prompt: &Prompt) -> Value {
    json!([{ "role": "user", "content": completions::text(prompt) }])
}

/// Whether the user gives a token limit by either name: a server may take the wrong one of two.
fn limit_is_given(target: &Target, request: &Request) -> bool {
    let given =
        |name| extras(target, request).any(|extra| extra.get(name).is_some_and(|limit| !limit.is_null()));
    given("max_tokens") || given("max_completion_tokens")
}
