//! What each request asks: `session(seq) -> Session`, a pure function of the traffic key and
//! the sequence number. A plain request is a session of one.

use crate::record::{Reply, Request};
use crate::tokens::Tokens;
use std::sync::Arc;

/// A distribution of lengths in tokens. Samples are at least 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Length {
    Fixed(u32),
    /// Both ends included.
    Uniform(u32, u32),
    Normal {
        mean: f64,
        sd: f64,
    },
    Lognormal {
        median: f64,
        sigma: f64,
    },
    /// (value, weight) pairs.
    Empirical(Vec<(u32, f64)>),
}

/// What makes the traffic of one run its own: same key and seq, same request.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub seed: u64,
    /// The run's name: different cells and the warm-up get different prompts.
    pub cell: String,
    /// A nonce per invocation, so that a rerun does not hit the server's prefix cache.
    /// It changes the words, never the lengths.
    pub salt: u64,
}

/// Text shared by the requests of one group, in front of each prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prefix {
    pub tokens: u32,
    /// Number of different prefixes; a request takes one at random.
    pub groups: u32,
}

/// Random words of given lengths.
#[derive(Debug, Clone)]
pub struct Prompts {
    pub class: Arc<str>,
    pub input: Length,
    pub output: Length,
    pub prefix: Option<Prefix>,
    /// Body fields of each request (temperature, model of a LoRA, ...).
    pub extra: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
    pub tokens: Arc<Tokens>,
}

/// A workload.
#[derive(Debug, Clone)]
pub enum Workload {
    Prompts(Prompts),
    /// Parts with their weights.
    Mix(Vec<(f64, Workload)>),
}

/// One conversation: requests one after another.
pub struct Session {
    _private: (),
}

impl Workload {
    pub fn check(&self) -> Result<(), String> {
        todo!()
    }

    pub fn session(&self, _traffic: &Traffic, _seq: u64) -> Session {
        todo!()
    }
}

impl Session {
    /// The next request, given the reply to the one before (`None` for the first).
    pub fn next(&mut self, _previous: Option<&Reply>) -> Option<Request> {
        todo!()
    }
}
