//! `RampUp`: the rate grows with the requests and not with time, as vLLM's benchmark has it: it is
//! `from` at the first of `requests` requests and `to` at the last.

use super::check::above_zero;

/// How the rate grows from request to request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// By equal steps.
    Linear,
    /// By equal factors.
    Exponential,
}

impl Growth {
    pub const NAMES: [(&'static str, Growth); 2] =
        [("linear", Growth::Linear), ("exponential", Growth::Exponential)];

    pub fn name(self) -> &'static str {
        match self {
            Growth::Linear => "linear",
            Growth::Exponential => "exponential",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RampUp {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) requests: u64,
    pub(super) growth: Growth,
}

impl RampUp {
    pub(super) fn check(&self) -> Result<(), String> {
        above_zero("the rate at the start of the ramp", self.from)?;
        above_zero("the rate at the end of the ramp", self.to)
    }

    /// Gaps between the first request and the last.
    fn gaps(&self) -> f64 {
        self.requests.saturating_sub(1).max(1) as f64
    }

    /// How fast the logarithm of the rate (linear), or the gap (exponential), changes in time.
    fn slope(&self) -> f64 {
        match self.growth {
            Growth::Linear => (self.to - self.from) / self.gaps(),
            Growth::Exponential => self.from * (self.to / self.from).ln() / self.gaps(),
        }
    }

    /// Integrates the gaps: `d t / d n = 1 / rate(n)`. After the last request the rate stays.
    pub(super) fn time_of(&self, sum: f64) -> f64 {
        let n = sum.min(self.gaps());
        let slope = self.slope();
        let time = match self.growth {
            _ if slope == 0.0 => n / self.from,
            Growth::Linear => (slope * n / self.from).ln_1p() / slope,
            Growth::Exponential => -(-slope * n / self.from).exp_m1() / slope,
        };
        time + (sum - n) / self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Due;
    use crate::schedule::{Process, Shape};

    fn times(from: f64, to: f64, requests: u64, growth: Growth, process: Process) -> Vec<f64> {
        let shape = Shape::RampUp { from, to, requests, growth, process };
        assert_eq!(shape.check(), Ok(()));
        let due = |due| match due {
            Due::At(time) => time as f64 / 1e9,
            Due::Free { .. } => panic!("an open shape has times"),
        };
        shape.schedule(0, "ramp").take(requests as usize).map(|slot| due(slot.due)).collect()
    }

    /// What vLLM's benchmark adds up: request `i` follows after a gap at its own rate.
    fn vllm(from: f64, to: f64, requests: u64, growth: Growth) -> Vec<f64> {
        let rate = |i: u64| {
            let progress = i as f64 / (requests - 1) as f64;
            match growth {
                Growth::Linear => from + (to - from) * progress,
                Growth::Exponential => from * (to / from).powf(progress),
            }
        };
        (0..requests)
            .scan(0.0, |time, i| {
                let now = *time;
                *time += 1.0 / rate(i);
                Some(now)
            })
            .collect()
    }

    #[test]
    fn times_are_those_of_vllms_benchmark() {
        for (from, to) in [(2.0, 20.0), (20.0, 2.0), (5.0, 5.0)] {
            for (_, growth) in Growth::NAMES {
                let ours = times(from, to, 400, growth, Process::Even);
                let theirs = vllm(from, to, 400, growth);
                assert!(ours.is_sorted() && ours[0] == 0.0);
                for (i, (one, other)) in ours.iter().zip(&theirs).enumerate() {
                    // A sum of steps against its integral: half a gap at most.
                    assert!(
                        (one - other).abs() < 0.5 / from.min(to),
                        "{from} {to} {growth:?} {i}: {one} {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn random_gaps_keep_the_curve_on_average_and_one_request_is_no_ramp() {
        let times = times(10.0, 100.0, 20_000, Growth::Exponential, Process::Poisson);
        let even = super::RampUp { from: 10.0, to: 100.0, requests: 20_000, growth: Growth::Exponential };
        assert!((times[10_000] / even.time_of(10_000.0) - 1.0).abs() < 0.05);
        assert_eq!(self::times(3.0, 9.0, 1, Growth::Linear, Process::Even), [0.0]);
    }

    #[test]
    fn a_ramp_from_or_to_nothing_is_named_in_a_sentence() {
        let check = |from, to| {
            Shape::RampUp { from, to, requests: 9, growth: Growth::Linear, process: Process::Even }.check()
        };
        assert_eq!(check(0.0, 1.0), Err("the rate at the start of the ramp must be above 0, got 0".into()));
        assert_eq!(
            check(1.0, f64::INFINITY),
            Err("the rate at the end of the ramp must be finite, got inf".into())
        );
    }
}
