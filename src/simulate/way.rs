//! `Way`: how long a request travels to the server.

use crate::random::Stream;
use crate::record::Nanos;
use rand_distr::{Distribution, Exp1};

/// How long a request travels: a fixed time, and one at random that differs from run to run. It is what
/// makes two runs of one traffic differ, as they do anywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// Milliseconds.
    pub fixed_ms: f64,
    /// Mean of the exponential part, milliseconds.
    pub jitter_ms: f64,
    pub seed: u64,
}

impl Way {
    /// The server is where the client is.
    pub const NONE: Way = Way { fixed_ms: 0.0, jitter_ms: 0.0, seed: 0 };

    /// The time of each request by its number in the order of sending.
    pub(super) fn times(self) -> impl FnMut(u64) -> Nanos {
        let stream = Stream::new(self.seed, "way", "jitter");
        move |n| {
            let jitter = match self.jitter_ms > 0.0 {
                true => self.jitter_ms * Distribution::<f64>::sample(&Exp1, &mut stream.at(n)),
                false => 0.0,
            };
            ((self.fixed_ms + jitter) * 1e6).round() as Nanos
        }
    }
}
