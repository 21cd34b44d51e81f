//! `Sample`: the values of one metric, and what can be said of them.
//!
//! Values are kept as they are up to [`EXACT_MAX`]; then they go into an HDR histogram of 3
//! significant digits, and memory stays flat. [`View::exact`] says which it is. Count, sum,
//! mean, standard deviation, least and greatest are exact either way.

use super::weighed::Weighed;
use hdrhistogram::Histogram;

/// Values of 8 bytes: some fifteen samples of a run stay below 8 MB. Above that, chance moves any
/// percentile by more than the three digits of the histogram do.
pub const EXACT_MAX: usize = 1 << 16;

/// Steps of the histogram per unit of the value: nanoseconds for milliseconds.
const STEPS: f64 = 1e6;

/// Some thirty years of nanoseconds.
const STEPS_MAX: u64 = 1_000_000_000_000_000_000;

/// Values of one metric, in any order.
#[derive(Debug, Clone)]
pub struct Sample {
    exact_max: usize,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Exact(Vec<f64>),
    Rounded(Box<Rounded>),
}

#[derive(Debug, Clone)]
struct Rounded {
    histogram: Histogram<u64>,
    moments: Moments,
}

/// Count, mean, spread and ends of values; two of them merge without the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    pub count: u64,
    pub sum: f64,
    pub mean: f64,
    /// Sum of squared distances from the mean.
    pub squares: f64,
    pub min: f64,
    pub max: f64,
}

/// Sorted values at hand for one question or several.
pub struct View<'a> {
    moments: Moments,
    order: Order<'a>,
}

/// Where the value of a rank comes from.
pub(super) enum Order<'a> {
    Sorted(Vec<f64>),
    Rounded(&'a Histogram<u64>),
    /// `counts[i]` values of `i` microseconds (values in milliseconds), then those of `slow`.
    Counts {
        counts: &'a [u64],
        total: u64,
        slow: Box<View<'a>>,
    },
}

impl Default for Sample {
    fn default() -> Self {
        Sample::keeping(EXACT_MAX)
    }
}

impl Sample {
    /// A sample that keeps at most `exact_max` values as they are.
    pub fn keeping(exact_max: usize) -> Self {
        Sample { exact_max, values: Values::Exact(Vec::new()) }
    }

    pub fn add(&mut self, value: f64) {
        match &mut self.values {
            Values::Exact(values) if values.len() < self.exact_max => values.push(value),
            Values::Exact(_) => self.round().add(value),
            Values::Rounded(rounded) => rounded.add(value),
        }
    }

    pub fn count(&self) -> u64 {
        match &self.values {
            Values::Exact(values) => values.len() as u64,
            Values::Rounded(rounded) => rounded.moments.count,
        }
    }

    pub fn moments(&self) -> Moments {
        match &self.values {
            Values::Exact(values) => Moments::of(values),
            Values::Rounded(rounded) => rounded.moments,
        }
    }

    pub fn view(&self) -> View<'_> {
        match &self.values {
            Values::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                // From sorted values the sums do not depend on the order of arrival.
                View { moments: Moments::of(&sorted), order: Order::Sorted(sorted) }
            }
            Values::Rounded(rounded) => {
                View { moments: rounded.moments, order: Order::Rounded(&rounded.histogram) }
            }
        }
    }

    pub fn merge(&mut self, other: &Sample) {
        match (&mut self.values, &other.values) {
            (Values::Exact(mine), Values::Exact(theirs)) if mine.len() + theirs.len() <= self.exact_max => {
                mine.extend_from_slice(theirs);
            }
            (_, Values::Exact(theirs)) => {
                let rounded = self.round();
                theirs.iter().for_each(|value| rounded.add(*value));
            }
            (_, Values::Rounded(theirs)) => {
                let rounded = self.round();
                rounded.histogram.add(&theirs.histogram).expect("an auto-resizing histogram takes any value");
                rounded.moments.merge(&theirs.moments);
            }
        }
    }

    /// Moves the values into a histogram, if they are not there yet.
    fn round(&mut self) -> &mut Rounded {
        if let Values::Exact(values) = &self.values {
            let mut rounded = Rounded {
                histogram: Histogram::new(3).expect("3 significant digits are valid"),
                moments: Moments::of(values),
            };
            values.iter().for_each(|value| rounded.count(*value));
            self.values = Values::Rounded(Box::new(rounded));
        }
        match &mut self.values {
            Values::Rounded(rounded) => rounded,
            Values::Exact(_) => unreachable!("the values were just moved"),
        }
    }
}

impl Rounded {
    fn add(&mut self, value: f64) {
        self.count(value);
        self.moments.add(value);
    }

    fn count(&mut self, value: f64) {
        // The conversion saturates. A histogram grows by itself, up to any 64-bit value.
        let steps = (value * STEPS).round() as u64;
        self.histogram.record(steps.min(STEPS_MAX)).expect("an auto-resizing histogram takes any value");
    }
}

impl Moments {
    pub const NONE: Moments =
        Moments { count: 0, sum: 0.0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// Two passes: the mean first, so that the spread of nearly equal values survives.
    pub fn of(values: &[f64]) -> Moments {
        if values.is_empty() {
            return Moments::NONE;
        }
        let sum: f64 = values.iter().sum();
        let mean = sum / values.len() as f64;
        Moments {
            count: values.len() as u64,
            sum,
            mean,
            squares: values.iter().map(|v| (v - mean) * (v - mean)).sum(),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Welford's step.
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Chan's merge.
    pub fn merge(&mut self, other: &Moments) {
        let count = self.count + other.count;
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let distance = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.squares += other.squares + distance * distance * self.count as f64 * share;
        self.mean += distance * share;
        self.sum += other.sum;
        self.count = count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl<'a> View<'a> {
    pub(super) fn new(moments: Moments, order: Order<'a>) -> View<'a> {
        View { moments, order }
    }

    /// No values at all.
    pub fn empty() -> View<'a> {
        View::new(Moments::NONE, Order::Sorted(Vec::new()))
    }

    pub fn count(&self) -> u64 {
        self.moments.count
    }

    pub fn sum(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.moments.sum)
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.moments.mean)
    }

    /// Of the population.
    pub fn std(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| (self.moments.squares / count as f64).max(0.0).sqrt())
    }

    pub fn min(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.moments.min)
    }

    pub fn max(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.moments.max)
    }

    /// The `p`-th percentile (0 to 100), by linear interpolation between ranks.
    pub fn percentile(&self, p: f64) -> Option<f64> {
        self.percentile_of(p, 0)
    }

    /// The percentile when `above` more values lie above all of these. `None` too where it
    /// falls among those.
    pub fn percentile_of(&self, p: f64, above: u64) -> Option<f64> {
        let ranks = (self.count() + above).checked_sub(1)?;
        let place = ranks as f64 * p / 100.0;
        let (rank, part) = (place.floor() as u64, place.fract());
        let low = self.at(rank)?;
        if part == 0.0 {
            return Some(low);
        }
        let high = self.at(rank + 1)?;
        // From the nearer end, as numpy does, so that both agree to the last bit.
        let step = high - low;
        Some(if part < 0.5 { low + step * part } else { high - step * (1.0 - part) })
    }

    /// The least and the greatest value that a percentile may have: in a histogram it lies somewhere in a
    /// step. `None` as in [`View::percentile_of`].
    pub fn around(&self, p: f64, above: u64) -> Option<(f64, f64)> {
        let value = self.percentile_of(p, above)?;
        Some(self.step_of(value))
    }

    /// The same of the value of a rank from 0.
    pub fn around_rank(&self, rank: u64) -> Option<(f64, f64)> {
        self.at(rank).map(|value| self.step_of(value))
    }

    fn step_of(&self, value: f64) -> (f64, f64) {
        match &self.order {
            Order::Sorted(_) => (value, value),
            Order::Rounded(histogram) => {
                let steps = (value * STEPS).round() as u64;
                let (least, most) = (histogram.lowest_equivalent(steps), histogram.highest_equivalent(steps));
                let within = |steps: u64| (steps as f64 / STEPS).clamp(self.moments.min, self.moments.max);
                (within(least).min(value), within(most).max(value))
            }
            Order::Counts { counts, .. } if value * 1e3 < counts.len() as f64 => (value, value),
            Order::Counts { slow, .. } => slow.step_of(value),
        }
    }

    /// Percentiles are from the values themselves, not from a histogram.
    pub fn exact(&self) -> bool {
        match &self.order {
            Order::Sorted(_) => true,
            Order::Rounded(_) => false,
            Order::Counts { slow, .. } => slow.exact(),
        }
    }

    /// Every value, and how often it occurs; in steps of a thousandth where there are very many.
    pub fn weighed(&self) -> Weighed {
        let mut weighed = Weighed::default();
        self.weigh(&mut weighed);
        weighed
    }

    fn weigh(&self, weighed: &mut Weighed) {
        match &self.order {
            Order::Sorted(values) => values.iter().for_each(|value| weighed.push(*value, 1)),
            Order::Rounded(histogram) => {
                for step in histogram.iter_recorded() {
                    let value = histogram.median_equivalent(step.value_iterated_to()) as f64 / STEPS;
                    weighed.push(value.clamp(self.moments.min, self.moments.max), step.count_at_value());
                }
            }
            Order::Counts { counts, slow, .. } => {
                let counts = counts.iter().enumerate();
                counts.for_each(|(us, times)| weighed.push(us as f64 / 1e3, *times));
                slow.weigh(weighed);
            }
        }
    }

    /// The value of a rank from 0.
    fn at(&self, rank: u64) -> Option<f64> {
        if rank >= self.count() {
            return None;
        }
        match &self.order {
            Order::Sorted(values) => values.get(rank as usize).copied(),
            Order::Rounded(histogram) => {
                let steps = histogram.value_at_quantile((rank + 1) as f64 / self.count() as f64);
                let value = histogram.median_equivalent(steps) as f64 / STEPS;
                Some(value.clamp(self.moments.min, self.moments.max))
            }
            Order::Counts { total, slow, .. } if rank >= *total => slow.at(rank - total),
            Order::Counts { counts, .. } => {
                let mut before = 0;
                let found = counts.iter().position(|count| {
                    before += count;
                    before > rank
                });
                found.map(|us| us as f64 / 1e3)
            }
        }
    }
}

/// Whether `count` values can support their `p`-th percentile: at least one value is expected
/// above it. The maximum is what it is.
pub fn supports(count: u64, p: f64) -> bool {
    // The margin is for percentiles such as 99.9, which no float holds exactly.
    p >= 100.0 || count as f64 * (100.0 - p) >= 100.0 - 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        let mut sample = Sample::default();
        values.iter().for_each(|value| sample.add(*value));
        sample
    }

    #[test]
    fn percentiles_interpolate_linearly_like_numpy() {
        // numpy.percentile([15, 20, 35, 40, 50], [0, 5, 30, 40, 50, 95, 99, 100])
        let sample = sample(&[40.0, 15.0, 50.0, 35.0, 20.0]);
        let expected =
            [(0.0, 15.0), (5.0, 16.0), (30.0, 23.0), (40.0, 29.0), (50.0, 35.0), (95.0, 48.0), (99.0, 49.6)];
        for (p, value) in expected {
            assert_eq!(sample.view().percentile(p), Some(value), "p{p}");
        }
        assert_eq!(sample.view().percentile(100.0), Some(50.0));
    }

    #[test]
    fn a_median_of_an_even_count_lies_between_the_two_middle_values() {
        assert_eq!(sample(&[4.0, 1.0, 3.0, 2.0]).view().percentile(50.0), Some(2.5));
    }

    #[test]
    fn the_standard_deviation_is_that_of_the_population() {
        let sample = sample(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(sample.view().mean(), Some(5.0));
        assert_eq!(sample.view().std(), Some(2.0));
    }

    #[test]
    fn no_values_give_no_numbers() {
        let sample = sample(&[]);
        let view = sample.view();
        assert_eq!((view.mean(), view.std(), view.min(), view.percentile(50.0)), (None, None, None, None));
    }

    #[test]
    fn one_value_is_every_percentile_and_has_no_spread() {
        let sample = sample(&[7.5]);
        assert_eq!(sample.view().percentile(99.0), Some(7.5));
        assert_eq!(sample.view().std(), Some(0.0));
    }

    #[test]
    fn past_the_bound_percentiles_keep_three_digits_and_the_rest_stays_exact() {
        let mut rounded = Sample::keeping(100);
        let mut exact = Sample::default();
        for i in 0..10_000 {
            let value = 1.0 + f64::from((i * 7919) % 10_000) / 100.0;
            rounded.add(value);
            exact.add(value);
        }
        assert!(exact.view().exact() && !rounded.view().exact());
        for p in [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let (a, b) = (exact.view().percentile(p).unwrap(), rounded.view().percentile(p).unwrap());
            assert!((a - b).abs() <= a * 1e-3 + 0.01, "p{p}: {a} against {b}");
        }
        assert_eq!(rounded.view().min(), exact.view().min());
        assert_eq!(rounded.view().max(), exact.view().max());
        assert!((rounded.view().mean().unwrap() - exact.view().mean().unwrap()).abs() < 1e-9);
        assert!((rounded.view().std().unwrap() - exact.view().std().unwrap()).abs() < 1e-9);
    }

    #[test]
    fn merged_parts_equal_the_whole_on_both_sides_of_the_bound() {
        for bound in [10, 60, 1_000] {
            let mut whole = Sample::keeping(bound);
            let mut parts = [Sample::keeping(bound), Sample::keeping(bound), Sample::keeping(bound)];
            for i in 0..100_u32 {
                let value = f64::from((i * 37) % 101) + 0.25;
                whole.add(value);
                parts[if i < 50 { 0 } else { 1 + (i % 2) as usize }].add(value);
            }
            let mut merged = Sample::keeping(bound);
            parts.iter().for_each(|part| merged.merge(part));
            let (a, b) = (whole.view(), merged.view());
            assert_eq!((a.count(), a.min(), a.max(), a.exact()), (b.count(), b.min(), b.max(), b.exact()));
            assert_eq!(a.percentile(90.0), b.percentile(90.0));
            assert!((a.mean().unwrap() - b.mean().unwrap()).abs() < 1e-12);
            assert!((a.std().unwrap() - b.std().unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn values_above_all_push_percentiles_up_until_there_is_none() {
        let sample = sample(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(sample.view().percentile_of(50.0, 1), Some(3.0));
        assert_eq!(sample.view().percentile_of(99.0, 1), None);
    }

    #[test]
    fn a_percentile_needs_one_value_above_it() {
        assert!(!supports(40, 99.0) && !supports(99, 99.0) && supports(100, 99.0));
        assert!(supports(10, 90.0) && !supports(9, 90.0));
        assert!(supports(1_000, 99.9) && !supports(999, 99.9));
        assert!(supports(1, 100.0) && supports(2, 50.0));
    }
}
