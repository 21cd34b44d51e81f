//! `ReadCoalescing`: how long arrivals may gather before they are read.
//!
//! The kernel has stamped what arrives, so a later read tells the same times; reading several
//! sockets in one round spares waking up for each. The wait is bounded so that no two events of
//! one stream meet in a read, and so that whoever waits for the end of a reply hardly notices.

use crate::record::Nanos;
use std::time::Duration;

/// Never longer than this.
const MOST: Nanos = 950_000;

/// Shorter waits are not worth the call.
const LEAST: Nanos = 100_000;

/// A wait is at most this part of the mean time between two reads of one stream ...
const PARTS_OF_A_GAP: Nanos = 8;

/// ... and of the mean time that a reply takes.
const PARTS_OF_A_REPLY: Nanos = 100;

/// The share of reads with several output events at which the wait shrinks: one in so many.
const SHARED_ONE_IN: u64 = 50;

/// How often the wait is chosen anew.
const CHOSEN_EVERY: Nanos = 20_000_000;

/// What was seen since the wait was chosen, and the choice.
#[derive(Debug, Default)]
pub struct ReadCoalescing {
    wait: Nanos,
    since: Nanos,
    /// A read had no stamp of the kernel: its own time counts, and must not be put off.
    unstamped: bool,
    /// Of each client, since one has long replies and another one short ones.
    seen: Vec<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    reads: u64,
    shared: u64,
    /// Moving mean of the time that a reply takes; 0 before the first.
    reply: Nanos,
    /// When reading began.
    began: Nanos,
}

impl ReadCoalescing {
    /// How long to wait before the next round; `None`: not at all.
    pub fn wait(&self) -> Option<Duration> {
        (self.wait >= LEAST).then(|| Duration::from_nanos(self.wait as u64))
    }

    /// There are so many clients from now on.
    pub fn clients(&mut self, clients: usize) {
        self.seen.resize_with(clients, Seen::default);
    }

    /// A read for a client; `shared`: it carried more than one event with output; `stamped`: by
    /// the kernel.
    pub fn read(&mut self, client: usize, shared: bool, stamped: bool) {
        let seen = &mut self.seen[client];
        seen.reads += 1;
        seen.shared += u64::from(shared);
        self.unstamped |= !stamped;
    }

    /// A reply has ended that took so long.
    pub fn ended(&mut self, client: usize, took: Nanos) {
        let reply = &mut self.seen[client].reply;
        *reply = if *reply == 0 { took } else { *reply + (took - *reply) / 8 };
    }

    /// Chooses the wait, now and then. `in_flight`: replies that are being read, of each client.
    pub fn choose(&mut self, now: Nanos, in_flight: &[usize]) {
        let passed = now - self.since;
        if passed < CHOSEN_EVERY {
            return;
        }
        for seen in self.seen.iter_mut().filter(|seen| seen.began == 0 && seen.reads > 0) {
            seen.began = now;
        }
        self.wait = if self.unstamped { 0 } else { self.next(now, passed, in_flight) };
        (self.since, self.unstamped) = (now, false);
        for seen in &mut self.seen {
            (seen.reads, seen.shared) = (0, 0);
        }
    }

    /// What all clients that read something can bear.
    fn next(&self, now: Nanos, passed: Nanos, in_flight: &[usize]) -> Nanos {
        let mut bound = MOST;
        let (mut reads, mut shares) = (0, false);
        for (seen, in_flight) in self.seen.iter().zip(in_flight).filter(|(seen, _)| seen.reads > 0) {
            let gap = passed * *in_flight as Nanos / seen.reads as Nanos;
            // Before the first end a reply takes at least as long as the run so far.
            let reply = if seen.reply == 0 { now - seen.began } else { seen.reply };
            bound = bound.min(gap / PARTS_OF_A_GAP).min(reply / PARTS_OF_A_REPLY);
            reads += seen.reads as Nanos;
            shares |= seen.shared * SHARED_ONE_IN > seen.reads;
        }
        // Fewer than two arrivals in a wait: nothing is gained.
        if reads * bound < 2 * passed {
            return 0;
        }
        if shares { bound.min(self.wait / 2) } else { bound.min(self.wait + MOST / 4) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone() -> ReadCoalescing {
        let mut patience = ReadCoalescing::default();
        patience.clients(1);
        patience
    }

    /// Goes on for `rounds` choices at so many reads a second each; the wait in microseconds.
    fn after(patience: &mut ReadCoalescing, rounds: Nanos, rate: u64, streams: usize, shared: u64) -> Nanos {
        let start = patience.since.max(1);
        for round in 1..=rounds {
            let reads = rate * CHOSEN_EVERY as u64 / 1_000_000_000;
            (0..reads).for_each(|read| patience.read(0, read < shared, true));
            patience.choose(start + round * CHOSEN_EVERY, &[streams]);
        }
        patience.wait / 1_000
    }

    #[test]
    fn many_streams_are_waited_for_and_a_single_one_is_not() {
        let mut patience = alone();
        assert_eq!(after(&mut patience, 100, 6_400, 64, 0), 950);
        assert_eq!(after(&mut patience, 1, 100, 1, 0), 0);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn fast_streams_are_waited_for_less() {
        let mut patience = alone();
        assert_eq!(after(&mut patience, 100, 64_000, 64, 0), 125, "an eighth of a gap of 1 ms");
    }

    #[test]
    fn short_replies_are_not_waited_for() {
        let mut patience = alone();
        patience.ended(0, 5_000_000);
        assert_eq!(after(&mut patience, 100, 60_000, 64, 0), 50);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn reads_with_several_events_shrink_the_wait() {
        let mut patience = alone();
        after(&mut patience, 100, 6_400, 64, 0);
        assert_eq!(after(&mut patience, 1, 6_400, 64, 5), 475);
        assert_eq!(after(&mut patience, 3, 6_400, 64, 5), 59);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn without_stamps_nothing_waits() {
        let mut patience = alone();
        after(&mut patience, 100, 6_400, 64, 0);
        patience.read(0, false, false);
        assert_eq!(after(&mut patience, 1, 6_400, 64, 0), 0);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn the_client_that_can_bear_the_least_says_how_long() {
        let mut both = ReadCoalescing::default();
        both.clients(3);
        let turn = |both: &mut ReadCoalescing, slow: u64, fast: u64, fast_shared: u64| {
            (0..slow).for_each(|_| both.read(0, false, true));
            (0..fast).for_each(|read| both.read(1, read < fast_shared, true));
            both.choose(both.since.max(1) + CHOSEN_EVERY, &[128, 4, 0]);
            both.wait / 1_000
        };
        for _ in 0..99 {
            turn(&mut both, 256, 0, 0);
        }
        assert_eq!(turn(&mut both, 256, 0, 0), 950, "128 streams of 100 events a second");
        // And 4 of 500, whose gaps are 2 ms.
        assert_eq!(turn(&mut both, 256, 40, 0), 0, "how long its replies are is not known yet");
        assert_eq!(turn(&mut both, 256, 40, 0), 200, "longer than 20 ms, at least");
        assert_eq!(turn(&mut both, 256, 40, 0), 250);
        assert_eq!(turn(&mut both, 256, 40, 1), 125, "1 of 40 is many for it, though not for both");
    }
}
