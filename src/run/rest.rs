//! What waits when a run is ended from outside: counted from the schedule, without making it.

use super::plan::Plan;
use crate::record::{Due, Nanos};
use std::time::{Duration, Instant};

/// Longest time that the counting takes; what is left is told as "more than".
const TIME: Duration = Duration::from_millis(300);

/// Slots that are counted before others on this thread have their turn: replies are being read.
const AT_A_TIME: u64 = 4096;

/// How many slots from number `seq` on are due before `end`, and whether all were counted.
pub async fn due(plan: &Plan, seq: u64, end: Nanos) -> (u64, bool) {
    let limit = usize::try_from(plan.slots().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let began = Instant::now();
    let (mut seen, mut count) = (0_u64, 0);
    for slot in plan.schedule().take(limit) {
        seen += 1;
        match slot.due {
            Due::At(planned) if planned < end => count += u64::from(slot.seq >= seq),
            _ => break,
        }
        if seen.is_multiple_of(AT_A_TIME) {
            tokio::task::yield_now().await;
            if began.elapsed() > TIME {
                return (count, false);
            }
        }
    }
    (count, true)
}
