//! What is laid over the fields of a body.

use crate::client::Target;
use crate::record::Request;
use serde_json::{Map, Value};

/// What a user laid over the body, in the order in which it is laid.
pub(super) fn extras<'a>(
    target: &'a Target,
    request: &'a Request,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    std::iter::once(&target.extra_body).chain(request.extra.as_deref())
}

/// Objects are merged key by key; null takes a key away.
pub(super) fn lay_over(fields: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        match (fields.get_mut(key), value) {
            (Some(_), Value::Null) => {
                fields.shift_remove(key);
            }
            (None, Value::Null) => {}
            (Some(Value::Object(ours)), Value::Object(theirs)) => lay_over(ours, theirs),
            _ => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
}
