//! `ModelListing`: what a server answers when it is asked for its models.

use super::Answer;
use crate::error::Error;
use serde_json::Value;

/// The answer to a call for the list of models, whatever it was.
pub struct ModelListing {
    /// Where it was asked for.
    pub(super) path: String,
    pub(super) answer: Answer,
}

/// Why there is no list of models.
pub struct Unlisted {
    pub error: Error,
    /// It may come later: nobody answered, or a server in front has nobody to ask.
    pub busy: bool,
}

fn name(entry: &Value) -> Option<String> {
    match entry {
        Value::String(name) => Some(name.clone()),
        entry => ["id", "name", "model", "model_name"]
            .into_iter()
            .find_map(|key| entry[key].as_str())
            .map(str::to_string),
    }
}

impl ModelListing {
    /// The entries of the list, in every form that servers give it: `{"data": [..]}`, a bare
    /// list, `{"models": [..]}`. `None`: there is none.
    pub fn entries(&self) -> Option<Vec<Value>> {
        let told = self.answer.json();
        let list = match &told {
            Value::Array(list) => Some(list),
            told => ["data", "models", "result"].into_iter().find_map(|key| told[key].as_array()),
        };
        list.cloned()
    }

    /// The names in the list.
    pub fn names(&self) -> Option<Vec<String>> {
        Some(self.entries()?.iter().filter_map(name).collect())
    }

    /// The names of models that are no adapters of another one.
    pub fn bases(&self) -> Option<Vec<String>> {
        let bases = self.entries()?;
        Some(bases.iter().filter(|entry| !entry["parent"].is_string()).filter_map(name).collect())
    }
}
