//! `Pacer`: a thread of its own that writes a request to its socket at the moment it is due.
//!
//! Runtime timers turn in steps of a millisecond and hand over to a task that must first be
//! scheduled; here one thread sleeps until an absolute deadline, takes the time and writes.

use super::first_write::FirstWrite;
use crate::os;
use crate::record::Nanos;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A shot that waits for its time.
struct Waiting {
    due: Nanos,
    /// Order of arrival: equal deadlines fire in the order of their slots.
    order: u64,
    /// Held, so that the descriptor cannot be closed and reused before the write.
    socket: Arc<TcpStream>,
    bytes: Bytes,
    shot: Arc<FirstWrite>,
    /// The server has to make do with this machine's cores, too.
    shares: bool,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    /// The earliest is the greatest, since the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

#[derive(Default)]
struct Queue {
    shots: BinaryHeap<Waiting>,
    next_order: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread and its queue. Dropping it ends the thread; shots that wait are given up.
pub struct Pacer {
    shared: Arc<Shared>,
}

impl Pacer {
    /// Starts the thread.
    pub fn start() -> io::Result<Pacer> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::Builder::new().name("pacer".into()).spawn(move || work(&theirs))?;
        Ok(Pacer { shared })
    }

    /// Fires `shot` at `due`: writes `bytes` to `socket`. A pacer that has ended never does.
    /// `shares`: the server has to make do with this machine's cores, too.
    pub fn fire_at(
        &self,
        due: Nanos,
        socket: Arc<TcpStream>,
        bytes: Bytes,
        shot: Arc<FirstWrite>,
        shares: bool,
    ) {
        let mut queue = self.shared.lock();
        let order = queue.next_order;
        queue.next_order += 1;
        let first = queue.shots.peek().is_none_or(|waiting| due < waiting.due);
        queue.shots.push(Waiting { due, order, socket, bytes, shot, shares });
        drop(queue);
        if first {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.shots.clear();
        drop(queue);
        self.shared.changed.notify_one();
    }
}

/// Shots that fire one after another before the pacer steps back from real-time priority.
const ORDINARY_FROM: u32 = 8;

/// From the end of one shot to the next in a burst, so that a quick server on this machine keeps up.
const BREATH: Nanos = 3_000;

/// A turn of others that took longer than this was not a server's that reads a request ...
const TURN_MAX: Nanos = 100_000;

/// ... nor does a start stay simultaneous when a burst gives away more than this ...
const TURNS_MAX: Nanos = 30_000_000;

/// ... and for so long no other turn is given.
const REFUSED_FOR: Nanos = 1_000_000_000;

/// Shots without a wait between them: a simultaneous start of many streams.
///
/// A server on the same machine must be able to read each request when it was sent, even where it
/// shares the pacer's core, or the time to its first token would hold the rest of the burst. So
/// the pacer steps back from the real-time priority that wakes it in time, and offers its core
/// after each shot, as long as others are brief.
struct Burst {
    /// Real-time priority may be had.
    urgent: bool,
    /// The server of the last shot shares this machine's cores.
    shares: bool,
    shots: u32,
    /// The end of the last shot.
    last: Nanos,
    /// What the turns of others have taken of this burst.
    given: Nanos,
    /// Others have kept the core for too long: no turn before this time.
    refused_until: Nanos,
}

impl Burst {
    fn new(urgent: bool) -> Burst {
        Burst { urgent, shares: false, shots: 0, last: 0, given: 0, refused_until: 0 }
    }

    fn fired(&mut self, shares: bool) {
        self.shares = shares;
        self.last = os::now();
        self.shots += 1;
        if self.urgent && self.shots == ORDINARY_FROM {
            os::be_urgent(false);
        }
    }

    /// Another shot is due already.
    fn goes_on(&mut self) {
        if self.shots < ORDINARY_FROM || !self.shares {
            return;
        }
        let before = os::now();
        if before >= self.refused_until {
            std::thread::yield_now();
            let after = os::now();
            self.given += after - before;
            if after - before > TURN_MAX || self.given > TURNS_MAX {
                self.refused_until = after + REFUSED_FOR;
            }
        }
        while os::now() - self.last < BREATH {
            std::hint::spin_loop();
        }
    }

    fn ends(&mut self) {
        if self.urgent && self.shots >= ORDINARY_FROM {
            os::be_urgent(true);
        }
        self.shots = 0;
        self.given = 0;
    }
}

/// Waking up takes tens of microseconds, and not always as many, which would blur the short gaps
/// of a fast schedule. So the pacer wakes up that much before the deadline and stays awake for
/// the rest, as long as that takes no more than a tenth of its time.
struct Margin {
    /// How late a wait ends, rarely more, nanoseconds.
    late: Nanos,
    /// Moving mean of the waits.
    wait: Nanos,
}

impl Margin {
    /// Never awake for longer than this before a deadline.
    const MOST: Nanos = 60_000;

    fn get(&self) -> Nanos {
        self.late.min(self.wait / 10).clamp(0, Self::MOST)
    }

    /// A wait of so long ended so late.
    fn learn(&mut self, wait: Nanos, late: Nanos) {
        self.wait += (wait - self.wait) / 8;
        let off = late - self.late;
        self.late += if off > 0 { off / 4 } else { off / 32 };
    }
}

fn work(shared: &Shared) {
    os::make_precise();
    let mut burst = Burst::new(os::be_urgent(true));
    let mut margin = Margin { late: 0, wait: 0 };
    let mut queue = shared.lock();
    while !queue.closed {
        let now = os::now();
        let due = queue.shots.peek().map(|shot| shot.due);
        queue = match due {
            None => {
                burst.ends();
                shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
            }
            // The futex under the condition variable waits for an absolute time.
            Some(due) if due - now > margin.get() => {
                burst.ends();
                let wait = due - now - margin.get();
                let time = Duration::from_nanos(wait as u64);
                let (queue, woken) =
                    shared.changed.wait_timeout(queue, time).unwrap_or_else(PoisonError::into_inner);
                if woken.timed_out() {
                    margin.learn(wait, os::now() - now - wait);
                }
                queue
            }
            Some(_) => {
                let Some(waiting) = queue.shots.pop() else { continue };
                drop(queue);
                fire(waiting, &mut burst);
                shared.lock()
            }
        };
    }
}

fn fire(waiting: Waiting, burst: &mut Burst) {
    // A session that has gone needs no exact time.
    if waiting.shot.called_off() {
        return;
    }
    if os::now() >= waiting.due {
        burst.goes_on();
    }
    while os::now() < waiting.due {
        std::hint::spin_loop();
    }
    waiting.shot.fire(&waiting.socket, waiting.bytes);
    burst.fired(waiting.shares);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_margin_follows_late_wakes_and_is_a_tenth_of_the_time_at_most() {
        let mut margin = Margin { late: 0, wait: 0 };
        (0..100).for_each(|_| margin.learn(1_000_000, 30_000));
        assert!((29_000..=30_000).contains(&margin.get()), "{}", margin.get());
        (0..100).for_each(|_| margin.learn(1_000_000, 5_000_000));
        assert_eq!(margin.get(), Margin::MOST);
        (0..100).for_each(|_| margin.learn(100_000, 30_000));
        assert!(margin.get() <= 10_100, "{}", margin.get());
    }

    fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("address");
        let socket = Arc::new(TcpStream::connect(address).expect("connects"));
        (socket, listener.accept().expect("accepts").0)
    }

    #[test]
    fn shots_leave_in_the_order_of_their_deadlines_and_never_early() {
        let (socket, mut peer) = pair();
        let pacer = Pacer::start().expect("starts");
        let base = os::now() + 2_000_000;
        let shots = [(200_000, "d"), (0, "a"), (100_000, "b"), (100_000, "c")].map(|(after, text)| {
            let shot = Arc::new(FirstWrite::default());
            let bytes = Bytes::from_static(text.as_bytes());
            pacer.fire_at(base + after, socket.clone(), bytes, shot.clone(), true);
            (base + after, shot)
        });
        let mut text = [0u8; 4];
        peer.read_exact(&mut text).expect("reads");
        assert_eq!(&text, b"abcd");
        for (due, shot) in shots {
            assert!(shot.sent().expect("was fired") >= due);
        }
    }

    #[test]
    fn a_dropped_pacer_gives_its_waiting_shots_up() {
        let (socket, mut peer) = pair();
        let pacer = Pacer::start().expect("starts");
        let shot = Arc::new(FirstWrite::default());
        pacer.fire_at(
            os::now() + 3_600_000_000_000,
            socket,
            Bytes::from_static(b"late"),
            shot.clone(),
            false,
        );
        drop(pacer);
        // The pacer's was the last hold on the socket.
        assert_eq!(peer.read(&mut [0; 1]).expect("reads"), 0);
        assert_eq!(shot.sent(), None);
    }
}
