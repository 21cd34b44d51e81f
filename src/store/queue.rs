//! `Queue`: hands batches to the writing thread, bounded by what the batches weigh and not by their
//! number, since one batch may hold one record or ten thousand.

use crate::error::{Error, Result};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

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
    limit: usize,
}

struct State<T> {
    items: std::collections::VecDeque<(usize, T)>,
    weight: usize,
    closed: bool,
    failed: Option<Error>,
}

impl<T> Queue<T> {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { items: Default::default(), weight: 0, closed: false, failed: None };
        Queue { state: Mutex::new(state), changed: Condvar::new(), limit }
    }

    /// Whether a push would have to wait now.
    pub(super) fn full(&self) -> bool {
        self.lock().weight >= self.limit
    }

    /// Blocks while the queue is full. An item heavier than the limit is let in alone.
    /// Fails with what the taker failed with.
    pub(super) fn push(&self, item: T, weight: usize) -> Result<()> {
        let mut state = self.lock();
        while state.weight >= self.limit && state.failed.is_none() {
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        state.weight += weight;
        state.items.push_back((weight, item));
        self.changed.notify_all();
        Ok(())
    }

    /// The next item; waits for `patience`, or for as long as it takes.
    pub(super) fn take(&self, patience: Option<Duration>) -> Taken<T> {
        let state = self.lock();
        let idle = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let mut state = match patience {
            None => self.changed.wait_while(state, idle).unwrap_or_else(|poisoned| poisoned.into_inner()),
            Some(time) => {
                let waited = self.changed.wait_timeout_while(state, time, idle);
                waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0
            }
        };
        match state.items.pop_front() {
            Some((weight, item)) => {
                state.weight -= weight;
                self.changed.notify_all();
                Taken::Item(item)
            }
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// No more items: the taker gets what is left, then [`Taken::Closed`].
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The taker has given up: every later push gets this error.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.failed = Some(error);
        state.items.clear();
        state.weight = 0;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under the lock can panic half way through a change.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_full_queue_blocks_until_something_is_taken() {
        let queue = Arc::new(Queue::new(10));
        queue.push('a', 10).unwrap();
        assert!(queue.full());
        let pusher = std::thread::spawn({
            let queue = queue.clone();
            move || queue.push('b', 1)
        });
        assert_eq!(queue.take(None), Taken::Item('a'));
        assert_eq!(queue.take(None), Taken::Item('b'));
        pusher.join().unwrap().unwrap();
        assert!(!queue.full());
    }

    #[test]
    fn what_is_left_comes_before_closed() {
        let queue = Queue::new(10);
        queue.push(1, 1).unwrap();
        queue.close();
        assert_eq!(queue.take(None), Taken::Item(1));
        assert_eq!(queue.take(None), Taken::Closed);
    }

    #[test]
    fn an_empty_queue_gives_nothing_after_the_time() {
        assert_eq!(Queue::<u8>::new(1).take(Some(Duration::ZERO)), Taken::Nothing);
    }

    #[test]
    fn a_failed_taker_is_heard_by_the_pusher_that_waits() {
        let queue = Arc::new(Queue::new(1));
        queue.push((), 1).unwrap();
        let pusher = std::thread::spawn({
            let queue = queue.clone();
            move || queue.push((), 1)
        });
        queue.fail(Error::run("disk full"));
        assert_eq!(pusher.join().unwrap().unwrap_err().message, "disk full");
        assert!(queue.push((), 1).is_err());
    }
}
