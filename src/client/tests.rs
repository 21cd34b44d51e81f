//! The client against servers of a few lines, each of which does one thing that real ones do.

mod bodies;
mod heads;
mod limits;
mod outages;
mod tls;
mod transport;

use super::protocol::Api;
use super::target::{Connections, Timeouts};
use super::{Client, Http, OutgoingRequest, Target, Transport};
use crate::record::{Outcome, Prompt, Record, Request, Timeout};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const EVENT: &str = r#"data: {"choices":[{"index":0,"text":" word","finish_reason":null}]}

"#;
const LAST: &str = r#"data: {"choices":[{"index":0,"text":" end","finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}

data: [DONE]

"#;

/// Starts a server; `serve` gets the number of the connection, counted from 0.
fn server(connections: usize, serve: impl Fn(usize, TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for n in 0..connections {
            let Ok((socket, _)) = listener.accept() else { return };
            serve(n, socket);
        }
    });
    port
}

/// Reads one request; false when the client has closed.
fn request(socket: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
            if seen.len() >= head + 4 + length {
                return true;
            }
        }
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

fn reply(socket: &mut TcpStream, body: &str) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length:";
    // The client may have gone; then its record says so.
    let _ = write!(socket, "{head} {}\r\n\r\n{body}", body.len());
}

fn whole() -> String {
    format!("{EVENT}{LAST}")
}

async fn client(port: u16, timeouts: Timeouts) -> Client {
    client_with(port, timeouts, Connections::Pooled).await
}

async fn client_with(port: u16, timeouts: Timeouts, connections: Connections) -> Client {
    let base = Target::base_url(&format!("http://127.0.0.1:{port}")).expect("a URL");
    client_of(Target { timeouts, connections, ..Target::new(base, Api::Completions) }).await
}

/// A client with a transport of its own.
async fn client_of(target: Target) -> Client {
    let transport = Transport::start().expect("a transport");
    Client::Http(Box::new(Http::new(Arc::new(target), transport).await.expect("a client")))
}

fn order(client: &Client, seq: u64) -> Box<OutgoingRequest> {
    let request = Request {
        seq,
        session: seq,
        turn: 0,
        class: "".into(),
        prompt: Prompt::Text("hello".into()),
        asked_input: None,
        counted_input: None,
        max_tokens: 2,
        synthetic: false,
        forced_length: false,
        extra: None,
        headers: Vec::new(),
        leave: None,
    };
    let id = format!("run-{seq}");
    let bytes = client.encode(&request, &id);
    OutgoingRequest::alone(request, id, bytes, true)
}

async fn send(client: &Client, seq: u64) -> Record {
    *client.send(order(client, seq), pin!(std::future::pending())).await.open()
}

/// Sends `n` requests one after another.
fn play(port: u16, n: u64, timeouts: Timeouts) -> Vec<Record> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = client(port, timeouts).await;
        let mut records = Vec::new();
        for seq in 0..n {
            records.push(send(&client, seq).await);
        }
        records
    })
}

#[test]
fn a_kept_connection_carries_the_next_request() {
    let port = server(1, |_, mut socket| {
        while request(&mut socket) {
            reply(&mut socket, &whole());
        }
    });
    let records = play(port, 3, Timeouts::default());
    assert!(records.iter().all(Record::success), "{records:?}");
    let reused: Vec<bool> = records.iter().map(|record| record.reused).collect();
    assert_eq!(reused, [false, true, true]);
    assert!(records[0].timeline.connect.is_some() && records[1].timeline.connect.is_none());
    let record = &records[0];
    assert_eq!((record.usage.input, record.usage.output), (Some(3), Some(2)));
    assert_eq!(record.text.as_deref(), Some(" word end"));
    assert_eq!(record.timeline.events.len(), 3, "two events and [DONE]");
    assert_eq!(record.timeline.shared_reads, 1, "they came in one write");
}

#[test]
fn a_reused_connection_that_dies_unread_is_tried_once_more() {
    let port = server(2, |n, mut socket| {
        request(&mut socket);
        reply(&mut socket, &whole());
        if n == 0 {
            // Alive when the next request is written, and dead before a reply to it.
            request(&mut socket);
            let _ = socket.shutdown(Shutdown::Both);
        }
    });
    let records = play(port, 2, Timeouts::default());
    assert!(records.iter().all(Record::success), "{records:?}");
    assert_eq!((records[0].reconnects, records[1].reconnects), (0, 1));
    assert!(!records[1].reused, "the second try was on a fresh connection");
}

#[test]
fn a_fresh_connection_that_dies_unread_is_a_failure() {
    let port = server(2, |_, mut socket| {
        request(&mut socket);
    });
    let records = play(port, 1, Timeouts::default());
    assert_eq!(records[0].outcome, Outcome::Disconnected);
    assert_eq!(records[0].reconnects, 0);
    assert!(records[0].timeline.sent.is_some());
}

#[test]
fn a_server_that_closes_after_every_reply_gets_a_new_connection_each_time() {
    let port = server(3, |_, mut socket| {
        request(&mut socket);
        reply(&mut socket, &whole());
    });
    let records = play(port, 3, Timeouts::default());
    assert!(records.iter().all(Record::success), "{records:?}");
    assert!(records.iter().all(|record| record.timeline.connect.is_some()));
}

#[test]
fn a_body_that_is_cut_off_is_a_success_only_when_it_said_everything() {
    let cut = |body: String, reset: bool| {
        let port = server(1, move |_, mut socket| {
            if reset {
                // A socket that is closed with something unread is reset.
                let _ = socket.read(&mut [0u8; 10]);
            } else {
                request(&mut socket);
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 5000\r\n\r\n";
            let _ = write!(socket, "{head}{body}");
            std::thread::sleep(Duration::from_millis(20));
        });
        play(port, 1, Timeouts::default()).remove(0)
    };
    for reset in [false, true] {
        let record = cut(whole(), reset);
        assert!(record.success() && record.unclosed, "{record:?}");
        let record = cut(EVENT.to_string(), reset);
        assert_eq!((record.outcome, record.unclosed), (Outcome::Truncated, false));
        assert_eq!(record.timeline.events.len(), 1, "what came is kept");
    }
}

#[test]
fn a_refused_request_tells_the_servers_words() {
    let port = server(1, |_, mut socket| {
        while request(&mut socket) {
            let body = r#"{"error":{"message":"no such model"}}"#;
            let _ = write!(socket, "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    let records = play(port, 2, Timeouts::default());
    assert_eq!(records[0].outcome, Outcome::Status);
    assert_eq!(records[0].status, Some(404));
    assert_eq!(records[0].error.as_deref(), Some("status 404: no such model"));
    assert!(records[1].reused, "the connection is as good as before");
}

#[test]
fn silence_ends_with_the_timeout_that_it_has_passed() {
    let quick = |first_token, idle| Timeouts {
        first_token: Duration::from_millis(first_token),
        idle: Duration::from_millis(idle),
        ..Timeouts::default()
    };
    let silent = server(1, |_, mut socket| {
        request(&mut socket);
        let mut byte = [0u8; 1];
        let _ = socket.read(&mut byte);
    });
    let records = play(silent, 1, quick(30, 60_000));
    assert_eq!(records[0].outcome, Outcome::TimedOut(Timeout::FirstToken));
    let stalling = server(1, |_, mut socket| {
        request(&mut socket);
        let _ = write!(socket, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{EVENT}");
        let mut byte = [0u8; 1];
        let _ = socket.read(&mut byte);
    });
    let records = play(stalling, 1, quick(60_000, 30));
    assert_eq!(records[0].outcome, Outcome::TimedOut(Timeout::Idle));
    assert_eq!(records[0].timeline.events.len(), 1);
}

#[test]
fn nobody_listening_is_a_failure_to_connect() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let records = play(port, 1, Timeouts::default());
    assert_eq!(records[0].outcome, Outcome::Connect);
    assert_eq!(records[0].timeline.sent, None);
}

#[test]
fn a_policy_chooses_the_connection() {
    let reuses = |policy: Connections, sessions: &[u64]| {
        let port = server(8, |_, mut socket| {
            std::thread::spawn(move || {
                while request(&mut socket) {
                    reply(&mut socket, &whole());
                }
            });
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let records: Vec<Record> = runtime.block_on(async {
            let client = client_with(port, Timeouts::default(), policy).await;
            let mut records = Vec::new();
            for session in sessions {
                records.push(send(&client, *session).await);
            }
            records
        });
        assert!(records.iter().all(Record::success), "{records:?}");
        records.iter().map(|record| record.reused).collect::<Vec<bool>>()
    };
    assert_eq!(reuses(Connections::PerRequest, &[1, 1, 1]), [false, false, false]);
    assert_eq!(reuses(Connections::Sticky, &[1, 2, 1, 2, 3]), [false, false, true, true, false]);
    assert_eq!(reuses(Connections::RoundRobin, &[1, 2, 3]), [false, true, true]);
}

/// Says `head`, and after it nothing but silence until the client goes.
fn says(socket: &mut TcpStream, bytes: &str) {
    let _ = socket.write_all(bytes.as_bytes());
    let _ = socket.read(&mut [0u8; 1]);
}

fn failure(bytes: &'static str, limits: Timeouts) -> Record {
    let port = server(1, move |_, mut socket| {
        request(&mut socket);
        says(&mut socket, bytes);
    });
    let mut records = play(port, 1, limits);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

#[test]
fn a_refusal_of_a_request_that_was_not_read_to_its_end_is_heard() {
    let refusal = "HTTP/1.1 413 X\r\ncontent-length: 8\r\n\r\ntoo long";
    for closes in [true, false] {
        let port = server(1, move |_, mut socket| {
            let _ = socket.read(&mut [0u8; 100]);
            match closes {
                // Waiting for the client to read first keeps the reset from overtaking the words.
                true => {
                    let _ = socket.write_all(refusal.as_bytes());
                    let _ = socket.shutdown(Shutdown::Write);
                    while socket.read(&mut [0u8; 4096]).is_ok_and(|n| n > 0) {}
                }
                false => says(&mut socket, refusal),
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let record = runtime.block_on(async {
            let client = client(port, Timeouts::default()).await;
            let mut order = order(&client, 0);
            order.bytes = [&order.bytes[..], &vec![b' '; 30 << 20]].concat().into();
            client.send(order, pin!(std::future::pending())).await.open()
        });
        assert_eq!(record.outcome, Outcome::Status);
        assert_eq!(record.error.as_deref(), Some("status 413: too long"));
    }
}

#[test]
fn what_a_failed_status_said_outweighs_the_wait_for_its_end() {
    let limits = Timeouts { first_token: Duration::from_millis(50), ..Timeouts::default() };
    let record = failure("HTTP/1.1 500 X\r\ncontent-length: 100\r\n\r\nout of memory", limits);
    assert_eq!((record.outcome, record.status), (Outcome::Status, Some(500)));
    let words = record.error.expect("words");
    assert!(words.starts_with("status 500: out of memory (its body did not end: "), "{words}");
}

#[test]
fn a_reply_that_is_no_stream_is_quoted() {
    for (reply, words) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 17\r\n\r\n<p>please sign in",
            "the stream ended without a single event; what came instead of events begins with \"<p>please sign in\"",
        ),
        (
            "HTTP/1.1 302 X\r\nlocation: /login\r\ncontent-length: 2\r\n\r\nno",
            "status 302: it redirects to \"/login\", and a redirect is not followed",
        ),
        ("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n", "status 500 without a word of why"),
    ] {
        assert_eq!(failure(reply, Timeouts::default()).error.as_deref(), Some(words));
    }
    let zipped = failure("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f", Timeouts::default());
    assert_eq!(zipped.outcome, Outcome::Protocol);
    assert!(zipped.error.expect("words").starts_with("the reply is compressed (content-encoding \"gzip\")"));
}

/// An order that is due in so many milliseconds.
fn paced(client: &Client, seq: u64, ms: i64) -> Box<OutgoingRequest> {
    let mut order = order(client, seq);
    order.planned += ms * 1_000_000;
    order.admitted = order.planned;
    order
}

#[test]
fn a_connection_that_ends_before_the_send_is_replaced() {
    for served in [false, true] {
        let port = server(2, move |n, mut socket| {
            if n == 0 && served {
                request(&mut socket);
                reply(&mut socket, &whole());
            }
            match n {
                // It closes once the next request has been handed over, and is not due yet.
                0 => std::thread::sleep(Duration::from_millis(20)),
                _ => {
                    request(&mut socket);
                    reply(&mut socket, &whole());
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let record = runtime.block_on(async {
            let client = client(port, Timeouts::default()).await;
            client.open_ahead(1).await;
            if served {
                assert!(send(&client, 0).await.success());
            }
            client.send(paced(&client, 1, 100), pin!(std::future::pending())).await.open()
        });
        assert!(record.success(), "{record:?}");
        assert_eq!((record.reused, record.reconnects), (false, 0));
        assert!(record.timeline.sent >= Some(record.timeline.planned));
    }
}

#[test]
fn a_connection_with_half_a_request_on_it_carries_no_other() {
    let refusal = "HTTP/1.1 401 X\r\ncontent-length: 2\r\n\r\nno";
    let port = server(2, move |n, mut socket| {
        if n == 0 {
            let _ = socket.read(&mut [0u8; 100]);
            let _ = socket.write_all(refusal.as_bytes());
            // Open to the end of the test, and never read from again.
            std::mem::forget(socket);
        } else {
            request(&mut socket);
            reply(&mut socket, &whole());
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = client(port, Timeouts::default()).await;
        let mut order = paced(&client, 0, 10);
        order.bytes = [&order.bytes[..], &vec![b' '; 30 << 20]].concat().into();
        let refused = client.send(order, pin!(std::future::pending())).await.open();
        assert_eq!(refused.status, Some(401));
        let next = send(&client, 1).await;
        assert!(next.success() && !next.reused, "{next:?}");
    });
}

#[test]
fn a_request_that_is_given_up_before_its_time_is_never_sent() {
    let (seen, heard) = std::sync::mpsc::channel();
    let port = server(1, move |_, mut socket| {
        let _ = seen.send(request(&mut socket));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let record = runtime.block_on(async {
        let client = client(port, Timeouts::default()).await;
        let order = paced(&client, 0, 60);
        let record = client.send(order, pin!(tokio::time::sleep(Duration::from_millis(10)))).await.open();
        tokio::time::sleep(Duration::from_millis(80)).await;
        record
    });
    assert_eq!((record.outcome, record.timeline.sent), (Outcome::Cancelled, None));
    assert_eq!(record.timeline.tcp_retransmits, None);
    assert_eq!(heard.recv(), Ok(false), "the server saw a request");
}
