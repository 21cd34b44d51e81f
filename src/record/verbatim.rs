//! `Verbatim`: a request as it was recorded, in the JSON text of its file.
//!
//! Parsing and writing again would lose what JSON libraries do not keep (the spelling of numbers,
//! escapes, keys that stand twice), and every key that we do not know of. What was recorded is
//! checked once, where it is read, and then goes out as it is.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A recorded request. All texts are valid JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verbatim {
    pub key: Key,
    /// The value of `key`: messages are an array of objects, a prompt is text, token ids, or
    /// a list of either.
    pub json: Box<str>,
    /// Further fields of the body, in their order.
    pub fields: Vec<(Box<str>, Box<str>)>,
}

/// The body field that holds what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Messages,
    Prompt,
}

impl Key {
    pub fn name(self) -> &'static str {
        match self {
            Key::Messages => "messages",
            Key::Prompt => "prompt",
        }
    }
}

impl Verbatim {
    pub fn new(key: Key, json: impl Into<Box<str>>) -> Verbatim {
        Verbatim { key, json: json.into(), fields: Vec::new() }
    }

    /// The texts that a reader of the prompt sees, in order: contents of messages, text parts of
    /// contents. Images, tool calls and token ids have none.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        match self.key {
            Key::Messages => {
                let messages: Vec<Message> = read(&self.json);
                messages.into_iter().for_each(|message| texts.extend(message.0));
            }
            Key::Prompt => texts.extend(read::<Texts>(&self.json).0),
        }
        texts
    }

    /// Token ids of the prompt, when it is made of them.
    pub fn ids(&self) -> Option<u32> {
        if self.key == Key::Messages {
            return None;
        }
        let count = match serde_json::from_str::<Vec<u64>>(&self.json) {
            Ok(ids) => ids.len(),
            Err(_) => serde_json::from_str::<Vec<Vec<u64>>>(&self.json).ok()?.iter().map(Vec::len).sum(),
        };
        u32::try_from(count).ok().filter(|count| *count > 0)
    }

    /// The further fields as values, for an API whose body has another shape.
    pub fn values(&self) -> Map<String, Value> {
        let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        self.fields.iter().map(|(key, text)| (key.to_string(), value(text))).collect()
    }
}

/// What the JSON holds; half a surrogate pair, which is no text, is read as U+FFFD.
fn read<T: Default + serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&paired(json))).unwrap_or_default()
}

/// The JSON with `\ufffd` in place of every escape that is half a surrogate pair.
fn paired(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut text, mut at) = (String::with_capacity(json.len()), 0);
    while let Some(next) = json[at..].find('\\').map(|next| at + next) {
        text.push_str(&json[at..next]);
        let len = match (unit(next), unit(next + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                text.push_str("\\ufffd");
                at = next + 6;
                continue;
            }
            (Some(_), _) => 6,
            // The escaped character may be a backslash.
            (None, _) => 1 + json[next + 1..].chars().next().map_or(0, char::len_utf8),
        };
        text.push_str(&json[next..next + len]);
        at = next + len;
    }
    text.push_str(&json[at..]);
    text
}

/// The texts of one message.
struct Message(Vec<String>);

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Message;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a message")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
                let mut texts = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "content" => texts = map.next_value::<Texts>()?.0,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Message(texts))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// A text, the texts in a list, the `text` of parts; anything else holds none.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything { below: 3 })
    }
}

/// `below`: how many lists and objects deep a text may stand.
struct Anything {
    below: u8,
}

impl<'de> serde::de::DeserializeSeed<'de> for Anything {
    type Value = Texts;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Texts, D::Error> {
        match self.below {
            0 => IgnoredAny::deserialize(deserializer).map(|_| Texts::default()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(found) = list.next_element_seed(Anything { below: self.below - 1 })? {
            texts.extend(found.0);
        }
        Ok(Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "text" => texts = map.next_value_seed(Anything { below: self.below - 1 })?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Texts(texts))
    }

    fn visit_unit<E>(self) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Texts, E> {
        Ok(Texts::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Texts, E> {
        Ok(Texts::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_a_reader_sees() {
        let of = |key, json: &str| Verbatim::new(key, json).texts();
        assert_eq!(
            of(Key::Prompt, r#""\ud83d\ude00 \ud83d, \ude00\\ud800 \ud800""#),
            ["😀 \u{fffd}, \u{fffd}\\ud800 \u{fffd}"]
        );
        assert_eq!(of(Key::Messages, r#"[{"role":"user","content":"a\udfffb"}]"#), ["a\u{fffd}b"]);
        let messages = r#"[{"role":"system","content":"old"},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},
             {"type":"text","text":"b"}],"text":"no"},
            {"role":"assistant","content":null,"tool_calls":[{"text":"no"}]},
            {"role":"tool","content":7},{"role":"user"}]"#;
        assert_eq!(of(Key::Messages, messages), ["old", "a", "b"]);
        assert_eq!(of(Key::Prompt, "\"h\\u00e9\""), ["hé"]);
        assert_eq!(of(Key::Prompt, r#"["a","b"]"#), ["a", "b"]);
        assert!(of(Key::Prompt, "[1,2,3]").is_empty());
    }

    #[test]
    fn texts_of_a_list_that_is_nested_without_end_are_found_without_a_stack_as_deep() {
        let deep = [&"[".repeat(100_000), "1", &"]".repeat(100_000)].concat();
        let json = format!(r#"[{{"role":"user","content":"a","x":{deep}}}]"#);
        assert_eq!(Verbatim::new(Key::Messages, json).texts(), ["a"]);
        let inside = format!(r#"[{{"role":"user","content":{deep}}}]"#);
        assert!(Verbatim::new(Key::Messages, inside).texts().is_empty());
    }

    #[test]
    fn token_ids_are_counted() {
        let of = |json: &str| Verbatim::new(Key::Prompt, json).ids();
        assert_eq!((of("[1, 2,3]"), of("[[1],[2,3]]")), (Some(3), Some(3)));
        assert_eq!((of("\"a\""), of(r#"["a"]"#), of("[]"), of("[-1]")), (None, None, None, None));
    }
}
