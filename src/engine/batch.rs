//! `Batch`: an engine with continuous batching. All running sequences advance together in steps;
//! a step lasts as long as its decodes and the prompt tokens read in it, and ends with one token
//! for every sequence whose prompt has been read. A new request waits for the next step.

use std::collections::VecDeque;

use crate::engine::Config;
use crate::engine::due::{Deadline, Next, slots};
use crate::engine::nanos::Nanos;
use crate::engine::prefix_cache::{PrefixCache, Prompt, Reading};

/// See the file's head.
pub struct Batch<T> {
    cost: Cost,
    slots: usize,
    running: Vec<Sequence<T>>,
    waiting: VecDeque<(T, Nanos, Prompt)>,
    /// The end of the step under way; `None` when idle.
    end: Option<Nanos>,
    /// Sequences of the ending step that have been played.
    played: usize,
    pub cache: Option<PrefixCache>,
}

/// Nanoseconds.
struct Cost {
    decode: f64,
    decode_per_further: f64,
    prefill: f64,
    prefill_token: f64,
    chunk: u32,
}

struct Sequence<T> {
    job: T,
    admitted: Nanos,
    prompt_left: u32,
    /// Prompt tokens read in the step under way.
    reading: u32,
    state: State,
    prompt: Reading,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Live,
    Held,
    Ended,
}

impl<T> Batch<T> {
    pub fn new(config: &Config) -> Self {
        Batch {
            cost: Cost {
                decode: config.itl_ms * 1e6,
                decode_per_further: config.itl_per_seq_ms * 1e6,
                prefill: config.ttft_ms * 1e6,
                prefill_token: 1e9 / config.prefill,
                chunk: config.chunk,
            },
            slots: slots(config),
            running: Vec::new(),
            waiting: VecDeque::new(),
            end: None,
            played: 0,
            cache: PrefixCache::of(config),
        }
    }

    /// An empty prompt counts as one token, as engines put a start token in front.
    pub fn add(&mut self, job: T, arrival: Nanos, prompt: Prompt) {
        self.waiting.push_back((job, arrival, prompt));
        if self.end.is_none() {
            self.begin(arrival);
        }
    }

    /// Begins a step at `start` with what runs and with what had arrived by then.
    fn begin(&mut self, start: Nanos) {
        self.running.retain(|sequence| sequence.state != State::Ended);
        while self.running.len() < self.slots
            && self.waiting.front().is_some_and(|(_, arrival, _)| *arrival <= start)
            && let Some((job, _, prompt)) = self.waiting.pop_front()
        {
            let tokens = prompt.tokens.max(1);
            let prompt = Reading::begin(prompt, &mut self.cache);
            let (prompt_left, state) = (tokens - prompt.cached, State::Live);
            self.running.push(Sequence { job, admitted: start, prompt_left, reading: 0, state, prompt });
        }
        self.played = 0;
        self.end = self.step().map(|nanos| start + nanos);
        if self.end.is_none()
            && self.running.len() < self.slots
            && let Some((_, arrival, _)) = self.waiting.front()
        {
            let arrival = *arrival;
            self.begin(arrival);
        }
    }

    /// Shares out the prompt tokens of the next step; its length, or `None` without any work.
    fn step(&mut self) -> Option<Nanos> {
        let (mut decodes, mut tokens, mut prefills) = (0u32, 0, 0u32);
        for sequence in self.running.iter_mut().filter(|sequence| sequence.state == State::Live) {
            if sequence.prompt_left == 0 {
                sequence.reading = 0;
                decodes += 1;
                continue;
            }
            sequence.reading = sequence.prompt_left.min(self.cost.chunk - tokens);
            tokens += sequence.reading;
            prefills += u32::from(sequence.reading == sequence.prompt_left);
        }
        if decodes + tokens == 0 {
            return None;
        }
        let mut nanos = f64::from(tokens) * self.cost.prefill_token + f64::from(prefills) * self.cost.prefill;
        if decodes > 0 {
            nanos += self.cost.decode + f64::from(decodes - 1) * self.cost.decode_per_further;
        }
        Some((nanos.round() as Nanos).max(1))
    }

    pub fn next(&self) -> Option<Nanos> {
        self.end
    }

    pub fn play(&mut self, now: Nanos, mut emit: impl FnMut(&T, Deadline) -> Next) -> bool {
        let Some(at) = self.end.filter(|at| *at <= now) else { return false };
        while let Some(sequence) = self.running.get_mut(self.played) {
            self.played += 1;
            sequence.prompt_left -= sequence.reading;
            if sequence.state != State::Live || sequence.prompt_left > 0 {
                continue;
            }
            let (admitted, cached) = (sequence.admitted, sequence.prompt.cached);
            let next = emit(&sequence.job, Deadline { at, admitted, cached });
            if next != Next::Gone {
                sequence.prompt.made_one(&mut self.cache);
            }
            match next {
                Next::Token => {}
                Next::Hold => sequence.state = State::Held,
                Next::Done | Next::Gone => sequence.end(&mut self.cache),
            }
            return true;
        }
        self.begin(at);
        true
    }

    pub fn running(&self) -> usize {
        self.running.iter().filter(|sequence| sequence.state != State::Ended).count()
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<T> Sequence<T> {
    fn end(&mut self, cache: &mut Option<PrefixCache>) {
        self.state = State::Ended;
        self.prompt.ended(cache);
    }
}

impl<T: PartialEq> Batch<T> {
    /// A running job's slot is given away at the end of the step under way.
    pub fn cancel(&mut self, job: &T, now: Nanos) {
        if let Some(place) = self.waiting.iter().position(|(other, ..)| other == job) {
            self.waiting.remove(place);
        } else if let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.job == *job) {
            sequence.end(&mut self.cache);
        }
        if self.end.is_none() {
            self.begin(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse;

    const MS: Nanos = 1_000_000;

    fn plain(tokens: u32) -> Prompt {
        Prompt { tokens, known: None }
    }

    /// Plays until `until`; every job has `tokens` tokens. Returns (job, milliseconds) pairs.
    fn play(batch: &mut Batch<char>, until: Nanos, tokens: usize, seen: &mut Vec<(char, f64)>) {
        while batch.play(until, |job, due| {
            seen.push((*job, due.at as f64 / 1e6));
            let count = seen.iter().filter(|(other, _)| other == job).count();
            if count == tokens { Next::Done } else { Next::Token }
        }) {}
    }

    #[test]
    fn a_lone_request_waits_for_its_prefill_and_then_for_each_decode() {
        let mut batch = Batch::new(&parse("prefill=10000,itl=9ms,ttft=1ms").unwrap());
        let mut seen = Vec::new();
        batch.add('a', 0, plain(100));
        play(&mut batch, 1000 * MS, 3, &mut seen);
        assert_eq!(seen, [('a', 11.0), ('a', 20.0), ('a', 29.0)]);
        assert_eq!((batch.running(), batch.next()), (0, None));
    }

    #[test]
    fn the_prefill_of_a_new_request_delays_the_step_of_those_that_run() {
        let mut batch = Batch::new(&parse("prefill=10000,itl=10ms,itl_per_seq=2ms").unwrap());
        let mut seen = Vec::new();
        batch.add('a', 0, plain(100));
        play(&mut batch, 10 * MS, 4, &mut seen);
        // It arrives in the middle of the step from 10 to 20 and is read in the next one.
        batch.add('b', 15 * MS, plain(50));
        play(&mut batch, 1000 * MS, 4, &mut seen);
        let expected = [
            ('a', 10.0),
            ('a', 20.0),
            ('a', 35.0),
            ('b', 35.0),
            ('a', 47.0),
            ('b', 47.0),
            ('b', 57.0),
            ('b', 67.0),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_long_prompt_is_read_in_chunks_between_decodes() {
        let mut batch = Batch::new(&parse("prefill=1000,itl=1ms,chunk=10").unwrap());
        let mut seen = Vec::new();
        batch.add('a', 0, plain(1));
        batch.add('b', 0, plain(25));
        play(&mut batch, 1000 * MS, 4, &mut seen);
        let expected = [
            ('a', 1.0),
            ('a', 12.0),
            ('a', 23.0),
            ('a', 29.0),
            ('b', 29.0),
            ('b', 30.0),
            ('b', 31.0),
            ('b', 32.0),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_request_above_the_limit_is_admitted_in_the_step_after_a_slot_is_freed() {
        let mut batch = Batch::new(&parse("prefill=1000,itl=1ms,slots=1").unwrap());
        let mut seen = Vec::new();
        batch.add('a', 0, plain(1));
        batch.add('b', 0, plain(1));
        assert_eq!((batch.running(), batch.waiting()), (1, 1));
        play(&mut batch, 1000 * MS, 2, &mut seen);
        assert_eq!(seen, [('a', 1.0), ('a', 2.0), ('b', 3.0), ('b', 4.0)]);
    }

    #[test]
    fn a_cancelled_or_held_sequence_costs_no_decode() {
        let mut batch = Batch::new(&parse("prefill=1000,itl=1ms,itl_per_seq=1ms,slots=2").unwrap());
        batch.add('a', 0, plain(1));
        batch.add('b', 0, plain(1));
        batch.add('c', 0, plain(1));
        batch.cancel(&'a', 1);
        assert_eq!((batch.running(), batch.waiting()), (0, 2));
        let mut seen = Vec::new();
        let held = |job: &char| if *job == 'b' { Next::Hold } else { Next::Done };
        while batch.play(1000 * MS, |job, due| {
            seen.push((*job, due.at as f64 / 1e6));
            held(job)
        }) {}
        assert_eq!(seen, [('b', 3.0), ('c', 3.0)]);
        assert_eq!((batch.running(), batch.next()), (1, None));
        batch.cancel(&'b', 50 * MS);
        batch.add('d', 50 * MS, plain(1));
        assert_eq!((batch.running(), batch.next()), (1, Some(51 * MS)));
    }
}
