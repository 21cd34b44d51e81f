//! `Pace`: when each token of each request is due. Pure arithmetic on nanoseconds: it reads no
//! clock and never waits; whoever drives it asks for the next deadline and plays what is due.

use crate::engine::Config;
use crate::engine::batch::Batch;
use crate::engine::due::{Due, Next};
use crate::engine::fixed::Fixed;
use crate::engine::nanos::Nanos;

/// All requests in the server, as jobs `T`, under one of the two models.
pub enum Pace<T> {
    Fixed(Fixed<T>),
    Batch(Batch<T>),
}

impl<T: PartialEq> Pace<T> {
    pub fn new(config: &Config) -> Self {
        if config.prefill > 0.0 { Pace::Batch(Batch::new(config)) } else { Pace::Fixed(Fixed::new(config)) }
    }

    /// A request of `prompt` tokens arrives.
    pub fn add(&mut self, job: T, arrival: Nanos, prompt: u32) {
        match self {
            Pace::Fixed(fixed) => fixed.add(job, arrival),
            Pace::Batch(batch) => batch.add(job, arrival, prompt),
        }
    }

    /// The next deadline.
    pub fn next(&self) -> Option<Nanos> {
        match self {
            Pace::Fixed(fixed) => fixed.next(),
            Pace::Batch(batch) => batch.next(),
        }
    }

    /// Plays one deadline that is not after `now`: at most one call of `emit`. Returns whether
    /// there was one.
    pub fn play(&mut self, now: Nanos, emit: impl FnMut(&T, Due) -> Next) -> bool {
        match self {
            Pace::Fixed(fixed) => fixed.play(now, emit),
            Pace::Batch(batch) => batch.play(now, emit),
        }
    }

    /// Takes a request away in mid-way, waiting or running, and frees its slot. From then on its
    /// `emit` must answer [`Next::Gone`].
    pub fn cancel(&mut self, job: &T, now: Nanos) {
        match self {
            Pace::Fixed(fixed) => fixed.cancel(job, now),
            Pace::Batch(batch) => batch.cancel(job, now),
        }
    }

    /// Requests that hold a slot.
    pub fn running(&self) -> usize {
        match self {
            Pace::Fixed(fixed) => fixed.running(),
            Pace::Batch(batch) => batch.running(),
        }
    }

    /// Requests that wait for a slot.
    pub fn waiting(&self) -> usize {
        match self {
            Pace::Fixed(fixed) => fixed.waiting(),
            Pace::Batch(batch) => batch.waiting(),
        }
    }
}
