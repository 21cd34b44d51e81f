//! `Said`: what a reply said, as a conversation carries it on: its words, and its calls of tools. What it thought
//! aloud is no part of it.

use serde_json::{Map, Value};

/// See the file's head; of the first choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    pub content: String,
    /// As the request of the next turn takes them.
    pub tool_calls: Vec<Value>,
}

impl Said {
    /// Adds the JSON of one event, or of a whole reply; what is none of an OpenAI chat adds nothing.
    pub fn hear(&mut self, json: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(json) else { return };
        let choices = event["choices"].as_array().map_or(&[][..], Vec::as_slice);
        let first = |choice: &&Value| choice["index"].as_u64().unwrap_or(0) == 0;
        let Some(choice) = choices.iter().find(first) else { return };
        let said = choice.get("delta").or(choice.get("message")).unwrap_or(&Value::Null);
        self.content.push_str(said["content"].as_str().unwrap_or_default());
        for (place, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
            self.call(call["index"].as_u64().map_or(place, |index| index as usize), call);
        }
    }

    /// A part of a call: its name and arguments come in pieces.
    fn call(&mut self, index: usize, part: &Value) {
        // No reply calls so many; an index of that size would take the memory.
        if index > 1_000 {
            return;
        }
        while self.tool_calls.len() <= index {
            let function = serde_json::json!({ "name": "", "arguments": "" });
            let empty = Map::from_iter([("type".into(), "function".into()), ("function".into(), function)]);
            self.tool_calls.push(Value::Object(empty));
        }
        let call = &mut self.tool_calls[index];
        if let Some(id) = part["id"].as_str().filter(|id| !id.is_empty()) {
            call["id"] = id.into();
        }
        for key in ["name", "arguments"] {
            let piece = match &part["function"][key] {
                Value::String(piece) => piece.clone(),
                Value::Null => continue,
                // Some servers send arguments as an object, where text is asked for.
                other => other.to_string(),
            };
            let before = call["function"][key].as_str().unwrap_or_default();
            call["function"][key] = format!("{before}{piece}").into();
        }
    }

    /// The message that the next turn carries.
    pub fn message(&self) -> Value {
        let mut message = Map::from_iter([("role".into(), "assistant".into())]);
        let silent = self.content.is_empty() && !self.tool_calls.is_empty();
        message.insert("content".into(), if silent { Value::Null } else { self.content.as_str().into() });
        if !self.tool_calls.is_empty() {
            message.insert("tool_calls".into(), self.tool_calls.clone().into());
        }
        Value::Object(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn heard(events: &[Value]) -> Said {
        let mut said = Said::default();
        events.iter().for_each(|event| said.hear(event.to_string().as_bytes()));
        said
    }

    #[test]
    fn calls_that_come_in_pieces_are_put_together_and_thoughts_are_left_out() {
        let delta = |delta: Value| json!({ "choices": [{ "index": 0, "delta": delta }] });
        let said = heard(&[
            delta(json!({ "role": "assistant", "reasoning_content": "let me look" })),
            delta(json!({ "content": "I " })),
            delta(json!({ "content": "look" })),
            delta(
                json!({ "tool_calls": [{ "index": 0, "id": "c1", "type": "function", "function": { "name": "f", "arguments": "" } }] }),
            ),
            delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"a\"" } }] })),
            delta(
                json!({ "tool_calls": [{ "index": 1, "id": "c2", "function": { "name": "g", "arguments": "{}" } }] }),
            ),
            delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": ":1}" } }] })),
            json!({ "choices": [], "usage": {} }),
        ]);
        let call = |id, name, arguments| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
        assert_eq!(said.tool_calls, [call("c1", "f", "{\"a\":1}"), call("c2", "g", "{}")]);
        assert_eq!(said.message()["content"], "I look");
    }

    #[test]
    fn a_whole_reply_says_the_same_and_silence_beside_a_call_is_null() {
        let call =
            json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": { "a": 1 } } });
        let said = heard(&[json!({ "choices": [{ "message": { "content": null, "tool_calls": [call] } }] })]);
        assert_eq!(said.message()["content"], Value::Null);
        assert_eq!(said.tool_calls[0]["function"]["arguments"], "{\"a\":1}");
        assert_eq!(heard(&[json!([])]), Said::default());
    }
}
