//! Load shapes: `next() -> Option<Slot>` says which request is due when. Arithmetic, seeded;
//! no clock, no sleep.
//!
//! An open shape is a curve of rates and a process of gaps with mean 1. The gaps are added up,
//! and the sum is put through the inverse of the curve's cumulative rate: arrival `k` is due
//! when the curve has asked for as many requests as the first `k` gaps sum to. With exponential
//! gaps that is the exact non-homogeneous Poisson process, for every curve.

mod check;
mod closed;
mod combined;
mod gaps;
mod process;
mod ramp;
mod ramp_up;
mod rate;
mod recorded;
mod sampled;
mod share;
mod steps;

use crate::record::{Due, Nanos, Slot};
use check::nanos;
use closed::Closed;
use combined::{Chain, Sum};
use gaps::Gaps;
pub use process::Process;
use ramp::Ramp;
pub use ramp_up::Growth;
use ramp_up::RampUp;
use rate::Rate;
use recorded::Recorded;
use sampled::Sampled;
pub use sampled::{pieces_in, start_of};
pub use share::{Deal, Share};
use std::fmt;
use std::sync::Arc;
use steps::Steps;

/// A load shape. Rates are requests per second, times are seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Every request at time 0.
    AtOnce,
    Rate {
        per_second: f64,
        process: Process,
    },
    /// The rate goes linearly from `from` to `to` over `over` seconds, then the schedule ends.
    /// One of the two may be 0.
    Ramp {
        from: f64,
        to: f64,
        over: f64,
        process: Process,
    },
    /// The rate goes from `from` at the first of `requests` requests to `to` at the last, and stays.
    RampUp {
        from: f64,
        to: f64,
        requests: u64,
        growth: Growth,
        process: Process,
    },
    /// Each (rate, seconds) in turn, then the schedule ends. A rate of 0 is a pause.
    Steps {
        steps: Vec<(f64, f64)>,
        process: Process,
    },
    /// The rates of a function, each for a tenth of a second, `over` seconds in all; then the schedule ends.
    Sampled {
        rates: Arc<[f64]>,
        over: f64,
        process: Process,
    },
    /// Times that were recorded, ascending, of something that lasted `over` seconds, `speed` times as fast.
    Recorded {
        name: Arc<str>,
        times: Arc<[Nanos]>,
        over: f64,
        speed: f64,
    },
    /// Open shapes at the same time: [`Shape::plus`].
    Sum(Vec<Shape>),
    /// Open shapes one after the other: [`Shape::then`].
    Chain(Vec<Shape>),
    /// `places` users, each waits for its reply; they start spread evenly over `over` seconds,
    /// the first `from` of them at once.
    Closed {
        places: usize,
        from: usize,
        over: f64,
    },
    /// So many requests are under way at any time. It differs from `Closed` where sessions have several
    /// requests: while one thinks, another has its place.
    InFlight {
        places: usize,
    },
}

/// An endless or ending sequence of slots with ascending `seq`: all from 0 on, or those of one of
/// several processes.
#[derive(Debug, Clone)]
pub struct Schedule {
    seq: u64,
    source: Source,
    deal: Deal,
}

#[derive(Debug, Clone)]
enum Source {
    AtOnce,
    Open(Gaps, Curve),
    Closed(Closed),
    Sum(Sum),
    Chain(Chain),
    Recorded(Recorded),
}

#[derive(Debug, Clone)]
enum Curve {
    Rate(Rate),
    Ramp(Ramp),
    RampUp(RampUp),
    Steps(Steps),
    Sampled(Sampled),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::AtOnce => write!(f, "all at once"),
            Shape::Rate { per_second, process } => write!(f, "{process}, {per_second} per second"),
            Shape::Ramp { from, to, over, process } => {
                write!(f, "{process}, from {from} to {to} per second over {over} s")
            }
            Shape::RampUp { from, to, requests, growth, process } => {
                let how = if *growth == Growth::Linear { "evenly" } else { "by factors" };
                write!(f, "{process}, from {from} to {to} per second over {requests} requests, {how}")
            }
            Shape::Steps { steps, process } => {
                let steps: Vec<String> =
                    steps.iter().map(|(rate, time)| format!("{rate} per second for {time} s")).collect();
                write!(f, "{process}, {}", steps.join(", then "))
            }
            Shape::Sampled { rates, over, process } => {
                write!(f, "{process}, ")?;
                sampled::describe(rates, *over, f)
            }
            Shape::Recorded { name, times, over, speed } => {
                write!(f, "{} recorded times of {name} over {over} s, ", times.len())?;
                match speed {
                    1.0 => write!(f, "as they were"),
                    speed => write!(f, "{speed} times as fast"),
                }
            }
            Shape::Sum(parts) => list(f, parts, " and "),
            Shape::Chain(parts) => list(f, parts, ", then "),
            Shape::Closed { places, over, .. } if *over == 0.0 => write!(f, "closed, {places} users"),
            Shape::InFlight { places } => write!(f, "closed, {places} requests"),
            Shape::Closed { places, from, over } => {
                write!(f, "closed, from {from} to {places} users over {over} s")
            }
        }
    }
}

/// Several shapes, each in brackets.
fn list(f: &mut fmt::Formatter<'_>, parts: &[Shape], between: &str) -> fmt::Result {
    parts.iter().enumerate().try_for_each(|(index, part)| {
        let between = if index == 0 { "" } else { between };
        write!(f, "{between}({part})")
    })
}

impl Shape {
    /// What is wrong with the numbers, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Shape::AtOnce => Ok(()),
            Shape::Rate { per_second, process } => {
                Rate { per_second: *per_second }.check()?;
                process.check()
            }
            Shape::Ramp { from, to, over, process } => {
                Ramp { from: *from, to: *to, over: *over }.check()?;
                process.check()
            }
            Shape::RampUp { from, to, requests, growth, process } => {
                RampUp { from: *from, to: *to, requests: *requests, growth: *growth }.check()?;
                process.check()
            }
            Shape::Steps { steps, process } => {
                steps::check(steps)?;
                process.check()
            }
            Shape::Sampled { rates, over, process } => {
                sampled::check(rates, *over)?;
                process.check()
            }
            Shape::Recorded { speed, .. } => check::above_zero("the speed", *speed),
            Shape::Sum(parts) | Shape::Chain(parts) => parts.iter().try_for_each(Shape::check),
            Shape::Closed { places, from, over } => {
                Closed { places: *places, from: *from, over: *over }.check()
            }
            Shape::InFlight { places } => Closed { places: *places, from: *places, over: 0.0 }.check(),
        }
    }

    /// The number of places of a closed shape.
    pub fn places(&self) -> Option<usize> {
        match self {
            Shape::Closed { places, .. } | Shape::InFlight { places } => Some(*places),
            _ => None,
        }
    }

    /// The users of a closed shape, each of whom has one session after another.
    pub fn users(&self) -> Option<usize> {
        match self {
            Shape::Closed { places, .. } => Some(*places),
            _ => None,
        }
    }

    /// Seconds after which the shape ends by itself (ramp, steps, schedule).
    pub fn length(&self) -> Option<f64> {
        match self {
            Shape::Ramp { over, .. } | Shape::Sampled { over, .. } => Some(*over),
            Shape::Steps { steps, .. } => Some(steps.iter().map(|(_, seconds)| seconds).sum()),
            Shape::Recorded { over, speed, .. } => Some(over / speed),
            Shape::Sum(parts) => {
                parts.iter().map(Shape::length).try_fold(0.0, |longest: f64, part| Some(longest.max(part?)))
            }
            Shape::Chain(parts) => parts.iter().map(Shape::length).sum(),
            Shape::AtOnce
            | Shape::Rate { .. }
            | Shape::RampUp { .. }
            | Shape::Closed { .. }
            | Shape::InFlight { .. } => None,
        }
    }

    /// Its highest rate, per second; 0 where it has none.
    pub fn peak(&self) -> f64 {
        match self {
            Shape::Rate { per_second, .. } => *per_second,
            Shape::Ramp { from, to, .. } | Shape::RampUp { from, to, .. } => from.max(*to),
            Shape::Steps { steps, .. } => steps.iter().map(|(rate, _)| *rate).fold(0.0, f64::max),
            Shape::Sampled { rates, .. } => rates.iter().copied().fold(0.0, f64::max),
            Shape::Recorded { times, speed, .. } => recorded::busiest_second(times, *speed) as f64,
            Shape::Sum(parts) => parts.iter().map(Shape::peak).sum(),
            Shape::Chain(parts) => parts.iter().map(Shape::peak).fold(0.0, f64::max),
            Shape::Closed { .. } | Shape::InFlight { .. } | Shape::AtOnce => 0.0,
        }
    }

    /// Its rate, where that is the same all the time.
    pub fn level(&self) -> Option<f64> {
        match self {
            Shape::Rate { per_second, .. } => Some(*per_second),
            Shape::Sum(parts) => parts.iter().map(Shape::level).sum(),
            _ => None,
        }
    }

    /// Both at the same time: each keeps a process of arrivals of its own, and the first has the arrivals
    /// that it has alone. Fails where one of them is no open shape.
    pub fn plus(self, other: Shape) -> Result<Shape, String> {
        self.is_combined()?;
        other.is_combined()?;
        let parts = |shape| match shape {
            Shape::Sum(parts) => parts,
            shape => vec![shape],
        };
        Ok(Shape::Sum([parts(self), parts(other)].concat()))
    }

    /// `other` begins when this one has had its time. Fails where this one never ends, or where one of
    /// them is no open shape.
    pub fn then(self, other: Shape) -> Result<Shape, String> {
        self.is_combined()?;
        other.is_combined()?;
        if self.length().is_none() {
            return Err(format!(
                "{self}: it never ends, so that nothing comes after it; steps([[rate, time]]) and ramp(from, to, \
                 time) end"
            ));
        }
        let parts = |shape| match shape {
            Shape::Chain(parts) => parts,
            shape => vec![shape],
        };
        Ok(Shape::Chain([parts(self), parts(other)].concat()))
    }

    /// Whether it can be a part of a sum or a chain.
    fn is_combined(&self) -> Result<(), String> {
        let why = match self {
            Shape::AtOnce => "it has no end and no rate, and cannot be put together with other shapes",
            Shape::Closed { .. } | Shape::InFlight { .. } => {
                "users that wait for their replies cannot be put together with other shapes"
            }
            _ => return Ok(()),
        };
        Err(format!("{self}: {why}"))
    }

    /// The same rates with another process of arrivals. `None`: it has no rates.
    pub fn with_process(self, process: Process) -> Option<Shape> {
        let all = |parts: Vec<Shape>| {
            parts.into_iter().map(|part| part.with_process(process)).collect::<Option<Vec<_>>>()
        };
        Some(match self {
            Shape::Rate { per_second, .. } => Shape::Rate { per_second, process },
            Shape::Ramp { from, to, over, .. } => Shape::Ramp { from, to, over, process },
            Shape::RampUp { from, to, requests, growth, .. } => {
                Shape::RampUp { from, to, requests, growth, process }
            }
            Shape::Steps { steps, .. } => Shape::Steps { steps, process },
            Shape::Sampled { rates, over, .. } => Shape::Sampled { rates, over, process },
            Shape::Recorded { .. } => return None,
            Shape::Sum(parts) => Shape::Sum(all(parts)?),
            Shape::Chain(parts) => Shape::Chain(all(parts)?),
            Shape::Closed { .. } | Shape::InFlight { .. } | Shape::AtOnce => return None,
        })
    }

    /// The whole schedule of this shape in one traffic.
    pub fn schedule(&self, seed: u64, traffic: &str) -> Schedule {
        let source = self.source(seed, traffic, "arrivals");
        Schedule { seq: 0, source, deal: Deal::new(Share::WHOLE, None) }
    }

    /// `stream`: what its gaps are drawn from.
    fn source(&self, seed: u64, traffic: &str, stream: &str) -> Source {
        let open = |process: &Process, curve| Source::Open(Gaps::new(*process, seed, traffic, stream), curve);
        // The first part draws what it would draw alone.
        let part = |(index, part): (usize, &Shape)| match index {
            0 => part.source(seed, traffic, stream),
            _ => part.source(seed, traffic, &format!("{stream}+{index}")),
        };
        match self {
            Shape::AtOnce => Source::AtOnce,
            Shape::Rate { per_second, process } => {
                open(process, Curve::Rate(Rate { per_second: *per_second }))
            }
            Shape::Ramp { from, to, over, process } => {
                open(process, Curve::Ramp(Ramp { from: *from, to: *to, over: *over }))
            }
            Shape::RampUp { from, to, requests, growth, process } => {
                let ramp = RampUp { from: *from, to: *to, requests: *requests, growth: *growth };
                open(process, Curve::RampUp(ramp))
            }
            Shape::Steps { steps, process } => open(process, Curve::Steps(Steps::new(steps))),
            Shape::Sampled { rates, over, process } => {
                open(process, Curve::Sampled(Sampled::new(rates, *over)))
            }
            Shape::Recorded { times, speed, .. } => Source::Recorded(Recorded::new(times, *speed)),
            Shape::Sum(parts) => Source::Sum(Sum::new(parts.iter().enumerate().map(part).collect())),
            Shape::Chain(parts) => {
                let part = |(index, shape): (usize, &Shape)| (part((index, shape)), shape.length());
                Source::Chain(Chain::new(parts.iter().enumerate().map(part).collect()))
            }
            Shape::Closed { places, from, over } => {
                Source::Closed(Closed { places: *places, from: *from, over: *over })
            }
            Shape::InFlight { places } => {
                Source::Closed(Closed { places: *places, from: *places, over: 0.0 })
            }
        }
    }
}

impl Schedule {
    /// Its slots that are one process's own, to be asked for before the first.
    pub fn dealt(self, deal: Deal) -> Schedule {
        Schedule { deal, ..self }
    }

    /// The next slot, whosever it is.
    fn advance(&mut self) -> Option<Slot> {
        let slot = Slot { seq: self.seq, due: self.source.next(self.seq)? };
        self.seq += 1;
        Some(slot)
    }
}

impl Source {
    /// When its next slot is due, the `seq`-th of all.
    fn next(&mut self, seq: u64) -> Option<Due> {
        Some(match self {
            Source::AtOnce => Due::At(0),
            Source::Open(gaps, curve) => Due::At(nanos(curve.time_of(gaps.next_sum())?)),
            Source::Closed(closed) => closed.due(seq),
            Source::Sum(sum) => Due::At(sum.next()?),
            Source::Chain(chain) => Due::At(chain.next()?),
            Source::Recorded(recorded) => Due::At(recorded.next()?),
        })
    }
}

impl Curve {
    /// The time in seconds at which the curve has asked for `sum` requests; `None` after its end.
    fn time_of(&mut self, sum: f64) -> Option<f64> {
        match self {
            Curve::Rate(rate) => Some(rate.time_of(sum)),
            Curve::Ramp(ramp) => ramp.time_of(sum),
            Curve::RampUp(ramp) => Some(ramp.time_of(sum)),
            Curve::Steps(steps) => steps.time_of(sum),
            Curve::Sampled(sampled) => sampled.time_of(sum),
        }
    }
}

impl Iterator for Schedule {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        if self.deal.is_empty() {
            return None;
        }
        loop {
            let slot = self.advance()?;
            if self.deal.owns(slot.seq) {
                return Some(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds.
    pub(super) fn at(due: Due) -> f64 {
        match due {
            Due::At(time) => time as f64 / 1e9,
            Due::Free { .. } => panic!("an open shape has times"),
        }
    }

    /// All of a shape that ends, in seconds.
    pub(super) fn times(shape: &Shape) -> Vec<f64> {
        assert_eq!(shape.check(), Ok(()));
        shape.schedule(0, "times").map(|slot| at(slot.due)).collect()
    }

    #[test]
    fn at_once_is_everything_at_zero() {
        let slots: Vec<Slot> = Shape::AtOnce.schedule(1, "a").take(3).collect();
        let expected: Vec<Slot> = (0..3).map(|seq| Slot { seq, due: Due::At(0) }).collect();
        assert_eq!(slots, expected);
    }

    #[test]
    fn the_same_seed_and_traffic_give_the_same_schedule() {
        let shape = Shape::Rate { per_second: 50.0, process: Process::Poisson };
        let first = |seed, traffic| shape.schedule(seed, traffic).take(100).collect::<Vec<_>>();
        assert_eq!(first(7, "a"), first(7, "a"));
        assert_ne!(first(7, "a"), first(7, "b"));
        assert_ne!(first(7, "a"), first(8, "a"));
    }

    #[test]
    fn every_bad_number_is_named_in_a_sentence() {
        let rate = |per_second| Shape::Rate { per_second, process: Process::Poisson };
        assert_eq!(rate(0.0).check(), Err("the rate must be above 0, got 0".into()));
        assert_eq!(rate(-5.0).check(), Err("the rate must be above 0, got -5".into()));
        assert_eq!(rate(f64::NAN).check(), Err("the rate must be a number, got NaN".into()));
        assert_eq!(
            rate(f64::INFINITY).check(),
            Err("the rate must be finite, got inf (without a rate, all requests are sent at once)".into())
        );
        let never = "the rate must be at least one request in a hundred years, got 1e-300 per second";
        assert_eq!(rate(1e-300).check(), Err(never.into()));
        assert_eq!(rate(1e-9).check(), Ok(()), "one request in 32 years");
        let gamma = |cv| Shape::Rate { per_second: 1.0, process: Process::Gamma { cv } };
        assert_eq!(gamma(0.0).check(), Err("the coefficient of variation must be above 0, got 0".into()));
        assert!(gamma(f64::NAN).check().is_err());
        assert_eq!(gamma(0.5).check(), Ok(()));
    }
}
