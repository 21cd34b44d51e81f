//! `Exchange`: what one reply has told so far. Bytes in, a record out; no socket, no clock.

mod content;

use super::body::Body;
use super::caps::Caps;
use super::conn::Conn;
use super::head::Head;
use super::limits::{self, Limits, Over, ReplyTimes};
use super::outgoing_request::OutgoingRequest;
use super::protocol::{self, Api, ReplyState};
use super::target::Target;
use crate::os::{Received, TcpInfo};
use crate::record::{
    Clock, Connect, Doubts, EventKind, Leave, Nanos, Outcome, Packed, PackedRecord, Record, Said,
};
use bytes::Bytes;
use content::ContentReading;
use std::io;

/// Most bytes of an error body that are kept.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// Most events for which room is made beforehand.
const EVENTS_EXPECTED_MAX: usize = 4096;

/// A connection that nobody has used for so long may be one that its server gives up.
const LAIN_FROM: Nanos = 1_000_000_000;

/// A 408 so soon after the send was no wait for that request.
const GOODBYE_WITHIN: Nanos = 1_000_000_000;

/// Why a request did not end well.
#[derive(Debug)]
pub struct ExchangeFault {
    pub outcome: Outcome,
    pub text: String,
    /// When it was noticed; `None`: now.
    pub at: Option<Nanos>,
}

impl ExchangeFault {
    pub fn new(outcome: Outcome, text: impl Into<String>) -> ExchangeFault {
        ExchangeFault { outcome, text: text.into(), at: None }
    }
}

/// One request and its reply so far. Times are absolute.
pub struct Exchange {
    api: Api,
    caps: Caps,
    reader: protocol::TemplateReader,
    record: Box<Record>,
    /// Before TLS, for a second try; let go of once a reply has begun.
    request: Bytes,
    request_bytes: u64,
    events: Packed,
    keep_text: bool,
    head_bytes: Vec<u8>,
    head: Option<Head>,
    body: Option<Body>,
    reading: ContentReading,
    /// How a body began that is not called a stream of events.
    opening: Vec<u8>,
    event_count: u32,
    tally: ReplyState,
    text: String,
    /// What of the text was said to the user; `None`: all of it.
    said: Option<Box<Said>>,
    /// A status outside 2xx, once its body is complete. The connection is none the worse.
    refusal: Option<Box<ExchangeFault>>,
    /// The latest event once there was output, or the latest byte of a reply in one piece.
    latest: Option<Nanos>,
    /// Since when a connection is tried to be opened.
    connecting: Option<Nanos>,
    /// When everything had been said.
    whole: Option<Nanos>,
    /// Events with output in the last read, and in the reads before it.
    outputs: u32,
    outputs_before: u64,
    /// Most events that are wanted of the reply.
    pub events_max: usize,
    /// When its user hangs up.
    leave: Option<Leave>,
}

impl Exchange {
    pub fn new(target: &Target, mut order: OutgoingRequest) -> Exchange {
        let api = target.api;
        let keep_text = order.keep_text;
        let request = std::mem::take(&mut order.bytes);
        let leave = order.request.leave;
        let record = order.record(target.stream);
        Exchange {
            api,
            caps: target.caps,
            reader: protocol::TemplateReader::new(api),
            record,
            request_bytes: request.len() as u64,
            request,
            events: Packed::default(),
            keep_text,
            head_bytes: Vec::new(),
            head: None,
            body: None,
            reading: ContentReading::Whole(Vec::new()),
            opening: Vec::new(),
            event_count: 0,
            tally: ReplyState::new(api),
            text: String::new(),
            said: None,
            refusal: None,
            latest: None,
            connecting: None,
            whole: None,
            outputs: 0,
            outputs_before: 0,
            events_max: usize::MAX,
            leave,
        }
    }

    /// What is to be sent.
    pub fn request(&self) -> Bytes {
        self.request.clone()
    }

    /// A connection is tried to be opened for this request.
    pub fn connects(&mut self, now: Nanos) {
        self.record.connect_tries += 1;
        self.connecting.get_or_insert(now);
    }

    pub fn connect_tries(&self) -> u32 {
        self.record.connect_tries
    }

    /// A connection is in hand. What it took to wait for a server that refused is time of
    /// connecting.
    pub fn begin(&mut self, conn: &Conn) {
        self.record.reused = conn.served > 0;
        let done = conn.opened.done;
        let opened = self.connecting.take().map_or(conn.opened, |started| Connect { started, done });
        self.record.timeline.connect = (conn.served == 0).then_some(opened);
        self.record.timeline.clock = if conn.stamped { Clock::Kernel } else { Clock::Read };
    }

    pub fn session(&self) -> u64 {
        self.record.session
    }

    /// The moment that the request should leave.
    pub fn due(&self) -> Nanos {
        self.record.timeline.planned.max(self.record.timeline.admitted)
    }

    /// The request began to leave.
    pub fn sent(&mut self, sent: Nanos) {
        self.record.timeline.sent = Some(sent);
        if self.events.is_empty() && self.record.streamed {
            self.events.reserve((self.record.asked_output as usize + 4).min(EVENTS_EXPECTED_MAX));
        }
    }

    pub fn was_sent(&self) -> bool {
        self.record.timeline.sent.is_some()
    }

    /// So much later a part of the request was handed over.
    pub fn written(&mut self, written: Nanos) {
        let last = self.record.timeline.written.get_or_insert(written);
        *last = written.max(*last);
    }

    /// Nothing of a response has arrived.
    pub fn unread(&self) -> bool {
        self.head_bytes.is_empty() && self.head.is_none()
    }

    /// The last read carried more than one event with output.
    pub fn shared(&self) -> bool {
        self.outputs > 1
    }

    /// Events with output in the last read.
    pub fn outputs(&self) -> u32 {
        self.outputs
    }

    /// Events with output so far.
    pub fn outputs_in_all(&self) -> u64 {
        self.outputs_before + u64::from(self.outputs)
    }

    /// When it was sent; before that, when it is due.
    pub fn since(&self) -> Nanos {
        self.record.timeline.sent.unwrap_or_else(|| self.due())
    }

    /// From the send to the last byte so far.
    pub fn lasted(&self) -> Nanos {
        self.record.timeline.end - self.since()
    }

    /// What TCP has told of this request.
    pub fn network(&mut self, told: TcpInfo) {
        self.record.timeline.tcp_retransmits = Some(told.retransmits);
        self.record.timeline.tcp_out_of_order = Some(told.out_of_order);
        self.record.timeline.tcp_min_rtt_us = told.min_rtt_us;
    }

    /// The one second try of what was sent begins.
    pub fn reconnect(&mut self) {
        self.record.reconnects += 1;
        self.record.timeline.sent = None;
        self.record.timeline.written = None;
    }

    /// How long after the send its user may hang up by the clock.
    pub fn leave_within(&self) -> Option<Nanos> {
        self.leave.and_then(Leave::within)
    }

    /// How far the reply has come.
    pub fn course(&self) -> ReplyTimes {
        let sent = self.since();
        let stays = matches!(self.leave, Some(Leave::Silent(_))) && self.outputs_in_all() > 0;
        let left = self.leave_within().filter(|_| !stays).map(|within| sent.saturating_add(within));
        ReplyTimes { sent, latest: self.latest, whole: self.whole, left }
    }

    /// The request went over a connection that had been open for a while, so that its server may
    /// have given it up before it saw the request.
    pub fn kept(&self) -> bool {
        let lain = |opened: Connect| self.since() - opened.done >= LAIN_FROM;
        self.record.reused || self.record.timeline.connect.is_some_and(lain)
    }

    /// Takes what one read brought; no bytes: the peer has closed. `Some`: the reply is
    /// complete, and whether its connection may be used again.
    pub fn take(&mut self, received: Received, bytes: &[u8]) -> Result<Option<bool>, ExchangeFault> {
        let at = received.at();
        self.outputs_before += u64::from(std::mem::take(&mut self.outputs));
        self.record.timeline.end = at;
        if let Some(lag) = received.lag() {
            let lag = u32::try_from(lag / 1_000).unwrap_or(u32::MAX);
            let longest = self.record.timeline.read_lag_us.get_or_insert(0);
            *longest = lag.max(*longest);
        } else if !bytes.is_empty() {
            self.record.timeline.clock = Clock::Read;
        }
        if bytes.is_empty() {
            return self.closed();
        }
        let Some(rest) = self.take_head(bytes, at)? else { return Ok(None) };
        self.take_body(&rest, at)
    }

    /// Gathers the head; the bytes behind it, once it is whole.
    fn take_head<'b>(
        &mut self,
        bytes: &'b [u8],
        at: Nanos,
    ) -> Result<Option<std::borrow::Cow<'b, [u8]>>, ExchangeFault> {
        if self.head.is_some() {
            return Ok(Some(bytes.into()));
        }
        self.head_bytes.extend_from_slice(bytes);
        let parsed = Head::parse(&self.head_bytes, false);
        let parsed = parsed.map_err(|text| ExchangeFault::new(Outcome::Protocol, text))?;
        let Some((head, length)) = parsed else { return Ok(None) };
        if head.status == 408 && self.kept() && at - self.since() < GOODBYE_WITHIN {
            self.head_bytes = Vec::new();
            return Err(ExchangeFault::new(
                Outcome::Disconnected,
                "the server gave the open connection up (status 408) before it saw the request",
            ));
        }
        self.request = Bytes::new();
        self.record.timeline.head = Some(at);
        self.record.status = Some(head.status);
        let success = self.success_status();
        if success && let Some(coding) = &head.encoding {
            let text = format!(
                "the reply is compressed (content-encoding {coding:?}) although nobody asked for that: \
                 let the proxy or gateway in between pass streams on as they are"
            );
            return Err(ExchangeFault::new(Outcome::Protocol, text));
        }
        if let Some(other) = head.request_id.as_deref().filter(|id| is_another(&self.record.id, id)) {
            let ours = &self.record.id;
            let text = format!(
                "the reply is that of another request: x-request-id {other:?} instead of {ours:?} \
                 (look for a proxy that mixes connections up)"
            );
            return Err(ExchangeFault::new(Outcome::Protocol, text));
        }
        if success {
            self.reading = ContentReading::Unknown(Vec::new());
        }
        self.body = Some(Body::new(head.framing));
        self.head = Some(head);
        let rest = self.head_bytes.split_off(length);
        self.head_bytes = Vec::new();
        Ok(Some(rest.into()))
    }

    fn take_body(&mut self, bytes: &[u8], at: Nanos) -> Result<Option<bool>, ExchangeFault> {
        let mut body = self.body.take().expect("a head brings a body");
        let fed = body.feed(bytes, |data| {
            self.record.body_bytes += data.len() as u64;
            self.data(data, at);
        });
        self.body = Some(body);
        self.record.timeline.shared_reads += u32::from(self.shared());
        let fed = fed.map_err(|why| ExchangeFault::new(Outcome::Protocol, why))?;
        if let Some(fault) = self.beyond_repair() {
            return Err(fault);
        }
        if self.events.len() > self.events_max {
            let text = format!("cut off after {} events", self.events_max);
            return Err(ExchangeFault::new(Outcome::Cancelled, text));
        }
        if !fed.finished {
            return match self.leave {
                Some(Leave::Outputs(most))
                    if self.whole.is_none() && self.outputs_in_all() >= u64::from(most) =>
                {
                    Err(limits::left(at))
                }
                _ => Ok(None),
            };
        }
        self.complete(at);
        if let Some(fault) = self.beyond_repair() {
            return Err(fault);
        }
        let keep_alive = self.head.as_ref().is_some_and(|head| head.keep_alive);
        Ok(Some(keep_alive && fed.used == bytes.len()))
    }

    /// Why nothing can come of the reply any more, so that nobody waits for the rest of it.
    fn beyond_repair(&self) -> Option<ExchangeFault> {
        match &self.reading {
            ContentReading::Whole(whole) if !self.success_status() => {
                (whole.len() >= ERROR_BYTES_MAX).then(|| self.refused(whole))
            }
            _ => self.tally.beyond_repair().map(|why| ExchangeFault::new(Outcome::Protocol, why)),
        }
    }

    fn success_status(&self) -> bool {
        self.record.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// What has come until `at` has not ended the reply: its time may have.
    pub fn held_against(&mut self, limits: &Limits, at: Nanos) -> Option<Result<bool, ExchangeFault>> {
        let course = self.course();
        let (deadline, over) = limits.deadline(&course);
        if at < deadline {
            return None;
        }
        Some(match over {
            Over::Late(limit) => Err(limits.fault(limit, course.sent, at)),
            // What came later came to nobody.
            Over::Left => Err(limits::left(deadline)),
            Over::Whole => {
                self.leave_open();
                Ok(false)
            }
        })
    }

    /// A reply that is whole is not waited for any longer, though its body has no end.
    pub fn leave_open(&mut self) {
        self.record.unclosed = true;
        self.record.timeline.end = self.whole.or(self.latest).unwrap_or(self.record.timeline.end);
        self.complete(self.record.timeline.end);
    }

    /// Every byte of the body has arrived.
    fn complete(&mut self, at: Nanos) {
        if let ContentReading::Unknown(begun) = &mut self.reading {
            let begun = std::mem::take(begun);
            self.reading = self.known(None);
            self.known_data(&begun, at);
        }
        match std::mem::replace(&mut self.reading, ContentReading::Lines(Vec::new())) {
            ContentReading::Unknown(_) => {}
            ContentReading::Events(mut parser) => parser.finish(|event| self.event(event, at)),
            ContentReading::Lines(line) => self.line(&line, at),
            ContentReading::Whole(whole) if !self.success_status() => {
                self.refusal = Some(Box::new(self.refused(&whole)))
            }
            ContentReading::Whole(whole) => {
                let text = self.keep_text.then_some(&mut self.text);
                match protocol::read_reply(self.api, &whole, text) {
                    Ok(meaning) => {
                        self.hear(meaning.kind, &whole, 0);
                        self.tally.add(&meaning);
                    }
                    Err(why) => self.tally.broken(why),
                }
            }
        }
    }

    /// Takes words, thoughts and calls of tools apart, once a reply has more than words. `before`: the text
    /// before this event.
    fn hear(&mut self, kind: EventKind, json: &[u8], before: usize) {
        if !self.keep_text {
            return;
        }
        let apart = kind.has(EventKind::REASONING) || kind.has(EventKind::TOOL);
        if self.said.is_none() && apart {
            let content = self.text[..before].to_string();
            self.said = Some(Box::new(Said { content, tool_calls: Vec::new() }));
        }
        if let Some(said) = &mut self.said {
            said.hear(json);
        }
    }

    /// A status outside 2xx, in the server's words.
    fn refused(&self, body: &[u8]) -> ExchangeFault {
        let status = self.record.status.unwrap_or(0);
        let location = self.head.as_ref().and_then(|head| head.location.as_deref());
        let text = match (location, protocol::error_words(body).as_str()) {
            (Some(location), _) if (300..400).contains(&status) => {
                format!("status {status}: it redirects to {location:?}, and a redirect is not followed")
            }
            (_, "") => format!("status {status} without a word of why"),
            (_, words) => format!("status {status}: {words}"),
        };
        ExchangeFault::new(Outcome::Status, text)
    }

    /// The peer has closed the connection.
    fn closed(&mut self) -> Result<Option<bool>, ExchangeFault> {
        if self.head.is_none() {
            return Err(ExchangeFault::new(
                Outcome::Disconnected,
                "the server closed the connection before any response",
            ));
        }
        if self.body.as_mut().is_some_and(Body::closed) {
            self.complete(self.record.timeline.end);
            return Ok(Some(false));
        }
        if self.says_all() {
            self.leave_open();
            return Ok(Some(false));
        }
        self.cut_off("the server closed the connection before the body ended")
    }

    /// Nothing is missing of the reply but the end of its body: everything was said, or its one
    /// JSON object is whole and good.
    fn says_all(&mut self) -> bool {
        if !self.success_status() {
            return false;
        }
        match &mut self.reading {
            ContentReading::Whole(whole) => {
                let Ok(meaning) = protocol::read_reply(self.api, whole, None) else { return false };
                let mut tally = self.tally.clone();
                tally.add(&meaning);
                tally.outcome(true, self.record.asked_output, false).outcome.is_success()
            }
            // A server in a hurry may leave out the blank line behind its last word.
            ContentReading::Events(parser) if self.whole.is_none() && parser.ends_with(b"[DONE]") => {
                let at = self.latest.unwrap_or(self.record.timeline.end);
                let mut reading = std::mem::replace(&mut self.reading, ContentReading::Lines(Vec::new()));
                if let ContentReading::Events(parser) = &mut reading {
                    parser.finish(|event| self.event(event, at));
                }
                self.reading = reading;
                self.whole.is_some()
            }
            _ => self.whole.is_some(),
        }
    }

    /// The connection broke while the reply was read.
    pub fn broken(&mut self, error: io::Error) -> Result<bool, ExchangeFault> {
        if self.unread() {
            let text = format!("the connection broke before any response: {error}");
            return Err(ExchangeFault::new(Outcome::Disconnected, text));
        }
        if self.says_all() {
            self.leave_open();
            return Ok(false);
        }
        self.cut_off(&format!("the connection broke before the body ended: {error}")).map(|_| false)
    }

    /// A body without its end. What a failed status said so far is worth more than that.
    fn cut_off(&mut self, text: &str) -> Result<Option<bool>, ExchangeFault> {
        match &self.reading {
            ContentReading::Whole(whole) if !self.success_status() => Err(self.refused(whole)),
            _ => Err(ExchangeFault::new(Outcome::Truncated, text)),
        }
    }

    /// What a failed status has said outweighs the wait for the rest of its body.
    fn outweighed(&mut self, fault: ExchangeFault) -> ExchangeFault {
        match &self.reading {
            ContentReading::Whole(whole)
                if matches!(fault.outcome, Outcome::TimedOut(_))
                    && self.head.is_some()
                    && !self.success_status() =>
            {
                let refused = self.refused(whole);
                ExchangeFault {
                    text: format!("{} (its body did not end: {})", refused.text, fault.text),
                    ..refused
                }
            }
            _ => fault,
        }
    }

    /// The finished record.
    pub fn finish(mut self, ended: Result<(), ExchangeFault>) -> PackedRecord {
        let ended = ended.and_then(|()| self.refusal.take().map_or(Ok(()), |fault| Err(*fault)));
        let ended = ended.map_err(|fault| self.outweighed(fault));
        let mut record = self.record;
        self.events.close();
        let verdict = self.tally.outcome(ended.is_ok(), record.asked_output, record.streamed);
        record.usage = verdict.usage;
        record.finish = verdict.finish;
        record.doubts = Doubts::of(&record.usage, &self.tally.seen(self.request_bytes, record.asked_output));
        if record.doubts.output() {
            // What the events told comes from the same count.
            let mut events = self.events.unpack();
            events.tokens.fill(0);
            self.events = Packed::of(&events);
        }
        match ended {
            Ok(()) => {
                record.outcome = verdict.outcome;
                record.error = verdict.error;
                record.unclosed &= record.outcome.is_success();
                let silent = record.outcome == Outcome::Unfinished && self.events.is_empty();
                if silent && !self.opening.is_empty() {
                    let opening = String::from_utf8_lossy(&self.opening);
                    let said = record.error.get_or_insert_default();
                    said.push_str(&format!("; what came instead of events begins with {opening:?}"));
                }
            }
            // What the server told before it cut the stream says more than the cut.
            Err(fault)
                if matches!(fault.outcome, Outcome::Truncated | Outcome::TimedOut(_))
                    && matches!(
                        verdict.outcome,
                        Outcome::ServerError | Outcome::Aborted | Outcome::ContentFilter
                    ) =>
            {
                record.outcome = verdict.outcome;
                record.error = verdict.error;
            }
            Err(fault) => {
                record.outcome = fault.outcome;
                let left = fault.outcome == Outcome::UserCancelled;
                record.error = (!left).then(|| fault.text.chars().take(500).collect());
                let noticed = left
                    || matches!(fault.outcome, Outcome::TimedOut(_) | Outcome::Cancelled | Outcome::Connect);
                if noticed || record.timeline.sent.is_none() || record.timeline.head.is_none() {
                    record.timeline.end = fault.at.unwrap_or_else(crate::os::now);
                }
            }
        }
        record.text = (self.keep_text && !self.text.is_empty()).then_some(self.text);
        let retry_after = self.head.as_ref().and_then(|head| head.retry_after);
        let mut parcel = PackedRecord::new(record, self.events);
        parcel.retry_after = retry_after;
        parcel.said = self.said;
        parcel
    }
}

/// Whether an `x-request-id` that came back is that of another request of the same run. Servers
/// that make up their own are no concern of ours.
fn is_another(ours: &str, theirs: &str) -> bool {
    let run = |id: &str| id.rsplit_once('-').map(|(run, _)| run.to_string());
    let numbered = theirs.rsplit_once('-').is_some_and(|(_, seq)| {
        !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    theirs != ours && numbered && run(ours) == run(theirs)
}
