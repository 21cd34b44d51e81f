//! `ReplyReader`: reads the replies of all requests in flight, in rounds.
//!
//! One task with a poller of its own serves every socket: what is ready is read in one go, only
//! then taken apart, and the session of a reply hears of it at its end. So an event costs one
//! system call and no task is woken for it.

use super::conn::{Conn, READ_BYTES};
use super::exchange::{Exchange, ExchangeFault};
use super::first_write::FirstWrite;
use super::gather::GatherTimer;
use super::limits::{self, GRACE, Limits, Over};
use super::live::{Arrived, Live};
use super::read_coalescing::ReadCoalescing;
use crate::os::{self, Received};
use crate::record::{Nanos, Outcome};
use bytes::{Buf, Bytes};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Sockets that one look at the poller tells of.
const READY_MAX: usize = 1024;

/// Room for what one round reads before it is taken apart.
const ROUND_BYTES: usize = 4 * READ_BYTES;

/// Full reads of one socket before others have their turn.
const FULL_READS_MAX: usize = 8;

/// When to look again at a reply that is over, or has something to be read.
const SOON: Nanos = 1_000_000;

/// What had arrived when a limit was passed is read within this time, or not at all.
const HEARD_WITHIN: Nanos = 100_000_000;

/// What a reader knows of one of the clients that it reads for.
pub struct Peer {
    /// Its place among them.
    number: usize,
    limits: Limits,
    pub live: Arc<Live>,
}

/// A request whose reply is awaited, with the connection that it has for itself.
pub struct InFlight {
    pub conn: Conn,
    pub exchange: Box<Exchange>,
    peer: Arc<Peer>,
    /// Its first write, which may still be to come.
    shot: Arc<FirstWrite>,
    /// What of the request the socket has not taken yet.
    rest: Bytes,
    /// What the first write left over is written on.
    writes_on: bool,
    /// A later write failed.
    failed: bool,
    /// Something of the reply has been read.
    speaks: bool,
}

/// What a flight is known by, and where its end is told.
pub type Followed = (Token, oneshot::Receiver<Completed>);

/// A flight that is over. `Ok(true)`: the connection may be used again.
pub struct Completed {
    pub flight: Box<InFlight>,
    pub result: Result<bool, ExchangeFault>,
}

struct Waiting {
    flight: Box<InFlight>,
    done: oneshot::Sender<Completed>,
}

#[derive(Default)]
struct Flights {
    waiting: HashMap<Token, Waiting>,
    peers: Vec<Arc<Peer>>,
    /// Those flights of each peer of which something has been read.
    speaking: Vec<usize>,
    /// Replies that are whole and whose bodies may still end, and until when: in that order, since
    /// each has the same time.
    open: VecDeque<(Nanos, Token)>,
}

impl Flights {
    fn remove(&mut self, token: Token) -> Option<Waiting> {
        let waiting = self.waiting.remove(&token)?;
        self.speaking[waiting.flight.peer.number] -= usize::from(waiting.flight.speaks);
        Some(waiting)
    }

    /// Lets go of replies that are whole and whose bodies had the time to end.
    fn leave_open(&mut self, now: Nanos) {
        while let Some((until, token)) = self.open.front().copied().filter(|(until, _)| *until <= now) {
            self.open.pop_front();
            let whole = |waiting: &Waiting| waiting.flight.exchange.course().whole == Some(until - GRACE);
            if self.waiting.get(&token).is_some_and(whole)
                && let Some(Waiting { mut flight, done }) = self.remove(token)
            {
                flight.exchange.leave_open();
                let _ = done.send(flight.lands(Ok(false)));
            }
        }
    }
}

struct Shared {
    registry: Registry,
    flights: Mutex<Flights>,
    next: AtomicUsize,
}

/// What a look at a flight from outside came to.
pub enum Look {
    /// Nothing; when to look again.
    At(Nanos),
    Over(ExchangeFault),
}

/// The task and what it reads for. Dropping it ends the task.
pub struct ReplyReader {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl ReplyReader {
    /// Starts the task on the current runtime.
    pub fn start() -> io::Result<ReplyReader> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let shared = Arc::new(Shared { registry, flights: Mutex::default(), next: AtomicUsize::new(1) });
        let task = tokio::spawn(work(GatherTimer::new(poll)?, shared.clone())).abort_handle();
        Ok(ReplyReader { shared, task })
    }

    /// Reads for another client from now on, whose replies have these limits.
    pub fn meet(&self, limits: Limits) -> Arc<Peer> {
        let mut flights = self.shared.lock();
        let peer = Arc::new(Peer { number: flights.peers.len(), limits, live: Arc::default() });
        flights.peers.push(peer.clone());
        flights.speaking.push(0);
        peer
    }

    /// Follows a flight to its end, which the channel tells; its request may be sent later. Fails
    /// when the socket cannot be watched; then the flight comes back.
    pub fn follow(&self, mut flight: Box<InFlight>) -> Result<Followed, (Box<InFlight>, io::Error)> {
        let token = Token(self.shared.next.fetch_add(1, Relaxed));
        let fd = flight.conn.socket.as_raw_fd();
        let known = std::mem::replace(&mut flight.conn.watched, true);
        let (done, landed) = oneshot::channel();
        // In the list before the poller can speak of it; both calls tell of what came before them.
        self.shared.lock().waiting.insert(token, Waiting { flight, done });
        let registry = &self.shared.registry;
        let watched = match known {
            true => registry.reregister(&mut SourceFd(&fd), token, Interest::READABLE),
            false => registry.register(&mut SourceFd(&fd), token, Interest::READABLE),
        };
        match watched.err().map(|error| (self.give_up(token), error)) {
            Some((Some(flight), error)) => Err((flight, error)),
            _ => Ok((token, landed)),
        }
    }

    /// Writes `rest`, which the socket has not taken at the first write, as it takes it.
    pub fn write_on(&self, token: Token, rest: Bytes) -> io::Result<()> {
        let mut flights = self.shared.lock();
        // A flight that is over has told so.
        let Some(waiting) = flights.waiting.get_mut(&token) else { return Ok(()) };
        waiting.flight.rest = rest;
        waiting.flight.writes_on = true;
        let fd = waiting.flight.conn.socket.as_raw_fd();
        self.shared.registry.reregister(&mut SourceFd(&fd), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Looks whether a limit was passed. What arrives is held against the limits when it is read;
    /// this is for silence, and for a socket that nobody comes to read. `overdue`: since when, the
    /// caller's to keep.
    pub fn look(&self, token: Token, overdue: &mut Option<Nanos>) -> Look {
        let now = os::now();
        let mut flights = self.shared.lock();
        let Some(waiting) = flights.waiting.get_mut(&token) else { return Look::At(now + SOON) };
        let flight = &mut waiting.flight;
        let limits = flight.peer.limits;
        // The limit that counts may change meanwhile, but never to one that ends before this.
        let soonest =
            flight.exchange.leave_within().map_or(limits.shortest(), |time| time.min(limits.shortest()));
        let next = now.saturating_add(soonest);
        if !flight.note_sent() {
            return Look::At(next);
        }
        let course = flight.exchange.course();
        match limits.deadline(&course) {
            // The round that reads it lets go of it.
            (_, Over::Whole) => Look::At(next),
            (deadline, _) if now < deadline => Look::At(deadline.min(next)),
            (deadline, Over::Left) => Look::Over(limits::left(deadline)),
            (_, Over::Late(limit)) => {
                let heard = now - *overdue.get_or_insert(now) >= HEARD_WITHIN || flight.conn.silent();
                if heard { Look::Over(limits.fault(limit, course.sent, now)) } else { Look::At(now + SOON) }
            }
        }
    }

    /// Takes a flight back before its end; `None`: it has just ended.
    pub fn give_up(&self, token: Token) -> Option<Box<InFlight>> {
        self.shared.lock().remove(token).map(|waiting| waiting.flight)
    }
}

impl Drop for ReplyReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Completed {
    /// Nothing more is sent from now on; what TCP tells of the request is in the exchange, and a
    /// connection with half a request on it is not used again.
    pub async fn settle(&mut self) {
        self.flight.settle().await;
        if !self.flight.exchange.was_sent() {
            return;
        }
        if let Some(told) = self.flight.conn.network() {
            self.flight.exchange.network(told);
        }
        self.result =
            std::mem::replace(&mut self.result, Ok(false)).map(|reusable| reusable && self.flight.whole());
    }
}

impl InFlight {
    /// Boxed, since it is handed on several times.
    pub fn new(conn: Conn, exchange: Box<Exchange>, shot: Arc<FirstWrite>, peer: Arc<Peer>) -> Box<InFlight> {
        let (rest, writes_on, failed, speaks) = (Bytes::new(), false, false, false);
        Box::new(InFlight { conn, exchange, peer, shot, rest, writes_on, failed, speaks })
    }

    /// Whether the request has begun to leave; if so, the exchange knows since when.
    fn note_sent(&mut self) -> bool {
        if !self.exchange.was_sent()
            && let Some(sent) = self.shot.sent()
        {
            self.exchange.sent(sent);
        }
        self.exchange.was_sent()
    }

    /// Nothing more is sent from now on; what was sent is in the exchange.
    async fn settle(&mut self) {
        if self.shot.call_off() {
            return;
        }
        self.note_sent();
        // A reply may be quicker than the look at the clock behind the write.
        let written = loop {
            match self.shot.written() {
                Some(written) => break written,
                // It is being written: by a thread that may wait for this core.
                None => {
                    std::thread::yield_now();
                    tokio::task::yield_now().await;
                }
            }
        };
        self.exchange.written(written);
    }

    /// The server was given the whole request. To be asked once it has settled.
    fn whole(&self) -> bool {
        (self.shot.whole() || self.writes_on && self.rest.is_empty()) && !self.failed
    }

    pub fn lands(self: Box<Self>, result: Result<bool, ExchangeFault>) -> Completed {
        Completed { flight: self, result }
    }

    /// Writes on what the socket has not taken; a server may answer before it has read a long
    /// request to its end (413), so what it says outlives a write that fails.
    fn write_on(&mut self) {
        while !self.rest.is_empty() {
            match os::send(self.conn.socket.as_raw_fd(), &self.rest) {
                Ok(n) => self.rest.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.rest.clear();
                    self.failed = true;
                }
            }
            self.exchange.written(os::now());
        }
    }

    /// Takes one read apart; `Some`: the reply is over.
    fn take(
        &mut self,
        received: Received,
        bytes: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<Result<bool, ExchangeFault>> {
        let received = self.conn.doubted(received);
        let sent = self.note_sent();
        let exchange = &mut self.exchange;
        let take = |received, bytes: &[u8]| {
            if sent { exchange.take(received, bytes).transpose() } else { Some(Err(unasked())) }
        };
        let taken = self.conn.unseal(received, bytes, plain, take);
        self.speaks |= sent && !self.exchange.unread();
        match taken {
            Ok(None) if sent => self.exchange.held_against(&self.peer.limits, received.at()),
            Ok(over) => over,
            Err(error) => Some(self.exchange.broken(error)),
        }
    }
}

/// The server has closed an idle connection, or has sent something on it.
fn unasked() -> ExchangeFault {
    ExchangeFault::new(Outcome::Disconnected, "the server ended the connection before the request was sent")
}

/// Waits for sockets to be ready and reads them, round after round.
async fn work(mut gather: GatherTimer, shared: Arc<Shared>) {
    let mut round = Round::new();
    let mut idle = true;
    loop {
        let wait = round.patience.wait().filter(|_| !idle);
        if let Some(wait) = wait
            && gather.wait(wait).await
        {
            round.waited = wait.as_nanos() as Nanos;
        } else if round.more() {
            // Others on this thread first.
            tokio::task::yield_now().await;
        } else {
            let open = shared.lock().open.front().map(|(until, _)| *until);
            tokio::select! {
                biased;
                ready = gather.ready() => if ready.is_err() {
                    return;
                },
                () = until(open) => {}
            }
        }
        idle = !round.turn(gather.poll(), &shared);
        round.waited = 0;
    }
}

/// Ends at `time`; never without one.
async fn until(time: Option<Nanos>) {
    match time {
        Some(time) => tokio::time::sleep(Duration::from_nanos((time - os::now()).max(0) as u64)).await,
        None => std::future::pending().await,
    }
}

/// A socket that has something to be read; whether its peer has closed it.
type Ready = (Token, bool);

/// What one read brought, or the error that it met, and where in the room it is.
type Read = (Token, io::Result<(Received, Range<usize>)>);

/// One round of reads, and the room for it.
struct Round {
    events: Events,
    ready: Vec<Ready>,
    /// Sockets that may have more than was read.
    again: Vec<Ready>,
    /// The poller may know of more than it told.
    full: bool,
    room: Box<[u8]>,
    filled: usize,
    reads: Vec<Read>,
    /// Room for one read after decryption.
    plain: Vec<u8>,
    patience: ReadCoalescing,
    /// How long arrivals were left to gather before this round.
    waited: Nanos,
    /// For each peer.
    arrived: Vec<Arrived>,
}

impl Round {
    fn new() -> Round {
        Round {
            events: Events::with_capacity(READY_MAX),
            ready: Vec::new(),
            again: Vec::new(),
            full: false,
            room: vec![0; ROUND_BYTES].into_boxed_slice(),
            filled: 0,
            reads: Vec::new(),
            plain: Vec::new(),
            patience: ReadCoalescing::default(),
            waited: 0,
            arrived: Vec::new(),
        }
    }

    fn more(&self) -> bool {
        self.full || !self.again.is_empty()
    }

    /// Reads every socket that is ready; false: none was.
    fn turn(&mut self, poll: &mut Poll, shared: &Shared) -> bool {
        self.ready.clear();
        self.ready.append(&mut self.again);
        // An interrupted look finds the same at the next.
        self.full = poll.poll(&mut self.events, Some(Duration::ZERO)).is_err();
        self.ready.extend(
            self.events.iter().map(|event| (event.token(), event.is_read_closed() || event.is_error())),
        );
        self.full |= self.events.iter().count() == READY_MAX;
        let flights = &mut *shared.lock();
        self.arrived.resize_with(flights.peers.len(), Arrived::default);
        self.patience.clients(flights.peers.len());
        let ready = std::mem::take(&mut self.ready);
        for ready in &ready {
            self.receive(*ready, flights);
        }
        self.ready = ready;
        self.digest(flights);
        for (peer, arrived) in flights.peers.iter().zip(&mut self.arrived) {
            peer.live.add(arrived);
        }
        let now = os::now();
        flights.leave_open(now);
        self.patience.choose(now, &flights.speaking);
        !self.ready.is_empty()
    }

    /// Reads one socket until it is empty, or until others should have their turn.
    fn receive(&mut self, (token, closed): Ready, flights: &mut Flights) {
        for _ in 0..FULL_READS_MAX {
            if self.room.len() - self.filled < READ_BYTES {
                self.digest(flights);
            }
            let Some(waiting) = flights.waiting.get_mut(&token) else { return };
            waiting.flight.write_on();
            let start = self.filled;
            match os::receive(
                waiting.flight.conn.socket.as_raw_fd(),
                &mut self.room[start..start + READ_BYTES],
            ) {
                Ok(received) => {
                    let received = Received { waited: self.waited, ..received };
                    self.filled += received.bytes;
                    self.reads.push((token, Ok((received, start..self.filled))));
                    // A short read has emptied the socket; what comes later is told anew. An end
                    // that came with the bytes is not.
                    let emptied = received.bytes < READ_BYTES && !closed;
                    if emptied || received.bytes == 0 {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.reads.push((token, Err(error))),
            }
        }
        self.again.push((token, closed));
    }

    /// Takes apart what was read, and lets go of replies that are over.
    fn digest(&mut self, flights: &mut Flights) {
        self.filled = 0;
        for (token, read) in self.reads.drain(..) {
            let Some(waiting) = flights.waiting.get_mut(&token) else { continue };
            let flight = &mut waiting.flight;
            let peer = flight.peer.number;
            let (spoke, before) = (flight.speaks, flight.exchange.course());
            let over = match read {
                Ok((received, at)) => {
                    let over = flight.take(received, &self.room[at], &mut self.plain);
                    self.patience.read(peer, flight.exchange.shared(), received.stamp.is_some());
                    let (outputs, sent) = (flight.exchange.outputs(), flight.exchange.since());
                    self.arrived[peer].add(outputs, received.at(), sent, before.latest);
                    over
                }
                Err(error) => Some(flight.exchange.broken(error)),
            };
            flights.speaking[peer] += usize::from(flight.speaks && !spoke);
            let whole = flight.exchange.course().whole;
            let Some(result) = over else {
                if let Some(whole) = whole.filter(|_| before.whole.is_none()) {
                    flights.open.push_back((whole + GRACE, token));
                }
                continue;
            };
            if !flight.exchange.unread() {
                self.patience.ended(peer, flight.exchange.lasted());
            }
            if let Some(Waiting { flight, done }) = flights.remove(token) {
                // A session that has gone asks no more.
                let _ = done.send(Completed { flight, result });
            }
        }
    }
}
