//! What the two OpenAI APIs have in common: the fields of a body, and the shape of a reply,
//! streamed or whole.

use super::{Meaning, fault};
use crate::client::Target;
use crate::client::target::Exact;
use crate::record::{Kind, Request, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt;

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

/// Reads a JSON object. A list, which serde would take for the fields in order, is none.
pub(super) fn object<'a, T: Deserialize<'a>>(data: &'a [u8]) -> serde_json::Result<T> {
    if data.trim_ascii_start().starts_with(b"[") {
        return Err(serde_json::Error::custom("a list where an object should be"));
    }
    // One look at all bytes costs less than one at each of the many strings.
    match std::str::from_utf8(data) {
        Ok(data) => serde_json::from_str(data),
        Err(error) => Err(serde_json::Error::custom(error)),
    }
}

/// Reads one event, or a whole reply: they differ in `delta` and `message` only.
pub(super) fn read(data: &[u8], mut text: Option<&mut String>) -> serde_json::Result<Meaning> {
    let reply: Reply = object(data)?;
    if let Some(words) = reply.fault() {
        return Ok(Meaning::error(words));
    }
    let mut meaning = Meaning::default();
    if let Some(choices) = &reply.choices {
        for choice in choices.iter() {
            meaning.add(Kind::CHOICES);
            choice.read(&mut meaning, &mut text);
        }
    }
    let texts = reply.text.as_deref().and_then(Value::as_array).into_iter().flatten();
    for (index, piece) in (0..).zip(texts.filter_map(Value::as_str)) {
        meaning.choice(index);
        meaning.output(Kind::CONTENT, piece, &mut text);
        meaning.add(Kind::FINISH);
        meaning.finishes.push((index, String::new()));
    }
    if let Some(usage) = &reply.usage {
        meaning.add(Kind::USAGE);
        meaning.usage = usage.read();
    }
    Ok(meaning)
}

// What most events do not have is boxed in these structs: serde moves them from hand to hand,
// which at 800 bytes was a fifth of the time of reading an event.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Reply<'a> {
    #[serde(borrow)]
    choices: Option<Choices<'a>>,
    usage: Option<UsageFields>,
    error: Option<Box<Value>>,
    detail: Option<Box<Value>>,
    #[serde(borrow)]
    object: Option<Text<'a>>,
    message: Option<Box<Value>>,
    /// The whole reply of DeepSpeed-MII: `{"text": [".."]}`.
    text: Option<Box<Value>>,
}

impl Reply<'_> {
    /// The words of an error that came in the place of a reply, with whatever status.
    fn fault(&self) -> Option<String> {
        if let Some(words) = self.error.as_deref().and_then(fault::words) {
            return Some(words);
        }
        if self.object.as_ref().is_some_and(|object| object.as_str() == "error") {
            return Some(self.message.as_deref().and_then(fault::words).unwrap_or_default());
        }
        if self.choices.is_some() { None } else { self.detail.as_deref().and_then(fault::words) }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice<'a> {
    index: u32,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    message: Option<Box<Delta<'a>>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    token_ids: Option<Length>,
    logprobs: Option<Box<Logprobs>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    role: Option<Text<'a>>,
    // Some servers send the same text under both names, so these are no aliases.
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow)]
    function_call: Option<Box<Function<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

/// One entry a token: in a chat under `content`, in a completion under `tokens`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Logprobs {
    content: Option<Length>,
    tokens: Option<Length>,
}

impl Choice<'_> {
    fn read(&self, meaning: &mut Meaning, text: &mut Option<&mut String>) {
        meaning.choice(self.index);
        if let Some(delta) = self.delta.as_ref().or(self.message.as_deref()) {
            delta.read(meaning, text);
        }
        meaning.output(Kind::CONTENT, some(&self.text), text);
        let logprobs = self.logprobs.as_deref();
        let tokens = self
            .token_ids
            .as_ref()
            .or_else(|| logprobs.and_then(|logprobs| logprobs.content.as_ref().or(logprobs.tokens.as_ref())));
        meaning.tokens = meaning.tokens.saturating_add(tokens.map_or(0, |tokens| tokens.0));
        let reason = some(&self.finish_reason);
        if !reason.is_empty() {
            meaning.add(Kind::FINISH);
            meaning.finishes.push((self.index, reason.to_string()));
        }
    }
}

impl Delta<'_> {
    fn read(&self, meaning: &mut Meaning, text: &mut Option<&mut String>) {
        if !some(&self.role).is_empty() {
            meaning.add(Kind::ROLE);
        }
        let reasoning = match some(&self.reasoning) {
            "" => some(&self.reasoning_content),
            reasoning => reasoning,
        };
        meaning.output(Kind::REASONING, reasoning, text);
        meaning.output(Kind::CONTENT, some(&self.content), text);
        let tools = self.tool_calls.iter().flatten().filter_map(|call| call.function.as_ref());
        for function in tools.chain(self.function_call.as_deref()) {
            meaning.output(Kind::TOOL, some(&function.name), text);
            meaning.output(Kind::TOOL, some(&function.arguments), text);
        }
    }
}

fn some<'a>(text: &'a Option<Text>) -> &'a str {
    text.as_ref().map_or("", Text::as_str)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UsageFields {
    prompt_tokens: Count,
    completion_tokens: Count,
    prompt_tokens_details: Option<Box<Details>>,
    completion_tokens_details: Option<Box<Details>>,
    /// Where SGLang puts it.
    reasoning_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    reasoning_tokens: Count,
}

impl UsageFields {
    fn read(&self) -> Usage {
        let output_details = self.completion_tokens_details.as_deref();
        Usage {
            input: self.prompt_tokens.0,
            output: self.completion_tokens.0,
            cached: self.prompt_tokens_details.as_deref().and_then(|details| details.cached_tokens.0),
            reasoning: output_details
                .and_then(|details| details.reasoning_tokens.0)
                .or(self.reasoning_tokens.0),
        }
    }
}

/// A number of tokens, in whatever way a gateway writes it (`10`, `10.0`). One that can be none
/// (negative, a fraction, over 32 bits, text) counts as not told: the reply itself is as good.
#[derive(Default, Clone, Copy)]
struct Count(Option<u32>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of tokens")
            }

            fn visit_u64<E>(self, n: u64) -> Result<Count, E> {
                Ok(Count(n.try_into().ok()))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Count, E> {
                Ok(Count(n.try_into().ok()))
            }

            fn visit_f64<E>(self, n: f64) -> Result<Count, E> {
                let whole = n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&n);
                Ok(Count(whole.then_some(n as u32)))
            }

            fn visit_str<E>(self, _: &str) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A string that is borrowed from the event where it has no escapes.
///
/// serde borrows a plain `Cow` field but always copies one inside an `Option`: hence this type.
pub(super) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The choices of an event. Nearly always there is one, which costs no allocation.
struct Choices<'a> {
    first: Option<Choice<'a>>,
    others: Vec<Choice<'a>>,
}

impl<'a> Choices<'a> {
    fn iter(&self) -> impl Iterator<Item = &Choice<'a>> {
        self.first.iter().chain(&self.others)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut choices = Choices { first: list.next_element()?, others: Vec::new() };
                while let Some(choice) = list.next_element()? {
                    choices.others.push(choice);
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// How long a list is, whatever it holds.
struct Length(u32);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut length = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    length += 1;
                }
                Ok(Length(length))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}
