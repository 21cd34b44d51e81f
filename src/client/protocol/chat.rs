//! OpenAI `/v1/chat/completions`: the body. Events are read in `openai`.

use super::{extras, lay_over, openai};
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

fn messages(prompt: &Prompt) -> Value {
    match prompt {
        Prompt::Text(text) => json!([{ "role": "user", "content": text }]),
        Prompt::Messages(messages) => messages
            .iter()
            .map(|message| json!({ "role": message.role, "content": message.content }))
            .collect(),
    }
}

/// Whether the user gives a token limit by either name: a server may take the wrong one of two.
fn limit_is_given(target: &Target, request: &Request) -> bool {
    let given =
        |name| extras(target, request).any(|extra| extra.get(name).is_some_and(|limit| !limit.is_null()));
    given("max_tokens") || given("max_completion_tokens")
}
