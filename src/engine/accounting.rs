//! `Accounting`: everything the server counts and remembers about its generations.

use std::cell::{Cell, RefCell};

use crate::engine::metrics::Metrics;
use crate::engine::nanos::Nanos;
use crate::engine::truth::{TruthEntry, TruthLog};

/// See the file's head.
pub struct Accounting {
    pub metrics: RefCell<Metrics>,
    pub truth: RefCell<TruthLog>,
    /// Tokens in the simulated cache: prompt and output of every generation under way.
    pub cached: Cell<u64>,
    /// Room in which events are put together, so that a token costs no allocation.
    pub scratch: RefCell<Vec<u8>>,
}

/// How far a generation is.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenProgress {
    /// Tokens made.
    pub made: u32,
    first: Nanos,
    last: Nanos,
}

impl Accounting {
    pub fn new(metrics: Metrics) -> Self {
        Accounting {
            metrics: RefCell::new(metrics),
            truth: RefCell::default(),
            cached: Cell::new(0),
            scratch: RefCell::default(),
        }
    }

    /// A generation got its slot at `at` and its prompt has been read.
    pub fn admit(&self, entry: &mut TruthEntry, at: Nanos, cached: u32) {
        entry.admitted = Some(at);
        let mut metrics = self.metrics.borrow_mut();
        metrics.queue.add(seconds(at - entry.arrival));
        metrics.prompt_tokens += u64::from(entry.prompt_tokens);
        metrics.cached_tokens += u64::from(cached);
        entry.cached_tokens = entry.cached_tokens.map(|_| cached);
        self.cached.set(self.cached.get() + u64::from(entry.prompt_tokens));
    }

    /// A token was made at `at`.
    pub fn token(&self, entry: &TruthEntry, progress: &mut TokenProgress, at: Nanos) {
        let mut metrics = self.metrics.borrow_mut();
        if progress.made == 0 {
            progress.first = at;
            metrics.ttft.add(seconds(at - entry.arrival));
            metrics.prefill.add(seconds(at - entry.admitted.unwrap_or(entry.arrival)));
        } else {
            metrics.inter_token.add(seconds(at - progress.last));
        }
        metrics.generation_tokens += 1;
        progress.last = at;
        progress.made += 1;
        self.cached.set(self.cached.get() + 1);
    }

    /// A write left the server at `stamp`, for the deadline `due`.
    pub fn write(&self, stamp: Nanos, due: Nanos) {
        self.metrics.borrow_mut().lateness.add(seconds(stamp - due));
    }

    /// A generation is over.
    pub fn finish(&self, mut entry: TruthEntry, progress: &TokenProgress, outcome: &'static str, end: Nanos) {
        entry.outcome = outcome;
        entry.output_tokens = progress.made;
        entry.end = end;
        if entry.admitted.is_some() {
            let cached = u64::from(entry.prompt_tokens) + u64::from(progress.made);
            self.cached.set(self.cached.get() - cached);
        }
        let mut metrics = self.metrics.borrow_mut();
        metrics.finish(outcome);
        metrics.e2e.add(seconds(end - entry.arrival));
        metrics.request_prompt_tokens.add(f64::from(entry.prompt_tokens));
        metrics.request_generation_tokens.add(f64::from(progress.made));
        if progress.made > 0 {
            let decode = seconds(progress.last - progress.first);
            metrics.decode.add(decode);
            if progress.made > 1 {
                metrics.per_output_token.add(decode / f64::from(progress.made - 1));
            }
        }
        self.truth.borrow_mut().push(entry);
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
