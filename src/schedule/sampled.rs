//! `Sampled`: a rate that somebody's function gave, a piece of a tenth of a second at a time; then the
//! schedule ends.

use super::check::{ROUNDING, above_zero, zero_or_above};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Pieces of a second. A rate holds from its own time to the next one's.
pub const PIECES_PER_SECOND: f64 = 10.0;

/// When piece `index` begins, in seconds: exact where a script writes the same decimal.
pub fn start_of(index: usize) -> f64 {
    index as f64 / PIECES_PER_SECOND
}

/// How many pieces there are in so many seconds; the last one may be shorter.
pub fn pieces_in(over: f64) -> usize {
    (over * PIECES_PER_SECOND * (1.0 - ROUNDING)).ceil() as usize
}

pub(super) fn check(rates: &[f64], over: f64) -> Result<(), String> {
    above_zero("the time of the schedule", over)?;
    if rates.len() != pieces_in(over) {
        return Err(format!("{over} s have {} rates, got {}", pieces_in(over), rates.len()));
    }
    for (index, rate) in rates.iter().enumerate() {
        zero_or_above(&format!("the rate at t = {} s", start_of(index)), *rate)?;
    }
    match rates.iter().all(|rate| *rate == 0.0) {
        true => Err("a schedule with no rate above 0 sends nothing".into()),
        false => Ok(()),
    }
}

/// The rates in a few words. Two schedules that ask for different rates have different words.
pub(super) fn describe(rates: &[f64], over: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (least, most) = rates
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
    let mut hash = Sha256::new();
    rates.iter().for_each(|rate| hash.update(rate.to_le_bytes()));
    write!(f, "{} rates from {least} to {most} per second over {over} s, ", rates.len())?;
    hash.finalize().iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[derive(Debug, Clone)]
pub(super) struct Sampled {
    rates: Arc<[f64]>,
    over: f64,
    now: usize,
    /// Requests of the pieces before `now`.
    sum: f64,
}

impl Sampled {
    pub(super) fn new(rates: &Arc<[f64]>, over: f64) -> Self {
        Sampled { rates: rates.clone(), over, now: 0, sum: 0.0 }
    }

    /// `sum` must not fall from call to call.
    pub(super) fn time_of(&mut self, sum: f64) -> Option<f64> {
        loop {
            let rate = *self.rates.get(self.now)?;
            let (start, end) = (start_of(self.now), start_of(self.now + 1).min(self.over));
            let after = self.sum + rate * (end - start);
            if sum < after * (1.0 - ROUNDING) {
                return Some((start + (sum - self.sum) / rate).clamp(start, end));
            }
            self.now += 1;
            self.sum = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::times;
    use crate::schedule::{Process, Shape};

    fn sampled(over: f64, process: Process, rate: impl Fn(f64) -> f64) -> Shape {
        let rates = (0..pieces_in(over)).map(|index| rate(start_of(index))).collect();
        let shape = Shape::Sampled { rates, over, process };
        assert_eq!(shape.check(), Ok(()));
        shape
    }

    fn between(times: &[f64], from: f64, to: f64) -> usize {
        times.iter().filter(|t| **t >= from && **t < to).count()
    }

    #[test]
    fn a_rate_holds_for_a_tenth_of_a_second_and_the_last_piece_may_be_shorter() {
        let jump = sampled(1.05, Process::Even, |t| if t < 0.3 { 10.0 } else { 100.0 });
        let times = times(&jump);
        assert_eq!(&times[..4], [0.0, 0.1, 0.2, 0.3]);
        assert_eq!((times.len(), jump.length()), (78, Some(1.05)));
        assert!(times[77] < 1.05);
    }

    #[test]
    fn a_wave_has_its_area_in_each_part_of_it() {
        let wave = |t: f64| 200.0 + 150.0 * (std::f64::consts::TAU * t / 60.0).sin();
        let times = times(&sampled(60.0, Process::Poisson, wave));
        // The integral of the sine over half a period is 2 x 60 / tau.
        let half = 150.0 * 60.0 / std::f64::consts::PI;
        for (seen, expected) in
            [(between(&times, 0.0, 30.0), 6_000.0 + half), (between(&times, 30.0, 60.0), 6_000.0 - half)]
        {
            assert!((seen as f64 - expected).abs() < 4.0 * f64::sqrt(expected), "{seen} of {expected}");
        }
    }

    #[test]
    fn a_bad_rate_is_named_with_its_time() {
        let check = |rates: &[f64], over| {
            Shape::Sampled { rates: rates.into(), over, process: Process::Poisson }.check()
        };
        assert_eq!(
            check(&[1.0, 2.0, -3.0], 0.3),
            Err("the rate at t = 0.2 s must not be negative, got -3".into())
        );
        assert_eq!(
            check(&[1.0, f64::NAN], 0.2),
            Err("the rate at t = 0.1 s must be a number, got NaN".into())
        );
        assert_eq!(check(&[0.0; 20], 2.0), Err("a schedule with no rate above 0 sends nothing".into()));
        assert_eq!(check(&[1.0], 0.0), Err("the time of the schedule must be above 0, got 0".into()));
        assert_eq!(check(&[1.0], 2.0), Err("2 s have 20 rates, got 1".into()));
    }

    #[test]
    fn different_rates_have_different_words() {
        let words =
            |peak: f64| sampled(2.0, Process::Even, |t| if t == 1.0 { peak } else { 5.0 }).to_string();
        assert!(words(9.0).starts_with("even, 20 rates from 5 to 9 per second over 2 s, "));
        assert_eq!(words(9.0), words(9.0));
        let moved = sampled(2.0, Process::Even, |t| if t == 1.1 { 9.0 } else { 5.0 }).to_string();
        assert_ne!(words(9.0), moved);
    }
}
