//! `Monitor`: watches this process and its machine while a run goes on.
//!
//! What the system adds up by itself is read before and after. What only shows in the moment
//! (a wall clock that jumps, a process that stands still) is looked for four times a second by
//! a thread that does nothing else.

use crate::os::listener::Listener;
use crate::os::{self, health};
use crate::record::{Health, Nanos, Throttled};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the thread looks.
const TICK: Nanos = 250_000_000;

/// Waking later than this is a pause: an ordinary wait for a busy core is shorter.
const PAUSE_FROM: Nanos = 20_000_000;

/// A wall clock may be steered by 500 parts in a million; what goes beyond that by more than a
/// millisecond is a jump.
const STEP_FROM: Nanos = 1_000_000;
const STEERING: f64 = 500e-6;

/// Two clocks are read one after the other; a pair that took longer than this is read again.
const PAIR_MAX: Nanos = 50_000;

/// Threads that may wait for a core without harm to a measurement.
const IN_THE_BACKGROUND: [&str; 5] = ["collect", "results", "display", "monitor", "scrape"];

/// Where the server is.
#[derive(Debug, Clone, Default)]
pub struct ServerPlace {
    pub port: u16,
    /// On this machine.
    pub here: bool,
    /// What else on this machine is a part of it: names, process ids, ports.
    pub named: Vec<String>,
}

/// Watches from [`Monitor::start`] to [`Monitor::finish`].
pub struct Monitor {
    before: Reading,
    watching: Option<Watching>,
}

/// The thread: it ends when nobody holds `stop`, and tells what it has seen.
struct Watching {
    stop: Sender<()>,
    seen: oneshot::Receiver<(Reading, Ticks)>,
}

/// What the system has added up so far.
struct Reading {
    at: Nanos,
    cpu: Nanos,
    machine: Option<health::MachineTime>,
    throttled: Option<(u64, Nanos)>,
    threads: Vec<health::Thread>,
}

impl Monitor {
    /// A thread that cannot be started is no reason not to measure: pauses and clock steps are
    /// then not seen.
    pub fn start(server: ServerPlace) -> Monitor {
        let before = Reading::now();
        let ((stop, stopped), (tell, seen)) = (mpsc::channel(), oneshot::channel());
        let thread = std::thread::Builder::new().name("monitor".into()).spawn(move || {
            let mut ticks = Ticks::default();
            let mut usage = None;
            let mut due = os::now() + TICK;
            ticks.clock(clocks());
            loop {
                let left = Duration::from_nanos((due - os::now()).max(0) as u64);
                match stopped.recv_timeout(left) {
                    Err(RecvTimeoutError::Timeout) => ticks.woke(os::now() - due),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                        let after = Reading::now();
                        ticks.taken = usage.as_ref().and_then(Usage::taken_since);
                        // Whoever ends at once does not ask.
                        let _ = tell.send((after, ticks));
                        return;
                    }
                }
                // Not before the first tick: looking for the server takes some milliseconds.
                usage = usage.or_else(|| Some(Usage::now(server.clone())));
                ticks.clock(clocks());
                due = os::now() + TICK;
            }
        });
        Monitor { before, watching: thread.ok().map(|_| Watching { stop, seen }) }
    }

    /// What happened since the start. `handing_over`: see [`Health::handing_over`]. `at_once`:
    /// without what has to be waited for. The thread reads it up, so that replies that others still
    /// wait for are read meanwhile.
    pub async fn finish(self, handing_over: Nanos, at_once: bool) -> Health {
        let seen = match self.watching {
            Some(Watching { stop, seen }) if !at_once => {
                drop(stop);
                seen.await.ok()
            }
            _ => None,
        };
        let (after, ticks) = seen.unwrap_or_else(|| (Reading::now(), Ticks::default()));
        Health {
            handing_over,
            paused: ticks.paused,
            longest_pause: ticks.longest_pause,
            clock_steps: ticks.steps,
            largest_step: ticks.largest_step,
            taken: ticks.taken,
            ..after.since(&self.before)
        }
    }
}

impl Reading {
    fn now() -> Reading {
        Reading {
            at: os::now(),
            cpu: os::cpu(),
            machine: health::machine_time(),
            throttled: health::throttled(),
            threads: health::threads(),
        }
    }

    fn since(&self, before: &Reading) -> Health {
        let machine = self.machine.zip(before.machine).and_then(|(after, before)| {
            let total = after.total.saturating_sub(before.total);
            let part = |after: u64, before: u64| after.saturating_sub(before).min(total);
            let (idle, stolen) = (part(after.idle, before.idle), part(after.stolen, before.stolen));
            (total > 0).then_some((total, idle, stolen))
        });
        Health {
            wall: self.at - before.at,
            cpu: self.cpu - before.cpu,
            cores: health::cores(),
            waited: self.waited_since(before),
            busy: machine.map(|(total, idle, _)| 1.0 - idle as f64 / total as f64),
            stolen: machine.map(|(total, _, stolen)| stolen as f64 / total as f64),
            throttled: self.throttled.zip(before.throttled).map(|(after, before)| Throttled {
                periods: after.0.saturating_sub(before.0),
                time: (after.1 - before.1).max(0),
            }),
            ..Health::default()
        }
    }

    /// The longest wait of a thread on the way of a request.
    fn waited_since(&self, before: &Reading) -> Option<Nanos> {
        let sends = |thread: &&health::Thread| !IN_THE_BACKGROUND.contains(&thread.name.as_str());
        let waited = |thread: &health::Thread| {
            let earlier = before.threads.iter().find(|earlier| earlier.id == thread.id);
            thread.waited - earlier.map_or(0, |earlier| earlier.waited)
        };
        self.threads.iter().filter(sends).map(waited).max()
    }
}

/// The monotonic clock, and how far the wall clock is ahead of it.
fn clocks() -> (Nanos, Nanos) {
    let mut pair = (0, 0);
    for _ in 0..8 {
        let (before, wall, after) = (os::now(), os::wall(), os::now());
        let middle = before + (after - before) / 2;
        pair = (middle, wall - middle);
        if after - before < PAIR_MAX {
            break;
        }
    }
    pair
}

/// What the thread has seen.
#[derive(Default)]
struct Ticks {
    paused: Nanos,
    longest_pause: Nanos,
    steps: u32,
    largest_step: Nanos,
    last: Option<(Nanos, Nanos)>,
    taken: Option<f64>,
}

/// Who has used the cores so far.
struct Usage {
    server: ServerPlace,
    listener: Option<Listener>,
    at: Nanos,
    own: Nanos,
    served: Option<Nanos>,
    machine: Option<health::MachineTime>,
}

impl Usage {
    fn now(server: ServerPlace) -> Usage {
        let listener = Listener::of(server.port, &server.named);
        Usage::of(server, listener)
    }

    fn of(server: ServerPlace, listener: Option<Listener>) -> Usage {
        let served = match &listener {
            Some(listener) => listener.cpu(),
            // It is here, but hidden from us.
            None if server.here => None,
            None => Some(0),
        };
        let (at, own) = (os::now(), os::cpu());
        Usage { server, listener, at, own, served, machine: health::machine_time() }
    }

    /// The share of the cores' time that others have taken since.
    fn taken_since(&self) -> Option<f64> {
        let after = Usage::of(self.server.clone(), self.listener.clone());
        let (now, before) = (after.machine?, self.machine?);
        let total = now.total.saturating_sub(before.total) as f64;
        let busy = 1.0 - now.idle.saturating_sub(before.idle) as f64 / total;
        let known = (after.own - self.own) + (after.served? - self.served?);
        let cores = health::cores() as f64 * (after.at - self.at) as f64;
        (total > 0.0 && cores > 0.0).then(|| (busy - known as f64 / cores).clamp(0.0, 1.0))
    }
}

impl Ticks {
    /// The thread woke this much after its time.
    fn woke(&mut self, late: Nanos) {
        self.longest_pause = self.longest_pause.max(late);
        if late > PAUSE_FROM {
            self.paused += late;
        }
    }

    fn clock(&mut self, (at, offset): (Nanos, Nanos)) {
        if let Some((then, before)) = self.last {
            let jump = (offset - before).abs();
            if jump > STEP_FROM + ((at - then) as f64 * STEERING) as Nanos {
                self.steps += 1;
                self.largest_step = self.largest_step.max(jump);
            }
        }
        self.last = Some((at, offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn ticks(offsets: &[(Nanos, Nanos)]) -> Ticks {
        let mut ticks = Ticks::default();
        offsets.iter().for_each(|(at, offset)| ticks.clock((at * MS, *offset)));
        ticks
    }

    #[test]
    fn a_wall_clock_that_jumps_is_a_step_in_either_direction() {
        let seen = ticks(&[(0, 500 * MS), (250, 503 * MS), (500, 503 * MS), (750, 490 * MS)]);
        assert_eq!((seen.steps, seen.largest_step), (2, 13 * MS));
    }

    #[test]
    fn a_wall_clock_that_is_steered_makes_no_step() {
        let steered: Vec<_> = (0..100).map(|i| (i * 250, i * 125_000)).collect();
        assert_eq!(ticks(&steered).steps, 0);
        let after_a_long_pause = [(0, 0), (60_000, 30 * MS)];
        assert_eq!(ticks(&after_a_long_pause).steps, 0);
    }

    #[test]
    fn only_long_delays_add_up_to_pauses() {
        let mut ticks = Ticks::default();
        [3, 300, 20, 45].into_iter().for_each(|late| ticks.woke(late * MS));
        assert_eq!((ticks.paused, ticks.longest_pause), (345 * MS, 300 * MS));
    }

    #[test]
    fn the_longest_wait_is_that_of_a_thread_that_sends() {
        let reading = |waits: &[(u32, &str, Nanos)]| Reading {
            at: 0,
            cpu: 0,
            machine: Some(health::MachineTime {
                total: 100 * waits.len() as u64,
                idle: 20 * waits.len() as u64,
                stolen: 10,
            }),
            throttled: Some((2, 7)),
            threads: waits
                .iter()
                .map(|(id, name, waited)| health::Thread { id: *id, name: name.to_string(), waited: *waited })
                .collect(),
        };
        let before = reading(&[(1, "client", 10 * MS), (2, "collect", 0)]);
        let after = reading(&[(1, "client", 15 * MS), (2, "collect", 90 * MS), (3, "pacer", 6 * MS)]);
        let health = after.since(&before);
        assert_eq!(health.waited, Some(6 * MS));
        assert_eq!((health.busy, health.stolen), (Some(0.8), Some(0.0)));
        assert_eq!(health.throttled, Some(Throttled::default()));
        assert_eq!(reading(&[]).since(&reading(&[])).waited, None);
    }

    #[test]
    fn a_watched_moment_has_a_length_and_cores() {
        let monitor = Monitor::start(ServerPlace { port: 9, here: true, named: Vec::new() });
        let runtime = crate::run::runtime().expect("a runtime");
        let health = runtime.block_on(monitor.finish(5, false));
        assert!(health.wall > 0 && health.cpu > 0 && health.cores > 0);
        assert_eq!(health.handing_over, 5);
        assert_eq!(health.clock_steps, 0);
    }
}
