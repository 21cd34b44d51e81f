//! `Steps`: one rate after another, each for its time, then the schedule ends.

use super::check::{ROUNDING, above_zero, zero_or_above};

#[derive(Debug, Clone)]
pub(super) struct Steps {
    steps: Vec<(f64, f64)>,
    now: usize,
    /// Requests and seconds of the steps before `now`.
    sum: f64,
    start: f64,
}

pub(super) fn check(steps: &[(f64, f64)]) -> Result<(), String> {
    if steps.is_empty() {
        return Err("steps need at least one [rate, duration]".into());
    }
    for (index, (rate, seconds)) in steps.iter().enumerate() {
        zero_or_above(&format!("the rate of step {}", index + 1), *rate)?;
        above_zero(&format!("the duration of step {}", index + 1), *seconds)?;
    }
    match steps.iter().all(|(rate, _)| *rate == 0.0) {
        true => Err("steps with no rate above 0 send nothing".into()),
        false => Ok(()),
    }
}

impl Steps {
    pub(super) fn new(steps: &[(f64, f64)]) -> Self {
        Steps { steps: steps.to_vec(), now: 0, sum: 0.0, start: 0.0 }
    }

    /// `sum` must not fall from call to call.
    pub(super) fn time_of(&mut self, sum: f64) -> Option<f64> {
        loop {
            let (rate, seconds) = *self.steps.get(self.now)?;
            let end = self.sum + rate * seconds;
            if sum < end * (1.0 - ROUNDING) {
                return Some(self.start + ((sum - self.sum) / rate).clamp(0.0, seconds));
            }
            self.now += 1;
            self.sum = end;
            self.start += seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Due;
    use crate::schedule::{Process, Shape};

    fn times(steps: &[(f64, f64)], process: Process) -> Vec<f64> {
        let shape = Shape::Steps { steps: steps.to_vec(), process };
        assert_eq!(shape.check(), Ok(()));
        shape
            .schedule(0, "steps")
            .map(|slot| match slot.due {
                Due::At(time) => time as f64 / 1e9,
                Due::Free { .. } => panic!("an open shape has times"),
            })
            .collect()
    }

    fn between(times: &[f64], from: f64, to: f64) -> usize {
        times.iter().filter(|t| **t >= from && **t < to).count()
    }

    #[test]
    fn each_step_sends_its_rate_times_its_duration() {
        let even = times(&[(10.0, 2.0), (50.0, 1.0), (5.0, 2.0)], Process::Even);
        assert_eq!(even.len(), 80);
        assert_eq!(
            [between(&even, 0.0, 2.0), between(&even, 2.0, 3.0), between(&even, 3.0, 5.0)],
            [20, 50, 10]
        );
        let poisson = times(&[(200.0, 20.0), (800.0, 10.0)], Process::Poisson);
        assert!((between(&poisson, 0.0, 20.0) as f64 - 4000.0).abs() < 4.0 * 63.2);
        assert!((between(&poisson, 20.0, 30.0) as f64 - 8000.0).abs() < 4.0 * 89.4);
    }

    #[test]
    fn a_pause_sends_nothing() {
        let times = times(&[(0.0, 1.0), (4.0, 1.0), (0.0, 5.0), (4.0, 1.0)], Process::Even);
        assert_eq!(times, [1.0, 1.25, 1.5, 1.75, 7.0, 7.25, 7.5, 7.75]);
    }

    #[test]
    fn many_short_steps_round_to_no_extra_request() {
        let steps = vec![(9.0, 0.1); 300];
        assert_eq!(times(&steps, Process::Even).len(), 270);
    }

    #[test]
    fn steps_last_as_long_as_they_say_together() {
        let shape = Shape::Steps { steps: vec![(10.0, 2.0), (50.0, 1.0)], process: Process::Even };
        assert_eq!(shape.length(), Some(3.0));
    }

    #[test]
    fn a_bad_step_is_named_in_a_sentence() {
        let check =
            |steps: &[(f64, f64)]| Shape::Steps { steps: steps.to_vec(), process: Process::Poisson }.check();
        assert_eq!(check(&[]), Err("steps need at least one [rate, duration]".into()));
        assert_eq!(
            check(&[(1.0, 1.0), (-2.0, 1.0)]),
            Err("the rate of step 2 must not be negative, got -2".into())
        );
        assert_eq!(check(&[(1.0, 0.0)]), Err("the duration of step 1 must be above 0, got 0".into()));
        assert_eq!(check(&[(0.0, 1.0)]), Err("steps with no rate above 0 send nothing".into()));
    }
}
