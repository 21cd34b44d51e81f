//! `forces_length`: whether a body keeps the model from ending its reply itself.

use super::overlay::extras;
use crate::client::Target;
use crate::client::target::Exact;
use crate::record::{Prompt, Request};
use serde_json::{Map, Value};

/// Fields by which servers are told so; TGI has them below `parameters`.
const NO_END: [&str; 2] = ["ignore_eos", "ignore_eos_token"];
const AT_LEAST: [&str; 3] = ["min_tokens", "min_new_tokens", "min_length"];

/// What the target asks, unless the user's own fields say otherwise. Builds no body: it is asked
/// for every request.
pub fn forces_length(target: &Target, request: &Request) -> bool {
    let (mut no_end, mut at_least) = match target.exact {
        Exact::No => (false, false),
        Exact::IgnoreEos => (true, false),
        Exact::MinTokens => (true, true),
    };
    let recorded = match &request.prompt {
        Prompt::Verbatim(recorded) => Some(recorded.values()),
        Prompt::Text(_) | Prompt::Audio(_) => None,
    };
    for extra in extras(target, request).chain(&recorded) {
        let below = extra.get("parameters").and_then(Value::as_object);
        for fields in std::iter::once(extra).chain(below) {
            no_end = said(fields, &NO_END).unwrap_or(no_end);
            at_least = said(fields, &AT_LEAST).unwrap_or(at_least);
        }
    }
    no_end || at_least
}

/// Whether one of these fields is there, and whether it asks for something.
fn said(fields: &Map<String, Value>, names: &[&str]) -> Option<bool> {
    let value = names.iter().find_map(|name| fields.get(*name))?;
    Some(value.as_bool().unwrap_or_else(|| value.as_f64().is_some_and(|least| least > 0.0)))
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::tests::{request, target};
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_target_asks_holds_unless_the_users_fields_say_otherwise() {
        for (exact, over, extra, forced) in [
            (Exact::No, json!({}), json!({}), false),
            (Exact::IgnoreEos, json!({}), json!({}), true),
            (Exact::MinTokens, json!({}), json!({}), true),
            (Exact::IgnoreEos, json!({"ignore_eos": false}), json!({}), false),
            (Exact::IgnoreEos, json!({"ignore_eos": null}), json!({}), false),
            (Exact::MinTokens, json!({"ignore_eos": false}), json!({}), true),
            (Exact::MinTokens, json!({"ignore_eos": false}), json!({"min_tokens": 0}), false),
            (Exact::No, json!({"ignore_eos": true}), json!({}), true),
            (Exact::No, json!({"ignore_eos": true}), json!({"ignore_eos": false}), false),
            (Exact::No, json!({}), json!({"min_tokens": 5}), true),
            (Exact::No, json!({}), json!({"min_new_tokens": 1}), true),
            (Exact::No, json!({}), json!({"parameters": {"ignore_eos_token": true}}), true),
            (Exact::No, json!({"top_p": 0.5}), json!({"temperature": 1}), false),
        ] {
            let mut target = target(Api::Completions);
            target.exact = exact;
            target.extra_body = over.as_object().expect("a map").clone();
            assert_eq!(forces_length(&target, &request(extra.clone())), forced, "{exact:?} {over} {extra}");
        }
    }
}
