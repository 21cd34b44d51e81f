//! `hash`: what a plan asks and when, as one short text: equal for equal traffic, whatever the
//! runs are called, wherever they go, and whatever their words are.

use super::plan::{Plan, Warmup};
use crate::record::{Due, Nanos};
use crate::workload::AskedSize;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;

/// Requests that the hash looks at: enough to tell two plans apart, and known before a run begins.
const REQUESTS_MAX: usize = 4096;

/// The first 16 hexadecimal digits of the SHA-256 of one line for each of the first requests of the
/// plan, warm-up included: `due input output`, as docs/results.md has it. All processes that carry it
/// together have the same.
pub fn hash(plan: &Plan) -> String {
    let traffic = plan.traffic();
    let requests = plan.slots_in_all().map_or(REQUESTS_MAX, |slots| slots.min(REQUESTS_MAX as u64) as usize);
    let mut lines = String::new();
    let mut end = None;
    for slot in plan.schedule_in_all().take(requests) {
        if let Due::At(due) = slot.due {
            end = end.or_else(|| end_of(plan, slot.seq, due));
            if end.is_some_and(|end| due >= end) {
                break;
            }
        }
        let asked = plan.workload.asked(&traffic, slot.seq);
        let due = match slot.due {
            // Not nanoseconds: the logarithm of two systems may differ in the last bit.
            Due::At(due) => (due / 1_000).to_string(),
            Due::Free { think: 0 } => "free".into(),
            Due::Free { think } => format!("free+{}", think / 1_000),
        };
        let mut line = |due: &str, asked: AskedSize| {
            writeln!(lines, "{due} {} {}", asked.input, asked.output).expect("a string takes everything");
        };
        line(&due, asked);
        for (think, asked) in plan.workload.later_turns(&traffic, slot.seq) {
            line(&format!("turn+{}", think.as_micros()), asked);
        }
    }
    let digest = Sha256::digest(lines.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Where the measured time ends, once slot `seq`, due at `due`, tells.
fn end_of(plan: &Plan, seq: u64, due: Nanos) -> Option<Nanos> {
    let nanos = |time: Duration| time.as_nanos() as Nanos;
    let start = match plan.warmup {
        Warmup::None => Some(0),
        Warmup::Time(time) => Some(nanos(time)),
        Warmup::Requests(n) => (seq == n).then_some(due),
    };
    Some(start? + nanos(plan.duration?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests;
    use crate::schedule::{Process, Shape};
    use crate::tokens::Tokens;
    use crate::workload::{Length, Prompts, Workload};
    use std::sync::Arc;

    fn open() -> Plan {
        let workload = Workload::Prompts(Prompts {
            class: "".into(),
            input: Length::Uniform(5, 500),
            output: Length::Lognormal { median: 50.0, sigma: 0.5 },
            prefix: None,
            extra: None,
            tokens: Arc::new(Tokens::Words),
        });
        Plan {
            traffic: "day".into(),
            workload,
            arrivals: Shape::Rate { per_second: 20.0, process: Process::Poisson },
            duration: Some(Duration::from_secs(5)),
            requests: None,
            ..tests::plan(Shape::AtOnce)
        }
    }

    fn changed(change: impl FnOnce(&mut Plan)) -> String {
        let mut plan = open();
        change(&mut plan);
        hash(&plan)
    }

    #[test]
    fn it_is_the_same_on_every_machine() {
        assert_eq!(hash(&open()), "eba42a81cec98b34");
    }

    #[test]
    fn names_words_and_what_does_not_reach_the_traffic_do_not_matter() {
        let same = hash(&open());
        assert_eq!(changed(|plan| plan.name = "other".into()), same);
        assert_eq!(changed(|plan| plan.salt = 7), same);
        assert_eq!(changed(|plan| plan.cap = Some(3)), same);
        assert_eq!(changed(|plan| plan.drain = Some(Duration::ZERO)), same);
    }

    #[test]
    fn lengths_times_and_the_end_of_the_plan_matter() {
        let same = hash(&open());
        for other in [
            changed(|plan| plan.traffic = "night".into()),
            changed(|plan| plan.seed = 1),
            changed(|plan| plan.arrivals = Shape::Rate { per_second: 21.0, process: Process::Poisson }),
            changed(|plan| plan.arrivals = Shape::Closed { places: 4, from: 4, over: 0.0 }),
            changed(|plan| plan.duration = Some(Duration::from_secs(4))),
            changed(|plan| plan.requests = Some(20)),
            changed(|plan| plan.warmup = Warmup::Time(Duration::from_secs(1))),
            changed(|plan| {
                let Workload::Prompts(prompts) = &mut plan.workload else { unreachable!() };
                prompts.output = Length::Fixed(50);
            }),
        ] {
            assert_ne!(other, same);
        }
    }

    #[test]
    fn a_closed_loop_without_a_number_of_requests_has_one_too() {
        let closed =
            |places| changed(|plan| plan.arrivals = Shape::Closed { places, from: places, over: 0.0 });
        assert_eq!(closed(4), closed(4));
        assert_ne!(closed(4), closed(5));
    }
}
