//! `Extra`: fields of a request's body beside what it asks.

use serde_json::{Map, Value};
use std::sync::Arc;

/// Body fields of a request.
pub type Extra = Option<Arc<Map<String, Value>>>;

/// Both sets of body fields; `over` wins.
pub fn merged(under: &Extra, over: &Extra) -> Extra {
    match (under, over) {
        (None, only) | (only, None) => only.clone(),
        (Some(under), Some(over)) => {
            let mut both = (**under).clone();
            both.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
            Some(Arc::new(both))
        }
    }
}
