//! `Rate`: the same rate for ever.

use super::check::above_zero;

/// Seconds. A rate that asks for less than one request in this time is a slip of the pen.
const CENTURY: f64 = 100.0 * 365.25 * 86_400.0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_second: f64,
}

impl Rate {
    pub(super) fn check(&self) -> Result<(), String> {
        above_zero("the rate", self.per_second).map_err(|problem| match self.per_second {
            f64::INFINITY => format!("{problem} (without a rate, all requests are sent at once)"),
            _ => problem,
        })?;
        if self.per_second * CENTURY < 1.0 {
            return Err(format!(
                "the rate must be at least one request in a hundred years, got {:e} per second",
                self.per_second
            ));
        }
        Ok(())
    }

    pub(super) fn time_of(&self, sum: f64) -> f64 {
        sum / self.per_second
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Due;
    use crate::schedule::{Process, Shape};

    fn times(per_second: f64, process: Process, count: usize) -> Vec<i64> {
        Shape::Rate { per_second, process }
            .schedule(0, "rate")
            .take(count)
            .map(|slot| match slot.due {
                Due::At(time) => time,
                Due::Free { .. } => panic!("an open shape has times"),
            })
            .collect()
    }

    #[test]
    fn even_arrivals_are_exactly_spaced() {
        assert_eq!(times(50.0, Process::Even, 4), [0, 20_000_000, 40_000_000, 60_000_000]);
        assert_eq!(times(3.0, Process::Even, 4), [0, 333_333_333, 666_666_667, 1_000_000_000]);
    }

    #[test]
    fn ten_million_even_arrivals_do_not_drift() {
        let mut schedule = Shape::Rate { per_second: 300.0, process: Process::Even }.schedule(0, "rate");
        let last = schedule.nth(10_000_000).expect("a rate never ends");
        // 1e7 / 300 s, to the nanosecond.
        assert_eq!(last.due, Due::At(33_333_333_333_333));
    }

    #[test]
    fn poisson_gaps_are_exponential_and_not_normalised() {
        let times = times(1000.0, Process::Poisson, 12_000);
        let mut gaps: Vec<f64> = std::iter::once(times[0])
            .chain(times.windows(2).map(|pair| pair[1] - pair[0]))
            .map(|gap| gap as f64 * 1e-6)
            .collect();
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let distance = gaps
            .iter()
            .enumerate()
            .map(|(i, gap)| {
                let expected = 1.0 - (-gap).exp();
                (expected - i as f64 / n).abs().max(((i + 1) as f64 / n - expected).abs())
            })
            .fold(0.0, f64::max);
        assert!(distance < 0.02, "KS distance {distance}");
        // A true process ends near N / rate, never on it.
        let last = times[times.len() - 1];
        assert!((last - 12_000_000_000).abs() > 1_000 && (last - 12_000_000_000).abs() < 600_000_000);
    }

    #[test]
    fn counts_in_equal_windows_scatter_as_poisson_does() {
        let times = times(100.0, Process::Poisson, 60_000);
        let mut counts = vec![0u32; 500];
        for time in times {
            if let Some(count) = counts.get_mut((time / 1_000_000_000) as usize) {
                *count += 1;
            }
        }
        let mean = counts.iter().sum::<u32>() as f64 / 500.0;
        let variance = counts.iter().map(|c| (f64::from(*c) - mean).powi(2)).sum::<f64>() / 500.0;
        assert!((mean - 100.0).abs() < 2.0, "mean {mean}");
        assert!((variance / mean - 1.0).abs() < 0.25, "variance {variance}");
    }
}
