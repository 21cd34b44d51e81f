//! `Pacer`: a thread of its own that writes a request to its socket at the moment it is due.
//!
//! Runtime timers turn in steps of a millisecond and hand over to a task that must first be
//! scheduled; here one thread sleeps until an absolute deadline, takes the time and writes.

use crate::os;
use crate::record::Nanos;
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What happened at the deadline.
#[derive(Debug)]
pub struct Fired {
    /// The time right before the write.
    pub sent: Nanos,
    /// The time right after it.
    pub written: Nanos,
    /// How much of the request the socket took.
    pub result: io::Result<usize>,
}

/// Takes the time, writes what the socket takes at once, takes the time again.
pub fn fire(socket: &TcpStream, bytes: &[u8]) -> Fired {
    let sent = os::now();
    let result = match os::send(socket.as_raw_fd(), bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    };
    Fired { sent, written: os::now(), result }
}

struct Shot {
    due: Nanos,
    /// Order of arrival: equal deadlines fire in the order of their slots.
    order: u64,
    /// Held, so that the descriptor cannot be closed and reused before the write.
    socket: Arc<TcpStream>,
    bytes: Bytes,
    done: oneshot::Sender<Fired>,
}

impl PartialEq for Shot {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Shot {}

impl PartialOrd for Shot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Shot {
    /// The earliest is the greatest, since the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

#[derive(Default)]
struct Queue {
    shots: BinaryHeap<Shot>,
    next_order: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
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

    /// Writes `bytes` to `socket` at `due`. `None` if the pacer ended before.
    pub fn write_at(
        &self,
        due: Nanos,
        socket: Arc<TcpStream>,
        bytes: Bytes,
    ) -> impl Future<Output = Option<Fired>> + use<> {
        let (done, fired) = oneshot::channel();
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let order = queue.next_order;
        queue.next_order += 1;
        let first = queue.shots.peek().is_none_or(|shot| due < shot.due);
        queue.shots.push(Shot { due, order, socket, bytes, done });
        drop(queue);
        if first {
            self.shared.changed.notify_one();
        }
        async { fired.await.ok() }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        queue.shots.clear();
        drop(queue);
        self.shared.changed.notify_one();
    }
}

/// Shots that fire one after another before the pacer steps back from real-time priority.
const BURST: u32 = 8;

/// Real-time priority makes the pacer wake in time. In a burst (a simultaneous start of many
/// streams) it would keep a core for milliseconds, and a server on the same machine from reading
/// what was just sent: then it goes on as an ordinary thread.
struct Urgency {
    allowed: bool,
    in_a_row: u32,
}

impl Urgency {
    fn fired(&mut self) {
        self.in_a_row += 1;
        if self.allowed && self.in_a_row == BURST {
            os::be_urgent(false);
        }
    }

    fn waits(&mut self) {
        if self.allowed && self.in_a_row >= BURST {
            os::be_urgent(true);
        }
        self.in_a_row = 0;
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
    let mut urgency = Urgency { allowed: os::be_urgent(true), in_a_row: 0 };
    let mut margin = Margin { late: 0, wait: 0 };
    let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
    while !queue.closed {
        let now = os::now();
        let due = queue.shots.peek().map(|shot| shot.due);
        queue = match due {
            None => {
                urgency.waits();
                shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
            }
            // The futex under the condition variable waits for an absolute time.
            Some(due) if due - now > margin.get() => {
                urgency.waits();
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
                let Some(shot) = queue.shots.pop() else { continue };
                drop(queue);
                while os::now() < shot.due {
                    std::hint::spin_loop();
                }
                // A task that was cancelled no longer listens: nothing may be sent for it.
                if !shot.done.is_closed() {
                    let fired = fire(&shot.socket, &shot.bytes);
                    // It may have gone in this very moment; then there is nobody to tell.
                    let _ = shot.done.send(fired);
                    urgency.fired();
                }
                shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
    }
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

    #[test]
    fn shots_leave_in_the_order_of_their_deadlines_and_never_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("address");
            let socket = Arc::new(TcpStream::connect(address).expect("connects"));
            let (mut peer, _) = listener.accept().expect("accepts");
            let pacer = Pacer::start().expect("starts");
            let base = os::now() + 2_000_000;
            let shot = |after: i64, text: &'static str| {
                pacer.write_at(base + after, socket.clone(), Bytes::from_static(text.as_bytes()))
            };
            let (c, a, b) = tokio::join!(shot(200_000, "c"), shot(0, "a"), shot(100_000, "b"));
            for (fired, after) in [(a, 0), (b, 100_000), (c, 200_000)] {
                let fired = fired.expect("the pacer lives");
                assert!(fired.sent >= base + after && fired.written >= fired.sent);
                assert_eq!(fired.result.expect("writes"), 1);
            }
            let mut text = [0u8; 3];
            peer.read_exact(&mut text).expect("reads");
            assert_eq!(&text, b"abc");
        });
    }

    #[test]
    fn a_dropped_pacer_gives_its_waiting_shots_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("address");
            let socket = Arc::new(TcpStream::connect(address).expect("connects"));
            let pacer = Pacer::start().expect("starts");
            let shot = pacer.write_at(os::now() + 3_600_000_000_000, socket, Bytes::from_static(b"late"));
            drop(pacer);
            assert!(shot.await.is_none());
        });
    }
}
