//! Replays what real engines put on the wire, through every pure part at once, cut anywhere.

use super::{Api, ReplyEnd, ReplyState, TemplateReader};
use crate::client::body::Body;
use crate::client::head::{ContentKind, Head};
use crate::client::sse::{Event, Parser};
use crate::record::{EventKind, Outcome, Usage};

#[derive(Debug, PartialEq)]
struct Replay {
    /// The kinds of the events, runs with their length: `r c*11 cf u d`.
    kinds: String,
    text: String,
    tokens: Vec<u32>,
    verdict: ReplyEnd,
}

/// Reads a response that arrives in pieces of `cut` bytes, after which the connection closes.
fn replay(api: Api, wire: &[u8], cut: usize) -> Replay {
    let mut pieces = wire.chunks(cut);
    let mut arrived = Vec::new();
    let (head, used) = loop {
        arrived.extend_from_slice(pieces.next().expect("a whole head"));
        if let Some(found) = Head::parse(&arrived, false).expect("HTTP") {
            break found;
        }
    };
    assert_eq!((head.status, head.content), (200, ContentKind::EventStream));
    let (mut body, mut parser, mut tally) =
        (Body::new(head.framing), Parser::new(1 << 20), ReplyState::new(api));
    let (mut kinds, mut text, mut tokens) = (Vec::new(), String::new(), Vec::new());
    let mut reader = TemplateReader::new(api);
    let mut event = |event: Event| match reader.read(event, Some(&mut text)) {
        Ok(meaning) => {
            tokens.push(tally.add(&meaning));
            kinds.push(letters(meaning.kind));
        }
        Err(why) => tally.broken(why),
    };
    let arrived = arrived.split_off(used);
    for piece in std::iter::once(arrived.as_slice()).chain(pieces) {
        let fed = body.feed(piece, |data| {
            parser.feed(data, &mut event).expect("short events");
        });
        assert_eq!(fed.expect("well chunked").used, piece.len());
    }
    let clean_end = body.closed();
    if clean_end {
        parser.finish(&mut event);
    }
    Replay { kinds: runs(&kinds), text, tokens, verdict: tally.outcome(clean_end, 0, true) }
}

fn letters(kind: EventKind) -> String {
    let names = [
        (EventKind::ROLE, 'r'),
        (EventKind::REASONING, 't'),
        (EventKind::CONTENT, 'c'),
        (EventKind::TOOL, 'x'),
        (EventKind::FINISH, 'f'),
        (EventKind::USAGE, 'u'),
        (EventKind::ERROR, '!'),
        (EventKind::DONE, 'd'),
        (EventKind::EMPTY, 'e'),
    ];
    names.into_iter().filter(|(one, _)| kind.has(*one)).map(|(_, letter)| letter).collect()
}

fn runs(kinds: &[String]) -> String {
    let runs = kinds.chunk_by(|a, b| a == b).map(|run| match run.len() {
        1 => run[0].clone(),
        n => format!("{}*{n}", run[0]),
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// Replays whole and in pieces, with equal results.
fn at_every_cut(api: Api, wire: &[u8]) -> Replay {
    let whole = replay(api, wire, wire.len());
    for cut in [1, 7, 64, 1_000] {
        assert_eq!(replay(api, wire, cut), whole, "cut at {cut}");
    }
    whole
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One HTTP chunk a block of text (events with their blank line), as these engines write them.
fn chunked(head: &str, blocks: &str) -> Vec<u8> {
    let mut wire = head.as_bytes().to_vec();
    for block in blocks.split_inclusive("\n\n") {
        wire.extend_from_slice(format!("{:x}\r\n{block}\r\n", block.len()).as_bytes());
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// Replays a recording. The recordings are without the chunked framing that they were sent in.
fn recorded(api: Api, recording: &str) -> Replay {
    let (head, blocks) = recording.split_once("\r\n\r\n").expect("a head");
    at_every_cut(api, &chunked(&format!("{head}\r\n\r\n"), blocks))
}

/// Replays events that are written down here.
fn events(api: Api, events: &[&str]) -> Replay {
    let blocks: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    at_every_cut(api, &chunked(HEAD, &blocks))
}

macro_rules! wire {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/wire/", $name, ".txt"))
    };
}

fn success(finish: &str, input: u32, output: u32, cached: Option<u32>) -> ReplyEnd {
    ReplyEnd {
        outcome: Outcome::Success,
        error: None,
        finish: Some(finish.to_string()),
        usage: Usage { input: Some(input), output: Some(output), cached, reasoning: None },
    }
}

#[test]
fn vllm_chat() {
    let replay = recorded(Api::Chat, wire!("vllm-tiny-random/chat-stream"));
    assert_eq!(replay.kinds, "r c*10 cf u d");
    assert_eq!(replay.verdict, success("length", 34, 12, None));
    assert_eq!(
        replay.text,
        " constructivelyjavLEX teen Wordsworth cooling recruits defendants nervouscongamorph Roads"
    );
    assert_eq!(replay.tokens, [0; 14]);
}

#[test]
fn vllm_chat_beyond_the_end_of_the_text() {
    let replay = recorded(Api::Chat, wire!("vllm-tiny-random/chat-stream-ignore-eos"));
    // Special tokens and half characters come as empty events in mid-stream.
    assert_eq!(replay.kinds, "r c*61 e c*18 e c*118 cf u d");
    assert_eq!(replay.verdict, success("length", 34, 200, None));
}

#[test]
fn vllm_completion() {
    let replay = recorded(Api::Completions, wire!("vllm-tiny-random/completion-stream"));
    assert_eq!(replay.kinds, "c*11 cf u d");
    assert_eq!(replay.verdict, success("length", 4, 12, None));
}

#[test]
fn llamacpp_chat() {
    let replay = recorded(Api::Chat, wire!("llamacpp-xllamacpp/chat-stream"));
    assert_eq!(replay.kinds, "r c*12 f u d");
    assert_eq!(replay.verdict, success("length", 34, 12, Some(0)));
    assert_eq!(replay.text, "1. Red: This is the most obvious colour, but");
}

#[test]
fn llamacpp_completion_has_its_usage_in_the_finish_event() {
    let replay = recorded(Api::Completions, wire!("llamacpp-xllamacpp/completion-stream"));
    assert_eq!(replay.kinds, "c*12 fu d");
    assert_eq!(replay.verdict, success("length", 4, 12, Some(0)));
    assert_eq!(replay.tokens, [0; 14]);
}

#[test]
fn llamacpp_progress_and_pings_are_no_output() {
    let replay = recorded(Api::Chat, wire!("llamacpp-xllamacpp/chat-stream-progress-pings"));
    assert_eq!(replay.kinds, "r*3 c*2 f u d");
    assert_eq!(replay.verdict, success("length", 1231, 3, Some(24)));
}

#[test]
fn llamacpp_ends_at_once_with_a_usage_and_no_text() {
    let replay = recorded(Api::Chat, wire!("llamacpp-xllamacpp/chat-stream-progress"));
    assert_eq!((replay.kinds.as_str(), replay.text.as_str()), ("r*3 f u d", ""));
    assert_eq!(replay.verdict, success("stop", 1231, 1, Some(24)));
}

#[test]
fn llamacpp_sends_one_usage_for_each_of_two_choices() {
    let event = |index: u32, delta: &str, finish: &str| {
        format!(
            r#"{{"choices":[{{"finish_reason":{finish},"index":{index},"delta":{delta}}}],"id":"chatcmpl-1"}}"#
        )
    };
    let usage = r#"{"choices":[],"id":"chatcmpl-1","usage":{"completion_tokens":4,"prompt_tokens":34,"total_tokens":38}}"#;
    let role = r#"{"role":"assistant","content":null}"#;
    let replay = events(
        Api::Chat,
        &[
            &event(0, role, "null"),
            &event(1, role, "null"),
            &event(0, r#"{"content":"red"}"#, "null"),
            &event(0, "{}", "\"length\""),
            usage,
            &event(1, r#"{"content":"blue"}"#, "null"),
            &event(1, "{}", "\"length\""),
            usage,
            "[DONE]",
        ],
    );
    assert_eq!(replay.kinds, "r*2 c f u c f u d");
    assert_eq!(replay.verdict, success("length", 34, 8, None));
}

#[test]
fn transformers_ends_without_done_and_with_its_usage_in_the_finish_event() {
    let replay = events(
        Api::Chat,
        &[
            r#"{"id":"1","choices":[{"delta":{"role":"assistant"},"finish_reason":null,"index":0}],"object":"chat.completion.chunk","usage":null}"#,
            r#"{"id":"1","choices":[{"delta":{"content":"1"},"finish_reason":null,"index":0}],"usage":null}"#,
            r#"{"id":"1","choices":[{"delta":{},"finish_reason":"stop","index":0}],"usage":{"prompt_tokens":34,"completion_tokens":138,"total_tokens":172}}"#,
        ],
    );
    assert_eq!((replay.kinds.as_str(), replay.tokens), ("r c fu", vec![0, 0, 0]));
    assert_eq!(replay.verdict, success("stop", 34, 138, None));
}

fn failed(replay: &Replay) -> (&str, Outcome, &str) {
    (&replay.kinds, replay.verdict.outcome, replay.verdict.error.as_deref().unwrap_or(""))
}

#[test]
fn errors_inside_a_status_200_are_failures() {
    let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}"#;
    let content = r#"{"choices":[{"index":0,"delta":{"content":"red"},"finish_reason":null}]}"#;
    let full = r#"{"error":{"message":"The queue is full","type":"ServiceUnavailableError","param":null,"code":503}}"#;
    let died =
        r#"{"error":{"message":"EngineCore encountered an issue","type":"InternalServerError","code":500}}"#;
    let replay = events(Api::Chat, &[full, "[DONE]"]);
    assert_eq!(failed(&replay), ("! d", Outcome::ServerError, "The queue is full"));
    let replay = events(Api::Chat, &[role, content, died, "[DONE]"]);
    assert_eq!(failed(&replay), ("r c ! d", Outcome::ServerError, "EngineCore encountered an issue"));
    let replay = events(Api::Chat, &[role, r#"{"error": "`max_new_tokens` must be greater than 0"}"#]);
    assert_eq!(failed(&replay), ("r !", Outcome::ServerError, "`max_new_tokens` must be greater than 0"));
}

#[test]
fn a_killed_server_cuts_the_stream_off() {
    let (head, blocks) = wire!("llamacpp-xllamacpp/chat-stream").split_once("\r\n\r\n").expect("a head");
    let wire = chunked(&format!("{head}\r\n\r\n"), blocks);
    for end in (head.len() + 4..wire.len()).step_by(97).chain([wire.len() - 1]) {
        let replay = replay(Api::Chat, &wire[..end], 64);
        assert_eq!(replay.verdict.outcome, Outcome::Truncated, "cut after {end} of {} bytes", wire.len());
    }
}

#[test]
fn llama_cpp_python_drops_a_request_for_the_next_one() {
    let role = r#"{"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"role": "assistant"}, "logprobs": null, "finish_reason": null}]}"#;
    let content = r#"{"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": "red"}, "logprobs": null, "finish_reason": null}]}"#;
    let blocks = format!("data: {role}\r\n\r\ndata: {content}\r\n\r\ndata: [DONE]\r\n\r\n\r\n");
    let whole = chunked(HEAD, &blocks);
    let replay = at_every_cut(Api::Chat, &whole[..whole.len() - "0\r\n\r\n".len()]);
    assert_eq!((replay.kinds.as_str(), replay.verdict.outcome), ("r c d", Outcome::Truncated));
    let replay = at_every_cut(Api::Chat, &whole);
    assert_eq!(failed(&replay), ("r c d", Outcome::Unfinished, "the stream ended without a finish reason"));
    let finish = content
        .replace(r#"{"content": "red"}"#, "{}")
        .replace("\"finish_reason\": null", "\"finish_reason\": \"stop\"");
    let replay = events(Api::Chat, &[role, content, &finish, "[DONE]\n"]);
    assert_eq!((replay.kinds.as_str(), replay.verdict.outcome), ("r c f d", Outcome::Success));
    assert_eq!(replay.verdict.usage, Usage::default());
}

#[test]
fn reasoning_and_tools_are_output_of_their_own_kind() {
    let delta =
        |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#);
    let replay = events(
        Api::Chat,
        &[
            &delta(r#"{"role":"assistant","content":"","reasoning_content":null,"tool_calls":[]}"#),
            &delta(r#"{"reasoning":"hm","reasoning_content":"hm"}"#),
            &delta(r#"{"reasoning_content":" m"}"#),
            &delta(r#"{"content":null,"reasoning":"."}"#),
            &delta(r#"{"content":"\u00e9\n"}"#),
            &delta(
                r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}"#,
            ),
            &delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#),
            &delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":""}}]}"#),
            &delta(r#"{"function_call":{"name":"g","arguments":"1"}}"#),
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        ],
    );
    assert_eq!(replay.kinds, "r t*3 c x*2 e x fu");
    assert_eq!(replay.text, "hm m.é\nf{}g1");
    assert_eq!(replay.verdict.usage.reasoning, Some(3));
}

#[test]
fn tgi_and_tensorrt_streams() {
    let token = |text: &str, rest: &str| {
        format!(r#"{{"index":1,"token":{{"id":5,"text":"{text}","logprob":-1.0,"special":false}},{rest}}}"#)
    };
    let replay = events(
        Api::Tgi,
        &[
            &token("red", r#""generated_text":null,"details":null"#),
            &token(
                " sky",
                r#""generated_text":"red sky","details":{"finish_reason":"length","generated_tokens":2,"input_length":7}"#,
            ),
        ],
    );
    assert_eq!(
        (replay.kinds.as_str(), replay.text.as_str(), replay.tokens),
        ("c cfu", "red sky", vec![1, 1])
    );
    assert_eq!(replay.verdict, success("length", 7, 2, None));
    let text =
        |text: &str| format!(r#"{{"model_name":"ensemble","model_version":"1","text_output":"{text}"}}"#);
    let replay = events(Api::TensorRt, &[&text("red"), &text(" sky"), &text("")]);
    assert_eq!((replay.kinds.as_str(), replay.text.as_str()), ("c*2 e", "red sky"));
    assert_eq!(replay.verdict.outcome, Outcome::Success);
}
