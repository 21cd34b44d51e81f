//! `Trend`: whether a level has moved through a run, so that a queue that grows is never
//! summarised as a level.
//!
//! Values in their order are cut into batches, and the means of the batches are tested with
//! Mann and Kendall's test: it asks only whether later means tend to lie above (or below)
//! earlier ones, so a few wild values do not make a trend. Means of successive batches still
//! resemble each other when requests shared the server; the variance of the test is widened by
//! their autocorrelation, measured after the trend is taken out.
//!
//! The widening is bounded: what is left of a growing queue after its line is taken out is a
//! random walk, whose own autocorrelation would hide every growth. And where the level more
//! than doubles, no widening is needed to call it unsteady.

/// Batches. More of them see a trend sooner, but short batches resemble each other more.
pub const BATCHES: usize = 16;

/// Fewest batches that can be tested, and fewest values that make a series.
pub const BATCHES_MIN: usize = 8;
pub const VALUES_MIN: usize = 24;

/// Standard errors of the test from which a trend is real. Together with the least change it
/// flags fewer than 1 of 100 steady runs; see the simulations below.
const SURE_FROM: f64 = 3.2;

/// The autocorrelation that is believed at most.
const CORRELATION_MAX: f64 = 0.3;

/// A change of the level by less than this share of it is no matter of concern: half of it, the
/// most by which a mean is off, is within what two runs of the same server differ by.
pub const CHANGE_FROM: f64 = 0.2;

/// A change by this share of the level is judged without the widening.
const CHANGE_LARGE: f64 = 1.0;

/// How a level moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The fitted line at the beginning and at the end.
    pub from: f64,
    pub to: f64,
    /// It is real, and large enough to matter.
    pub unsteady: bool,
}

/// The trend of values in their order. Changes by less than `least`, in the unit of the values,
/// do not count. `None`: too few values.
pub fn of_values(values: &[f64], least: f64) -> Option<Trend> {
    if values.len() < VALUES_MIN {
        return None;
    }
    let batches = BATCHES.min(values.len() / 2);
    let mean = |i: usize| {
        let batch = &values[i * values.len() / batches..(i + 1) * values.len() / batches];
        batch.iter().sum::<f64>() / batch.len() as f64
    };
    of_means(&(0..batches).map(mean).collect::<Vec<_>>(), least)
}

/// The trend of the means of batches. `None`: too few of them.
pub fn of_means(means: &[f64], least: f64) -> Option<Trend> {
    if means.len() < BATCHES_MIN {
        return None;
    }
    let n = means.len() as f64;
    let mut slopes = Vec::with_capacity(means.len() * means.len() / 2);
    let mut score = 0.0;
    for (i, earlier) in means.iter().enumerate() {
        for (j, later) in means.iter().enumerate().skip(i + 1) {
            let rise = later - earlier;
            slopes.push(rise / (j - i) as f64);
            score += if rise == 0.0 { 0.0 } else { rise.signum() };
        }
    }
    let slope = median(slopes);
    let level = median(means.to_vec());
    let change = slope * (n - 1.0);
    // One off for continuity, as the score is a whole number.
    let distance = (f64::abs(score) - 1.0).max(0.0);
    let variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    let r = autocorrelation(means, slope).clamp(0.0, CORRELATION_MAX);
    let plain = distance / variance.sqrt();
    let widened = distance / (variance * (1.0 + r) / (1.0 - r)).sqrt();
    let share = change.abs() / level.abs();
    let real = (widened > SURE_FROM && share > CHANGE_FROM) || (plain > SURE_FROM && share > CHANGE_LARGE);
    Some(Trend {
        from: level - change / 2.0,
        to: level + change / 2.0,
        unsteady: real && change.abs() > least,
    })
}

/// How much successive values resemble each other once the line is taken out. A short series
/// understates it by about 1/n.
fn autocorrelation(values: &[f64], slope: f64) -> f64 {
    let n = values.len() as f64;
    let rest: Vec<f64> = values.iter().enumerate().map(|(i, value)| value - slope * i as f64).collect();
    let mean = rest.iter().sum::<f64>() / n;
    let spread: f64 = rest.iter().map(|value| (value - mean).powi(2)).sum();
    let shared: f64 = rest.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    if spread > 0.0 { shared / spread + 1.0 / n } else { 0.0 }
}

/// The middle value; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_trend_and_its_ends_are_those_of_the_line() {
        let line: Vec<f64> = (0..160).map(|i| 100.0 + f64::from(i)).collect();
        let trend = of_values(&line, 1.0).unwrap();
        assert!(trend.unsteady);
        // Means of batches of 10: the first 104.5, the last 254.5.
        assert_eq!((trend.from, trend.to), (104.5, 254.5));
        let falling: Vec<f64> = line.into_iter().rev().collect();
        assert!(of_values(&falling, 1.0).unwrap().unsteady);
    }

    #[test]
    fn a_level_has_no_trend() {
        let trend = of_values(&[7.0; 40], 0.0).unwrap();
        assert_eq!(trend, Trend { from: 7.0, to: 7.0, unsteady: false });
    }

    #[test]
    fn a_small_change_does_not_count_however_sure_it_is() {
        let drift: Vec<f64> = (0..10_000).map(|i| 100.0 + f64::from(i) / 1_000.0).collect();
        assert!(!of_values(&drift, 0.0).unwrap().unsteady);
        let tiny: Vec<f64> = (0..1_000).map(|i| f64::from(i) / 1e6).collect();
        assert!(!of_values(&tiny, 0.1).unwrap().unsteady);
        assert!(of_values(&tiny, 0.0).unwrap().unsteady);
    }

    #[test]
    fn one_wild_value_makes_no_trend() {
        let mut values = vec![10.0; 64];
        values[63] = 90_000.0;
        assert!(!of_values(&values, 0.0).unwrap().unsteady);
    }

    #[test]
    fn too_few_values_are_not_judged() {
        assert_eq!(of_values(&[1.0; 23], 0.0), None);
        assert_eq!(of_means(&[1.0; 7], 0.0), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
    }
}
