//! The body of a recorded request: our fields, and beside them the recorded ones as they are.

use super::api::Api;
use super::overlay::lay_over;
use crate::record::{Key, Verbatim};
use serde_json::{Map, Value};

/// `fields` with the recorded ones laid over, as bytes. A recorded null takes a key away; an
/// object is merged with one of ours, and only then is it not the text of its file any more.
pub(super) fn body(mut fields: Map<String, Value>, recorded: &Verbatim, api: Api) -> Vec<u8> {
    let mut verbatim: Vec<(&str, String)> = Vec::new();
    match (recorded.key, api) {
        (Key::Messages, Api::Chat) | (Key::Prompt, Api::Completions) => {
            verbatim.push((recorded.key.name(), recorded.json.to_string()));
        }
        (Key::Prompt, _) if recorded.json.starts_with('"') => {
            let messages = format!("[{{\"role\":\"user\",\"content\":{}}}]", recorded.json);
            verbatim.push((Key::Messages.name(), messages));
        }
        _ => {}
    }
    for (key, text) in &recorded.fields {
        let key: &str = key;
        if &**text == "null" {
            fields.shift_remove(key);
            continue;
        }
        if text.starts_with('{')
            && fields.get(key).is_some_and(Value::is_object)
            && let Ok(theirs) = serde_json::from_str::<Value>(text)
        {
            lay_over(&mut fields, &Map::from_iter([(key.to_string(), theirs)]));
            continue;
        }
        fields.entry(key).or_insert(Value::Null);
        verbatim.push((key, text.to_string()));
    }
    write(&fields, &verbatim)
}

fn write(fields: &Map<String, Value>, verbatim: &[(&str, String)]) -> Vec<u8> {
    const JSON: &str = "JSON values are JSON";
    let mut body = Vec::with_capacity(256 + verbatim.iter().map(|(_, text)| text.len()).sum::<usize>());
    for (key, value) in fields {
        body.push(if body.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut body, key).expect(JSON);
        body.push(b':');
        match verbatim.iter().rfind(|(name, _)| name == key) {
            Some((_, text)) => body.extend_from_slice(text.as_bytes()),
            None => serde_json::to_writer(&mut body, value).expect(JSON),
        }
    }
    if body.is_empty() {
        body.push(b'{');
    }
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn built(ours: Value, recorded: &Verbatim, api: Api) -> String {
        let fields = ours.as_object().expect("an object").clone();
        String::from_utf8(body(fields, recorded, api)).expect("text")
    }

    #[test]
    fn what_was_recorded_goes_out_byte_for_byte() {
        let messages =
            r#"[ {"role":"user", "content":"h\u00e9\/", "x":1.50, "n":1e400, "x":2,"name":null} ]"#;
        let tools = r#"[{"b":0.10,"a":12345678901234567890123}]"#;
        let mut recorded = Verbatim::new(Key::Messages, messages);
        recorded.fields = vec![("tools".into(), tools.into()), ("temperature".into(), "1e0".into())];
        let ours = json!({"model": "m", "messages": [], "temperature": 0.0, "stream": true});
        assert_eq!(
            built(ours, &recorded, Api::Chat),
            format!(
                r#"{{"model":"m","messages":{messages},"temperature":1e0,"stream":true,"tools":{tools}}}"#
            )
        );
    }

    #[test]
    fn null_takes_a_key_away_and_objects_are_merged() {
        let mut recorded = Verbatim::new(Key::Prompt, "[1,2, 3]");
        recorded.fields =
            vec![("temperature".into(), "null".into()), ("options".into(), r#"{"b": 2}"#.into())];
        let ours = json!({"prompt": "", "temperature": 0.0, "options": {"a": 1}});
        assert_eq!(
            built(ours, &recorded, Api::Completions),
            r#"{"prompt":[1,2, 3],"options":{"a":1,"b":2}}"#
        );
    }

    #[test]
    fn a_recorded_text_is_what_the_user_says_in_a_chat() {
        let recorded = Verbatim::new(Key::Prompt, r#""a\u0020b""#);
        assert_eq!(
            built(json!({"messages": []}), &recorded, Api::Chat),
            r#"{"messages":[{"role":"user","content":"a\u0020b"}]}"#
        );
        let recorded = Verbatim::new(Key::Messages, r#"[{"content":"a"}]"#);
        assert_eq!(built(json!({"prompt": "a"}), &recorded, Api::Completions), r#"{"prompt":"a"}"#);
    }
}
