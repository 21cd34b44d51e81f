//! Limits: how long after its time a limit of waiting ends a request, whatever the server does.
//!
//! `cargo bench --bench limits` (about 20 s). Each case has a server that never comes to an end;
//! the table says how much later than its limit the request was over. Ends with 1 when a request
//! ended otherwise, or more than 500 ms late.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a bench prints, and ends where it fails"
)]

#[path = "rig/mod.rs"]
mod rig;

use rampant::client::protocol::Api;
use rampant::client::target::Timeouts;
use rampant::client::{Client, Http, OutgoingRequest, Target, Transport};
use rampant::record::{Outcome, Prompt, Record, Request, Timeout};
use rig::{Options, Result, digits, median, print_table};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(500);
const LATE_MS_MAX: f64 = 500.0;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const EVENT: &str = "data: {\"choices\":[{\"index\":0,\"text\":\" word\",\"finish_reason\":null}]}\n\n";
const PING: &str = ": ping\n\n";

struct Case {
    name: &'static str,
    streamed: bool,
    /// Requests at once.
    streams: usize,
    limit: Timeout,
    /// Said once, and then again and again; nothing: silence.
    first: String,
    again: &'static str,
}

fn cases() -> Vec<Case> {
    let case =
        |name, limit, first: String, again| Case { name, streamed: true, streams: 1, limit, first, again };
    vec![
        case("a mute server", Timeout::FirstToken, String::new(), ""),
        Case {
            streamed: false,
            ..case("a mute server, in one piece", Timeout::FirstToken, String::new(), "")
        },
        case("a flood of pings", Timeout::FirstToken, HEAD.into(), PING),
        case("a flood of tokens", Timeout::Total, HEAD.into(), EVENT),
        Case { streams: 64, ..case("64 floods of tokens", Timeout::Total, HEAD.into(), EVENT) },
        case("a flood of pings after a token", Timeout::Idle, format!("{HEAD}{EVENT}"), PING),
        case("silence after a token", Timeout::Idle, format!("{HEAD}{EVENT}"), ""),
    ]
}

fn main() -> Result<()> {
    let options = Options::read()?;
    let (mut rows, mut wrong) = (Vec::new(), false);
    for case in cases() {
        let mut late = Vec::new();
        for _ in 0..options.runs {
            for record in play(&case)? {
                wrong |= record.outcome != Outcome::TimedOut(case.limit);
                let sent = record.timeline.sent.unwrap_or(record.timeline.planned);
                late.push((record.timeline.end - sent) as f64 / 1e6 - LIMIT.as_secs_f64() * 1e3);
            }
        }
        let most = late.iter().copied().fold(f64::MIN, f64::max);
        wrong |= most > LATE_MS_MAX;
        rows.push(vec![case.name.to_string(), digits(median(late), 2), digits(most, 2)]);
    }
    print_table("After a limit of 500 ms, ms", &["case", "median", "max"], &rows);
    if wrong { Err("a limit did not hold".into()) } else { Ok(()) }
}

/// One request for each stream, all at once.
fn play(case: &Case) -> Result<Vec<Record>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (first, again) = (case.first.clone(), case.again);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let first = first.clone();
            std::thread::spawn(move || drop(serve(socket, &first, again)));
        }
    });
    let hour = Duration::from_secs(3_600);
    let mut timeouts = Timeouts { first_token: hour, idle: hour, total: hour, ..Timeouts::default() };
    match case.limit {
        Timeout::FirstToken => timeouts.first_token = LIMIT,
        Timeout::Idle => timeouts.idle = LIMIT,
        _ => timeouts.total = LIMIT,
    }
    let base = Target::base_url(&format!("http://127.0.0.1:{port}"))?;
    let target = Target { timeouts, stream: case.streamed, ..Target::new(base, Api::Completions) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let transport = Transport::start().map_err(|error| error.message)?;
        let http = Http::new(Arc::new(target), transport).await.map_err(|error| error.message)?;
        let client = Arc::new(Client::Http(Box::new(http)));
        let tasks: Vec<_> = (0..case.streams as u64)
            .map(|seq| {
                let client = client.clone();
                tokio::spawn(async move {
                    let order = order(&client, seq);
                    client.send(order, pin!(std::future::pending())).await
                })
            })
            .collect();
        let mut records = Vec::new();
        for task in tasks {
            records.push(*task.await?.open());
        }
        Ok(records)
    })
}

fn serve(mut socket: TcpStream, first: &str, again: &str) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let _ = socket.read(&mut buffer)?;
    socket.write_all(first.as_bytes())?;
    let flood = again.repeat(200);
    while !again.is_empty() {
        socket.write_all(flood.as_bytes())?;
    }
    socket.read(&mut buffer).map(|_| ())
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
        max_tokens: 16,
        forced_length: false,
        synthetic: false,
        extra: None,
        headers: Vec::new(),
        leave: None,
    };
    let id = format!("limits-{seq}");
    let bytes = client.encode(&request, &id);
    OutgoingRequest::alone(request, id, bytes, false)
}
