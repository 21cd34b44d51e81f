//! `Queue`: hands batches to the writing thread. It never makes a pusher wait: it says what it weighs, and whoever pushes
//! decides by that.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a taker gets.
#[derive(Debug, PartialEq)]
pub(super) enum Taken<T> {
    Item(T),
    /// Nothing came within the time given.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    items: VecDeque<(usize, T)>,
    weight: usize,
    /// Since when the first item has waited.
    since: Instant,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { items: VecDeque::new(), weight: 0, since: Instant::now(), closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn push(&self, item: T, weight: usize) {
        let mut state = self.lock();
        if state.items.is_empty() {
            state.since = Instant::now();
        }
        state.weight += weight;
        state.items.push_back((weight, item));
        self.changed.notify_all();
    }

    /// What all waiting items weigh.
    pub(super) fn weight(&self) -> usize {
        self.lock().weight
    }

    /// How long none was taken although there was one.
    pub(super) fn waited(&self) -> Duration {
        let state = self.lock();
        if state.items.is_empty() { Duration::ZERO } else { state.since.elapsed() }
    }

    /// The next item; waits for `patience`, or for as long as it takes.
    pub(super) fn take(&self, patience: Option<Duration>) -> Taken<T> {
        let state = self.lock();
        let idle = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let mut state = match patience {
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let waited = self.changed.wait_timeout_while(state, time, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        match state.items.pop_front() {
            Some((weight, item)) => {
                state.weight -= weight;
                state.since = Instant::now();
                Taken::Item(item)
            }
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// Waits for `time`, while items gather; less where the queue is closed meanwhile.
    pub(super) fn rest(&self, time: Duration) {
        let state = self.lock();
        let was = state.closed;
        let waited = self.changed.wait_timeout_while(state, time, |state| state.closed == was);
        drop(waited);
    }

    /// No more items: the taker gets what is left, then [`Taken::Closed`].
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under the lock can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn it_knows_what_it_holds() {
        let queue = Queue::new();
        queue.push('a', 10);
        queue.push('b', 1);
        assert_eq!(queue.weight(), 11);
        assert_eq!(queue.take(None), Taken::Item('a'));
        assert_eq!((queue.take(None), queue.weight()), (Taken::Item('b'), 0));
        assert_eq!(queue.waited(), Duration::ZERO);
    }

    #[test]
    fn what_is_left_comes_before_closed() {
        let queue = Queue::new();
        queue.push(1, 1);
        queue.close();
        assert_eq!(queue.take(None), Taken::Item(1));
        assert_eq!(queue.take(None), Taken::Closed);
    }

    #[test]
    fn an_empty_queue_gives_nothing_after_the_time() {
        assert_eq!(Queue::<u8>::new().take(Some(Duration::ZERO)), Taken::Nothing);
    }

    #[test]
    fn closing_ends_a_rest() {
        let queue = Arc::new(Queue::<u8>::new());
        let resting = std::thread::spawn({
            let queue = queue.clone();
            move || queue.rest(Duration::from_secs(600))
        });
        // Before or while it rests: a rest that begins behind the end would be a long one.
        while !resting.is_finished() {
            queue.lock().closed ^= true;
            queue.changed.notify_all();
            std::thread::yield_now();
        }
        resting.join().unwrap();
    }
}
