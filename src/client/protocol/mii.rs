//! DeepSpeed-MII behind the small server of its examples: the body. It streams nothing, and
//! answers `{"text": [".."]}` without any count; the reply is read in `event`.

use super::overlay::{extras, lay_over};
use super::{completions, openai};
use crate::client::Target;
use crate::record::Request;
use serde_json::{Map, Value};

/// Sampling at 0 is an error there: this is as good.
const COLDEST: f64 = 0.01;

pub(super) fn body(target: &Target, request: &Request) -> Map<String, Value> {
    let mut fields = openai::model(target);
    fields.insert("prompt".into(), completions::text(&request.prompt).into());
    fields.insert("max_tokens".into(), request.max_tokens.into());
    if let Some(temperature) = target.temperature {
        fields.insert("temperature".into(), temperature.max(COLDEST).into());
        fields.insert("top_p".into(), 1.0.into());
    }
    for extra in extras(target, request) {
        lay_over(&mut fields, extra);
    }
    fields
}
