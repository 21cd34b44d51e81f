//! `Patience`: how long arrivals may gather before they are read.
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
pub struct Patience {
    wait: Nanos,
    since: Nanos,
    reads: u64,
    shared: u64,
    /// A read had no stamp of the kernel: its own time counts, and must not be put off.
    unstamped: bool,
    /// Moving mean of the time that a reply takes; 0 before the first.
    reply: Nanos,
    /// When reading began.
    began: Nanos,
}

impl Patience {
    /// How long to wait before the next round; `None`: not at all.
    pub fn wait(&self) -> Option<Duration> {
        (self.wait >= LEAST).then(|| Duration::from_nanos(self.wait as u64))
    }

    /// A read; `shared`: it carried more than one event with output; `stamped`: by the kernel.
    pub fn read(&mut self, shared: bool, stamped: bool) {
        self.reads += 1;
        self.shared += u64::from(shared);
        self.unstamped |= !stamped;
    }

    /// A reply has ended that took so long.
    pub fn ended(&mut self, took: Nanos) {
        self.reply = if self.reply == 0 { took } else { self.reply + (took - self.reply) / 8 };
    }

    /// Chooses the wait, now and then. `in_flight`: replies that are being read.
    pub fn choose(&mut self, now: Nanos, in_flight: usize) {
        let passed = now - self.since;
        if passed < CHOSEN_EVERY {
            return;
        }
        if self.began == 0 {
            self.began = now;
        }
        self.wait = if self.unstamped { 0 } else { self.next(now, passed, in_flight as Nanos) };
        (self.since, self.reads, self.shared, self.unstamped) = (now, 0, 0, false);
    }

    fn next(&self, now: Nanos, passed: Nanos, in_flight: Nanos) -> Nanos {
        let reads = self.reads as Nanos;
        let gap = passed * in_flight / reads.max(1);
        // Before the first end a reply takes at least as long as the run so far.
        let reply = if self.reply == 0 { now - self.began } else { self.reply };
        let bound = MOST.min(gap / PARTS_OF_A_GAP).min(reply / PARTS_OF_A_REPLY);
        // Fewer than two arrivals in a wait: nothing is gained.
        if reads * bound < 2 * passed {
            return 0;
        }
        if self.shared * SHARED_ONE_IN > self.reads {
            bound.min(self.wait / 2)
        } else {
            bound.min(self.wait + MOST / 4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes on for `rounds` choices at so many reads a second each; the wait in microseconds.
    fn after(patience: &mut Patience, rounds: Nanos, rate: u64, streams: usize, shared: u64) -> Nanos {
        let start = patience.since.max(1);
        for round in 1..=rounds {
            let reads = rate * CHOSEN_EVERY as u64 / 1_000_000_000;
            (0..reads).for_each(|read| patience.read(read < shared, true));
            patience.choose(start + round * CHOSEN_EVERY, streams);
        }
        patience.wait / 1_000
    }

    #[test]
    fn many_streams_are_waited_for_and_a_single_one_is_not() {
        let mut patience = Patience::default();
        assert_eq!(after(&mut patience, 100, 6_400, 64, 0), 950);
        assert_eq!(after(&mut patience, 1, 100, 1, 0), 0);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn fast_streams_are_waited_for_less() {
        let mut patience = Patience::default();
        assert_eq!(after(&mut patience, 100, 64_000, 64, 0), 125, "an eighth of a gap of 1 ms");
    }

    #[test]
    fn short_replies_are_not_waited_for() {
        let mut patience = Patience::default();
        patience.ended(5_000_000);
        assert_eq!(after(&mut patience, 100, 60_000, 64, 0), 50);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn reads_with_several_events_shrink_the_wait() {
        let mut patience = Patience::default();
        after(&mut patience, 100, 6_400, 64, 0);
        assert_eq!(after(&mut patience, 1, 6_400, 64, 5), 475);
        assert_eq!(after(&mut patience, 3, 6_400, 64, 5), 59);
        assert_eq!(patience.wait(), None);
    }

    #[test]
    fn without_stamps_nothing_waits() {
        let mut patience = Patience::default();
        after(&mut patience, 100, 6_400, 64, 0);
        patience.read(false, false);
        assert_eq!(after(&mut patience, 1, 6_400, 64, 0), 0);
        assert_eq!(patience.wait(), None);
    }
}
