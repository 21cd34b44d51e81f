//! `Watch`: looks whether a run must stop.

use super::ended::Reason;
use super::plan::Plan;
use super::session::Shared;
use super::{Control, Stop};
use crate::os;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Interval;

/// Failures to connect in a row that end a run, once an outage has lasted too long.
const CONNECT_FAILURES_MAX: u32 = 10;

/// Looks whether the run must stop.
pub(super) struct Watch<'a> {
    pub plan: &'a Plan,
    pub control: &'a Control,
    pub shared: Arc<Shared>,
}

impl Watch<'_> {
    /// Awaits `step`, looking now and then.
    pub async fn over<T>(&self, look: &mut Interval, step: impl Future<Output = T>) -> Result<T, Reason> {
        if let Some(reason) = self.stopped() {
            return Err(reason);
        }
        tokio::pin!(step);
        loop {
            tokio::select! {
                biased;
                done = &mut step => return Ok(done),
                _ = look.tick() => if let Some(reason) = self.stopped() {
                    return Err(reason);
                }
            }
        }
    }

    /// The slot goes on, unless something other than the time has ended the run.
    pub fn ended_by<T>(&self, admitted: T) -> Result<T, Reason> {
        match self.stopped().filter(|reason| *reason != Reason::Duration) {
            Some(reason) => Err(reason),
            None => Ok(admitted),
        }
    }

    /// What says stop right now.
    fn stopped(&self) -> Option<Reason> {
        if self.control.stop() > Stop::No {
            return Some(Reason::Interrupted);
        }
        if let Some(error) = self.shared.conversations.broken() {
            return Some(Reason::Preparation(error.clone()));
        }
        if self.shared.stages.are_past_the_end(os::now() - self.shared.zero) {
            return Some(Reason::Duration);
        }
        if self.shared.stages.are_full() {
            return Some(Reason::Requests);
        }
        self.too_many_failures().map(Reason::Early)
    }

    fn too_many_failures(&self) -> Option<String> {
        let Shared { progress, outage, .. } = &*self.shared;
        let in_row = progress.connect_failures_in_row.load(Relaxed);
        let borne = outage.borne();
        // Nobody is left who may find the server back: each place has waited and failed.
        let all = in_row > 0 && !borne.is_zero() && !self.plan.open() && progress.in_flight() == 0;
        if (in_row >= CONNECT_FAILURES_MAX || all) && outage.is_too_long(os::now()) {
            let s = if in_row == 1 { "" } else { "s" };
            return Some(match borne {
                Duration::ZERO => format!("{CONNECT_FAILURES_MAX} failures in a row to connect"),
                borne => {
                    format!("no connection for {} s ({in_row} failure{s} in a row)", borne.as_secs_f64())
                }
            });
        }
        let (finished, failed) = (progress.finished.load(Relaxed), progress.failed.load(Relaxed));
        self.plan.max_errors?.passed(finished, failed)
    }
}
