//! A whole run in virtual time: schedule, workload and the kernel of the built-in engine give the records
//! that a real run of the same plan against `rampant engine` yields. No sockets, no clock, no threads: an
//! hour of schedule takes seconds, and the same plan gives the same records.
//!
//! `simulation` is the loop of a run (`run/drive.rs`) with a clock of its own; `asking` makes what the
//! server is asked, `flight` the record of a reply that is being written, `way` how long requests travel.
//!
//! What is not simulated: connections (they are always open), time that the client or the server need for
//! themselves, and the timeouts between events but for a server that has fallen silent.

mod alone;
mod asking;
mod flight;
mod simulation;
#[cfg(test)]
mod tests;
mod way;

use crate::engine;
use crate::error::Result;
use crate::record::{Nanos, Record};

pub use crate::run::Reason;
pub use crate::run::plan::{Capture, MaxErrors, OverCap, Plan, Warmup};
pub use crate::schedule::{Growth, Process, Shape, Share};
pub use alone::alone;
pub use way::Way;

/// How a simulated run ended. Times are nanoseconds since its zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Why no more was sent.
    pub reason: Reason,
    /// Where the measured window begins; `None`: nothing was measured.
    pub window: Option<Nanos>,
    /// Where it ends by the plan; `None`: with the last reply.
    pub window_end: Option<Nanos>,
    /// The end of the last request.
    pub lasted: Nanos,
    pub requests: u64,
    /// Most requests that were in flight at once.
    pub in_flight_max: usize,
}

/// Plays a plan against an engine of this configuration; `see` is given each record when its request has
/// ended. The plan's target says what a body holds, and is never connected to.
///
/// Fails when the engine's configuration is impossible, or when it does not speak the target's protocol.
pub fn simulate(
    plan: &Plan,
    engine: &engine::Config,
    way: Way,
    see: impl FnMut(Record),
) -> Result<Simulated> {
    simulation::Simulation::new(plan, engine, way, see)?.run()
}
