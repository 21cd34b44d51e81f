//! `Process`: how arrivals scatter around their mean rate.

use super::check::above_zero;
use std::fmt;

/// How arrivals scatter around their mean rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Process {
    /// Independent exponential gaps.
    Poisson,
    /// Evenly spaced, the first at 0.
    Even,
    /// Gamma gaps with this coefficient of variation (1 is Poisson, larger is burstier).
    /// vLLM's `burstiness` b is cv = 1 / sqrt(b).
    Gamma { cv: f64 },
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Poisson => write!(f, "poisson"),
            Process::Even => write!(f, "even"),
            Process::Gamma { cv } => write!(f, "gamma with cv {cv}"),
        }
    }
}

/// The shape in words, for manifests: `poisson, 20 per second`.
impl Process {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Process::Gamma { cv } => above_zero("the coefficient of variation", *cv),
            Process::Poisson | Process::Even => Ok(()),
        }
    }
}
