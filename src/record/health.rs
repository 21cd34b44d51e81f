//! `Health`: what happened to this process and its machine during one run.

use super::Nanos;

/// What happened to this process and its machine during one run. Times are lengths.
/// `None`: the system does not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// How long the run was watched.
    pub wall: Nanos,
    /// CPU time of this process, kernel included.
    pub cpu: Nanos,
    /// Cores that this process may use.
    pub cores: usize,
    /// The longest time that one of the sending threads was ready and had no core.
    pub waited: Option<Nanos>,
    /// Share of the time of these cores in which anybody used them.
    pub busy: Option<f64>,
    /// Share of the time of these cores that went to programs other than this and the server.
    pub taken: Option<f64>,
    /// Share of the machine's time that its hypervisor gave to others.
    pub stolen: Option<f64>,
    /// What the CPU limit of our container did.
    pub throttled: Option<Throttled>,
    /// Times in which a thread that only sleeps and wakes was kept from waking, added up, and
    /// the longest of them.
    pub paused: Nanos,
    pub longest_pause: Nanos,
    /// Jumps of the wall clock against the monotonic one, and the largest of them.
    pub clock_steps: u32,
    pub largest_step: Nanos,
    /// How long finished requests waited to be handed to the collector, added up.
    pub handing_over: Nanos,
}

/// Periods in which a CPU limit stopped this process, and for how long together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttled {
    pub periods: u64,
    pub time: Nanos,
}
