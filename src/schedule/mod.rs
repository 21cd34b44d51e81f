//! Load shapes: `next() -> Option<Slot>` says which request is due when. Arithmetic, seeded;
//! no clock, no sleep.

use crate::record::Slot;

/// How arrivals scatter around their mean rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Process {
    /// Independent exponential gaps.
    Poisson,
    /// Evenly spaced.
    Even,
    /// Gamma gaps with this coefficient of variation (1 is Poisson, larger is burstier).
    /// vLLM's `burstiness` b is cv = 1 / sqrt(b).
    Gamma { cv: f64 },
}

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
    Ramp {
        from: f64,
        to: f64,
        over: f64,
        process: Process,
    },
    /// Each (rate, seconds) in turn, then the schedule ends.
    Steps {
        steps: Vec<(f64, f64)>,
        process: Process,
    },
    /// `places` users, each waits for its reply; they start spread evenly over `over` seconds,
    /// the first `from` of them at once.
    Closed {
        places: usize,
        from: usize,
        over: f64,
    },
}

/// An endless or ending sequence of slots with ascending `seq` from 0.
pub struct Schedule {
    _private: (),
}

impl Shape {
    /// What is wrong with the numbers, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        todo!()
    }

    /// The number of places of a closed shape.
    pub fn places(&self) -> Option<usize> {
        match self {
            Shape::Closed { places, .. } => Some(*places),
            _ => None,
        }
    }

    /// Seconds after which the shape ends by itself (ramp, steps).
    pub fn length(&self) -> Option<f64> {
        todo!()
    }

    /// Rates per second at `t` seconds, for charts and lead times; `None` for closed shapes.
    pub fn rate_at(&self, _t: f64) -> Option<f64> {
        todo!()
    }

    /// The schedule of this shape for one cell.
    pub fn schedule(&self, _seed: u64, _cell: &str) -> Schedule {
        todo!()
    }
}

impl Iterator for Schedule {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        todo!()
    }
}
