//! `asked_output`: how many output tokens a body allows, whoever asked for them.

use super::overlay::extras;
use crate::client::Target;
use crate::client::dialect::LIMITS;
use crate::record::{Prompt, Request};
use serde_json::{Map, Value};

/// Most output tokens of all choices together: the request's own limit, or the user's that is laid
/// over it, for each of the `n` choices. Builds no body: it is asked for every request.
pub fn asked_output(target: &Target, request: &Request) -> u32 {
    let recorded = match &request.prompt {
        Prompt::Verbatim(recorded) => Some(recorded.values()),
        Prompt::Text(_) | Prompt::Audio(_) => None,
    };
    let (mut limit, mut choices) = (request.max_tokens, 1);
    for extra in extras(target, request).chain(&recorded) {
        let below = extra.get("parameters").and_then(Value::as_object);
        for fields in std::iter::once(extra).chain(below) {
            limit = number(fields, &LIMITS).unwrap_or(limit);
            choices = number(fields, &["n"]).unwrap_or(choices);
        }
    }
    limit.saturating_mul(choices.max(1))
}

fn number(fields: &Map<String, Value>, names: &[&str]) -> Option<u32> {
    let told = names.iter().find_map(|name| fields.get(*name)?.as_u64())?;
    Some(u32::try_from(told).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::Api;
    use super::super::tests::{request, target};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_limit_that_is_sent_counts_for_each_choice() {
        for (over, extra, asked) in [
            (json!({}), json!({}), 16),
            (json!({"n": 2}), json!({}), 32),
            (json!({"n": 2}), json!({"n": 3}), 48),
            (json!({"max_tokens": 4}), json!({}), 4),
            (json!({"max_tokens": 4}), json!({"max_completion_tokens": 5, "n": 2}), 10),
            (json!({"parameters": {"max_new_tokens": 7}}), json!({}), 7),
            (json!({"n": 0, "max_tokens": null}), json!({}), 16),
            (json!({"n": "two", "max_tokens": -1}), json!({}), 16),
            (json!({"n": 4_000_000_000_u64}), json!({}), u32::MAX),
        ] {
            let mut target = target(Api::Chat);
            target.extra_body = over.as_object().expect("an object").clone();
            assert_eq!(asked_output(&target, &request(extra.clone())), asked, "{over} {extra}");
        }
    }
}
