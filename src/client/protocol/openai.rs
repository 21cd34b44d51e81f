//! What the bodies of the two OpenAI APIs have in common. Their replies are read in `event`.

use crate::client::Target;
use crate::client::target::Exact;
use crate::record::Request;
use serde_json::{Map, Value, json};

/// A body with the target's model, when it has one.
pub(super) fn model(target: &Target) -> Map<String, Value> {
    let mut fields = Map::new();
    if !target.model.is_empty() {
        fields.insert("model".into(), target.model.as_str().into());
    }
    fields
}

pub(super) fn sampling(target: &Target, fields: &mut Map<String, Value>) {
    if let Some(temperature) = target.temperature {
        fields.insert("temperature".into(), temperature.into());
    }
}

pub(super) fn exact_length(target: &Target, request: &Request, fields: &mut Map<String, Value>) {
    if target.exact == Exact::MinTokens {
        fields.insert("min_tokens".into(), request.max_tokens.into());
    }
    if target.exact != Exact::No {
        fields.insert("ignore_eos".into(), true.into());
    }
}

pub(super) fn stream(target: &Target, fields: &mut Map<String, Value>) {
    fields.insert("stream".into(), target.stream.into());
    if target.stream {
        fields.insert("stream_options".into(), json!({ "include_usage": true }));
    }
}
