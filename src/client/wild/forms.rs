//! Forms of a body: how events are framed, what the label says, what comes instead of a stream.

use super::*;

/// Two words, an end, usage and `[DONE]`, with this between the lines.
fn framed(before: &str, after: &str) -> Reply {
    let lines = [word("red"), word(" sky"), STOP.into(), USAGE.into(), DONE.into()];
    stream(lines.iter().map(|data| format!("{before}{data}{after}")).collect::<String>())
}

const SKY: Seen = (OK, true, Some(2), "red sky");

#[test]
fn events_in_any_frame_are_events() {
    hold(vec![
        ("lines that end with LF", framed("data: ", "\n\n"), SKY),
        ("lines that end with CRLF", framed("data: ", "\r\n\r\n"), SKY),
        ("lines that end with CR", framed("data: ", "\r\r"), SKY),
        ("no space behind data:", framed("data:", "\n\n"), SKY),
        ("two spaces behind data:", framed("data:  ", "\n\n"), SKY),
        ("blanks behind the data", framed("data: ", "  \n\n"), SKY),
        ("a byte order mark", stream(["\u{feff}".as_bytes(), &framed("data: ", "\n\n").body].concat()), SKY),
        ("OpenRouter waits in comments", framed(": OPENROUTER PROCESSING\n\ndata: ", "\n\n"), SKY),
        ("DeepSeek keeps alive in comments", framed(": keep-alive\n\ndata: ", "\n\n"), SKY),
        ("bare colons", framed(":\n\ndata: ", "\n\n"), SKY),
        ("ids, names and retries", framed("id: 7\nevent: message\nretry: 3000\ndata: ", "\n\n"), SKY),
        ("names behind the data", framed("data: ", "\nid: 7\nevent: chunk\n\n"), SKY),
        ("pings with data", framed("event: ping\ndata: {}\n\ndata: ", "\n\n"), SKY),
        ("pings that are a word", framed("data: ping\n\ndata: ", "\n\n"), SKY),
        ("null to keep alive", framed("data: null\n\ndata: ", "\n\n"), SKY),
        ("a comment inside data:", framed("data: : keep-alive\n\ndata: ", "\n\n"), SKY),
        ("no blank lines between events", framed("data: ", "\n"), SKY),
        ("three blank lines between events", framed("data: ", "\n\n\n\n"), SKY),
        ("a trailing comma", framed("data: ", ",\n\n"), SKY),
        ("NUL behind the data", framed("data: ", "\0\n\n"), SKY),
        (
            "one object over several lines",
            stream(
                "data: {\"choices\":\ndata: [{\"index\":0,\"delta\":{\"content\":\"red\"},\ndata: \"finish_reason\":\"stop\"}]}\n\n",
            ),
            (OK, true, None, "red"),
        ),
        (
            "the last event without its blank line",
            stream(format!("data: {}\n\ndata: {STOP}", word("red"))),
            (OK, true, None, "red"),
        ),
        ("[done] in small letters", events(&[&word("red"), STOP, "[done]"]), (OK, true, None, "red")),
        ("DONE as a string", events(&[&word("red"), STOP, "\"[DONE]\""]), (OK, true, None, "red")),
        ("no [DONE]", events(&[&word("red"), STOP]), (OK, true, None, "red")),
        ("events behind [DONE]", events(&[&word("red"), STOP, DONE, USAGE]), (OK, true, Some(2), "red")),
    ]);
}

#[test]
fn the_first_bytes_say_what_a_body_is_and_not_its_label() {
    let body = framed("data: ", "\n\n").body;
    let label = |label| raw(label, &body);
    let json = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"red"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let pretty = json.replace(',', ",\n  ").replace("{\"choices", "{\n\"choices");
    let red = (OK, false, Some(1), "red");
    hold(vec![
        ("a stream labelled as JSON", label("application/json"), SKY),
        ("a stream labelled as text", label("text/plain; charset=utf-8"), SKY),
        ("a stream labelled as octets", label("application/octet-stream"), SKY),
        ("a stream without a label", label(""), SKY),
        ("a stream that nobody asked for", label("text/event-stream").unasked(), SKY),
        ("a stream labelled as JSON that nobody asked for", label("application/json").unasked(), SKY),
        (
            "a comment first that nobody asked for",
            raw("", [b": wait\n\n", &body[..]].concat()).unasked(),
            SKY,
        ),
        ("JSON where a stream was asked for", raw("application/json", json), red),
        ("JSON labelled as a stream", stream(json), red),
        ("JSON that was asked for", whole(json), red),
        ("JSON behind blank lines and a byte order mark", whole(&format!("\u{feff}\r\n {json}\r\n")), red),
        ("JSON over several lines", whole(&pretty), red),
        ("JSON over several lines, labelled as a stream", stream(&pretty), red),
        ("a JSON object a line", stream(framed("", "\n").body), SKY),
        ("a JSON object a line, labelled so", raw("application/x-ndjson", framed("", "\r\n").body), SKY),
        (
            "a whole reply in one event",
            stream(format!("data: {json}\n\ndata: [DONE]\n\n")),
            (OK, true, Some(1), "red"),
        ),
    ]);
}

#[test]
fn what_is_no_object_is_a_failure_at_once() {
    let bad = |kept| (Outcome::Protocol, true, None, kept);
    hold(vec![
        ("half an object", with(r#"{"choices":[{"index":0,"delta":{"content":"sky"#), bad("red")),
        ("two objects on a line", with(&format!("{} {}", word("a"), word("b"))), bad("red")),
        ("a list", with("[1,2]"), bad("red")),
        ("words", with("upstream connect error"), bad("red")),
        ("Python instead of JSON", with("{'choices': []}"), bad("red")),
        ("an endless pit of brackets", with(&"[".repeat(5_000)), bad("red")),
        ("nothing that is JSON", whole("Internal error"), (Outcome::Protocol, false, None, "")),
        ("nothing at all", whole(""), (Outcome::Protocol, false, None, "")),
        (
            "a page",
            stream("<html><body>please sign in</body></html>"),
            (Outcome::Unfinished, false, None, ""),
        ),
        ("an empty stream", stream(""), (Outcome::Unfinished, false, None, "")),
        ("comments alone", stream(": wait\n\n: wait\n\n"), (Outcome::Unfinished, false, None, "")),
        ("[DONE] alone", events(&[DONE]), (Outcome::Unfinished, false, None, "")),
    ]);
    // It ends there, although the body would go on.
    let endless = with("half an object{").cut_off();
    assert_eq!(endless.record(usize::MAX).outcome, Outcome::Protocol);
}

#[test]
fn no_reply_takes_more_than_it_may() {
    let flood = |n: usize| events(&vec![word("red"); n]);
    let done = || [word("red"), STOP.into()];
    let line = |n: usize| stream(format!("data: {}", "x".repeat(n)));
    let big = |n: usize| {
        whole(&format!(
            r#"{{"choices":[{{"message":{{"content":"{}"}},"finish_reason":"stop"}}]}}"#,
            "x".repeat(n)
        ))
    };
    let mib = 1 << 20;
    assert_eq!(words(&flood(11).caps(10, 1)), "the reply has more than 10 events (raise max_reply_events)");
    assert_eq!(words(&events(&done()).caps(2, 1)), "");
    assert_eq!(words(&line(mib + 1).caps(10, 1)), "an event of the stream is longer than 1 MiB");
    assert_eq!(words(&big(mib).caps(10, 1)), "the reply is longer than 1 MiB (raise max_reply_mib)");
    assert_eq!(words(&big(mib).caps(10, 2)), "");
    let long = events(&[word(&"x".repeat(mib / 2)), word(&"x".repeat(mib / 2)), word("x"), STOP.into()]);
    assert_eq!(words(&long.caps(10, 1)), "the reply has more than 1 MiB of text (raise max_reply_mib)");
    let pings = stream(": wait\n".repeat(17 * mib / 7)).cut_off();
    assert_eq!(
        words(&pings.caps(10, 1)),
        "the reply has more than 16 MiB, 16 times max_reply_mib (raise it)"
    );
    for reply in [flood(11).caps(10, 1), line(2 * mib).caps(1, 1)] {
        assert_eq!(reply.record(64).outcome, Outcome::Protocol);
    }
}
