//! `Window`: which part of a run is measured.

use super::counts::least;
use super::flow::Flow;
use super::rates::{Arrivals, CountedReply};
use crate::record::Nanos;

/// Which part of a run is measured: after its start, until its end.
///
/// A window does not hold its own start: in a closed loop that is the moment at which a reply
/// ended and gave its place to the first measured request, and that reply belongs to what was
/// before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// Of a run that is not over, or of records that are all there is of it. It ends with the
    /// last measured request.
    Running {
        /// `None` until the first measured request is planned.
        start: Option<Nanos>,
        /// Where it ends at the latest.
        latest: Option<Nanos>,
    },
    /// Of a run that is over.
    Over { start: Nanos, end: Nanos },
}

impl Window {
    /// Nothing is known yet.
    pub const UNKNOWN: Window = Window::Running { start: None, latest: None };

    pub fn start(self) -> Option<Nanos> {
        match self {
            Window::Running { start, .. } => start,
            Window::Over { start, .. } => Some(start),
        }
    }

    /// The end, or the latest that it may be.
    pub fn latest(self) -> Option<Nanos> {
        match self {
            Window::Running { latest, .. } => latest,
            Window::Over { end, .. } => Some(end),
        }
    }

    /// The window of two parts of the same run.
    pub(super) fn join(self, other: Window) -> Window {
        match (self, other) {
            (Window::Running { start: a, latest: x }, Window::Running { start: b, latest: y }) => {
                Window::Running { start: least(a, b), latest: x.max(y) }
            }
            (over @ Window::Over { .. }, _) | (_, over) => over,
        }
    }
}

/// Replies of the warm-up, until the window is known in which some of them arrive.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    replies: Vec<(CountedReply, Flow)>,
    events: usize,
    /// Events after which replies are looked through for those that can go.
    full: usize,
}

/// 16 MB.
const FULL: usize = 1 << 21;

/// The start of a window may still move a little towards zero: places of a closed loop come back
/// out of order.
const SLACK: Nanos = 1_000_000_000;

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    pub fn add(&mut self, reply: CountedReply, flow: &Flow, start: Option<Nanos>) {
        self.events += flow.at_us.len();
        self.replies.push((reply, flow.for_arrivals()));
        if self.events > self.full.max(FULL) {
            self.let_go(start);
        }
    }

    /// Lets go of what ended before the window. A closed loop does not know its start before the
    /// first measured request has a place, but then that place was among the last to become free:
    /// the earlier half of millions of events was long gone.
    fn let_go(&mut self, start: Option<Nanos>) {
        match start {
            Some(start) => self.replies.retain(|(reply, _)| reply.end + SLACK > start),
            None => {
                self.replies.sort_by_key(|(reply, _)| reply.end);
                self.replies.drain(..self.replies.len() / 2);
            }
        }
        self.events = self.replies.iter().map(|(_, flow)| flow.at_us.len()).sum();
        self.full = 2 * self.events;
    }

    /// Adds what arrived after `from` and until `to`.
    pub fn arrive(&self, arrivals: &mut Arrivals, window: (Nanos, Nanos)) {
        self.replies.iter().for_each(|(reply, flow)| arrivals.add(reply, flow, window));
    }

    pub fn merge(&mut self, other: &Waiting) {
        self.replies.extend_from_slice(&other.replies);
        self.events += other.events;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MS, reply};
    use super::*;

    /// `n` replies, one a millisecond, each with `events` events in its last microsecond.
    fn waiting(n: i64, events: usize, start: Option<Nanos>) -> Waiting {
        let mut waiting = Waiting::default();
        let mut flow = Flow::default();
        for i in 0..n {
            let record = reply(i as u64, i).tokens_at(&vec![1; events]).usage(1, events as u32).record();
            flow.read(&record);
            waiting.add(CountedReply::of(&record).expect("a success"), &flow, start);
        }
        waiting
    }

    fn tokens(waiting: &Waiting, from: Nanos) -> f64 {
        let mut arrivals = Arrivals::default();
        waiting.arrive(&mut arrivals, (from, Nanos::MAX));
        arrivals.output_tokens()
    }

    #[test]
    fn a_long_warm_up_is_let_go_of_and_what_may_arrive_in_the_window_is_kept() {
        let events = 1 << 10;
        let n = 3 * (FULL / events) as i64;
        for start in [Some((n - 100) * MS), None] {
            let waiting = waiting(n, events, start);
            assert!(waiting.events <= FULL + events, "{} events", waiting.events);
            assert_eq!(tokens(&waiting, (n - 100) * MS), (100 * events) as f64);
        }
    }

    #[test]
    fn the_window_of_two_parts_begins_with_the_earlier_one() {
        let part = |start, latest| Window::Running { start, latest };
        assert_eq!(part(Some(5), Some(9)).join(part(Some(3), Some(7))), part(Some(3), Some(9)));
        assert_eq!(part(None, None).join(part(Some(3), None)), part(Some(3), None));
        let over = Window::Over { start: 1, end: 2 };
        assert_eq!((over.join(Window::UNKNOWN), Window::UNKNOWN.join(over)), (over, over));
    }
}
