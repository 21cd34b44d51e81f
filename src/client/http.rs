//! `Http`: a request's way over HTTP/1.1, from its first write to its last byte.

use super::conn::{Conn, Tls};
use super::exchange::{Exchange, ExchangeFault};
use super::first_write::{CallsOff, FirstWrite};
use super::head::RequestHead;
use super::limits::Limits;
use super::live::Live;
use super::outage::{self, Outage};
use super::outgoing_request::OutgoingRequest;
use super::pool::Pool;
use super::reader::{Completed, Followed, InFlight, Look, Peer};
use super::target::Target;
use super::transport::Transport;
use super::{Cancel, protocol, tls, trouble};
use crate::error::{Error, ErrorKind};
use crate::os;
use crate::record::{Nanos, Outcome, PackedRecord, Request, Timeout};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A shot this near is written at once by the session itself.
const NEAR: Nanos = 30_000;

/// How often a request that has not been sent may lose its connection.
const UNSENT_MAX: u32 = 3;

/// A client of one server.
pub struct Http {
    target: Arc<Target>,
    head: RequestHead,
    pool: Pool,
    transport: Arc<Transport>,
    /// What the reader knows of this client.
    peer: Arc<Peer>,
    /// The server has to make do with this machine's cores, too.
    shares: bool,
    /// The first look at a reply is due when the shortest limit may be over.
    first_look: Nanos,
}

impl Http {
    /// Resolves the host and prepares TLS; no traffic yet. `transport` is lent to all clients that
    /// send at the same time. Errors are sentences.
    pub async fn new(target: Arc<Target>, transport: Arc<Transport>) -> Result<Http, Error> {
        os::raise_open_files();
        let host = target.base.host_str().unwrap_or_default().to_string();
        let port = target.base.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| {
                Error::new(ErrorKind::NotReady, format!("cannot find the host {host}: {error}"))
                    .hint("check the spelling of the base URL")
            })?
            .collect();
        let tls = match target.base.scheme() {
            "https" => {
                let config = tls::config(target.insecure, target.ca_cert.as_deref())?;
                let name = rustls::pki_types::ServerName::try_from(bare.to_string())
                    .map_err(|error| Error::usage(format!("{host} is no name for TLS: {error}")))?;
                Some(Tls { config, name })
            }
            _ => None,
        };
        let shares = addresses.iter().all(|address| address.ip().is_loopback());
        let limits = Limits::new(&target.timeouts);
        let peer = transport.reader.meet(limits);
        let head = RequestHead::new(&target).map_err(Error::usage)?;
        let pool = Pool::new(addresses, tls, target.timeouts.connect, target.connections);
        Ok(Http { target, head, pool, transport, peer, shares, first_look: limits.shortest() })
    }

    pub fn encode(&self, request: &Request, id: &str) -> Bytes {
        let body = protocol::body(&self.target, request);
        let mut bytes = Vec::with_capacity(self.head.length(id) + body.len());
        self.head.write(id, &request.headers, body.len(), &mut bytes);
        bytes.extend_from_slice(&body);
        bytes.into()
    }

    /// Where its connections go, the one or the other.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.pool.addresses()
    }

    pub async fn open_ahead(&self, n: usize) {
        self.pool.open_ahead(n).await;
    }

    pub fn connect_time(&self) -> Nanos {
        self.pool.connect_time()
    }

    /// What arrives meanwhile.
    pub fn live(&self) -> Arc<Live> {
        self.peer.live.clone()
    }

    /// See [`super::Client::send`].
    pub async fn send(&self, mut order: Box<OutgoingRequest>, cancel: Cancel<'_>) -> PackedRecord {
        order.request.forced_length = protocol::forces_length(&self.target, &order.request);
        // As it was encoded: what the user lays over it may ask for another length, or several replies.
        order.request.max_tokens = protocol::asked_output(&self.target, &order.request);
        // Boxed, since it is handed on several times; the room of the order is free from here on.
        let outage = order.outage.clone();
        let mut exchange = Box::new(Exchange::new(&self.target, *order));
        exchange.events_max = self.target.events_max;
        let (exchange, ended) = self.carry(exchange, outage.as_deref(), cancel).await;
        let outputs = exchange.outputs_in_all();
        let parcel = exchange.finish(ended);
        if let Some(tokens) = parcel.record.usage.output {
            self.peer.live.told(outputs, u64::from(tokens));
        }
        parcel
    }

    /// Sends on a connection; once more on a fresh one when a used one died unread. As long as
    /// nothing was sent, another connection is no second try.
    async fn carry(
        &self,
        mut exchange: Box<Exchange>,
        outage: Option<&Outage>,
        mut cancel: Cancel<'_>,
    ) -> (Box<Exchange>, Result<(), ExchangeFault>) {
        let mut fresh = false;
        let mut unsent = 0;
        loop {
            let idle = if fresh { None } else { self.pool.take_idle(exchange.session()) };
            fresh = true;
            // Boxed: most requests find a connection and need no room for this.
            let conn = match idle {
                Some(conn) => conn,
                None => match Box::pin(self.connect(&mut exchange, outage, &mut cancel)).await {
                    Ok(conn) => conn,
                    Err(fault) => return (exchange, Err(fault)),
                },
            };
            let reused = conn.served > 0;
            let first_look =
                exchange.leave_within().map_or(self.first_look, |time| time.min(self.first_look));
            let mut landed = match self.launch(conn, exchange) {
                Ok((followed, shot)) => self.follow(followed, shot, first_look, &mut cancel).await,
                Err(landed) => landed,
            };
            landed.settle().await;
            let Completed { flight, result } = landed;
            exchange = flight.exchange;
            match result {
                Ok(reusable) => {
                    if reused {
                        self.pool.reuse_worked(true);
                    }
                    if reusable {
                        self.pool.give_back(flight.conn, exchange.session());
                    }
                    return (exchange, Ok(()));
                }
                Err(fault) if fault.outcome != Outcome::Disconnected || !exchange.unread() => {
                    return (exchange, Err(fault));
                }
                Err(_) if !exchange.was_sent() && unsent < UNSENT_MAX => unsent += 1,
                Err(_) if exchange.was_sent() && exchange.kept() => exchange.reconnect(),
                Err(fault) => return (exchange, Err(fault)),
            }
            if reused {
                self.pool.reuse_worked(false);
            }
        }
    }

    /// A new connection. In an outage that is waited for, it is tried again until the server is
    /// back.
    async fn connect(
        &self,
        exchange: &mut Exchange,
        outage: Option<&Outage>,
        cancel: &mut Cancel<'_>,
    ) -> Result<Conn, ExchangeFault> {
        let began = os::now();
        loop {
            exchange.connects(os::now());
            let error = tokio::select! {
                biased;
                // First: nobody connects any more when thousands are given up at once.
                () = &mut *cancel => return Err(given_up()),
                opened = self.pool.open() => match opened {
                    Ok(conn) => {
                        outage.into_iter().for_each(Outage::ends);
                        return Ok(conn);
                    }
                    Err(error) => error,
                },
            };
            let now = os::now();
            outage.into_iter().for_each(|outage| outage.goes_on(now));
            let tries = exchange.connect_tries();
            let waits = outage
                .filter(|_| outage::may_end(&error))
                .and_then(|outage| Some((outage, outage.pause(tries, now)?)));
            let Some((outage, pause)) = waits else {
                let fault = connect_fault(error);
                return Err(if tries > 1 { tried(fault, tries, now - began) } else { fault });
            };
            tokio::select! {
                biased;
                () = &mut *cancel => return Err(given_up()),
                () = outage.wait(pause) => {}
            }
        }
    }

    /// Sends a request, or has it sent when it is due, and has its reply read. No future, so that
    /// nothing of this takes room in a session's task.
    fn launch(
        &self,
        mut conn: Conn,
        mut exchange: Box<Exchange>,
    ) -> Result<(Followed, Arc<FirstWrite>), Completed> {
        exchange.begin(&conn);
        let shot = Arc::new(FirstWrite::default());
        let sealed = match conn.seal(exchange.request()) {
            Ok(sealed) => sealed,
            Err(error) => return Err(self.flight(conn, exchange, shot).lands(Err(broken(error)))),
        };
        let (due, socket) = (exchange.due(), conn.socket.clone());
        let paced = due > os::now() + NEAR;
        if !paced {
            shot.fire(&socket, sealed.clone());
        }
        match self.transport.reader.follow(self.flight(conn, exchange, shot.clone())) {
            Ok(followed) => {
                if paced {
                    self.transport.pacer.fire_at(due, socket, sealed, shot.clone(), self.shares);
                }
                Ok((followed, shot))
            }
            Err((flight, error)) => Err(flight.lands(Err(broken(error)))),
        }
    }

    fn flight(&self, conn: Conn, exchange: Box<Exchange>, shot: Arc<FirstWrite>) -> Box<InFlight> {
        InFlight::new(conn, exchange, shot, self.peer.clone())
    }

    /// Waits for the end of the reply, or of the time that it has.
    async fn follow(
        &self,
        (token, mut landed): Followed,
        shot: Arc<FirstWrite>,
        first_look: Nanos,
        cancel: &mut Cancel<'_>,
    ) -> Completed {
        let _unless_it_left = CallsOff(&shot);
        let sleep = tokio::time::sleep_until(instant(os::now().saturating_add(first_look)));
        tokio::pin!(sleep);
        let mut overdue = None;
        let fault = loop {
            tokio::select! {
                biased;
                Ok(landed) = &mut landed => return landed,
                () = &mut *cancel => break given_up(),
                rest = shot.fell_short() => {
                    if let Err(error) = rest.and_then(|rest| self.transport.reader.write_on(token, rest)) {
                        break broken(error);
                    }
                }
                () = &mut sleep => match self.transport.reader.look(token, &mut overdue) {
                    Look::Over(fault) => break fault,
                    Look::At(time) => sleep.as_mut().reset(instant(time)),
                },
            }
        };
        // Nothing is sent for a request that was given up.
        shot.call_off();
        match self.transport.reader.give_up(token) {
            Some(flight) => flight.lands(Err(fault)),
            // It has ended in this very moment.
            None => landed.await.expect("what is not in flight has landed"),
        }
    }
}

fn connect_fault(error: io::Error) -> ExchangeFault {
    let outcome = match error.kind() {
        io::ErrorKind::TimedOut => Outcome::TimedOut(Timeout::Connect),
        _ => Outcome::Connect,
    };
    let hint = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            " (raise the limit of open files, or have fewer requests in flight)"
        }
        Some(libc::EADDRNOTAVAIL) => {
            " (no local port is left: widen net.ipv4.ip_local_port_range, or have fewer requests in flight)"
        }
        _ => "",
    };
    let told = trouble::words(&error).unwrap_or_else(|| error.to_string());
    ExchangeFault::new(outcome, format!("cannot connect: {told}{hint}"))
}

/// A server that stayed away.
fn tried(fault: ExchangeFault, tries: u32, lasted: Nanos) -> ExchangeFault {
    let text = format!("{} (tried {tries} times in {:.1} s)", fault.text, lasted as f64 / 1e9);
    ExchangeFault { text, ..fault }
}

/// A connection that broke before we read anything of a response.
fn broken(error: io::Error) -> ExchangeFault {
    ExchangeFault::new(Outcome::Disconnected, format!("the connection broke before any response: {error}"))
}

fn given_up() -> ExchangeFault {
    ExchangeFault::new(Outcome::Cancelled, "given up before it ended")
}

/// The runtime's clock for a time on ours.
fn instant(time: Nanos) -> Instant {
    Instant::now() + Duration::from_nanos((time - os::now()).max(0) as u64)
}
