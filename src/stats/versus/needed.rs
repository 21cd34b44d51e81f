//! `Aim`: how long both sides of a comparison must be for what they are asked to be told.
//!
//! The standard error of a change shrinks with the square root of the time. An interval that would just
//! touch the margin is not enough: half of all comparisons would end on the wrong side of it. So the
//! standard error must leave room for chance in the value, too (Cohen 1988, chapter 2), and the one that
//! is known is itself an estimate from few blocks, that is more often too small than too large: its upper
//! limit stands in for it (Browne 1995, "On the use of a pilot sample for sample size determination").

use super::change::{BLOCKS_SAFE, Span};
use super::judge::LEVEL;
use super::student::{critical, with_chance};

/// The 80th and the 90th percentile of the normal distribution: what is there is found in 80 of 100
/// comparisons, and two ends of an interval hold together in as many when each does in 90.
const Z_POWER: f64 = 0.841_621;
const Z_BOTH_ENDS: f64 = 1.281_552;

/// What a comparison is asked to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aim {
    /// The true change, in the unit of the interval.
    pub change: f64,
    /// A change by no more than this is none that matters.
    pub margin: f64,
    /// Rows among which this one has to stand out (Holm 1979).
    pub rows: usize,
}

impl Aim {
    /// How many times as long as now both sides must be, so that such a change is told in 80 of 100
    /// comparisons: as better or worse where it lies beyond the margin, as the same where it lies within.
    /// `now` is the interval of the change that sides of the present length have, wherever it lies.
    /// `None`: so near to the margin that no length decides.
    pub fn times_as_long(&self, now: &Span) -> Option<f64> {
        let change = self.change.abs();
        let room = (change - self.margin).abs();
        if room <= 0.1 * self.margin || room <= 0.0 {
            return None;
        }
        let freedom = now.freedom.max(1.0);
        let error = (now.high - now.low) / 2.0 / critical(freedom);
        // A longer run has not many more blocks, and so not many more degrees of freedom.
        let t = critical(freedom);
        let needed = match change > self.margin {
            true => {
                let of_all = with_chance(LEVEL / self.rows.max(1) as f64, freedom);
                (room / (t + Z_POWER)).min(change / (of_all + Z_POWER))
            }
            false => room / (t + Z_BOTH_ENDS),
        };
        let times = (error / needed).powi(2) * freedom / chi_square_20(freedom);
        // Sides that are much shorter would have no interval at all.
        let least = (BLOCKS_SAFE / (freedom + 1.0)).min(1.0);
        times.is_finite().then_some(times.max(least))
    }
}

/// The 20th percentile of the chi-square distribution (Wilson and Hilferty 1931).
fn chi_square_20(freedom: f64) -> f64 {
    let part = 2.0 / (9.0 * freedom);
    freedom * (1.0 - part - Z_POWER * part.sqrt()).max(0.1).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(half: f64, freedom: f64) -> Span {
        Span { value: 0.01, low: 0.01 - half, high: 0.01 + half, freedom }
    }

    fn times(change: f64, margin: f64, rows: usize, half: f64) -> Option<f64> {
        Aim { change, margin, rows }.times_as_long(&now(half, 1e6))
    }

    #[test]
    fn percentiles_are_those_of_the_tables() {
        for (freedom, wanted) in [(5.0, 2.342_5), (20.0, 14.578), (60.0, 50.641)] {
            assert!((chi_square_20(freedom) / wanted - 1.0).abs() < 1e-2, "{freedom}");
        }
    }

    #[test]
    fn a_change_that_the_interval_just_reaches_is_found_half_of_the_time_and_needs_twice_the_time() {
        let twice = times(0.1, 0.0, 1, 0.1).unwrap();
        assert!((twice - (2.801_6_f64 / 1.96).powi(2)).abs() < 0.01, "{twice}");
        let half = times(0.2, 0.0, 1, 0.1).unwrap();
        assert!((half * 4.0 / twice - 1.0).abs() < 1e-9, "twice the change takes a quarter of the time");
    }

    #[test]
    fn however_large_the_change_there_must_be_blocks_enough_for_an_interval() {
        let of = |freedom| Aim { change: 9.0, margin: 0.0, rows: 1 }.times_as_long(&now(0.1, freedom));
        assert_eq!((of(59.0), of(8.0)), (Some(0.5), Some(1.0)));
    }

    #[test]
    fn a_margin_and_further_rows_take_longer() {
        let alone = times(0.1, 0.0, 1, 0.1).unwrap();
        assert!((times(0.1, 0.05, 1, 0.1).unwrap() / alone - 4.0).abs() < 1e-3);
        assert!(times(0.1, 0.0, 12, 0.1).unwrap() > 1.6 * alone);
        assert_eq!(
            times(0.1, 0.05, 2, 0.1),
            times(0.1, 0.05, 1, 0.1),
            "the margin asks for more than the rows do"
        );
    }

    #[test]
    fn sameness_is_told_where_the_whole_interval_fits_into_the_margin() {
        let same = times(0.0, 0.05, 1, 0.05).unwrap();
        assert!((same - (3.241_5_f64 / 1.96).powi(2)).abs() < 0.01, "{same}");
        assert!(times(0.03, 0.05, 1, 0.05).unwrap() > 6.0 * same);
    }

    #[test]
    fn at_the_margin_no_length_decides() {
        assert_eq!(times(0.05, 0.05, 1, 0.1), None);
        assert_eq!(times(0.052, 0.05, 1, 0.1), None);
        assert_eq!(times(0.0, 0.0, 1, 0.1), None);
    }

    #[test]
    fn an_error_that_is_known_from_little_takes_longer() {
        let of =
            |freedom| Aim { change: 0.1, margin: 0.0, rows: 1 }.times_as_long(&now(0.1, freedom)).unwrap();
        // As t shrinks with the degrees of freedom, so does the error that an interval stands for.
        let judged = (critical(10.0) + Z_POWER) / (critical(1e6) + Z_POWER);
        let sure = (critical(10.0) / critical(1e6) / judged).powi(2) * of(10.0) / of(1e6);
        assert!((sure - 10.0 / 6.179).abs() < 0.01, "{sure}");
    }
}
