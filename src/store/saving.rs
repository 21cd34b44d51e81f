//! `Saving`: how the rows of a run are being saved, as others see it.

use crate::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of rows that may be held: more, and the load must stop.
pub const HELD_BYTES: usize = 128 << 20;
/// Requests that were in flight then still end: their rows are held, too, up to this.
const HELD_BYTES_MAX: usize = 2 * HELD_BYTES;
/// A disk that has not taken the next rows for so long is told of.
const STALL: Duration = Duration::from_secs(3);

/// What happened to the saving of rows; each is told when it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A write failed; the sentence says which and why.
    Failing(String),
    /// The disk does not answer.
    Stalled,
    /// Rows are written again, and none was lost.
    Over,
    /// No more rows can be held.
    Full,
}

type Listener = Box<dyn Fn(Trouble) + Send + Sync>;

#[derive(Default)]
pub struct Saving {
    listener: OnceLock<Listener>,
    taken: AtomicU64,
    saved: AtomicU64,
    /// What was told is not over.
    troubled: AtomicBool,
    full: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When trying again ends.
    over: Option<Instant>,
    /// When something was last written.
    moved: Option<Instant>,
}

impl Saving {
    /// Hears of all that happens from now on. It is called on the thread that writes, and on the one that
    /// hands rows over.
    pub fn listen(&self, listener: impl Fn(Trouble) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    /// No more rows can be held: the load must stop.
    pub fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Counts `rows` that come; false when there is no room for them. `held`: bytes that wait with them;
    /// `waited`: for how long the first of them has waited.
    pub(super) fn take(&self, rows: u64, held: usize, waited: Duration) -> bool {
        self.taken.fetch_add(rows, Relaxed);
        self.waits(waited);
        if held >= HELD_BYTES && !self.full.swap(true, Relaxed) {
            self.tell(Trouble::Full);
        }
        held < HELD_BYTES_MAX
    }

    /// The disk has taken nothing for so long, although there is something.
    pub(super) fn waits(&self, waited: Duration) {
        if waited >= STALL && !self.troubled.load(Relaxed) {
            self.tell(Trouble::Stalled);
        }
    }

    pub(super) fn saved(&self, rows: u64) {
        self.saved.fetch_add(rows, Relaxed);
        self.moves();
        if self.troubled.swap(false, Relaxed) {
            self.tell(Trouble::Over);
        }
    }

    pub(super) fn moves(&self) {
        self.state().moved = Some(Instant::now());
    }

    pub(super) fn tell(&self, trouble: Trouble) {
        if matches!(trouble, Trouble::Failing(_) | Trouble::Stalled) {
            self.troubled.store(true, Relaxed);
        }
        if let Some(listener) = self.listener.get() {
            listener(trouble);
        }
    }

    pub(super) fn end_by(&self, at: Instant) {
        let mut state = self.state();
        state.over = Some(at);
        state.moved = Some(Instant::now());
    }

    /// Whether nothing is tried again any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.state().over.is_some_and(|over| over <= now)
    }

    /// How long nothing has been written.
    pub(super) fn rests_for(&self) -> Duration {
        self.state().moved.map(|moved| moved.elapsed()).unwrap_or_default()
    }

    /// Adds to an error what is safe in the results folder.
    pub(super) fn lost(&self, error: Error, results: &Path) -> Error {
        let (taken, saved) = (self.taken.load(Relaxed), self.saved.load(Relaxed));
        let message = match (results.exists(), saved >= taken) {
            (false, _) => {
                format!("{}; it held {saved} of {taken} requests when it was moved or deleted", error.message)
            }
            (true, true) => format!("{}; all {taken} requests are safe in a journal there", error.message),
            (true, false) => format!("{}; {saved} of {taken} requests are safe", error.message),
        };
        Error { message, ..error }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
