//! Where usage stands, in which order it comes, and what is no count.

use super::*;

/// A word, an end with this usage beside its choices, and `[DONE]`.
fn last(event: &str) -> Reply {
    events(&[&word("red"), event, DONE])
}

fn told(n: u32) -> Seen<'static> {
    (OK, true, Some(n), "red")
}

const UNTOLD: Seen = (OK, true, None, "red");

#[test]
fn usage_counts_wherever_it_stands() {
    hold(vec![
        ("in an event of its own", events(&[&word("red"), STOP, USAGE, DONE]), told(2)),
        (
            "beside the last choice",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":7}}"#,
            ),
            told(7),
        ),
        (
            "in the last choice (Moonshot)",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":7}}]}"#,
            ),
            told(7),
        ),
        (
            "in a vendor's object (Groq)",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"queue_time":0.1,"prompt_tokens":9,"completion_tokens":7}}}"#,
            ),
            told(7),
        ),
        (
            "Bedrock's metrics",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"amazon-bedrock-invocationMetrics":{"inputTokenCount":9,"outputTokenCount":7}}"#,
            ),
            told(7),
        ),
        (
            "Gemini's metadata",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":7}}"#,
            ),
            told(7),
        ),
        (
            "by the newer names",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"input_tokens":9,"output_tokens":7}}"#,
            ),
            told(7),
        ),
        (
            "without choices at all",
            events(&[&word("red"), STOP, r#"{"usage":{"prompt_tokens":9,"completion_tokens":7}}"#]),
            told(7),
        ),
        (
            "choices null",
            events(&[
                &word("red"),
                STOP,
                r#"{"choices":null,"usage":{"prompt_tokens":9,"completion_tokens":7}}"#,
            ]),
            told(7),
        ),
        (
            "a list of usages",
            events(&[
                &word("red"),
                STOP,
                r#"{"choices":[],"usage":[{"prompt_tokens":9,"completion_tokens":7}]}"#,
            ]),
            told(7),
        ),
        (
            "in a delta",
            events(&[
                &word("red"),
                STOP,
                r#"{"choices":[{"index":0,"delta":{"content":"","usage":{"prompt_tokens":9,"completion_tokens":7}}}]}"#,
            ]),
            told(7),
        ),
        (
            "in llama.cpp's timings",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":3,"prompt_n":6,"prompt_ms":9.5,"predicted_n":7,"predicted_ms":70.5,"draft_n":4}}"#,
            ),
            told(7),
        ),
        (
            "usage goes before timings",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"prompt_n":1,"predicted_n":3},"usage":{"prompt_tokens":9,"completion_tokens":7}}"#,
            ),
            told(7),
        ),
        (
            "by camel's names",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"promptTokens":9,"completionTokens":7,"totalTokens":16}}"#,
            ),
            told(7),
        ),
        (
            "beside the choices, without a name for both",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"input_tokens":9,"output_tokens":7}"#,
            ),
            told(7),
        ),
        (
            "in Ollama's names beside the choices",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"prompt_eval_count":9,"eval_count":7}"#,
            ),
            told(7),
        ),
        (
            "zeros by the old names beside the newer",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"input_tokens":9,"output_tokens":7}}"#,
            ),
            told(7),
        ),
        (
            "half by the old names",
            last(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"output_tokens":7}}"#,
            ),
            told(7),
        ),
        (
            "Ollama's own stream",
            events(&[
                r#"{"message":{"role":"assistant","content":"red"},"done":false}"#,
                r#"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":7}"#,
            ]),
            told(7),
        ),
        (
            "Anthropic's own stream",
            events(&[
                r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"red"}}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
                r#"{"type":"message_stop"}"#,
            ]),
            told(7),
        ),
        (
            "in the first event too",
            events(&[
                r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
                &word("red"),
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":7}}"#,
            ]),
            told(7),
        ),
    ]);
}

#[test]
fn the_latest_usage_that_says_something_wins() {
    let known = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}"#;
    let after = |event: &str| events(&[&word("red"), STOP, known, event, DONE]);
    let before = |event: &str| events(&[event, &word("red"), STOP, known, DONE]);
    let zero = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    hold(vec![
        ("zeros behind it", after(zero), told(7)),
        ("zeros before it", before(zero), told(7)),
        ("null behind it", after(r#"{"choices":[],"usage":null}"#), told(7)),
        (
            "nulls behind it",
            after(r#"{"choices":[],"usage":{"prompt_tokens":null,"completion_tokens":null}}"#),
            told(7),
        ),
        ("an empty usage behind it", after(r#"{"choices":[],"usage":{}}"#), told(7)),
        (
            "zeros of a choice behind it",
            after(r#"{"choices":[{"index":0,"delta":{},"usage":{"completion_tokens":0}}]}"#),
            told(7),
        ),
        (
            "more behind it",
            after(r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":8}}"#),
            told(8),
        ),
        (
            "more beside a choice behind it",
            after(
                r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":9,"completion_tokens":8}}"#,
            ),
            told(8),
        ),
    ]);
}

#[test]
fn a_count_that_is_none_costs_no_reply() {
    let count = |count: &str| {
        let usage =
            format!(r#"{{"choices":[],"usage":{{"prompt_tokens":{count},"completion_tokens":{count}}}}}"#);
        events(&[&word("red"), STOP, &usage, DONE])
    };
    hold(vec![
        ("12.0", count("12.0"), told(12)),
        ("12", count("12"), told(12)),
        ("true", count("true"), UNTOLD),
        ("a list", count("[1]"), UNTOLD),
        ("an object", count(r#"{"n":1}"#), UNTOLD),
        ("a number as text", count("\"12\""), told(12)),
        ("a number with a point as text", count("\" 12.0 \""), told(12)),
        ("text", count("\"twelve\""), UNTOLD),
        ("no text", count("\"\""), UNTOLD),
        ("half a token as text", count("\"5.5\""), UNTOLD),
        ("less than nothing as text", count("\"-1\""), UNTOLD),
        ("infinity as text", count("\"inf\""), UNTOLD),
        ("a hundred in another script", count("\"0x10\""), UNTOLD),
        ("less than nothing", count("-1"), UNTOLD),
        ("half a token", count("5.5"), UNTOLD),
        ("more than a number holds", count("1e400"), UNTOLD),
        ("more than 32 bits hold", count("1e300"), UNTOLD),
        ("NaN", count("NaN"), UNTOLD),
        ("usage that is text", events(&[&word("red"), STOP, r#"{"choices":[],"usage":"none"}"#]), UNTOLD),
        ("usage that is a number", events(&[&word("red"), STOP, r#"{"choices":[],"usage":5}"#]), UNTOLD),
        (
            "details that are text",
            events(&[
                &word("red"),
                STOP,
                r#"{"choices":[],"usage":{"completion_tokens":7,"prompt_tokens_details":"none"}}"#,
            ]),
            told(7),
        ),
    ]);
}

/// Input, output, cached and reasoning tokens of a reply.
type Counts = (Option<u32>, Option<u32>, Option<u32>, Option<u32>);

#[test]
fn all_four_counts_are_read_by_every_name() {
    let wrong: Vec<String> = [
        (
            r#""usage":{"prompt_tokens":9,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}"#,
            (Some(9), Some(7), Some(4), Some(5)),
        ),
        (
            r#""usage":{"promptTokens":"9","completionTokens":7.0,"promptTokensDetails":{"cachedTokens":4},"completionTokensDetails":{"reasoningTokens":5}}"#,
            (Some(9), Some(7), Some(4), Some(5)),
        ),
        // What came from the cache is a part of OpenAI's input, and beside Anthropic's and Bedrock's.
        (
            r#""usage":{"input_tokens":9,"output_tokens":7,"input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":5}}"#,
            (Some(9), Some(7), Some(4), Some(5)),
        ),
        (
            r#""usage":{"input_tokens":9,"output_tokens":7,"cache_read_input_tokens":100,"cache_creation_input_tokens":20}"#,
            (Some(129), Some(7), Some(100), None),
        ),
        (
            r#""usage":{"inputTokens":9,"outputTokens":7,"cacheReadInputTokens":100,"cacheWriteInputTokens":20}"#,
            (Some(129), Some(7), Some(100), None),
        ),
        // LiteLLM writes both; its prompt_tokens hold all.
        (
            r#""usage":{"prompt_tokens":129,"completion_tokens":7,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"prompt_tokens_details":{"cached_tokens":100}}"#,
            (Some(129), Some(7), Some(100), None),
        ),
        // Gemini's thoughts are no part of its candidates.
        (
            r#""usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":7,"thoughtsTokenCount":5,"cachedContentTokenCount":4,"totalTokenCount":21}"#,
            (Some(9), Some(12), Some(4), Some(5)),
        ),
        (r#""usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}"#, (Some(9), None, None, None)),
        (
            r#""timings":{"cache_n":100,"prompt_n":9,"predicted_n":7}"#,
            (Some(109), Some(7), Some(100), None),
        ),
        (r#""timings":{"prompt_n":9,"predicted_n":7}"#, (Some(9), Some(7), None, None)),
        (r#""timings":{"prompt_ms":9.5}"#, (None, None, None, None)),
        (r#""timings":"none""#, (None, None, None, None)),
    ]
    .into_iter()
    .filter_map(|(usage, expected): (&str, Counts)| {
        let streamed = events(&[
            &word("red"),
            &format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{usage}}}"#),
            DONE,
        ]);
        let whole = whole(&format!(
            r#"{{"choices":[{{"index":0,"message":{{"content":"red"}},"finish_reason":"stop"}}],{usage}}}"#
        ));
        let wrong: Vec<Counts> = [streamed, whole]
            .iter()
            .map(|reply| reply.record(usize::MAX).usage)
            .map(|usage| (usage.input, usage.output, usage.cached, usage.reasoning))
            .filter(|counts| *counts != expected)
            .collect();
        (!wrong.is_empty()).then(|| format!("{usage}: {wrong:?}, not {expected:?}"))
    })
    .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn several_choices_share_the_prompt() {
    let choice = |index: u32, more: &str| {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"a"}},"finish_reason":"stop"{more}}}]}}"#
        )
    };
    let usage = r#","usage":{"prompt_tokens":9,"completion_tokens":4}"#;
    let each = events(&[choice(0, usage), choice(1, usage)]);
    let both = whole(
        r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":4}},
            {"index":1,"message":{"content":"a"},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":4}}]}"#,
    );
    for reply in [each, both] {
        let record = reply.record(usize::MAX);
        assert_eq!((record.usage.input, record.usage.output), (Some(9), Some(8)));
    }
}
