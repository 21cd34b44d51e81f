//! `Ramp`: the rate goes linearly from one value to another, then the schedule ends.

use super::check::{ROUNDING, above_zero, zero_or_above};

#[derive(Debug, Clone, Copy)]
pub(super) struct Ramp {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) over: f64,
}

impl Ramp {
    pub(super) fn check(&self) -> Result<(), String> {
        zero_or_above("the rate at the start of the ramp", self.from)?;
        zero_or_above("the rate at the end of the ramp", self.to)?;
        if self.from == 0.0 && self.to == 0.0 {
            return Err("a ramp from 0 to 0 sends nothing".into());
        }
        above_zero("the time of the ramp", self.over)
    }

    /// Solves `from * t + (to - from) / (2 over) * t^2 = sum`.
    pub(super) fn time_of(&self, sum: f64) -> Option<f64> {
        let whole = (self.from + self.to) / 2.0 * self.over;
        if sum >= whole * (1.0 - ROUNDING) {
            return None;
        }
        let slope = (self.to - self.from) / self.over;
        // This form of the quadratic's root neither cancels nor divides by a slope of 0.
        let root = (self.from * self.from + 2.0 * slope * sum).max(0.0).sqrt();
        let time = if sum == 0.0 { 0.0 } else { 2.0 * sum / (self.from + root) };
        Some(time.min(self.over))
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Due;
    use crate::schedule::{Process, Shape};

    fn times(from: f64, to: f64, over: f64, process: Process) -> Vec<f64> {
        let shape = Shape::Ramp { from, to, over, process };
        assert_eq!(shape.check(), Ok(()));
        shape
            .schedule(0, "ramp")
            .map(|slot| match slot.due {
                Due::At(time) => time as f64 / 1e9,
                Due::Free { .. } => panic!("an open shape has times"),
            })
            .collect()
    }

    #[test]
    fn an_even_ramp_sends_its_area() {
        let times = times(10.0, 30.0, 10.0, Process::Even);
        assert_eq!(times.len(), 200);
        // Half of the time is 10/s..20/s: 75 requests.
        assert_eq!(times.iter().filter(|t| **t < 5.0 - 1e-9).count(), 75);
        assert!(times.is_sorted());
    }

    #[test]
    fn a_ramp_down_to_zero_ends_in_time() {
        let times = times(40.0, 0.0, 10.0, Process::Even);
        assert_eq!(times.len(), 200);
        assert!(times[199] < 10.0);
    }

    #[test]
    fn a_ramp_up_from_zero_starts_slowly() {
        let times = times(0.0, 40.0, 10.0, Process::Even);
        assert_eq!(times.len(), 200);
        assert!(times[1] - times[0] > 0.6, "{}", times[1]);
        assert!(times[199] - times[198] < 0.03);
    }

    #[test]
    fn a_poisson_ramp_sends_its_area_on_average() {
        let times = times(100.0, 500.0, 60.0, Process::Poisson);
        let expected = 18_000.0_f64;
        assert!((times.len() as f64 - expected).abs() < 4.0 * expected.sqrt(), "{}", times.len());
        let early = times.iter().filter(|t| **t < 30.0).count() as f64;
        assert!((early - 6_000.0).abs() < 4.0 * 6_000.0_f64.sqrt(), "{early}");
    }

    #[test]
    fn a_ramp_lasts_as_long_as_it_says() {
        let shape = Shape::Ramp { from: 10.0, to: 30.0, over: 10.0, process: Process::Even };
        assert_eq!(shape.length(), Some(10.0));
    }

    #[test]
    fn a_bad_ramp_is_named_in_a_sentence() {
        let check = |from, to, over| Shape::Ramp { from, to, over, process: Process::Even }.check();
        assert_eq!(
            check(-1.0, 2.0, 3.0),
            Err("the rate at the start of the ramp must not be negative, got -1".into())
        );
        assert_eq!(
            check(1.0, f64::INFINITY, 3.0),
            Err("the rate at the end of the ramp must be finite, got inf".into())
        );
        assert_eq!(check(0.0, 0.0, 3.0), Err("a ramp from 0 to 0 sends nothing".into()));
        assert_eq!(check(1.0, 2.0, 0.0), Err("the time of the ramp must be above 0, got 0".into()));
        assert_eq!(check(1.0, 2.0, f64::NAN), Err("the time of the ramp must be a number, got NaN".into()));
    }
}
