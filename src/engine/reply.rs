//! `StreamedReply`: one generation under way on one connection: what is left of it, and its writes.
//!
//! Tokens are written straight to the socket when they are due. What the socket does not take is
//! kept, and the connection's own task writes it when it can, so that a slow reader delays nobody.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::engine::accounting::{Accounting, TokenProgress};
use crate::engine::config::FailKind;
use crate::engine::due::{Deadline, Next};
use crate::engine::generation::{Generation, Step};
use crate::engine::generation_request::BadRequest;
use crate::engine::http;
use crate::engine::nanos::Nanos;
use crate::engine::text::{Counted, GeneratedText, GenerationEnd};
use crate::engine::truth::TruthEntry;
use crate::os;

/// A reader that lets this much pile up is treated as gone.
const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Stamps for which room is made ahead.
const STAMPS_AHEAD_MAX: u32 = 8192;

/// See the file's head.
pub struct StreamedReply {
    socket: Rc<TcpStream>,
    books: Rc<Accounting>,
    text: GeneratedText,
    course: Generation,
    streamed: bool,
    /// The reply announces that the connection stays open.
    keep: bool,
    /// Tells the connection's task to look at the reply again.
    pub wake: Notify,
    state: RefCell<State>,
}

struct State {
    phase: ReplyPhase,
    progress: TokenProgress,
    /// What the socket did not take yet.
    pending: Vec<u8>,
    entry: TruthEntry,
}

/// How far a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyPhase {
    /// Its tokens come at their deadlines.
    Paced,
    /// Its tokens come as fast as the socket takes them.
    Burst,
    /// Nothing comes any more, and the client is left waiting.
    Stalled,
    /// Everything has been made; `cut`: the connection ends with it, whatever was announced.
    Ended { cut: bool },
    /// The client has not read for too long, or the socket is broken.
    Lost,
    /// The client is gone, and that is in the books.
    Gone,
}

/// What was written with a time: how many events with text, and when they were due.
struct Mark {
    with_text: u32,
    due: Nanos,
}

impl PartialEq for StreamedReply {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl StreamedReply {
    /// `entry` is the truth about the request so far. `keep`: what the reply announces.
    pub fn new(
        socket: Rc<TcpStream>,
        books: Rc<Accounting>,
        text: GeneratedText,
        course: Generation,
        keep: bool,
        mut entry: TruthEntry,
    ) -> Self {
        let streamed = entry.streamed;
        let stamps = if streamed { course.tokens_with_text().min(STAMPS_AHEAD_MAX) } else { 1 };
        entry.emissions.reserve_exact(stamps as usize);
        let state = State {
            phase: ReplyPhase::Paced,
            progress: TokenProgress::default(),
            pending: Vec::new(),
            entry,
        };
        StreamedReply {
            socket,
            books,
            text,
            course,
            streamed,
            keep,
            wake: Notify::new(),
            state: RefCell::new(state),
        }
    }

    pub fn phase(&self) -> ReplyPhase {
        self.state.borrow().phase
    }

    /// Whether bytes wait for the socket.
    pub fn is_blocked(&self) -> bool {
        !self.state.borrow().pending.is_empty()
    }

    /// Sends the head of a streamed reply, as real servers do before there is a token.
    pub fn open(&self) {
        let state = &mut *self.state.borrow_mut();
        if self.streamed {
            let mut head = Vec::with_capacity(256);
            self.text.stream_head(&mut head, &state.entry.id, self.keep);
            self.send(state, &head);
        }
    }

    /// Plays the deadline of the next token.
    pub fn play(&self, due: Deadline) -> Next {
        let state = &mut *self.state.borrow_mut();
        if state.phase != ReplyPhase::Paced {
            return Next::Gone;
        }
        if state.progress.made == 0 {
            self.books.admit(&mut state.entry, due.admitted, due.cached);
        }
        match self.course.step(state.progress.made) {
            Step::BreakOff => return self.break_off(state),
            Step::Burst => {
                state.phase = ReplyPhase::Burst;
                self.wake.notify_one();
                return Next::Hold;
            }
            Step::Token => {}
        }
        let index = state.progress.made;
        self.books.token(&state.entry, &mut state.progress, due.at);
        let last = state.progress.made == self.course.tokens;
        let scratch = &mut *self.books.scratch.borrow_mut();
        if self.streamed {
            scratch.clear();
            let with_text = self.write_token(scratch, index);
            self.send_marked(state, scratch, Mark { with_text, due: due.at });
        }
        if state.phase == ReplyPhase::Lost {
            return Next::Gone;
        }
        if !last {
            return Next::Token;
        }
        scratch.clear();
        if self.streamed {
            self.text.stream_end(scratch, self.counted(state));
            self.send(state, scratch);
        } else {
            let cached = state.entry.cached_tokens;
            self.write_whole(scratch, Counted { output: state.progress.made, cached });
            self.send_marked(state, scratch, Mark { with_text: 1, due: due.at });
        }
        self.end(state, self.outcome(), false)
    }

    /// In a burst: makes the next tokens and writes them in one go.
    pub fn burst(&self) {
        let state = &mut *self.state.borrow_mut();
        if self.course.broken_at() == Some(state.progress.made) {
            self.break_off(state);
            return;
        }
        let stop = self.course.broken_at().unwrap_or(self.course.tokens);
        let count = self.course.burst.min(stop - state.progress.made);
        let scratch = &mut *self.books.scratch.borrow_mut();
        scratch.clear();
        let now = os::now();
        let mut with_text = 0;
        for _ in 0..count {
            with_text += self.write_token(scratch, state.progress.made);
            self.books.token(&state.entry, &mut state.progress, now);
        }
        let last = state.progress.made == self.course.tokens;
        if last {
            self.text.stream_end(scratch, self.counted(state));
        }
        self.send_marked(state, scratch, Mark { with_text, due: now });
        if last {
            self.end(state, self.outcome(), false);
        }
    }

    /// Writes what the socket did not take before.
    pub fn flush(&self) {
        let state = &mut *self.state.borrow_mut();
        match self.socket.try_write(&state.pending) {
            Ok(taken) => drop(state.pending.drain(..taken)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.lose(state),
        }
    }

    /// The client is gone. Returns whether the reply was still under way.
    pub fn abort(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        let outcome = match state.phase {
            ReplyPhase::Ended { .. } | ReplyPhase::Gone => return false,
            ReplyPhase::Stalled => "stall",
            ReplyPhase::Paced | ReplyPhase::Burst | ReplyPhase::Lost => "abort",
        };
        state.phase = ReplyPhase::Gone;
        self.close_books(state, outcome);
        true
    }

    /// The simulated fault in mid-way.
    fn break_off(&self, state: &mut State) -> Next {
        let scratch = &mut *self.books.scratch.borrow_mut();
        scratch.clear();
        match self.course.fail {
            Some(FailKind::ErrorEvent) if self.streamed => self.text.stream_error(scratch),
            Some(FailKind::ErrorEvent) => {
                let fault = BadRequest::new(500, "simulated failure", "InternalServerError");
                let reply = http::reply(fault.status, "application/json", fault.body.as_bytes(), self.keep);
                scratch.extend_from_slice(&reply);
            }
            Some(FailKind::Cut) if !self.streamed => {
                let cached = state.entry.cached_tokens;
                self.write_whole(scratch, Counted { output: self.course.tokens, cached });
                scratch.truncate(scratch.len() / 2);
            }
            Some(FailKind::Stall) => {
                state.phase = ReplyPhase::Stalled;
                return Next::Hold;
            }
            _ => {}
        }
        self.send(state, scratch);
        let cut = self.course.fail == Some(FailKind::Cut);
        self.end(state, if cut { "cut" } else { "error_event" }, cut)
    }

    /// Everything is made and handed to the socket, unless the client was lost over it.
    fn end(&self, state: &mut State, outcome: &'static str, cut: bool) -> Next {
        if state.phase == ReplyPhase::Lost {
            return Next::Gone;
        }
        state.phase = ReplyPhase::Ended { cut };
        self.close_books(state, outcome);
        self.wake.notify_one();
        Next::Done
    }

    fn close_books(&self, state: &mut State, outcome: &'static str) {
        let entry = std::mem::take(&mut state.entry);
        self.books.finish(entry, &state.progress, outcome, os::now());
    }

    /// The tokens that usage tells; a reply that hides its finish hides them, too.
    fn counted(&self, state: &State) -> Option<Counted> {
        let (output, cached) = (state.progress.made, state.entry.cached_tokens);
        self.course.finish().map(|_| Counted { output, cached })
    }

    fn outcome(&self) -> &'static str {
        self.course.finish().map_or("no_finish", GenerationEnd::name)
    }

    /// Puts the event of token `index` (and the role before the first) into `out`; how many of
    /// them have text.
    fn write_token(&self, out: &mut Vec<u8>, index: u32) -> u32 {
        if index == 0 && self.course.role_chunk {
            self.text.role(out);
        }
        let finish = self.course.finish_at(index);
        let has_text = index < self.course.tokens_with_text();
        match has_text {
            true => self.text.token(out, index, finish),
            false => self.text.end_of_text(out, finish),
        }
        u32::from(has_text)
    }

    fn write_whole(&self, out: &mut Vec<u8>, counted: Counted) {
        let body = self.text.whole(self.course.tokens_with_text(), counted, self.course.finish());
        out.extend_from_slice(&http::reply(200, "application/json", body.as_bytes(), self.keep));
    }

    fn send_marked(&self, state: &mut State, bytes: &[u8], mark: Mark) {
        let stamp = os::now();
        self.send(state, bytes);
        for _ in 0..mark.with_text {
            state.entry.emissions.push(stamp);
        }
        self.books.write(stamp, mark.due);
    }

    fn send(&self, state: &mut State, bytes: &[u8]) {
        let taken = match state.pending.is_empty() {
            true => self.socket.try_write(bytes),
            false => Ok(0),
        };
        match taken {
            Ok(taken) if taken == bytes.len() => return,
            Ok(taken) => state.pending.extend_from_slice(&bytes[taken..]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => state.pending.extend_from_slice(bytes),
            Err(_) => self.lose(state),
        }
        if state.pending.len() > PENDING_BYTES_MAX {
            self.lose(state);
        }
        self.wake.notify_one();
    }

    /// Leaves it to the connection's task to [`StreamedReply::abort`].
    fn lose(&self, state: &mut State) {
        state.pending.clear();
        state.phase = ReplyPhase::Lost;
        self.wake.notify_one();
    }
}
