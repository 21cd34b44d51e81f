//! One event of the OpenAI APIs, or a whole reply: they differ in `delta` and `message` only.
//!
//! What most events are is read into types, without an allocation. An event that these do not
//! fit, or that has something of interest under a name which they do not know, is read once more
//! in `odd`, which takes anything.

use super::finish::FinishReason;
use super::meaning::EventMeaning;
use super::reading::is_no_output;
use super::text::{Glance, ReplyText};
use super::usage::UsageFields;
use super::{fault, json, odd};
use crate::record::EventKind;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Reads one event, or a whole reply. Fails only where there is no JSON object.
pub(super) fn read(data: &[u8], mut text: Option<&mut String>) -> serde_json::Result<EventMeaning> {
    match json::object::<Reply>(data) {
        Ok(reply) if !reply.is_odd() => {
            let mut meaning = EventMeaning::default();
            reply.read(&mut meaning, &mut text);
            Ok(meaning)
        }
        Ok(_) => Ok(odd::read(&json::mended(data)?, text)),
        Err(why) => json::mended(data).map(|reply| odd::read(&reply, text)).map_err(|_| why),
    }
}

/// Reads a map into a struct: each key that is named into its field, the latest of several,
/// every other one into the last field, as what it holds at a glance.
macro_rules! fields {
    ($name:ident { $($key:literal => $field:ident,)* } ignored $ignored:expr) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Read;
                impl<'de> Visitor<'de> for Read {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key::<ReplyText>()? {
                            match key.as_str() {
                                $($key => read.$field = map.next_value()?,)*
                                key if $ignored(key) => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                                key => read.other.see(key, map.next_value()?),
                            }
                        }
                        Ok(read)
                    }
                }
                deserializer.deserialize_map(Read)
            }
        }
    };
}

// What most events do not have is boxed in these structs: serde moves them from hand to hand,
// which at 800 bytes was a fifth of the time of reading an event.
#[derive(Default)]
struct Reply<'a> {
    choices: Option<Choices<'a>>,
    usage: Option<UsageFields>,
    error: Option<Box<Value>>,
    object: Option<ReplyText<'a>>,
    other: Glance,
}

fields!(Reply { "choices" => choices, "usage" => usage, "error" => error, "object" => object, }
    ignored |key| matches!(key, "id" | "created" | "model" | "system_fingerprint"));

impl Reply<'_> {
    /// More to it than these types can say.
    fn is_odd(&self) -> bool {
        let odd_choice = |choice: &Choice| choice.is_odd();
        let known = match &self.choices {
            Some(choices) if choices.first.is_some() => !choices.iter().any(odd_choice),
            Some(_) => self.usage.is_some(),
            None => false,
        };
        !known
            || self.other.usage
            || self.error.as_deref().is_some_and(|error| fault::words(error).is_some())
            || self.object.as_ref().is_some_and(|object| object.as_str() == "error")
            || self.usage.as_ref().is_some_and(UsageFields::may_say_more)
    }

    fn read(&self, meaning: &mut EventMeaning, text: &mut Option<&mut String>) {
        for (position, choice) in (0..).zip(self.choices.iter().flat_map(Choices::iter)) {
            meaning.add(EventKind::CHOICES);
            choice.read(position, meaning, text);
        }
        if let Some(usage) = &self.usage {
            meaning.add(EventKind::USAGE);
            meaning.usage = usage.read();
        }
    }
}

#[derive(Default)]
struct Choice<'a> {
    index: Option<u32>,
    text: Option<ReplyText<'a>>,
    delta: Option<Delta<'a>>,
    message: Option<Box<Delta<'a>>>,
    finish_reason: Option<ReplyText<'a>>,
    token_ids: Option<Length>,
    logprobs: Option<Box<Logprobs>>,
    error: Option<Box<Value>>,
    other: Glance,
}

fields!(Choice {
    "index" => index, "text" => text, "delta" => delta, "message" => message, "finish_reason" => finish_reason,
    "token_ids" => token_ids, "logprobs" => logprobs, "error" => error,
} ignored |key| matches!(key, "stop_reason" | "content_filter_results" | "prompt_token_ids"));

#[derive(Default)]
struct Delta<'a> {
    role: Option<ReplyText<'a>>,
    // Some servers send the same text under both names, so these are no aliases.
    reasoning: Option<ReplyText<'a>>,
    reasoning_content: Option<ReplyText<'a>>,
    content: Option<ReplyText<'a>>,
    tool_calls: Option<Vec<ToolCall<'a>>>,
    function_call: Option<Box<Function<'a>>>,
    other: Glance,
}

fields!(Delta {
    "role" => role, "reasoning" => reasoning, "reasoning_content" => reasoning_content, "content" => content,
    "tool_calls" => tool_calls, "function_call" => function_call,
} ignored |key| key != "usage" && is_no_output(key));

#[derive(Default)]
struct ToolCall<'a> {
    function: Option<Function<'a>>,
    other: Glance,
}

fields!(ToolCall { "function" => function, } ignored is_no_output);

#[derive(Default)]
struct Function<'a> {
    name: Option<ReplyText<'a>>,
    arguments: Option<ReplyText<'a>>,
    other: Glance,
}

fields!(Function { "name" => name, "arguments" => arguments, } ignored is_no_output);

/// One entry a token: in a chat under `content`, in a completion under `tokens`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Logprobs {
    content: Option<Length>,
    tokens: Option<Length>,
}

impl Choice<'_> {
    fn is_odd(&self) -> bool {
        self.other.usage
            || self.error.is_some()
            || self.index.is_some_and(|index| index >= u64::BITS)
            || self.delta.as_ref().or(self.message.as_deref()).is_some_and(Delta::is_odd)
            // A message beside a delta repeats what was streamed.
            || self.delta.is_some() && self.message.is_some()
    }

    fn read(&self, position: u32, meaning: &mut EventMeaning, text: &mut Option<&mut String>) {
        let index = self.index.unwrap_or(position);
        meaning.choice(index);
        if let Some(delta) = self.delta.as_ref().or(self.message.as_deref()) {
            delta.read(meaning, text);
            meaning.whole |= self.delta.is_none() && meaning.kind.has(EventKind::OUTPUT);
        }
        meaning.output(EventKind::CONTENT, some(&self.text), text);
        // A completion has no delta: whatever it says is a token.
        let blank = self.delta.as_ref().or(self.message.as_deref()).is_none_or(Delta::is_blank);
        if blank && !meaning.kind.has(EventKind::OUTPUT) {
            meaning.add(EventKind::BLANK);
        }
        let logprobs = self.logprobs.as_deref();
        let tokens = self
            .token_ids
            .as_ref()
            .or_else(|| logprobs.and_then(|logprobs| logprobs.content.as_ref().or(logprobs.tokens.as_ref())));
        meaning.tokens = meaning.tokens.saturating_add(tokens.map_or(0, |tokens| tokens.0));
        let reason = some(&self.finish_reason);
        if FinishReason::of(reason) != FinishReason::Not {
            meaning.finish(index, reason);
        }
    }
}

impl Delta<'_> {
    fn is_blank(&self) -> bool {
        self.role.is_none() && self.content.as_ref().is_some_and(|content| content.as_str().is_empty())
    }

    fn is_odd(&self) -> bool {
        let function = |function: &Function| function.other.text;
        let call = |call: &ToolCall| call.other.text || call.function.as_ref().is_some_and(function);
        self.other.text
            || self.other.usage
            || self.tool_calls.iter().flatten().any(call)
            || self.function_call.as_deref().is_some_and(function)
    }

    fn read(&self, meaning: &mut EventMeaning, text: &mut Option<&mut String>) {
        if !some(&self.role).is_empty() {
            meaning.add(EventKind::ROLE);
        }
        let reasoning = match some(&self.reasoning) {
            "" => some(&self.reasoning_content),
            reasoning => reasoning,
        };
        meaning.output(EventKind::REASONING, reasoning, text);
        meaning.output(EventKind::CONTENT, some(&self.content), text);
        let tools = self.tool_calls.iter().flatten().filter_map(|call| call.function.as_ref());
        for function in tools.chain(self.function_call.as_deref()) {
            meaning.output(EventKind::TOOL, some(&function.name), text);
            meaning.output(EventKind::TOOL, some(&function.arguments), text);
        }
    }
}

fn some<'a>(text: &'a Option<ReplyText>) -> &'a str {
    text.as_ref().map_or("", ReplyText::as_str)
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
