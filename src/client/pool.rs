//! `Pool`: connections that are opened before they are needed and thrown away when the server
//! says so.

use super::conn::{Conn, Tls};
use super::target::Connections;
use crate::os;
use crate::record::Nanos;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// vLLM drops an idle connection after 5 s: ours are retired before.
const IDLE_MAX: Nanos = 3_000_000_000;

/// Idle connections to one server.
pub struct Pool {
    addresses: Vec<SocketAddr>,
    /// Index of the address that answered last.
    answered: AtomicUsize,
    tls: Option<Tls>,
    connect_timeout: Duration,
    connect_time: AtomicI64,
    policy: Connections,
    /// The one given back last is at the back; each with the session that it carried.
    idle: Mutex<VecDeque<(u64, Conn)>>,
    /// Reuses that worked, and that found the connection dead.
    reused: AtomicU32,
    dead: AtomicU32,
}

impl Pool {
    pub fn new(
        addresses: Vec<SocketAddr>,
        tls: Option<Tls>,
        connect_timeout: Duration,
        policy: Connections,
    ) -> Pool {
        Pool {
            addresses,
            answered: AtomicUsize::new(0),
            tls,
            connect_timeout,
            connect_time: AtomicI64::new(0),
            policy,
            idle: Mutex::default(),
            reused: AtomicU32::new(0),
            dead: AtomicU32::new(0),
        }
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A live idle connection for a request of `session`.
    pub fn take_idle(&self, session: u64) -> Option<Conn> {
        let now = os::now();
        loop {
            let mut conn = self.pick(session)?;
            if now - conn.idle_since < IDLE_MAX && conn.fit() {
                return Some(conn);
            }
        }
    }

    fn pick(&self, session: u64) -> Option<Conn> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let picked = match self.policy {
            Connections::Pooled => idle.pop_back(),
            Connections::RoundRobin => idle.pop_front(),
            // Only a connection that has carried nothing: it was opened ahead.
            Connections::PerRequest => {
                let fresh = idle.iter().position(|(_, conn)| conn.served == 0)?;
                idle.remove(fresh)
            }
            Connections::Sticky => {
                let own = |(carried, conn): &(u64, Conn)| conn.served > 0 && *carried == session;
                let own = idle
                    .iter()
                    .position(own)
                    .or_else(|| idle.iter().position(|(_, conn)| conn.served == 0))?;
                idle.remove(own)
            }
        };
        picked.map(|(_, conn)| conn)
    }

    /// A new connection, within the time limit; every address of the host is tried, each with its
    /// share of what is left of the time.
    pub async fn open(&self) -> io::Result<Conn> {
        let first = self.answered.load(Ordering::Relaxed);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        let limit = tokio::time::Instant::now() + self.connect_timeout;
        let addresses = self.addresses.len();
        for i in 0..addresses {
            let at = (first + i) % addresses;
            let attempt = Conn::open(self.addresses[at], self.tls.as_ref());
            let left = limit.saturating_duration_since(tokio::time::Instant::now());
            match tokio::time::timeout(left / (addresses - i) as u32, attempt).await {
                Ok(Ok(conn)) => {
                    self.answered.store(at, Ordering::Relaxed);
                    let took = conn.opened.done - conn.opened.started;
                    self.connect_time.store(took, Ordering::Relaxed);
                    return Ok(conn);
                }
                Ok(Err(error)) => last = error,
                Err(_) => {
                    let limit = self.connect_timeout.as_secs_f64();
                    last = io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no connection within the connect timeout of {limit} s"),
                    );
                }
            }
        }
        Err(last)
    }

    /// How long opening the last connection took.
    pub fn connect_time(&self) -> Nanos {
        self.connect_time.load(Ordering::Relaxed)
    }

    /// Opens up to `n` connections and keeps them. The first failure ends it, and is left to the
    /// requests that will need one.
    pub async fn open_ahead(&self, n: usize) {
        let opening = (0..n).map(|_| self.open());
        let mut opening: Vec<_> = opening.map(Box::pin).collect();
        for chunk in opening.chunks_mut(64) {
            let opened = join_all(chunk).await;
            let all = opened.iter().all(Result::is_ok);
            for conn in opened.into_iter().flatten() {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back((0, conn));
            }
            if !all {
                return;
            }
        }
    }

    /// Takes a connection back after a reply that left it usable. A server that has closed
    /// reused connections and never let a reuse work gets a new connection for each request.
    pub fn give_back(&self, mut conn: Conn, session: u64) {
        if self.policy == Connections::PerRequest {
            return;
        }
        conn.served += 1;
        conn.idle_since = os::now();
        let hopeless = self.dead.load(Ordering::Relaxed) > 0 && self.reused.load(Ordering::Relaxed) == 0;
        if !hopeless {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back((session, conn));
        }
    }

    /// What became of a request on a connection that had carried another.
    pub fn reuse_worked(&self, worked: bool) {
        let count = if worked { &self.reused } else { &self.dead };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Drives all of them at once.
async fn join_all<F: Future + Unpin>(futures: &mut [F]) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none() {
                match std::pin::Pin::new(future).poll(context) {
                    std::task::Poll::Ready(output) => *result = Some(output),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    results.into_iter().flatten().collect()
}
