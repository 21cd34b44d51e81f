//! `Scheduler`: when each token of each request is due. Pure arithmetic on nanoseconds: it reads no
//! clock and never waits; whoever drives it asks for the next deadline and plays what is due.

use crate::engine::Config;
use crate::engine::batch::Batch;
use crate::engine::due::{Deadline, Next};
use crate::engine::fixed::Fixed;
use crate::engine::nanos::Nanos;
use crate::engine::prefix_cache::{PrefixCache, Prompt};

/// All requests in the server, as jobs `T`, under one of the two models.
pub enum Scheduler<T> {
    Fixed(Fixed<T>),
    Batch(Batch<T>),
}

impl<T: PartialEq> Scheduler<T> {
    pub fn new(config: &Config) -> Self {
        if config.prefill > 0.0 {
            Scheduler::Batch(Batch::new(config))
        } else {
            Scheduler::Fixed(Fixed::new(config))
        }
    }

    /// A request arrives.
    pub fn add(&mut self, job: T, arrival: Nanos, prompt: Prompt) {
        match self {
            Scheduler::Fixed(fixed) => fixed.add(job, arrival, prompt),
            Scheduler::Batch(batch) => batch.add(job, arrival, prompt),
        }
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Nanos> {
        match self {
            Scheduler::Fixed(fixed) => fixed.next(),
            Scheduler::Batch(batch) => batch.next(),
        }
    }

    /// Plays one deadline that is not after `now`: at most one call of `emit`. Returns whether
    /// there was one.
    pub fn play(&mut self, now: Nanos, emit: impl FnMut(&T, Deadline) -> Next) -> bool {
        match self {
            Scheduler::Fixed(fixed) => fixed.play(now, emit),
            Scheduler::Batch(batch) => batch.play(now, emit),
        }
    }

    /// Takes a request away in mid-way, waiting or running, and frees its slot. From then on its
    /// `emit` must answer [`Next::Gone`].
    pub fn cancel(&mut self, job: &T, now: Nanos) {
        match self {
            Scheduler::Fixed(fixed) => fixed.cancel(job, now),
            Scheduler::Batch(batch) => batch.cancel(job, now),
        }
    }

    /// Forgets all prompts that were read.
    pub fn forget_prompts(&mut self) {
        let cache = match self {
            Scheduler::Fixed(fixed) => &mut fixed.cache,
            Scheduler::Batch(batch) => &mut batch.cache,
        };
        cache.iter_mut().for_each(PrefixCache::clear);
    }

    /// Requests that hold a slot.
    pub fn running(&self) -> usize {
        match self {
            Scheduler::Fixed(fixed) => fixed.running(),
            Scheduler::Batch(batch) => batch.running(),
        }
    }

    /// Requests that wait for a slot.
    pub fn waiting(&self) -> usize {
        match self {
            Scheduler::Fixed(fixed) => fixed.waiting(),
            Scheduler::Batch(batch) => batch.waiting(),
        }
    }
}
