//! Fields of an event that are not as they should be, and text under any name.

use super::*;

/// The text of one event between a word and the end; the reply is a success.
fn says(fields: &str) -> Reply {
    with(&delta(fields))
}

fn red(text: &str) -> Seen<'_> {
    (OK, true, Some(2), text)
}

#[test]
fn one_odd_field_costs_no_reply() {
    hold(vec![
        ("content null", says(r#"{"role":"assistant","content":null,"tool_calls":null}"#), red("red")),
        ("an empty delta", says("{}"), red("red")),
        ("a delta that is null", says("null"), red("red")),
        ("a delta that is text", says(r#"" sky""#), red("red sky")),
        ("content as a number", says(r#"{"content":5}"#), red("red5")),
        ("content as false", says(r#"{"content":false}"#), red("red")),
        ("content as an empty list", says(r#"{"content":[]}"#), red("red")),
        ("a role that is an object", says(r#"{"role":{"name":"a"},"content":" sky"}"#), red("red sky")),
        (
            "choices as an object",
            with(r#"{"choices":{"index":0,"delta":{"content":" sky"}}}"#),
            red("red sky"),
        ),
        ("choices null", with(r#"{"choices":null,"id":"x"}"#), red("red")),
        ("a choice that is null", with(r#"{"choices":[null]}"#), red("red")),
        (
            "an index that is text",
            with(r#"{"choices":[{"index":"0","delta":{"content":" sky"}}]}"#),
            red("red sky"),
        ),
        (
            "an index that is null",
            with(r#"{"choices":[{"index":null,"delta":{"content":" sky"}}]}"#),
            red("red sky"),
        ),
        ("no index", with(r#"{"choices":[{"delta":{"content":" sky"}}]}"#), red("red sky")),
        (
            "log probabilities of minus infinity",
            with(
                r#"{"choices":[{"index":0,"delta":{"content":" sky"},"logprobs":{"content":[{"logprob":-Infinity},{"logprob":NaN}]}}]}"#,
            ),
            red("red sky"),
        ),
        (
            "a number that no number holds",
            with(r#"{"created":1e400,"choices":[{"index":0,"delta":{"content":" sky"}}]}"#),
            red("red sky"),
        ),
        ("half a pair of surrogates", says(r#"{"content":"\ud83d"}"#), red("red\u{fffd}")),
        ("a pair of surrogates", says(r#"{"content":"\ud83d\ude00"}"#), red("red😀")),
        ("an escape that there is not", says(r#"{"content":"\x"}"#), red("red\\x")),
        ("a line break inside of a string", says("{\"content\":\"\t\"}"), red("red\t")),
        ("the same key twice", says(r#"{"content":"","content":" sky"}"#), red("red sky")),
        (
            "a deep pit beside the text",
            with(&format!(
                r#"{{"x":{}{},"choices":[{{"index":0,"delta":{{"content":" sky"}}}}]}}"#,
                "[".repeat(3_000),
                "]".repeat(3_000)
            )),
            red("red sky"),
        ),
        (
            "Azure's first event",
            events(&[
                r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false}}}]}"#,
                &word("red"),
                STOP,
                USAGE,
                DONE,
            ]),
            red("red"),
        ),
        (
            "Azure's filter in each choice",
            with(
                r#"{"choices":[{"index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":" sky"}}]}"#,
            ),
            red("red sky"),
        ),
        (
            "error null",
            with(r#"{"error":null,"choices":[{"index":0,"delta":{"content":" sky"}}]}"#),
            red("red sky"),
        ),
        (
            "error none, code 200",
            with(r#"{"error":"none","code":200,"choices":[{"index":0,"delta":{"content":" sky"}}]}"#),
            red("red sky"),
        ),
        ("an event of something else", with(r#"{"type":"ping"}"#), red("red")),
        (
            "llama.cpp's progress",
            with(
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}],"prompt_progress":{"total":9,"processed":4}}"#,
            ),
            red("red"),
        ),
    ]);
}

#[test]
fn bytes_that_are_no_text_become_one_sign_each() {
    let piece = |bytes: &[u8]| {
        [b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"", bytes, b"\"}}]}\n\n"].concat()
    };
    let end = format!("data: {STOP}\n\n");
    let halves = [piece(b"\xe6\x97"), piece(b"\xa5!"), end.clone().into_bytes()].concat();
    let whole_sign = [piece("日".as_bytes()), end.into_bytes()].concat();
    hold(vec![
        ("a sign that is cut between two reads", stream(whole_sign), (OK, true, None, "日")),
        ("a sign that is cut between two events", stream(halves), (OK, true, None, "\u{fffd}\u{fffd}!")),
    ]);
}

#[test]
fn text_is_output_whatever_its_name() {
    hold(vec![
        (
            "parts of content",
            says(r#"{"content":[{"type":"text","text":" s"},{"type":"text","text":"ky"}]}"#),
            red("red sky"),
        ),
        (
            "Mistral thinks in parts",
            says(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":" hm"}]}]}"#),
            red("red hm"),
        ),
        ("DashScope's parts without a type", says(r#"{"content":[{"text":" sky"}]}"#), red("red sky")),
        (
            "one part without its list",
            says(r#"{"content":{"type":"output_text","text":" sky"}}"#),
            red("red sky"),
        ),
        ("reasoning_content", says(r#"{"content":null,"reasoning_content":" hm"}"#), red("red hm")),
        (
            "the same thought under three names",
            says(
                r#"{"content":"","reasoning":" hm","reasoning_content":" hm","reasoning_details":[{"type":"reasoning.text","text":" hm","format":"unknown","index":0}]}"#,
            ),
            red("red hm"),
        ),
        (
            "reasoning_details alone",
            says(r#"{"reasoning_details":[{"type":"reasoning.summary","summary":" hm","id":"x"}]}"#),
            red("red hm"),
        ),
        ("a refusal", says(r#"{"content":null,"refusal":" no"}"#), red("red no")),
        ("a name that nobody knows", says(r#"{"utterance":" sky"}"#), red("red sky")),
        ("the same text under two names", says(r#"{"content":" sky","text":" sky"}"#), red("red sky")),
        (
            "what is said aloud",
            says(r#"{"audio":{"id":"a1","transcript":" sky","expires_at":17}}"#),
            red("red sky"),
        ),
        (
            "arguments as text",
            says(
                r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            ),
            red("redf{}"),
        ),
        (
            "arguments as an object",
            says(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":{"a":1}}}]}"#),
            red(r#"redf{"a":1}"#),
        ),
        (
            "no arguments yet",
            says(r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":{}}}]}"#),
            red("redf"),
        ),
        (
            "a call without its list",
            says(r#"{"tool_calls":{"function":{"name":"f","arguments":"1"}}}"#),
            red("redf1"),
        ),
        (
            "a custom tool",
            says(r#"{"tool_calls":[{"index":0,"type":"custom","custom":{"name":"f","input":"1"}}]}"#),
            red("redf1"),
        ),
        ("a call of the old kind", says(r#"{"function_call":{"name":"f","arguments":"1"}}"#), red("redf1")),
    ]);
    let alone = |fields: &str| events(&[&delta(fields), STOP]);
    hold(vec![
        (
            "sound without words is output",
            alone(r#"{"audio":{"id":"a1","data":"UklGRg=="}}"#),
            (OK, true, None, ""),
        ),
        (
            "an image is output",
            alone(
                r#"{"content":"","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}"#,
            ),
            (OK, true, None, ""),
        ),
        ("a role is none", alone(r#"{"role":"assistant","content":""}"#), (OK, false, None, "")),
        (
            "names and ids are none",
            alone(r#"{"id":"x","name":"bot","provider":"p","message_id":"m","status":"thinking"}"#),
            (OK, false, None, ""),
        ),
        (
            "numbers and flags under unknown names are none",
            alone(r#"{"step":3,"cached":true,"scores":[1,2]}"#),
            (OK, false, None, ""),
        ),
        (
            "citations are none",
            alone(r#"{"annotations":[{"type":"url_citation","title":"t"}],"citations":["u"]}"#),
            (OK, false, None, ""),
        ),
    ]);
}

#[test]
fn a_message_that_repeats_what_was_streamed_is_no_output_again() {
    let last = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"red sky"},"finish_reason":"stop"}]}"#;
    let beside =
        r#"{"choices":[{"index":0,"delta":{},"message":{"content":"red sky"},"finish_reason":"stop"}]}"#;
    hold(vec![
        (
            "MiniMax ends with the whole",
            events(&[&word("red"), &word(" sky"), last]),
            (OK, true, None, "red sky"),
        ),
        (
            "the whole beside an empty delta",
            events(&[&word("red"), &word(" sky"), beside]),
            (OK, true, None, "red sky"),
        ),
        ("nothing but the whole", events(&[last]), (OK, true, None, "red sky")),
        ("nothing but the whole, beside a delta", events(&[beside]), (OK, true, None, "red sky")),
    ]);
}

#[test]
fn replies_of_other_apis_are_understood() {
    let anthropic = [
        r#"{"type":"message_start","message":{"id":"m","role":"assistant","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm "}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"red"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":4}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let responses = [
        r#"{"type":"response.created","response":{"id":"r","status":"in_progress","usage":null}}"#,
        r#"{"type":"response.output_text.delta","item_id":"i","delta":"red"}"#,
        r#"{"type":"response.output_text.done","text":"red"}"#,
        r#"{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":9,"output_tokens":4}}}"#,
    ];
    let ollama = "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"red\"},\"done\":false}\n{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":4}\n";
    let red = (OK, true, Some(4), "red");
    let envelope = r#"{"code":0,"msg":"ok","data":{"choices":[{"index":0,"message":{"content":"red"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}}"#;
    let dashscope = r#"{"output":{"choices":[{"message":{"role":"assistant","content":"red"},"finish_reason":"stop"}]},"usage":{"input_tokens":9,"output_tokens":4},"request_id":"r"}"#;
    let text =
        r#"{"output":{"text":"red","finish_reason":"stop"},"usage":{"input_tokens":9,"output_tokens":4}}"#;
    hold(vec![
        ("Anthropic's messages", events(&anthropic), (OK, true, Some(4), "hm red")),
        ("OpenAI's responses", events(&responses), red),
        ("Ollama's own", raw("application/x-ndjson", ollama), red),
        ("a gateway's envelope", whole(envelope), (OK, false, Some(4), "red")),
        ("DashScope's own", whole(dashscope), (OK, false, Some(4), "red")),
        ("DashScope's oldest", whole(text), (OK, false, Some(4), "red")),
        ("DeepSpeed-MII", whole(r#"{"text":["red"]}"#).api(Api::Completions), (OK, false, None, "red")),
        ("a transcription", whole(r#"{"text":"red"}"#), (OK, false, None, "red")),
        ("TGI's list of one", whole(r#"[{"generated_text":"red","details":{"finish_reason":"length","generated_tokens":4.0}}]"#).api(Api::Tgi), (OK, false, Some(4), "red")),
        ("TGI with odd fields", events(&[r#"{"token":{"id":[5],"text":"red","special":null},"generated_text":null,"details":[]}"#, r#"{"token":null,"generated_text":"red","details":{"finish_reason":{"type":"length"},"generated_tokens":4}}"#]).api(Api::Tgi), red),
        ("TensorRT-LLM with odd fields", events(&[r#"{"text_output":["red"],"cum_log_probs":NaN}"#]).api(Api::TensorRt), (OK, true, None, "red")),
    ]);
}
