//! `Recorded`: arrivals at the times that somebody wrote down, at any speed.

use crate::record::Nanos;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct Recorded {
    times: Arc<[Nanos]>,
    speed: f64,
    next: usize,
}

impl Recorded {
    pub(super) fn new(times: &Arc<[Nanos]>, speed: f64) -> Self {
        Recorded { times: times.clone(), speed, next: 0 }
    }

    pub(super) fn next(&mut self) -> Option<Nanos> {
        let at = *self.times.get(self.next)?;
        self.next += 1;
        Some(at_speed(at, self.speed))
    }
}

fn at_speed(at: Nanos, speed: f64) -> Nanos {
    // Beyond 2^53 ns, which are 104 days, not every nanosecond has a number of its own.
    if speed == 1.0 { at } else { (at as f64 / speed).round() as Nanos }
}

/// Most arrivals within any second.
pub(super) fn busiest_second(times: &[Nanos], speed: f64) -> usize {
    let (mut first, mut most) = (0, 0);
    for (last, at) in times.iter().enumerate() {
        while at_speed(at - times[first], speed) >= 1_000_000_000 {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Due;
    use crate::schedule::{Process, Shape};

    fn recorded(times: &[Nanos], speed: f64) -> Shape {
        let over = *times.last().expect("times") as f64 / 1e9;
        Shape::Recorded { name: "t.csv".into(), times: times.into(), over, speed }
    }

    fn dues(shape: &Shape) -> Vec<Due> {
        shape.schedule(3, "x").map(|slot| slot.due).collect()
    }

    #[test]
    fn times_are_those_of_the_record_at_any_speed_and_in_any_traffic() {
        let times = [0, 1_000, 333_333_333, 7_000_000_001];
        assert_eq!(dues(&recorded(&times, 1.0)), times.map(Due::At));
        assert_eq!(dues(&recorded(&times, 2.0)), [0, 500, 166_666_667, 3_500_000_001].map(Due::At));
        assert_eq!(dues(&recorded(&times, 0.5)), [0, 2_000, 666_666_666, 14_000_000_002].map(Due::At));
        assert_eq!(recorded(&times, 2.0).length(), Some(3.5000000005));
        assert_eq!(recorded(&times, 0.0).check(), Err("the speed must be above 0, got 0".into()));
        assert_eq!(
            recorded(&times, 2.0).to_string(),
            "4 recorded times of t.csv over 7.000000001 s, 2 times as fast"
        );
        assert_eq!(recorded(&times, 1.0).with_process(Process::Even), None);
    }

    #[test]
    fn the_busiest_second_is_its_highest_rate() {
        let times = [0, 900_000_000, 1_000_000_000, 1_100_000_000, 1_899_999_999, 1_900_000_000];
        assert_eq!(recorded(&times, 1.0).peak(), 4.0);
        assert_eq!(recorded(&times, 2.0).peak(), 6.0);
        assert_eq!(recorded(&times, 0.1).peak(), 2.0);
    }
}
