//! OpenAI `/v1/chat/completions`: the body. Events are read in `openai`.

use super::{extras, lay_over, openai};
use crate::client::Target;
use crate::record::{Prompt, Request};
use serde_json::{Map, Value, json};

pub(super) fn body(target: &Target, request: &Request) -> Map<String, Value> {
    let mut fields = openai::model(target);
    fields.insert("messages".into(), messages(&request.prompt));
    openai::sampling(target, &mut fields);
    if let Some(name) = limit_name(target, request) {
        fields.insert(name.into(), request.max_tokens.into());
    }
    openai::exact_length(target, request, &mut fields);
    openai::stream(target, &mut fields);
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

/// The name of our token limit; none when the user gives one by either name, since a server
/// may take the wrong one of two.
fn limit_name(target: &Target, request: &Request) -> Option<&'static str> {
    let (old, new) = ("max_tokens", "max_completion_tokens");
    let given =
        |name| extras(target, request).any(|extra| extra.get(name).is_some_and(|limit| !limit.is_null()));
    if given(old) || given(new) {
        return None;
    }
    Some(if target.old_max_tokens { old } else { new })
}
