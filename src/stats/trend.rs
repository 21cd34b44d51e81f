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
//!
//! A line does not fit a level that moved once: a warm-up that was measured, a server that lost
//! half of its speed on the way. So a step is looked for as well: a place at which every batch
//! before lies above, or below, every batch after.

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

/// Batches on the shorter side of a step at least: one alone may be chance.
const STEP_FROM: usize = 2;

/// The batches of the two sides of a step lie apart by so many times what those of the longer
/// side lie apart among themselves. A queue that fills and empties makes small steps of its own:
/// of 2,000 simulated steady runs this flags 0 to 4 more, and 34 more where 100 requests meet a
/// server at 70 % of its eight slots, whose queue forms while they come.
const STEP_CLEAR: f64 = 3.0;

/// How a level moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The fitted line at the beginning and at the end; of a step the levels before and after it.
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
    let batch = |i: usize| mean(&values[i * values.len() / batches..(i + 1) * values.len() / batches]);
    let means: Vec<f64> = (0..batches).map(batch).collect();
    let line = of_means(&means, least)?;
    let moved_once = if line.unsteady { None } else { step(&means, least) };
    Some(moved_once.unwrap_or(line))
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

/// The clearest step of the level, if there is one that matters: it takes the mean of all as far
/// from the level of the longer side as a line that matters takes it from the middle.
fn step(means: &[f64], least: f64) -> Option<Trend> {
    let clearness = |at: &usize| {
        let (before, after) = means.split_at(*at);
        let ((low, high), (low_after, high_after)) = (ends(before), ends(after));
        let apart = (low - high_after).max(low_after - high);
        let longer = if before.len() > after.len() { high - low } else { high_after - low_after };
        apart - STEP_CLEAR * longer
    };
    let places = STEP_FROM..=means.len() - STEP_FROM;
    let at = places.max_by(|a, b| clearness(a).total_cmp(&clearness(b)))?;
    let (before, after) = means.split_at(at);
    let (from, to) = (mean(before), mean(after));
    let (shorter, level) = if before.len() > after.len() { (after.len(), from) } else { (before.len(), to) };
    let off = (to - from).abs() * shorter as f64 / means.len() as f64;
    let matters = off > CHANGE_FROM / 2.0 * level.abs() && (to - from).abs() > least;
    (clearness(&at) > 0.0 && matters).then_some(Trend { from, to, unsteady: true })
}

/// The smallest and the largest.
fn ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
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
    fn a_level_that_moved_once_is_no_level_wherever_it_moved() {
        // Around 20 ms, and 60 ms until (or from) this value on.
        let moved = |slow: std::ops::Range<usize>| {
            let value = |i: usize| (if slow.contains(&i) { 60.0 } else { 20.0 }) + (i * 7 % 5) as f64 / 2.0;
            of_values(&(0..160).map(value).collect::<Vec<_>>(), 1.0).unwrap()
        };
        for slow in [0..20, 0..35, 0..80, 80..160, 120..160, 140..160] {
            assert!(moved(slow.clone()).unsteady, "{slow:?}");
        }
        let step = moved(0..40);
        assert_eq!((step.from.round(), step.to.round()), (61.0, 21.0));
        assert!(!moved(0..5).unsteady, "one batch alone may be chance");
        assert!(!moved(70..90).unsteady, "what comes and goes is no other level");
    }

    #[test]
    fn a_step_that_hardly_moves_the_mean_does_not_count() {
        let stepped = |to: f64| (0..160).map(|i| if i < 20 { to } else { 20.0 }).collect::<Vec<_>>();
        // An eighth of the run is 50 % higher: the mean is 6 % off.
        assert!(!of_values(&stepped(30.0), 1.0).unwrap().unsteady);
        assert!(of_values(&stepped(40.0), 1.0).unwrap().unsteady);
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
