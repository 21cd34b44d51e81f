//! Bodies over a real connection: what a label says wrongly, and what ends although its body does
//! not. What becomes of all the others is in `wild`.

use super::*;

/// A reply with this body under this label, behind which the server is silent and closes nothing.
fn open(head: &'static str, body: String) -> Record {
    let port = server(1, move |_, mut socket| {
        request(&mut socket);
        let _ = write!(socket, "{head}\r\n\r\n{body}");
        let _ = socket.read(&mut [0u8; 1]);
    });
    play(port, 1, Timeouts::default()).remove(0)
}

#[test]
fn a_stream_is_one_under_any_label() {
    for label in ["application/json", "text/plain", "application/octet-stream", "text/event-stream"] {
        let port = server(1, move |_, mut socket| {
            request(&mut socket);
            let body = whole();
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {label}\r\ncontent-length: {length}");
            let _ = write!(socket, "{head}\r\n\r\n{body}");
        });
        let record = play(port, 1, Timeouts::default()).remove(0);
        assert!(record.success() && record.streamed && record.ttft_ms().is_some(), "{label}: {record:?}");
    }
}

#[test]
fn json_in_answer_to_a_stream_is_one_piece() {
    let body = r#"{"choices":[{"index":0,"text":" word","finish_reason":"stop"}]}"#;
    let port = server(1, move |_, mut socket| {
        request(&mut socket);
        reply(&mut socket, body);
    });
    let record = play(port, 1, Timeouts::default()).remove(0);
    assert!(record.success() && !record.streamed, "{record:?}");
    assert_eq!((record.text.as_deref(), record.ttft_ms()), (Some(" word"), None));
}

#[test]
fn what_can_come_to_nothing_ends_at_once() {
    // No limit of time ends these for minutes.
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream";
    let record = open(stream, format!("{EVENT}data: {{\"choices\": [half an\n\n"));
    assert_eq!(record.outcome, Outcome::Protocol);
    assert_eq!(record.timeline.events.len(), 1, "what came before is kept");
    let record = open("HTTP/1.1 500 X\r\ncontent-length: 10000000", "no ".repeat(40_000));
    assert_eq!((record.outcome, record.status), (Outcome::Status, Some(500)));
}
