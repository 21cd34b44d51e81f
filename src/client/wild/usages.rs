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
        ("text", count("\"12\""), UNTOLD),
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
