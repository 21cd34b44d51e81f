//! Which differences are more than noise, where intervals are known and where they are not.

use crate::stats::estimate::Interval;
use crate::stats::tied::Candidate;

/// The share of itself by which a value is taken to be uncertain where nothing else is known of it.
pub const ASSUMED: f64 = 0.025;

/// A value with its interval, else with what is assumed around it; `None` where there is no value.
pub fn candidate(value: f64, interval: Option<(f64, f64)>) -> Option<Candidate> {
    let (low, high) = interval.unwrap_or((value * (1.0 - ASSUMED), value * (1.0 + ASSUMED)));
    let interval = Some(Interval { low: low.min(value), high: high.max(value) });
    value.is_finite().then_some(Candidate { value, interval })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::metric::Better;
    use crate::stats::tied::tied;

    #[test]
    fn without_intervals_a_small_difference_is_a_tie_and_a_large_one_none() {
        let set = |values: &[f64]| {
            let all: Vec<_> = values.iter().map(|value| candidate(*value, None)).collect();
            tied(&all, Better::Higher).map(|tied| tied.set).unwrap_or_default()
        };
        assert_eq!(set(&[140.0, 140.8, 46.0]), [1, 0]);
        assert_eq!(set(&[140.0, 160.0]), [1]);
        assert_eq!(set(&[f64::NAN]), Vec::<usize>::new());
    }
}
