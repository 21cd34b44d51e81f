//! How replies end, well and badly.

use super::*;

fn end(reason: &str) -> Reply {
    events(&[&word("red"), &ended(reason), USAGE, DONE])
}

#[test]
fn only_good_reasons_make_a_success() {
    let good = (OK, true, Some(2), "red");
    let as_ = |outcome| (outcome, true, Some(2), "red");
    hold(vec![
        ("stop", end("\"stop\""), good),
        ("length", end("\"length\""), good),
        ("tool_calls", end("\"tool_calls\""), good),
        ("TGI's word behind a proxy", end("\"eos_token\""), good),
        ("Gemini's capitals", end("\"MAX_TOKENS\""), good),
        ("Anthropic's word", end("\"end_turn\""), good),
        ("SGLang's object", end(r#"{"type":"stop","matched":2}"#), good),
        ("content_filter", end("\"content_filter\""), as_(Outcome::ContentFilter)),
        ("SAFETY", end("\"SAFETY\""), as_(Outcome::ContentFilter)),
        ("failed", end("\"failed\""), as_(Outcome::Aborted)),
        ("timeout", end("\"timeout\""), as_(Outcome::Aborted)),
        ("abort", end("\"abort\""), as_(Outcome::Aborted)),
        ("error", end("\"error\""), as_(Outcome::Aborted)),
        ("insufficient_system_resource", end("\"insufficient_system_resource\""), as_(Outcome::Aborted)),
        ("a word that nobody knows", end("\"gone fishing\""), as_(Outcome::Aborted)),
        ("SGLang's abort", end(r#"{"type":"abort","message":"out of memory"}"#), as_(Outcome::Aborted)),
        ("null", end("null"), as_(Outcome::Unfinished)),
        ("the word null", end("\"null\""), as_(Outcome::Unfinished)),
        ("None", end("\"None\""), as_(Outcome::Unfinished)),
        ("nothing", end("\"\""), as_(Outcome::Unfinished)),
        ("not_finished", end("\"not_finished\""), as_(Outcome::Unfinished)),
        ("false", end("false"), as_(Outcome::Unfinished)),
    ]);
}

#[test]
fn every_choice_must_end() {
    let choice = |index: u32, reason: &str| {
        format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"a"}},"finish_reason":{reason}}}]}}"#)
    };
    let stop = "\"stop\"";
    let open = |text| (Outcome::Unfinished, true, None, text);
    hold(vec![
        ("two that end", events(&[choice(0, stop), choice(1, stop), DONE.into()]), (OK, true, None, "aa")),
        ("the second does not", events(&[choice(0, stop), choice(1, "null"), DONE.into()]), open("aa")),
        ("the seventieth does not", events(&[choice(0, stop), choice(70, "null"), DONE.into()]), open("aa")),
        (
            "the seventieth ends",
            events(&[choice(0, stop), choice(70, "null"), choice(70, stop)]),
            (OK, true, None, "aaa"),
        ),
        (
            "one with the largest index does not",
            events(&[choice(0, stop), choice(u32::MAX, "null")]),
            open("aa"),
        ),
        (
            "one of two is filtered",
            events(&[choice(0, stop), choice(1, "\"content_filter\"")]),
            (Outcome::ContentFilter, true, None, "aa"),
        ),
        (
            "a failure in two",
            events(&[choice(0, "\"failed\""), choice(1, stop)]),
            (Outcome::Aborted, true, None, "aa"),
        ),
        (
            "both in one event",
            events(&[
                r#"{"choices":[{"index":0,"text":"a","finish_reason":"stop"},{"index":1,"text":"b","finish_reason":null}]}"#,
            ]),
            open("ab"),
        ),
    ]);
    let endless: Vec<String> = (0..2_000).map(|index| choice(index, "null")).collect();
    assert_eq!(words(&events(&endless)), "the reply has more than 1024 choices");
}

#[test]
fn an_error_is_one_by_any_name_and_keeps_its_words() {
    let failures = [
        (r#"{"error":{"message":"too busy","type":"x","code":503}}"#, "too busy"),
        (r#"{"error":"too busy"}"#, "too busy"),
        (r#"{"error":{"code":429,"msg":"too busy"}}"#, "too busy"),
        (r#"{"errors":[{"message":"too busy"}]}"#, "too busy"),
        (r#"{"Error":{"Code":"Throttled","Message":"too busy"}}"#, "too busy"),
        (r#"{"object":"error","message":"too busy","code":500}"#, "too busy"),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"too busy"}}"#, "too busy"),
        (r#"{"type":"error","message":"too busy"}"#, "too busy"),
        (r#"{"code":"Throttling","message":"too busy","request_id":"r"}"#, "too busy"),
        (r#"{"code":1302,"msg":"too busy"}"#, "too busy"),
        (r#"{"errcode":45009,"errmsg":"too busy"}"#, "too busy"),
        (r#"{"error_code":18,"error_msg":"too busy"}"#, "too busy"),
        (r#"{"success":false,"message":"too busy"}"#, "too busy"),
        (r#"{"status":"error","message":"too busy"}"#, "too busy"),
        (r#"{"status":500,"error":true,"message":"too busy"}"#, "too busy"),
        (r#"{"detail":"too busy"}"#, "too busy"),
        (r#"{"detail":[{"loc":["body"],"msg":"too busy"}]}"#, "body: too busy"),
        (r#"{"message":"too busy"}"#, "too busy"),
        (r#"{"msg":"too busy"}"#, "too busy"),
        (r#"{"choices":[],"error":{"message":"too busy"}}"#, "too busy"),
        (
            r#"{"choices":[{"index":0,"error":{"code":502,"message":"too busy"},"finish_reason":"error"}]}"#,
            "too busy",
        ),
        (r#"{"code":500}"#, r#"{"code":500}"#),
        (r#"{"success":false}"#, r#"{"success":false}"#),
    ];
    for (body, said) in failures {
        for reply in [
            whole(body),
            stream(body),
            raw("application/json", body),
            events(&[&word("red"), STOP, body, DONE]),
        ] {
            let record = reply.record(usize::MAX);
            assert_eq!(
                (record.outcome, record.error.as_deref()),
                (Outcome::ServerError, Some(said)),
                "{body}"
            );
        }
    }
    let good = [
        r#"{"error":null,"code":0,"message":"ok","choices":[{"message":{"content":"red"},"finish_reason":"stop"}]}"#,
        r#"{"error":"","choices":[{"message":{"content":"red"},"finish_reason":"stop"}]}"#,
        r#"{"error":false,"success":true,"choices":[{"message":{"content":"red"},"finish_reason":"stop"}]}"#,
        r#"{"detail":"cached","choices":[{"message":{"content":"red"},"finish_reason":"stop"}]}"#,
        r#"{"errors":[],"choices":[{"message":{"content":"red"},"finish_reason":"stop"}]}"#,
        r#"{"code":200,"msg":"success","data":{"choices":[{"message":{"content":"red"},"finish_reason":"stop"}]}}"#,
    ];
    for body in good {
        assert_eq!(whole(body).record(usize::MAX).outcome, OK, "{body}");
    }
}

#[test]
fn an_event_that_is_named_error_is_one() {
    let named = |data: &str| stream(format!("data: {}\n\nevent: error\ndata: {data}\n\n", word("red")));
    for (data, said) in [
        (r#"{"message":"too busy"}"#, "too busy"),
        (r#"{"type":"overloaded","reason":"too busy"}"#, "too busy"),
        ("too busy", "too busy"),
        (r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#, "choices"),
        ("", "an error without a word"),
    ] {
        let record = named(data).record(usize::MAX);
        assert_eq!(record.outcome, Outcome::ServerError, "{data}");
        assert!(
            record.error.as_deref().is_some_and(|words| words.contains(said)),
            "{data}: {:?}",
            record.error
        );
    }
    let other = stream(format!("event: errors\ndata: {}\n\nevent: done\ndata: {STOP}\n\n", word("red")));
    hold(vec![("an event with another name", other, (OK, true, None, "red"))]);
}

const JSON: &str = r#"{"choices":[{"index":0,"message":{"content":"red"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;

const ANTHROPIC: [&str; 4] = [
    r#"{"type":"message_start","message":{"role":"assistant","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"red"}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
    r#"{"type":"message_stop"}"#,
];

#[test]
fn a_body_without_its_end_is_a_success_only_when_all_was_said() {
    let cut = |events_: &[&str]| events(events_).cut_off();
    let red = word("red");
    let truncated = |tokens| (Outcome::Truncated, true, tokens, "red");
    hold(vec![
        ("cut behind a word", cut(&[&red]), truncated(None)),
        ("cut behind its reason", cut(&[&red, STOP]), truncated(None)),
        ("cut behind [DONE]", cut(&[&red, STOP, USAGE, DONE]), (OK, true, Some(2), "red")),
        (
            "cut inside of the blank line behind [DONE]",
            stream(format!("data: {red}\n\ndata: {STOP}\n\ndata: [DONE]\n")).cut_off(),
            (OK, true, None, "red"),
        ),
        (
            "cut right behind [DONE]",
            stream(format!("data: {red}\n\ndata: {STOP}\n\ndata: [DONE]")).cut_off(),
            (OK, true, None, "red"),
        ),
        (
            "cut inside of [DONE]",
            stream(format!("data: {red}\n\ndata: {STOP}\n\ndata: [DON")).cut_off(),
            truncated(None),
        ),
        ("cut behind [DONE] without a reason", cut(&[&red, DONE]), truncated(None)),
        (
            "cut behind [DONE] with a choice that goes on",
            cut(&[&red, STOP, &red.replace("\"index\":0", "\"index\":1"), DONE]),
            (Outcome::Truncated, true, None, "redred"),
        ),
        (
            "cut behind [DONE] and a failure",
            cut(&[&red, &ended("\"failed\""), DONE]),
            (Outcome::Aborted, true, None, "red"),
        ),
        ("cut behind Anthropic's end", cut(&ANTHROPIC), (OK, true, Some(2), "red")),
        ("whole JSON cut behind its brace", whole(JSON).cut_off(), (OK, false, Some(2), "red")),
        (
            "whole JSON in answer to a stream",
            raw("application/json", JSON).cut_off(),
            (OK, false, Some(2), "red"),
        ),
        (
            "JSON cut before its brace",
            whole(&JSON[..JSON.len() - 1]).cut_off(),
            (Outcome::Truncated, false, None, ""),
        ),
        (
            "whole JSON without a reason",
            whole(&JSON.replace("\"stop\"", "null")).cut_off(),
            (Outcome::Truncated, false, None, ""),
        ),
        (
            "JSON that is an error",
            whole(r#"{"error":{"message":"too busy"}}"#).cut_off(),
            (Outcome::Truncated, false, None, ""),
        ),
        (
            "cut behind an error",
            cut(&[&red, r#"{"error":"too busy"}"#]),
            (Outcome::ServerError, true, None, "red"),
        ),
        ("cut behind a failure", cut(&[&red, &ended("\"failed\"")]), (Outcome::Aborted, true, None, "red")),
        (
            "cut inside of JSON",
            whole(r#"{"choices":[{"index":0"#).cut_off(),
            (Outcome::Truncated, false, None, ""),
        ),
        ("not cut", events(&[&red, STOP, USAGE, DONE]), (OK, true, Some(2), "red")),
    ]);
}
