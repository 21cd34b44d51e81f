//! Our reading of responses against hyper's, on thousands of valid and broken ones.
//!
//! What hyper accepts we accept, with the same status and the same body; what hyper rejects or
//! finds cut off is no success here. Deliberate differences:
//! - status 101: hyper hands the connection over, we have no use for that and call it an error;
//! - a head between 64 KiB and hyper's 400 KiB is an error here (none is generated).
//!
//! hyper is asked to be as lenient with odd headers as we are.

use super::Body;
use crate::client::head::Head;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const CASES: u64 = 12_000;

/// A status and a whole body. `None`: no success, for whatever reason.
type Read = Option<(u16, Vec<u8>)>;

fn ours(pieces: &[&[u8]]) -> Read {
    let mut arrived = Vec::new();
    let mut body: Option<(u16, Body)> = None;
    let mut data = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        if body.is_none() {
            arrived.extend_from_slice(piece);
            let Some((head, used)) = Head::parse(&arrived, false).ok()? else { continue };
            body = Some((head.status, Body::new(head.framing)));
            rest = &arrived[used..];
        }
        let (_, body) = body.as_mut()?;
        body.feed(rest, |run| data.extend_from_slice(run)).ok()?;
        if body.finished() {
            break;
        }
    }
    let (status, mut body) = body?;
    body.closed().then_some((status, data))
}

async fn hypers(pieces: &[&[u8]]) -> Read {
    let (client, server) = tokio::io::duplex(1 << 20);
    let mut lenient = hyper::client::conn::http1::Builder::new();
    lenient
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    let (mut sender, connection) = lenient.handshake(TokioIo::new(client)).await.ok()?;
    let request = hyper::Request::post("/").body(Empty::<&[u8]>::new()).expect("a request");
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes().to_vec();
        Some((status, body))
    };
    // The server's end must be over before the answer can be: a body may last until it closes.
    let drive = async {
        let _ = tokio::join!(connection, serve(server, pieces));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = answer => answer,
        () = drive => None,
    }
}

async fn serve(mut server: DuplexStream, pieces: &[&[u8]]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if server.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    for piece in pieces {
        if server.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn pick<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

/// A response that is mostly right.
fn response(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut wire = Vec::new();
    for _ in 0..random.random_range(0..6_u32).saturating_sub(4) {
        wire.extend_from_slice(pick(random, INTERIM).as_bytes());
    }
    wire.extend_from_slice(pick(random, STATUS).as_bytes());
    let body: Vec<u8> = (0..random.random_range(0..200)).map(|_| random.random_range(b'\n'..b'~')).collect();
    let mut headers: Vec<String> =
        (0..random.random_range(0..4)).map(|_| pick(random, HEADERS).to_string()).collect();
    let framing = random.random_range(0..10);
    match framing {
        0..4 => headers.push(pick(random, CHUNKED).to_string()),
        4..8 => headers.push(format!("Content-Length: {}\r\n", body.len())),
        8 => headers.push(pick(random, LENGTHS).to_string()),
        _ => {}
    }
    let turn = usize::from(!headers.is_empty() && random.random());
    headers.rotate_left(turn);
    wire.extend_from_slice(headers.concat().as_bytes());
    wire.extend_from_slice(b"\r\n");
    if framing < 4 {
        let mut rest = body.as_slice();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(random.random_range(1..=rest.len()));
            let size = match random.random_range(0..3) {
                0 => format!("{:x}", chunk.len()),
                1 => format!("{:X}", chunk.len()),
                _ => format!("{:05x}", chunk.len()),
            };
            wire.extend_from_slice(format!("{size}{}\r\n", pick(random, EXTENSIONS)).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
            rest = after;
        }
        wire.extend_from_slice(pick(random, LAST).as_bytes());
    } else {
        wire.extend_from_slice(&body);
    }
    wire
}

const INTERIM: &[&str] = &["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"];
const STATUS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 200\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "HTTP/1.1 503 Service Unavailable\r\n",
    "HTTP/1.1 999 \r\n",
    "HTTP/1.1 099 Low\r\n",
    "\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\n",
];
const HEADERS: &[&str] = &[
    "Server: x\r\n",
    "connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Keep-Alive: timeout=5, max=100\r\n",
    "Content-Type: text/event-stream; charset=utf-8\r\n",
    "x-empty:\r\n",
    "X-Binary: \u{e9}\r\n",
    "x-folded: a\r\n b\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "no colon\r\n",
    "Date : now\r\n",
    "x: a\n",
];
const CHUNKED: &[&str] = &[
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: Chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
    "Transfer-Encoding: \u{e9}, chunked\r\n",
    "Transfer-Encoding: chunked,\r\n",
];
const LENGTHS: &[&str] = &[
    "Content-Length: 3\r\nContent-Length: 3\r\n",
    "Content-Length: 3, 3\r\n",
    "Content-Length: 3\r\nContent-Length: 4\r\n",
    "Content-Length: +3\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 0x3\r\n",
    "Content-Length:\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 3 \r\n",
    "Content-Length: \u{e9}\r\n",
];
const EXTENSIONS: &[&str] = &["", "", "", " ", "\t ", ";name", ";name=\"value\"", " ;x", ";a\nb"];
const LAST: &[&str] = &[
    "0\r\n\r\n",
    "0\r\n\r\n",
    "0\r\n\r\n",
    "0000\r\n\r\n",
    "0;x\r\n\r\n",
    "0\r\nSum: 1\r\n\r\n",
    "0\r\nSum: 1\r\nSum: 2\r\n\r\n",
    "0\r\nno colon\r\n\r\n",
    "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "0\r\n",
    "",
];

/// Breaks a response: a few bytes changed, left out, put in, or the end cut off.
fn mutate(random: &mut ChaCha8Rng, wire: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        if wire.is_empty() {
            return;
        }
        let at = random.random_range(0..wire.len());
        let telling = b"\r\n :;,0159aAfFgG\t\x00\x7f\x80\xff";
        let byte = telling[random.random_range(0..telling.len())];
        match random.random_range(0..5) {
            0 => wire[at] = byte,
            1 => wire[at] ^= 1 << random.random_range(0..8),
            2 => wire.insert(at, byte),
            3 => drop(wire.remove(at)),
            _ => wire.truncate(at),
        }
    }
}

fn cut<'a>(random: &mut ChaCha8Rng, mut wire: &'a [u8]) -> Vec<&'a [u8]> {
    let longest = [1, 3, 40, 4_000][random.random_range(0..4)];
    let mut pieces = Vec::new();
    while !wire.is_empty() {
        let (piece, rest) = wire.split_at(random.random_range(1..=longest).min(wire.len()));
        pieces.push(piece);
        wire = rest;
    }
    pieces
}

fn switches_protocols(wire: &[u8]) -> bool {
    wire.windows(4).any(|window| window == b" 101")
}

#[test]
fn responses_are_read_as_hyper_reads_them() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..CASES {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut wire = response(random);
        if seed % 2 == 1 {
            mutate(random, &mut wire);
        }
        if switches_protocols(&wire) {
            continue;
        }
        let pieces = cut(random, &wire);
        let expected = runtime.block_on(hypers(&pieces));
        assert_eq!(ours(&pieces), expected, "seed {seed}: {:?}", String::from_utf8_lossy(&wire));
        match expected {
            Some(_) => accepted += 1,
            None => refused += 1,
        }
    }
    assert!(accepted > 1_500 && refused > 1_500, "{accepted} accepted, {refused} refused");
}
