//! `Draw`: where one request draws its random numbers, and how much it then asks.

use crate::random::Stream;
use rand_chacha::ChaCha8Rng;

/// What makes the traffic of one run its own: same key and seq, same request.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub seed: u64,
    /// The plan's `traffic`, which is the run's name unless it says another.
    pub key: String,
    /// A nonce, so that a server that was asked before does not answer from its prefix cache.
    /// It changes the words, never the lengths.
    pub salt: u64,
}

impl Traffic {
    /// Numbers of a purpose and a sequence number that are the same in every invocation with the same seed.
    pub fn rng(&self, purpose: &str, seq: u64) -> ChaCha8Rng {
        Stream::new(self.seed, &self.key, purpose).at(seq)
    }
}

/// What a request asks: how much, not what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedSize {
    /// Tokens of a made prompt; bytes of a recorded one.
    pub input: u64,
    /// Tokens to allow for the reply.
    pub output: u32,
}

/// By what a workload draws: its class, so that it draws the same alone and in any mix. `rank`
/// counts those of the same class before it in the mix, which must share neither numbers nor words.
pub(super) fn part_key(class: Option<&str>, rank: usize) -> String {
    match (class, rank) {
        (Some(""), 0) => String::new(),
        (Some(class), 0) => format!("/{}:{class}", class.len()),
        (Some(class), _) => format!("/{}:{class}#{rank}", class.len()),
        (None, _) => format!("/*{rank}"),
    }
}

/// Where one request draws its random numbers: one traffic, one part of a mix, one sequence number.
pub(super) struct Draw<'a> {
    pub traffic: &'a Traffic,
    /// The keys of the parts around it, outer ones first.
    pub part: String,
    pub seq: u64,
}

impl Draw<'_> {
    /// Numbers that are the same in every invocation with the same seed.
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        self.stream(purpose).at(self.seq)
    }

    pub fn stream(&self, purpose: &str) -> Stream {
        Stream::new(self.traffic.seed, &self.traffic.key, &[purpose, &self.part].concat())
    }

    /// A stream that the salt makes fresh.
    pub fn salted(&self, purpose: &str) -> Stream {
        self.stream(&format!("{purpose} {:x} ", self.traffic.salt))
    }

    pub fn at_part(&self, key: &str) -> Draw<'_> {
        Draw { traffic: self.traffic, part: [&self.part, key].concat(), seq: self.seq }
    }
}
