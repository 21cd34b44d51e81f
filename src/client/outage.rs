//! `Outage`: since when a server cannot be reached, and how long that is borne with.
//!
//! Shared by all requests of a run: the patience is with the server, so that a thousand requests
//! do not each wait for one that stays away.

use crate::record::Nanos;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// The first pause before another try; each is twice as long as the one before ...
pub const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// ... up to this.
pub const PAUSE_MAX: Duration = Duration::from_secs(1);

/// In place of a time: the last connection that was tried was opened.
const NONE: Nanos = Nanos::MIN;

/// One run's view of its server.
#[derive(Debug)]
pub struct Outage {
    /// How long it is borne with, nanoseconds.
    borne: Nanos,
    /// Requests wait for it to end, as they do in a closed loop.
    waited_for: bool,
    since: AtomicI64,
    /// Nobody waits any longer.
    given_up: AtomicBool,
    told: Notify,
}

impl Outage {
    /// `waited_for`: a request that finds it waits, instead of failing.
    pub fn new(borne: Duration, waited_for: bool) -> Outage {
        let borne = Nanos::try_from(borne.as_nanos()).unwrap_or(Nanos::MAX);
        let (since, given_up) = (AtomicI64::new(NONE), AtomicBool::new(false));
        Outage { borne, waited_for, since, given_up, told: Notify::new() }
    }

    /// A connection was opened.
    pub fn ends(&self) {
        self.since.store(NONE, Relaxed);
    }

    /// A connection could not be opened, as of `now`.
    pub fn goes_on(&self, now: Nanos) {
        // Whoever comes second finds it begun.
        let _ = self.since.compare_exchange(NONE, now, Relaxed, Relaxed);
    }

    /// It has lasted longer than it is borne with.
    pub fn is_too_long(&self, now: Nanos) -> bool {
        match self.since.load(Relaxed) {
            // Over, though its failures may be the last that is known; without patience they count.
            NONE => self.borne == 0,
            since => now - since >= self.borne,
        }
    }

    /// How long to wait before a try that comes after so many; `None`: not any more.
    pub fn pause(&self, tries: u32, now: Nanos) -> Option<Duration> {
        let since = self.since.load(Relaxed);
        let left = if since == NONE { self.borne } else { since.saturating_add(self.borne) - now };
        if !self.waited_for || left <= 0 || self.given_up.load(Relaxed) {
            return None;
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(PAUSE_MAX);
        Some(pause.min(Duration::from_nanos(left as u64)))
    }

    /// From now on nobody waits: the run is over.
    pub fn give_up(&self) {
        self.given_up.store(true, Relaxed);
        self.told.notify_waiters();
    }

    /// Waits before another try; no longer than anybody waits.
    pub async fn wait(&self, pause: Duration) {
        // Listens before it looks, so that nothing is missed.
        let told = self.told.notified();
        if self.is_given_up() {
            return;
        }
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed)
    }

    /// How long it is borne with.
    pub fn borne(&self) -> Duration {
        Duration::from_nanos(self.borne as u64)
    }
}

/// Whether a server that is started again may look like this from outside. A wrong certificate
/// does not become good, and a name that is not found is not found later.
pub fn may_end(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | ConnectionAborted
            | BrokenPipe
            | UnexpectedEof
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn pauses_grow_and_end_with_the_patience() {
        let outage = Outage::new(Duration::from_secs(3), true);
        outage.goes_on(100 * S);
        outage.goes_on(101 * S);
        let ms = |tries, now| outage.pause(tries, now).map(|pause| pause.as_millis());
        let told: Vec<_> = (1..=7).map(|tries| ms(tries, 100 * S)).collect();
        assert_eq!(told, [50, 100, 200, 400, 800, 1_000, 1_000].map(Some));
        assert_eq!(ms(u32::MAX, 100 * S), Some(1_000));
        assert_eq!(ms(9, 102 * S + S / 2), Some(500), "no longer than what is left");
        assert!(!outage.is_too_long(103 * S - 1));
        assert_eq!(ms(9, 103 * S), None);
        assert!(outage.is_too_long(103 * S));
    }

    #[test]
    fn a_connection_begins_the_patience_anew() {
        let outage = Outage::new(Duration::from_secs(3), true);
        outage.goes_on(100 * S);
        outage.ends();
        outage.goes_on(200 * S);
        assert!(outage.pause(1, 202 * S).is_some() && !outage.is_too_long(202 * S));
    }

    #[test]
    fn nobody_waits_in_an_open_loop_or_when_the_run_is_over() {
        let open = Outage::new(Duration::from_secs(30), false);
        open.goes_on(100 * S);
        assert_eq!(open.pause(1, 100 * S), None);
        assert!(!open.is_too_long(101 * S), "the run itself goes on");
        let closed = Outage::new(Duration::from_secs(30), true);
        closed.goes_on(100 * S);
        closed.give_up();
        assert_eq!(closed.pause(1, 100 * S), None);
        assert_eq!(Outage::new(Duration::ZERO, true).pause(1, 100 * S), None, "no patience at all");
        assert!(!Outage::new(Duration::from_secs(30), true).is_too_long(0), "there is none");
        assert!(Outage::new(Duration::ZERO, true).is_too_long(0), "no patience at all");
    }

    #[test]
    fn only_what_a_restart_looks_like_is_waited_for() {
        for (kind, waits) in [
            (io::ErrorKind::ConnectionRefused, true),
            (io::ErrorKind::ConnectionReset, true),
            (io::ErrorKind::UnexpectedEof, true),
            (io::ErrorKind::InvalidData, false),
            (io::ErrorKind::TimedOut, false),
            (io::ErrorKind::PermissionDenied, false),
        ] {
            assert_eq!(may_end(&io::Error::from(kind)), waits, "{kind}");
        }
    }
}
