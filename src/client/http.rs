//! `Http`: a request's way over HTTP/1.1, from its first write to its last byte.

use super::conn::{Conn, Tls};
use super::exchange::{Exchange, Fault};
use super::head::RequestHead;
use super::order::Order;
use super::pacer::{self, Pacer};
use super::pool::Pool;
use super::target::Target;
use super::{protocol, tls};
use crate::error::{Error, Kind};
use crate::os;
use crate::record::{Nanos, Outcome, Record, Request, Timeout};
use bytes::{Buf, Bytes};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A shot this near is written at once by the session itself.
const NEAR: Nanos = 30_000;

/// A client of one server.
pub struct Http {
    target: Arc<Target>,
    head: RequestHead,
    pool: Pool,
    pacer: Pacer,
}

impl Http {
    /// Resolves the host and prepares TLS; no traffic yet. Errors are sentences.
    pub async fn new(target: Arc<Target>) -> Result<Http, Error> {
        os::raise_open_files();
        let host = target.base.host_str().unwrap_or_default().to_string();
        let port = target.base.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| {
                Error::new(Kind::NotReady, format!("cannot find the host {host}: {error}"))
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
        let pacer = Pacer::start()
            .map_err(|error| Error::run(format!("cannot start the thread that paces sends: {error}")))?;
        let head = RequestHead::new(&target).map_err(Error::usage)?;
        let pool = Pool::new(addresses, tls, target.timeouts.connect, target.connections);
        Ok(Http { target, head, pool, pacer })
    }

    pub fn encode(&self, request: &Request, id: &str) -> Bytes {
        let body = protocol::body(&self.target, request);
        let mut bytes = Vec::with_capacity(body.len() + 512);
        self.head.write(id, body.len(), &mut bytes);
        bytes.extend_from_slice(&body);
        bytes.into()
    }

    pub async fn open_ahead(&self, n: usize) {
        self.pool.open_ahead(n).await;
    }

    pub fn connect_time(&self) -> Nanos {
        self.pool.connect_time()
    }

    /// See [`super::Client::send`].
    pub async fn send(&self, mut order: Order, cancel: impl Future<Output = ()> + Send) -> Record {
        let bytes = std::mem::take(&mut order.bytes);
        let mut exchange = Exchange::new(self.target.api, self.target.stream, order);
        let ended = tokio::select! {
            biased;
            ended = self.carry(&mut exchange, bytes) => ended,
            () = cancel => Err(Fault::new(Outcome::Cancelled, "given up before it ended")),
        };
        let mut record = exchange.finish(ended);
        // A server may repeat a key that it refused.
        record.error = record.error.map(|words| self.target.scrub(&words));
        record
    }

    /// Sends on a connection; once more on a fresh one when a used one died unread.
    async fn carry(&self, exchange: &mut Exchange, plain: Bytes) -> Result<(), Fault> {
        let mut conn = match self.pool.take_idle(exchange.session()) {
            Some(conn) => conn,
            None => self.pool.open().await.map_err(connect_fault)?,
        };
        let mut pooled = conn.idle_since != conn.opened.done || conn.served > 0;
        loop {
            let reused = conn.served > 0;
            exchange.begin(&conn);
            let result = self.exchange(&mut conn, exchange, &plain).await;
            match result {
                Ok(reusable) => {
                    if reused {
                        self.pool.reuse_worked(true);
                    }
                    if reusable {
                        self.pool.give_back(conn, exchange.session());
                    }
                    return Ok(());
                }
                Err(fault) if pooled && exchange.unread() && fault.outcome == Outcome::Disconnected => {
                    if reused {
                        self.pool.reuse_worked(false);
                    }
                    exchange.reconnect();
                    conn = self.pool.open().await.map_err(connect_fault)?;
                    pooled = false;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// One request and its reply on one connection. True: the connection may be used again.
    async fn exchange(&self, conn: &mut Conn, exchange: &mut Exchange, plain: &Bytes) -> Result<bool, Fault> {
        let sealed = conn.seal(plain.clone()).map_err(broken)?;
        let (sent, mut rest) = self.write(conn, exchange, sealed).await?;
        let limits = &self.target.timeouts;
        let mut armed = exchange.deadline(limits).0;
        let sleep = tokio::time::sleep_until(instant(armed));
        tokio::pin!(sleep);
        let mut whole = true;
        loop {
            tokio::select! {
                biased;
                ready = conn.readable() => ready.map_err(broken)?,
                // A server may answer before it has read a long request to its end (413): the
                // rest is written beside reading, and what it said outlives a write that failed.
                ready = conn.socket.writable(), if !rest.is_empty() => {
                    ready.map_err(broken)?;
                    match conn.socket.try_write(&rest) {
                        Ok(n) => rest.advance(n),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => {
                            rest.clear();
                            whole = false;
                        }
                    }
                    exchange.written(os::now());
                    continue;
                }
                () = &mut sleep => {
                    let (deadline, limit) = exchange.deadline(limits);
                    if os::now() >= deadline {
                        return Err(timed_out(limit, limits, sent));
                    }
                    armed = deadline;
                    sleep.as_mut().reset(instant(deadline));
                    continue;
                }
            }
            match conn.read(|received, bytes| exchange.take(received, bytes)) {
                Ok(None) => {}
                Ok(Some(Ok(None))) => {}
                Ok(Some(Ok(Some(reusable)))) => return Ok(reusable && whole && rest.is_empty()),
                Ok(Some(Err(fault))) => return Err(fault),
                Err(error) => return exchange.broken(error),
            }
            // A deadline that moved away is seen when the timer fires; one that came nearer (the
            // first token has passed, silence now counts) must be armed.
            let (deadline, _) = exchange.deadline(limits);
            if deadline < armed {
                armed = deadline;
                sleep.as_mut().reset(instant(deadline));
            }
        }
    }

    /// The first write at its time. Gives when it began, and the bytes that it left over.
    async fn write(
        &self,
        conn: &Conn,
        exchange: &mut Exchange,
        mut sealed: Bytes,
    ) -> Result<(Nanos, Bytes), Fault> {
        let due = exchange.due();
        let fired = if due > os::now() + NEAR {
            let shot = self.pacer.write_at(due, conn.socket.clone(), sealed.clone());
            shot.await.ok_or_else(|| Fault::new(Outcome::Cancelled, "the pacer has ended"))?
        } else {
            pacer::fire(&conn.socket, &sealed)
        };
        exchange.sent(fired.sent, fired.written);
        sealed.advance(fired.result.map_err(broken)?);
        Ok((fired.sent, sealed))
    }
}

fn connect_fault(error: io::Error) -> Fault {
    let outcome = match error.kind() {
        io::ErrorKind::TimedOut => Outcome::TimedOut(Timeout::Connect),
        _ => Outcome::Connect,
    };
    let hint = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            " (raise the limit of open files, or have fewer requests in flight)"
        }
        _ => "",
    };
    Fault::new(outcome, format!("cannot connect: {error}{hint}"))
}

/// A connection that broke before we read anything of a response.
fn broken(error: io::Error) -> Fault {
    Fault::new(Outcome::Disconnected, format!("the connection broke before any response: {error}"))
}

fn timed_out(limit: Timeout, limits: &super::target::Timeouts, sent: Nanos) -> Fault {
    let (name, time) = match limit {
        Timeout::Connect => ("connect", limits.connect),
        Timeout::FirstToken => ("first-token", limits.first_token),
        Timeout::Idle => ("idle", limits.idle),
        Timeout::Total => ("total", limits.total),
    };
    let after = (os::now() - sent) as f64 / 1e9;
    let text = format!("the {name} timeout of {} s was over {after:.3} s after the send", time.as_secs_f64());
    Fault::new(Outcome::TimedOut(limit), text)
}

/// The runtime's clock for a time on ours.
fn instant(time: Nanos) -> Instant {
    Instant::now() + Duration::from_nanos((time - os::now()).max(0) as u64)
}
