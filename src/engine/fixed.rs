//! `Fixed`: token `k` is due at `start + ttft + k * itl`, where a request starts when it arrives
//! or, above the limit of slots, at the moment at which an earlier one frees its slot.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::engine::Config;
use crate::engine::due::{Deadline, Next, slots};
use crate::engine::nanos::Nanos;
use crate::engine::prefix_cache::{PrefixCache, Prompt, Reading};

/// See the file's head.
pub struct Fixed<T> {
    ttft: f64,
    itl: f64,
    slots: usize,
    running: usize,
    waiting: VecDeque<(T, Nanos, Prompt)>,
    due: BinaryHeap<Reverse<Entry<T>>>,
    admissions: u64,
    pub cache: Option<PrefixCache>,
}

struct Entry<T> {
    at: Nanos,
    /// Of two deadlines at the same time, that of the request admitted first comes first.
    number: u64,
    start: Nanos,
    token: u32,
    job: T,
    reading: Reading,
}

impl<T> Fixed<T> {
    pub fn new(config: &Config) -> Self {
        Fixed {
            ttft: config.ttft_ms * 1e6,
            itl: config.itl_ms * 1e6,
            slots: slots(config),
            running: 0,
            waiting: VecDeque::new(),
            due: BinaryHeap::new(),
            admissions: 0,
            cache: PrefixCache::of(config),
        }
    }

    pub fn add(&mut self, job: T, arrival: Nanos, prompt: Prompt) {
        self.waiting.push_back((job, arrival, prompt));
        self.admit(arrival);
    }

    fn admit(&mut self, now: Nanos) {
        while self.running < self.slots
            && let Some((job, arrival, prompt)) = self.waiting.pop_front()
        {
            self.running += 1;
            self.admissions += 1;
            let (start, number) = (now.max(arrival), self.admissions);
            let reading = Reading::begin(prompt, &mut self.cache);
            self.push(Entry { at: 0, number, start, token: 0, job, reading });
        }
    }

    /// Puts an entry where its token belongs.
    fn push(&mut self, entry: Entry<T>) {
        let at = entry.start + (self.ttft + f64::from(entry.token) * self.itl).round() as Nanos;
        self.due.push(Reverse(Entry { at, ..entry }));
    }

    pub fn next(&self) -> Option<Nanos> {
        self.due.peek().map(|Reverse(entry)| entry.at)
    }

    pub fn play(&mut self, now: Nanos, mut emit: impl FnMut(&T, Deadline) -> Next) -> bool {
        if self.next().is_none_or(|at| at > now) {
            return false;
        }
        let Some(Reverse(mut entry)) = self.due.pop() else { return false };
        let deadline = Deadline { at: entry.at, admitted: entry.start, cached: entry.reading.cached };
        let next = emit(&entry.job, deadline);
        if next != Next::Gone {
            entry.reading.made_one(&mut self.cache);
        }
        match next {
            Next::Token => self.push(Entry { token: entry.token + 1, ..entry }),
            Next::Done => {
                entry.reading.ended(&mut self.cache);
                self.running -= 1;
                self.admit(entry.at);
            }
            Next::Hold | Next::Gone => entry.reading.ended(&mut self.cache),
        }
        true
    }

    pub fn running(&self) -> usize {
        self.running
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<T: PartialEq> Fixed<T> {
    /// A running job's entry stays in the heap, where it will answer [`Next::Gone`].
    pub fn cancel(&mut self, job: &T, now: Nanos) {
        match self.waiting.iter().position(|(other, ..)| other == job) {
            Some(place) => drop(self.waiting.remove(place)),
            None => {
                self.running -= 1;
                self.admit(now);
            }
        }
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse;

    /// Plays everything; every job has `tokens` tokens. Returns (job, microsecond) pairs.
    fn play_all(fixed: &mut Fixed<char>, tokens: usize) -> Vec<(char, Nanos)> {
        let mut seen: Vec<(char, Nanos)> = Vec::new();
        while let Some(at) = fixed.next() {
            fixed.play(at, |job, due| {
                seen.push((*job, due.at / 1000));
                let count = seen.iter().filter(|(other, _)| other == job).count();
                if count == tokens { Next::Done } else { Next::Token }
            });
        }
        seen
    }

    fn plain() -> Prompt {
        Prompt { tokens: 1, known: None }
    }

    #[test]
    fn token_k_is_due_at_arrival_plus_ttft_plus_k_gaps() {
        let mut fixed = Fixed::new(&parse("ttft=50ms,itl=0.1ms").unwrap());
        fixed.add('a', 1_000_000, plain());
        fixed.add('b', 1_050_000, plain());
        assert_eq!(fixed.running(), 2);
        let expected =
            [('a', 51_000), ('b', 51_050), ('a', 51_100), ('b', 51_150), ('a', 51_200), ('b', 51_250)];
        assert_eq!(play_all(&mut fixed, 3), expected);
        assert_eq!(fixed.running(), 0);
    }

    #[test]
    fn a_request_above_the_limit_starts_when_a_slot_is_freed() {
        let mut fixed = Fixed::new(&parse("ttft=1ms,itl=1ms,slots=1").unwrap());
        fixed.add('a', 0, plain());
        fixed.add('b', 10, plain());
        assert_eq!((fixed.running(), fixed.waiting()), (1, 1));
        assert_eq!(play_all(&mut fixed, 2), [('a', 1000), ('a', 2000), ('b', 3000), ('b', 4000)]);
    }

    #[test]
    fn a_cancelled_request_frees_its_slot_at_once() {
        let mut fixed = Fixed::new(&parse("ttft=1ms,itl=1ms,slots=1").unwrap());
        fixed.add('a', 0, plain());
        fixed.add('b', 0, plain());
        fixed.add('c', 0, plain());
        fixed.cancel(&'b', 100_000);
        assert_eq!((fixed.running(), fixed.waiting()), (1, 1));
        fixed.cancel(&'a', 200_000);
        assert_eq!((fixed.running(), fixed.waiting()), (1, 0));
        let mut seen = Vec::new();
        while let Some(at) = fixed.next() {
            fixed.play(at, |job, due| {
                seen.push((*job, due.at));
                if *job == 'a' { Next::Gone } else { Next::Done }
            });
        }
        assert_eq!(seen, [('a', 1_000_000), ('c', 1_200_000)]);
        assert_eq!(fixed.running(), 0);
    }

    #[test]
    fn a_held_request_keeps_its_slot_until_it_is_cancelled() {
        let mut fixed = Fixed::new(&parse("ttft=1ms,slots=1").unwrap());
        fixed.add('a', 0, plain());
        assert!(fixed.play(1_000_000, |_, _| Next::Hold));
        assert_eq!((fixed.running(), fixed.next()), (1, None));
        fixed.cancel(&'a', 2_000_000);
        assert_eq!(fixed.running(), 0);
    }
}
