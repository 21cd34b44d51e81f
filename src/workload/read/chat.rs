//! `Asked`: the JSON object of one request, whose position in the file an error knows.

use crate::record::Message;
use crate::workload::Ask;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A prompt or messages, an output length, and every other field.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ask: Ask,
    pub(super) output: Option<u32>,
    pub(super) rest: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AskedVisitor)
    }
}

struct AskedVisitor;

impl<'de> Visitor<'de> for AskedVisitor {
    type Value = Asked;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with prompt or messages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Asked, A::Error> {
        let (mut prompt, mut messages, mut output) = (None::<String>, None::<Messages>, None);
        let mut rest = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "prompt" => prompt = map.next_value()?,
                "messages" => messages = map.next_value()?,
                "output_tokens" | "max_tokens" | "max_completion_tokens" => {
                    output = map.next_value::<Option<Count>>()?.map(|count| count.0).or(output);
                }
                _ => {
                    rest.insert(key, map.next_value()?);
                }
            }
        }
        let ask = match (prompt, messages) {
            (Some(prompt), None) => Ask::Text(prompt),
            (None, Some(messages)) => Ask::Messages(messages.0),
            (None, None) => return Err(A::Error::custom("prompt or messages is missing")),
            (Some(_), Some(_)) => return Err(A::Error::custom("there must be prompt or messages, not both")),
        };
        Ok(Asked { ask, output, rest })
    }
}

/// At least one message.
#[derive(Debug)]
pub(super) struct Messages(pub(super) Vec<Message>);

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Chat {
            role: String,
            content: Content,
        }
        let chats = Vec::<Chat>::deserialize(deserializer)?;
        if chats.is_empty() {
            return Err(D::Error::custom("messages is empty"));
        }
        let message = |chat: Chat| Message { role: chat.role, content: chat.content.0 };
        Ok(Messages(chats.into_iter().map(message).collect()))
    }
}

/// A string, or a list of text parts.
struct Content(String);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text as content")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content, A::Error> {
        #[derive(serde::Deserialize)]
        struct Part {
            r#type: String,
            text: Option<String>,
        }
        let mut texts = Vec::new();
        while let Some(part) = parts.next_element::<Part>()? {
            match (part.r#type.as_str(), part.text) {
                ("text", Some(text)) => texts.push(text),
                (kind, _) => {
                    return Err(A::Error::custom(format!("only text content can be sent, got {kind:?}")));
                }
            }
        }
        Ok(Content(texts.join("\n")))
    }
}

/// A number of tokens above 0. Tables written by other programs may have it as `128.0`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u32);

impl Count {
    pub(super) fn parse(text: &str) -> Result<Count, String> {
        let number = text.trim().parse::<f64>().ok().and_then(Count::whole);
        number.ok_or_else(|| format!("expected a whole number of tokens above 0, got \"{text}\""))
    }

    fn whole(number: f64) -> Option<Count> {
        let whole = number.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&number);
        whole.then_some(Count(number as u32))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number of tokens above 0")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        let wrong = || E::custom(format!("expected a whole number of tokens above 0, got {number}"));
        Count::whole(number).ok_or_else(wrong)
    }
}
