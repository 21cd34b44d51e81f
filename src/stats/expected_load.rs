//! `ExpectedLoad`: what a plan wanted.

use crate::record::Nanos;

/// What a plan wanted, as far as it can be held against the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExpectedLoad {
    /// Places of a closed loop, and when the last of them starts.
    pub places: Option<usize>,
    pub places_from: Nanos,
    /// The load has one level; a ramp has not.
    pub level: bool,
    /// Requests per second of an open loop of one level.
    pub rate: Option<f64>,
    /// Replies of the asked length are wanted.
    pub exact: bool,
    /// Replies were asked for as streams.
    pub streamed: bool,
    /// Input tokens of a request that others share, on average. `None`: unknown.
    pub shared_tokens: Option<f64>,
}
