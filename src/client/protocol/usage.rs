//! `UsageFields`: the numbers of tokens that a server tells, by whatever names and wherever.

use crate::record::Usage;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Usage by the names of OpenAI and of most others.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct UsageFields {
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
    /// What is not told by these names may be by others.
    pub(super) fn may_say_more(&self) -> bool {
        let none = |count: Count| count.0.is_none_or(|n| n == 0);
        none(self.prompt_tokens) || none(self.completion_tokens)
    }

    pub(super) fn read(&self) -> Usage {
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

/// A number of tokens, in whatever way a gateway writes it (`10`, `10.0`, `"10"`). One that can be
/// none (negative, a fraction, over 32 bits, words, a list) counts as not told: the reply itself is as
/// good.
#[derive(Default, Clone, Copy)]
pub(super) struct Count(pub(super) Option<u32>);

impl Count {
    pub(super) fn of(value: &Value) -> Count {
        Count::deserialize(value).unwrap_or_default()
    }
}

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

            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                let text = text.trim();
                let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                text.parse().ok().filter(|_| digits).map_or(Ok(Count(None)), |n| self.visit_f64(n))
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// Names of the same count: OpenAI and most, Anthropic and OpenAI's newer API, Gemini, Bedrock,
/// Ollama, Vercel's SDK, llama.cpp's timings.
const INPUT: [&str; 9] = [
    "prompt_tokens",
    "input_tokens",
    "promptTokens",
    "inputTokens",
    "promptTokenCount",
    "inputTokenCount",
    "prompt_token_count",
    "prompt_eval_count",
    PROMPT_N,
];
const OUTPUT: [&str; 10] = [
    "completion_tokens",
    "output_tokens",
    "completionTokens",
    "outputTokens",
    CANDIDATES,
    "outputTokenCount",
    "candidates_token_count",
    "eval_count",
    "generated_tokens",
    "predicted_n",
];
const CACHED: [&str; 8] = [
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cachedTokens",
    "cachedContentTokenCount",
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    CACHE_N,
];
const REASONING: [&str; 5] =
    ["reasoning_tokens", "thinking_tokens", "reasoningTokens", THOUGHTS, "thoughts_token_count"];

/// Gemini's thoughts are no part of its candidates.
const CANDIDATES: &str = "candidatesTokenCount";
const THOUGHTS: &str = "thoughtsTokenCount";

/// In these the input is what no cache had, and what came out of it or went in stands beside it.
const PROMPT_N: &str = "prompt_n";
const CACHE_N: &str = "cache_n";
const BESIDE: [(&str, &[&str]); 4] = [
    ("input_tokens", &["cache_read_input_tokens", "cache_creation_input_tokens"]),
    ("inputTokens", &["cacheReadInputTokens", "cacheWriteInputTokens"]),
    ("inputTokenCount", &["cacheReadInputTokenCount", "cacheWriteInputTokenCount"]),
    (PROMPT_N, &[CACHE_N]),
];

/// Where llama.cpp counts by itself, also where it tells no usage.
pub(super) const TIMINGS: &str = "timings";

/// Usage out of an object by any of its names; nothing told where it has none of them.
pub(super) fn of(fields: &Map<String, Value>) -> Usage {
    let one = |name: &str| fields.get(name).and_then(count);
    let in_one = |fields: &Map<String, Value>, names: &[&str]| {
        let counts = names.iter().filter_map(|name| count(fields.get(*name)?));
        counts.max()
    };
    let below = |names: &[&str]| {
        let details = fields.iter().filter(|(key, _)| key.ends_with("_details") || key.ends_with("Details"));
        let counts = details.filter_map(|(_, value)| in_one(value.as_object()?, names));
        counts.max()
    };
    let whole = ["prompt_tokens", "promptTokens"].into_iter().find_map(one).filter(|n| *n > 0);
    let beside = BESIDE.into_iter().filter(|_| whole.is_none()).find_map(|(name, more)| {
        let more = more.iter().filter_map(|name| one(name));
        Some(more.fold(one(name)?, u32::saturating_add))
    });
    let thoughts = one(THOUGHTS).zip(one(CANDIDATES));
    Usage {
        input: beside.max(in_one(fields, &INPUT)),
        output: thoughts.map(|(a, b)| a.saturating_add(b)).max(in_one(fields, &OUTPUT)),
        cached: below(&CACHED).max(in_one(fields, &CACHED)),
        reasoning: below(&REASONING).max(in_one(fields, &REASONING)),
    }
}

/// Whether a key is one of a count, which may stand without a name for all of them.
pub(super) fn is_count(key: &str) -> bool {
    // Most keys of an event are shorter, or hold neither word.
    (key.contains("oken") || key.ends_with("_count")) && (INPUT.contains(&key) || OUTPUT.contains(&key))
}

fn count(value: &Value) -> Option<u32> {
    Count::of(value).0
}

/// Whether a key may hold usage, such as `usage`, `usageMetadata`, `x_usage`,
/// `amazon-bedrock-invocationMetrics`, `timings`.
pub(super) fn is_name(key: &str) -> bool {
    key == TIMINGS || is_usage(key)
}

fn is_usage(key: &str) -> bool {
    let key = key.as_bytes();
    let holds = |word: &[u8]| key.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    holds(b"usage") || holds(b"invocationmetrics")
}

/// Usage anywhere below `value`, the first that tells anything.
pub(super) fn anywhere(value: &Value, depth: u32) -> Option<Usage> {
    let deeper = |value| anywhere(value, depth - 1);
    match value {
        _ if depth == 0 => None,
        Value::Object(fields) => {
            let named = fields.iter().filter(|(key, _)| is_usage(key)).find_map(|(_, value)| told(value));
            named.or_else(|| fields.values().find_map(deeper))
        }
        Value::Array(items) => items.iter().find_map(deeper),
        _ => None,
    }
}

/// What is under a name of usage: an object, or a list whose last one counts.
pub(super) fn told(value: &Value) -> Option<Usage> {
    let fields = match value {
        Value::Array(items) => items.last()?.as_object()?,
        value => value.as_object()?,
    };
    Some(of(fields)).filter(|usage| *usage != Usage::default())
}

/// `newer` over `older`: what it does not tell, or tells as 0, does not beat a known value.
pub(super) fn over(newer: Usage, older: Usage) -> Usage {
    let pick = |newer: Option<u32>, older: Option<u32>| newer.filter(|n| *n > 0).or(older).or(newer);
    Usage {
        input: pick(newer.input, older.input),
        output: pick(newer.output, older.output),
        cached: pick(newer.cached, older.cached),
        reasoning: pick(newer.reasoning, older.reasoning),
    }
}

/// The usage of two choices together: they share the prompt.
pub(super) fn sum(a: Usage, b: Usage) -> Usage {
    let add = |a: Option<u32>, b: Option<u32>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    Usage {
        input: a.input.max(b.input),
        output: add(a.output, b.output),
        cached: a.cached.max(b.cached),
        reasoning: add(a.reasoning, b.reasoning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Input, output, cached and reasoning tokens.
    type Counts = (Option<u32>, Option<u32>, Option<u32>, Option<u32>);

    fn read(value: Value) -> Option<Counts> {
        anywhere(&value, 5).map(|usage| (usage.input, usage.output, usage.cached, usage.reasoning))
    }

    #[test]
    fn usage_is_found_wherever_a_server_puts_it() {
        let both = Some((Some(5), Some(7), None, None));
        let plain = json!({"prompt_tokens": 5, "completion_tokens": 7});
        assert_eq!(read(json!({"usage": plain})), both);
        assert_eq!(read(json!({"x_groq": {"id": "r", "usage": plain}})), both);
        assert_eq!(read(json!({"usage": {}, "meta": {"token_usage": plain}})), both);
        assert_eq!(read(json!({"data": [{"usage": null}, {"usage": plain}]})), both);
        assert_eq!(read(json!({"usage": [{"prompt_tokens": 1}, plain]})), both);
        assert_eq!(read(json!({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}})), both);
        let bedrock =
            json!({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7}});
        assert_eq!(read(bedrock), both);
        assert_eq!(
            read(json!({"usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 4}}})),
            Some((Some(7), Some(7), Some(2), Some(4)))
        );
        assert_eq!(
            read(
                json!({"usage": {"prompt_tokens": 5, "completion_tokens": 7, "prompt_cache_hit_tokens": 3}})
            ),
            Some((Some(5), Some(7), Some(3), None))
        );
        assert_eq!(read(json!({"usage": "none", "prompt_tokens": 5})), None);
    }

    #[test]
    fn zeros_and_nothing_never_beat_a_known_value() {
        let usage = |input, output| Usage { input, output, ..Usage::default() };
        let known = usage(Some(5), Some(7));
        assert_eq!(over(usage(Some(0), None), known), known);
        assert_eq!(over(usage(Some(6), Some(0)), known), usage(Some(6), Some(7)));
        assert_eq!(over(usage(Some(0), None), Usage::default()), usage(Some(0), None));
        assert_eq!(over(usage(Some(0), None), usage(None, Some(0))), usage(Some(0), Some(0)));
    }
}
