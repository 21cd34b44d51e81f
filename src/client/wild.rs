//! What engines, gateways and clouds put on the wire, odd and hostile, and what becomes of it:
//! bytes in, a record out, at every cut of the bytes. Beside each kind of failure stand replies
//! that look like it and must succeed.

mod ends;
mod fields;
mod forms;
mod usages;

use super::exchange::{Exchange, ExchangeFault};
use super::outgoing_request::OutgoingRequest;
use super::protocol::Api;
use super::target::Target;
use crate::os::Received;
use crate::record::{Outcome, Phase, Prompt, Record, Request};

/// A reply, and what was asked.
pub struct Reply {
    target: Target,
    head: String,
    body: Vec<u8>,
    /// The connection closes before the body has ended.
    cut_off: bool,
}

pub const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
pub const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
pub const DONE: &str = "[DONE]";

/// An event with this delta.
pub fn delta(delta: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
}

/// An event with this text.
pub fn word(word: &str) -> String {
    delta(&format!(r#"{{"content":"{word}"}}"#))
}

/// An event with this finish reason, as JSON.
pub fn ended(reason: &str) -> String {
    STOP.replace("\"stop\"", reason)
}

/// Bytes under this label, in answer to a request for a stream.
pub fn raw(label: &str, body: impl AsRef<[u8]>) -> Reply {
    let base = Target::base_url("http://127.0.0.1:1").expect("a base URL");
    let head = match label {
        "" => String::new(),
        label => format!("content-type: {label}\r\n"),
    };
    Reply { target: Target::new(base, Api::Chat), head, body: body.as_ref().to_vec(), cut_off: false }
}

/// A stream of these bytes.
pub fn stream(body: impl AsRef<[u8]>) -> Reply {
    raw("text/event-stream", body)
}

/// A stream of events.
pub fn events<T: AsRef<str>>(events: &[T]) -> Reply {
    stream(events.iter().map(|data| format!("data: {}\n\n", data.as_ref())).collect::<String>())
}

/// A stream that is well but for one event between its first word and its end.
pub fn with(event: &str) -> Reply {
    events(&[&word("red"), event, STOP, USAGE, DONE])
}

/// A reply in one piece, as it was asked for.
pub fn whole(body: &str) -> Reply {
    raw("application/json", body).unasked()
}

impl Reply {
    pub fn api(mut self, api: Api) -> Reply {
        self.target.api = api;
        self
    }

    /// No stream was asked for.
    pub fn unasked(mut self) -> Reply {
        self.target.stream = false;
        self
    }

    pub fn cut_off(mut self) -> Reply {
        self.cut_off = true;
        self
    }

    pub fn caps(mut self, events: u32, mib: u32) -> Reply {
        self.target.caps = super::caps::Caps { events, mib };
        self
    }

    /// The record of this reply when it comes in pieces of so many bytes.
    fn record(&self, cut: usize) -> Record {
        let mut exchange = Exchange::new(&self.target, order());
        exchange.sent(1_000);
        let length = self.body.len() + usize::from(self.cut_off);
        let head = format!("HTTP/1.1 200 OK\r\n{}content-length: {length}\r\n\r\n", self.head);
        let wire = [head.as_bytes(), &self.body].concat();
        let mut ended = None;
        for (at, piece) in
            (2_000..).step_by(1_000).zip(wire.chunks(cut).chain(self.cut_off.then_some(&[][..])))
        {
            let received = Received { bytes: piece.len(), read_at: at, stamp: None, waited: 0 };
            match exchange.take(received, piece) {
                Ok(None) => continue,
                Ok(Some(_)) => ended = Some(Ok(())),
                Err(fault) => ended = Some(Err(fault)),
            }
            break;
        }
        let open =
            || Err(ExchangeFault::new(Outcome::TimedOut(crate::record::Timeout::Idle), "it never ended"));
        *exchange.finish(ended.unwrap_or_else(open)).open()
    }
}

fn order() -> OutgoingRequest {
    let request = Request {
        seq: 0,
        session: 0,
        turn: 0,
        class: "".into(),
        prompt: Prompt::Text("hello".into()),
        asked_input: Some(9),
        counted_input: None,
        max_tokens: 16,
        synthetic: false,
        forced_length: false,
        extra: None,
        headers: Vec::new(),
        leave: None,
    };
    let (id, bytes) = ("r0".to_string(), vec![b' '; 300].into());
    OutgoingRequest {
        request,
        id,
        bytes,
        phase: Phase::Measured,
        planned: 0,
        admitted: 0,
        keep_text: true,
        outage: None,
    }
}

/// What became of a reply: its outcome, whether it has a first token, the tokens that the server
/// told, and its text.
pub type Seen<'a> = (Outcome, bool, Option<u32>, &'a str);

pub const OK: Outcome = Outcome::Success;

/// Holds a table: each reply comes to what stands beside it, whole and cut anywhere.
pub fn hold(table: Vec<(&str, Reply, Seen)>) {
    let mut wrong = Vec::new();
    for (name, reply, expected) in table {
        let first = reply.record(usize::MAX);
        let length = reply.body.len();
        for cut in [usize::MAX, 64, 7, 1].into_iter().filter(|cut| length < 10_000 || *cut > 7) {
            let record = reply.record(cut);
            let told = record.usage.output;
            let text = record.text.as_deref().unwrap_or("");
            let seen: Seen = (record.outcome, record.ttft_ms().is_some(), told, text);
            let same = (&record.error, record.finish.as_deref(), record.usage, record.streamed)
                == (&first.error, first.finish.as_deref(), first.usage, first.streamed);
            if seen != expected || !same {
                let text = text.chars().take(200).collect::<String>();
                let seen = (seen.0, seen.1, seen.2, text);
                wrong.push(format!("{name}, cut at {cut}: {seen:?} ({:?}), not {expected:?}", record.error));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The words of a failure.
pub fn words(reply: &Reply) -> String {
    reply.record(usize::MAX).error.unwrap_or_default()
}
