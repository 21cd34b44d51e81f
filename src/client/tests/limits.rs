//! Limits of waiting, by computed times; and what a body is, and when it has ended.

use super::super::exchange::{Exchange, ExchangeFault};
use super::super::limits::{GRACE, Limits};
use super::*;
use crate::os::Received;
use crate::record::{EventKind, Events, Nanos, Phase};

const MS: Nanos = 1_000_000;

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n";
const PING: &str = ": ping\n\n";
const EMPTY: &str = "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":null}]}\n\n";

/// First token after 1 s, silence of 0.3 s, 5 s in all.
fn limits() -> Limits {
    Limits::new(&Timeouts {
        first_token: Duration::from_millis(1_000),
        idle: Duration::from_millis(300),
        total: Duration::from_millis(5_000),
        ..Timeouts::default()
    })
}

/// A request that left at 0 s and a reply that comes at these milliseconds: how it ended and when.
struct Told {
    record: Record,
    ended: Option<Nanos>,
}

fn exchange(streamed: bool) -> Exchange {
    let request = Request {
        seq: 7,
        session: 7,
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
    let order = OutgoingRequest {
        request,
        id: "run-7".into(),
        bytes: "x".into(),
        phase: Phase::Measured,
        planned: 0,
        admitted: 0,
        keep_text: true,
        outage: None,
    };
    let base = Target::base_url("http://localhost:1").expect("a URL");
    let target = Target { stream: streamed, ..Target::new(base, Api::Completions) };
    let mut exchange = Exchange::new(&target, order);
    exchange.sent(0);
    exchange
}

/// Plays reads, each of which brings some text at a time in milliseconds, `""` the peer's end.
fn play_reads(streamed: bool, reads: impl IntoIterator<Item = (i64, impl AsRef<[u8]>)>) -> Told {
    let (mut exchange, limits) = (exchange(streamed), limits());
    for (ms, bytes) in reads {
        let (at, bytes) = (ms * MS, bytes.as_ref());
        let received = Received { bytes: bytes.len(), read_at: at, stamp: Some(at), waited: 0 };
        let over = exchange.take(received, bytes).transpose().or_else(|| exchange.held_against(&limits, at));
        let Some(over) = over else { continue };
        let record = *exchange.finish(over.map(|_| ())).open();
        return Told { record, ended: Some(at) };
    }
    let open: Result<(), ExchangeFault> = Err(ExchangeFault::new(Outcome::Cancelled, "still open"));
    Told { record: *exchange.finish(open).open(), ended: None }
}

/// `first` at 10 ms and then `rest` every 10 ms for 20 s.
fn flood(streamed: bool, first: &str, rest: &str) -> Told {
    let first = (10, format!("{first}{rest}"));
    let rest = (2..2_000).map(|i| (i * 10, rest.to_string()));
    play_reads(streamed, std::iter::once(first).chain(rest))
}

#[test]
fn every_limit_is_passed_at_its_time_whatever_arrives_meanwhile() {
    let blank = " ".repeat(3);
    for (what, told, outcome, at_ms) in [
        ("tokens", flood(true, STREAM, EVENT), Timeout::Total, 5_000),
        ("pings", flood(true, STREAM, PING), Timeout::FirstToken, 1_000),
        ("events without output", flood(true, STREAM, EMPTY), Timeout::FirstToken, 1_000),
        ("pings after a token", flood(true, &format!("{STREAM}{EVENT}"), PING), Timeout::Idle, 310),
        ("headers", flood(true, "HTTP/1.1 200 OK\r\n", "x: y\r\n"), Timeout::FirstToken, 1_000),
        ("interim heads", flood(true, "", "HTTP/1.1 102 P\r\n\r\n"), Timeout::FirstToken, 1_000),
        ("blanks of a reply in one piece", flood(false, JSON, &blank), Timeout::FirstToken, 1_000),
        ("blanks behind its beginning", flood(false, &format!("{JSON}{{"), &blank), Timeout::Idle, 310),
        (
            "a line that does not end",
            flood(true, &format!("{STREAM}data: "), "x"),
            Timeout::FirstToken,
            1_000,
        ),
        ("words of an error", flood(true, "HTTP/1.1 500 X\r\n\r\n", "x"), Timeout::FirstToken, 1_000),
    ] {
        assert_eq!(told.ended, Some(at_ms * MS), "{what}");
        let expected = match what {
            // What the status says outweighs that its body did not end.
            "words of an error" => Outcome::Status,
            _ => Outcome::TimedOut(outcome),
        };
        assert_eq!(told.record.outcome, expected, "{what}: {:?}", told.record.error);
        assert_eq!(told.record.timeline.end, at_ms * MS, "{what}");
    }
}

#[test]
fn an_event_whose_time_cannot_be_kept_fails_the_request_and_says_so() {
    for (ms, kept) in [(4_294_967, true), (4_294_968, false)] {
        let (mut exchange, mut over) = (exchange(true), None);
        let begin = format!("{STREAM}{EVENT}");
        for (ms, bytes) in [(10, begin.as_str()), (ms, EVENT), (ms, LAST), (ms, "")] {
            let received = Received { bytes: bytes.len(), read_at: ms * MS, stamp: Some(ms * MS), waited: 0 };
            over = over.or_else(|| exchange.take(received, bytes.as_bytes()).transpose());
        }
        let record = *exchange.finish(over.map_or(Ok(()), |over| over.map(|_| ()))).open();
        assert_eq!(record.success(), kept, "{record:?}");
        match kept {
            true => assert_eq!(record.timeline.events.at_us[1], 4_294_967_000),
            false => assert!(record.error.is_some_and(|error| error.contains(Events::TOO_LATE))),
        }
    }
}

#[test]
fn what_arrives_in_time_passes_no_limit() {
    let slow = [(0, STREAM), (990, EVENT), (1_280, EVENT), (1_570, EMPTY), (1_860, LAST), (1_861, "")];
    let told = play_reads(true, slow);
    assert!(told.record.success(), "{:?}", told.record);
    let body = r#"{"choices":[{"index":0,"text":"hi","finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len() + 3);
    let (begin, end) = body.split_at(40);
    let in_pieces = [(0, head.as_str()), (500, " \n "), (990, begin), (1_200, end)];
    let told = play_reads(false, in_pieces);
    assert!(told.record.success(), "{:?}", told.record);
    assert_eq!(told.record.timeline.end, 1_200 * MS);
}

#[test]
fn a_late_read_of_what_came_in_time_is_no_silence() {
    // A client that stood still for 3 s finds a token, and goes on.
    let told = play_reads(true, [(0, STREAM), (10, EVENT), (3_010, EVENT), (3_100, LAST), (3_101, "")]);
    assert!(told.record.success(), "{:?}", told.record);
}

/// A whole reply in a body of chunks, without the chunk that ends it.
fn chunked(events: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{events}\r\n",
        events.len()
    )
}

#[test]
fn a_reply_that_said_everything_is_whole_though_its_body_stays_open() {
    let grace = GRACE / MS;
    let all = chunked(&whole());
    let told = play_reads(
        true,
        [(20, all.as_str()), (40, "8\r\n: ping\n\n\r\n"), (20 + grace, "8\r\n: ping\n\n\r\n")],
    );
    assert_eq!((told.ended, told.record.unclosed), (Some((20 + grace) * MS), true));
    assert!(told.record.success(), "{:?}", told.record);
    assert_eq!(told.record.timeline.end, 20 * MS, "the reply ended with its [DONE]");
    assert_eq!(told.record.usage.output, Some(2));
    let cut = play_reads(true, [(20, all.as_str()), (30, "")]);
    assert!(cut.record.success() && cut.record.unclosed, "{:?}", cut.record);
    assert_eq!((cut.ended, cut.record.timeline.end), (Some(30 * MS), 20 * MS));
    let short = chunked(EVENT);
    let cut = play_reads(true, [(20, short.as_str()), (30, "")]);
    assert_eq!((cut.record.outcome, cut.record.unclosed), (Outcome::Truncated, false), "{:?}", cut.record);
    let closed = play_reads(true, [(20, all.as_str()), (30, "0\r\n\r\n")]);
    assert!(closed.record.success() && !closed.record.unclosed, "{:?}", closed.record);
}

#[test]
fn done_without_every_finish_reason_waits_for_more() {
    let two = EVENT.replace("\"index\":0", "\"index\":1");
    for (events, outcome) in [
        (format!("{EVENT}data: [DONE]\n\n"), Outcome::TimedOut(Timeout::Idle)),
        (format!("{two}{LAST}"), Outcome::TimedOut(Timeout::Idle)),
        (whole().replace("data: [DONE]", ""), Outcome::TimedOut(Timeout::Idle)),
    ] {
        let told = play_reads(true, [(20, chunked(&events)), (900, "1\r\n\n\r\n".into())]);
        assert_eq!((told.record.outcome, told.record.unclosed), (outcome, false), "{events}");
        let cut = play_reads(true, [(20, chunked(&events)), (30, String::new())]);
        assert_eq!(cut.record.outcome, Outcome::Truncated, "{events}");
    }
}

#[test]
fn a_body_is_read_as_what_it_is_whatever_its_label_and_whatever_was_asked() {
    let json =
        r#"{"choices":[{"index":0,"text":"hi","finish_reason":"stop"}],"usage":{"completion_tokens":2}}"#;
    let events = whole();
    for label in ["text/event-stream", "application/json", "text/plain", "", "application/octet-stream"] {
        let head = match label {
            "" => "HTTP/1.1 200 OK\r\n\r\n".to_string(),
            label => format!("HTTP/1.1 200 OK\r\ncontent-type: {label}\r\n\r\n"),
        };
        for asked in [true, false] {
            let bytes = format!("{head}\r\n {events}");
            for cut in [bytes.len(), 1, head.len() + 5] {
                let reads = bytes.as_bytes().chunks(cut).map(|part| (10, part.to_vec()));
                let told = play_reads(asked, reads.chain([(11, Vec::new())]));
                assert!(told.record.success(), "{label} {asked} {cut}: {:?}", told.record);
                assert!(told.record.streamed && told.record.ttft_ms().is_some());
                assert_eq!(told.record.text.as_deref(), Some(" word end"));
            }
            let told = play_reads(asked, [(10, format!("{head}\u{feff}\n{json}")), (11, String::new())]);
            assert!(told.record.success(), "{label} {asked}: {:?}", told.record);
            assert!(!told.record.streamed && told.record.ttft_ms().is_none());
            assert_eq!(told.record.usage.output, Some(2));
        }
    }
}

#[test]
fn a_character_that_is_split_over_reads_is_one_character() {
    let word = "日本é🙂";
    let event = EVENT.replace(" word", word);
    let bytes = format!("{STREAM}{event}{LAST}");
    for cut in 1..bytes.len() {
        let (begin, end) = bytes.as_bytes().split_at(cut);
        let told = play_reads(true, [(10, begin), (20, end), (30, b"")]);
        assert!(told.record.success(), "cut at {cut}: {:?}", told.record);
        assert_eq!(told.record.text.as_deref(), Some("日本é🙂 end"), "cut at {cut}");
        let first = &told.record.timeline.events;
        assert_eq!((first.bytes[0], first.kind[0].has(EventKind::CONTENT)), (word.len() as u32, true));
    }
}

#[test]
fn a_flood_does_not_outlive_a_limit() {
    for (flood, limits, outcome) in
        [(EVENT, (60_000, 60_000, 200), Timeout::Total), (PING, (200, 60_000, 60_000), Timeout::FirstToken)]
    {
        let port = server(1, move |_, mut socket| {
            request(&mut socket);
            let _ = socket.write_all(STREAM.as_bytes());
            while socket.write_all(flood.as_bytes()).is_ok() {}
        });
        let ms = |(first, idle, total)| Timeouts {
            first_token: Duration::from_millis(first),
            idle: Duration::from_millis(idle),
            total: Duration::from_millis(total),
            ..Timeouts::default()
        };
        let records = play(port, 1, ms(limits));
        assert_eq!(records[0].outcome, Outcome::TimedOut(outcome), "{:?}", records[0].error);
    }
}

#[test]
fn a_mute_server_is_given_up_when_the_reply_is_asked_for_in_one_piece() {
    let port = server(1, |_, mut socket| {
        request(&mut socket);
        let _ = socket.read(&mut [0u8; 1]);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let record = runtime.block_on(async {
        let base = Target::base_url(&format!("http://127.0.0.1:{port}")).expect("a URL");
        let timeouts = Timeouts { first_token: Duration::from_millis(50), ..Timeouts::default() };
        let target = Target { timeouts, stream: false, ..Target::new(base, Api::Completions) };
        let client = client_of(target).await;
        send(&client, 0).await
    });
    assert_eq!(record.outcome, Outcome::TimedOut(Timeout::FirstToken));
    assert!(!record.streamed);
}

#[test]
fn a_place_is_kept_until_an_open_body_is_given_up() {
    let port = server(2, |_, mut socket| {
        request(&mut socket);
        let _ = socket.write_all(chunked(&whole()).as_bytes());
        let _ = socket.read(&mut [0u8; 1]);
    });
    let records = play(port, 2, Timeouts::default());
    assert!(records.iter().all(|record| record.success() && record.unclosed), "{records:?}");
    assert!(!records[1].reused, "its connection carries no other");
    let (first, second) = (&records[0].timeline, &records[1].timeline);
    assert!(second.sent.expect("sent") - first.end >= GRACE, "the session went on before the grace was over");
}

#[test]
fn the_time_to_connect_is_one_for_all_addresses_of_a_host() {
    // Nobody answers there: these are kept for documentation.
    let silent = (1..=20).map(|n| format!("192.0.2.{n}:9").parse().expect("an address"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let limit = Duration::from_millis(100);
        let pool = super::super::pool::Pool::new(silent.collect(), None, limit, Connections::Pooled);
        let began = std::time::Instant::now();
        assert!(pool.open().await.is_err(), "nobody is there");
        assert!(began.elapsed() < 10 * limit, "{:?}", began.elapsed());
    });
}
