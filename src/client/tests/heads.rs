//! Heads and bodies as odd servers write them: each with what comes of it, and beside it one
//! that must succeed.

use super::*;

fn body() -> String {
    whole()
}

/// One request to a server that answers with these bytes and closes.
fn answered(bytes: Vec<u8>) -> Record {
    let port = server(1, move |_, mut socket| {
        request(&mut socket);
        let _ = socket.write_all(&bytes);
        let _ = socket.shutdown(Shutdown::Write);
        let _ = socket.read(&mut [0u8; 1]);
    });
    play(port, 1, Timeouts::default()).remove(0)
}

/// (what, head without its blank line, outcome, words of the error)
const ODD: &[(&str, &str, Outcome, &str)] = &[
    ("the usual", "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", Outcome::Success, ""),
    ("bare line feeds", "HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n", Outcome::Success, ""),
    ("mixed line ends", "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\n\r\n", Outcome::Success, ""),
    ("no reason", "HTTP/1.1 200\r\n\r\n", Outcome::Success, ""),
    ("an empty reason", "HTTP/1.1 200 \r\n\r\n", Outcome::Success, ""),
    ("a reason beyond ASCII", "HTTP/1.1 200 D'accord, trés bien\r\n\r\n", Outcome::Success, ""),
    ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", Outcome::Success, ""),
    ("names in capitals", "HTTP/1.1 200 OK\r\nCONTENT-TYPE: TEXT/EVENT-STREAM\r\n\r\n", Outcome::Success, ""),
    ("values beyond ASCII", "HTTP/1.1 200 OK\r\nx-city: Zürich\r\n\r\n", Outcome::Success, ""),
    ("empty values", "HTTP/1.1 200 OK\r\nx-a:\r\nx-b: \r\n\r\n", Outcome::Success, ""),
    ("blanks around a value", "HTTP/1.1 200 OK\r\nx-a: \t b \t\r\n\r\n", Outcome::Success, ""),
    ("a folded header", "HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\n\r\n", Outcome::Success, ""),
    ("a blank before the colon", "HTTP/1.1 200 OK\r\nx-a : b\r\n\r\n", Outcome::Success, ""),
    ("a name that is none", "HTTP/1.1 200 OK\r\nx a@: b\r\n\r\n", Outcome::Success, ""),
    ("a line without a colon", "HTTP/1.1 200 OK\r\nwhatever\r\n\r\n", Outcome::Success, ""),
    ("the same header twice", "HTTP/1.1 200 OK\r\nvia: a\r\nvia: b\r\n\r\n", Outcome::Success, ""),
    ("an interim head", "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Outcome::Success, ""),
    ("identity", "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\n\r\n", Outcome::Success, ""),
    ("blank lines first", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Outcome::Success, ""),
    ("another status of success", "HTTP/1.1 201 Created\r\n\r\n", Outcome::Success, ""),
    ("an id of the server's own", "HTTP/1.1 200 OK\r\nx-request-id: req_01HZX\r\n\r\n", Outcome::Success, ""),
    ("our id, sent back", "HTTP/1.1 200 OK\r\nx-request-id: run-0\r\n\r\n", Outcome::Success, ""),
    ("our id and more", "HTTP/1.1 200 OK\r\nx-request-id: run-0-a7\r\n\r\n", Outcome::Success, ""),
    ("the id of another run", "HTTP/1.1 200 OK\r\nx-request-id: other-5\r\n\r\n", Outcome::Success, ""),
    (
        "the id of another request",
        "HTTP/1.1 200 OK\r\nx-request-id: run-5\r\n\r\n",
        Outcome::Protocol,
        "the reply is that of another request: x-request-id \"run-5\" instead of \"run-0\"",
    ),
    (
        "the id of another turn",
        "HTTP/1.1 200 OK\r\nX-Request-Id: run-0.1\r\n\r\n",
        Outcome::Protocol,
        "the reply is that of another request",
    ),
    ("HTTP/2", "HTTP/2 200 OK\r\n\r\n", Outcome::Protocol, "not HTTP/1.1"),
    ("a banner", "SSH-2.0-OpenSSH_9.6\r\n", Outcome::Protocol, "not HTTP/1.1"),
    ("TLS", "\x15\x03\x01\x00\x02\x02\x46", Outcome::Protocol, "speaks TLS"),
    ("a switch", "HTTP/1.1 101 Switching\r\n\r\n", Outcome::Protocol, "switch protocols"),
    (
        "two lengths",
        "HTTP/1.1 200 X\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        Outcome::Protocol,
        "two different",
    ),
    (
        "a negative length",
        "HTTP/1.1 200 X\r\ncontent-length: -1\r\n\r\n",
        Outcome::Protocol,
        "bad content-length",
    ),
    ("gzip", "HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\n\r\n", Outcome::Protocol, "compressed"),
    ("no content", "HTTP/1.1 204 No Content\r\n\r\n", Outcome::Unfinished, "without a single event"),
    ("not modified", "HTTP/1.1 304 Not Modified\r\n\r\n", Outcome::Status, "304"),
    ("a time-out on a fresh connection", "HTTP/1.1 408 Request Timeout\r\n\r\n", Outcome::Status, "408"),
];

#[test]
fn an_odd_head_costs_a_reply_only_where_nobody_could_read_it() {
    for (what, head, outcome, words) in ODD {
        let bytes = format!("{head}{}", if *outcome == Outcome::Success { body() } else { String::new() });
        let record = answered(bytes.into_bytes());
        assert_eq!(record.outcome, *outcome, "{what}: {:?}", record.error);
        let told = record.error.unwrap_or_default();
        assert!(told.contains(words), "{what}: {told}");
        if *outcome == Outcome::Success {
            assert_eq!(record.text.as_deref(), Some(" word end"), "{what}");
        }
    }
}

#[test]
fn a_head_may_have_many_headers_and_be_cut_anywhere() {
    for headers in [99, 101, 1_000, 6_000] {
        let many: String = (0..headers).map(|i| format!("x-{i}: 1\r\n")).collect();
        let many = many[..many.len().min(60_000)].rsplit_once("\r\n").expect("lines").0.to_string();
        let record = answered(format!("HTTP/1.1 200 OK\r\n{many}\r\n\r\n{}", body()).into_bytes());
        assert!(record.success(), "{headers} headers: {:?}", record.error);
    }
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(20_000));
    let record = answered(endless.into_bytes());
    assert_eq!(record.outcome, Outcome::Protocol);
    assert!(record.error.expect("words").contains("more than 64 KiB"));
}

#[test]
fn a_framing_that_breaks_is_told_and_one_that_holds_is_read() {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let (event, last) = (chunk(EVENT), chunk(LAST));
    for (what, bytes, outcome, words) in [
        ("chunks", format!("{event}{last}0\r\n\r\n"), Outcome::Success, ""),
        (
            "a chunk a byte",
            format!("{}0\r\n\r\n", whole().chars().map(|c| chunk(&c.to_string())).collect::<String>()),
            Outcome::Success,
            "",
        ),
        (
            "extensions",
            format!("{}{last}0\r\n\r\n", event.replacen("\r\n", ";a=b\r\n", 1)),
            Outcome::Success,
            "",
        ),
        ("trailers", format!("{event}{last}0\r\nx-sum: 1\r\n\r\n"), Outcome::Success, ""),
        ("a size that is none", format!("{event}zz\r\n"), Outcome::Protocol, "bad chunk size"),
        (
            "a last chunk that never comes",
            format!("{event}{}", last.strip_suffix("\r\n").expect("an end")),
            Outcome::Success,
            "",
        ),
        ("a cut between chunks", event.clone(), Outcome::Truncated, "before the body ended"),
        ("a cut in a chunk", format!("{event}{}", &last[..30]), Outcome::Truncated, "before the body ended"),
        ("no chunk at all", String::new(), Outcome::Truncated, "before the body ended"),
        ("an empty body", "0\r\n\r\n".into(), Outcome::Unfinished, "without a single event"),
    ] {
        let record = answered(format!("{head}{bytes}").into_bytes());
        assert_eq!(record.outcome, outcome, "{what}: {:?}", record.error);
        assert!(record.error.unwrap_or_default().contains(words), "{what}");
    }
}

/// Answers one request; whether the next one that comes is met with a goodbye that was on its way.
fn goodbye(bytes: &'static str) -> Vec<Record> {
    let port = server(2, move |n, mut socket| {
        request(&mut socket);
        reply(&mut socket, &whole());
        if n == 0 {
            request(&mut socket);
            let _ = socket.write_all(bytes.as_bytes());
        } else {
            let _ = request(&mut socket);
        }
    });
    play(port, 2, Timeouts::default())
}

#[test]
fn a_408_on_a_kept_connection_is_a_goodbye_and_no_failure() {
    let records =
        goodbye("HTTP/1.1 408 Request Time-out\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbye");
    assert!(records.iter().all(Record::success), "{records:?}");
    assert_eq!((records[1].reconnects, records[1].reused, records[1].status), (1, false, Some(200)));
    let refused = goodbye("HTTP/1.1 429 Too Many\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbye");
    assert_eq!((refused[1].outcome, refused[1].status), (Outcome::Status, Some(429)));
    assert_eq!(refused[1].reconnects, 0, "any other status is an answer");
}

#[test]
fn a_408_that_came_before_the_request_was_sent_replaces_the_connection() {
    let port = server(2, move |n, mut socket| {
        if n == 0 {
            let _ = socket.write_all(b"HTTP/1.1 408 Request Time-out\r\nconnection: close\r\n\r\n");
        } else {
            request(&mut socket);
            reply(&mut socket, &whole());
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let record = runtime.block_on(async {
        let client = client(port, Timeouts::default()).await;
        client.open_ahead(1).await;
        client.send(paced(&client, 0, 100), pin!(std::future::pending())).await.open()
    });
    assert!(record.success(), "{record:?}");
    assert_eq!(record.reconnects, 0);
}
