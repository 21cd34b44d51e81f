//! `GapStats`: the times between output events of a whole run, pooled.
//!
//! A run has a hundred times more gaps than requests, and each is a whole number of
//! microseconds: counting how often each number occurs is exact, costs one increment a gap
//! and stays flat. Only gaps past [`FINE_US`] are kept as values.

use super::sample::{Moments, Order, Sample, View};

/// Gaps below this are counted one by one: 2 MB at most.
const FINE_US: u32 = 1 << 18;

/// Gaps in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct GapStats {
    /// How often each number of microseconds occurred; as long as the longest one asks for.
    counts: Vec<u64>,
    total: u64,
    sum_us: u64,
    squares_us: u128,
    /// Milliseconds.
    slow: Sample,
}

impl GapStats {
    /// Adds the gaps of one reply.
    pub fn add(&mut self, gaps_us: &[u32]) {
        if gaps_us.is_empty() {
            return;
        }
        let longest = gaps_us.iter().fold(0, |longest, gap| (*gap).max(longest));
        let room = longest.min(FINE_US - 1) as usize + 1;
        if self.counts.len() < room {
            self.counts.resize(room.next_power_of_two(), 0);
        }
        let (mut fine, mut sum, mut squares) = (0, 0, 0);
        for &gap in gaps_us {
            if gap < FINE_US {
                self.counts[gap as usize] += 1;
                fine += 1;
                sum += u64::from(gap);
                // Below 2^36 each, so one reply cannot overflow.
                squares += u64::from(gap) * u64::from(gap);
            } else {
                self.slow.add(f64::from(gap) / 1e3);
            }
        }
        self.total += fine;
        self.sum_us += sum;
        self.squares_us += u128::from(squares);
    }

    pub fn view(&self) -> View<'_> {
        let slow = self.slow.view();
        let mut moments = self.fine_moments();
        moments.merge(&self.slow.moments());
        let order = Order::Counts { counts: &self.counts, total: self.total, slow: Box::new(slow) };
        View::new(moments, order)
    }

    pub fn count(&self) -> u64 {
        self.total + self.slow.count()
    }

    pub fn merge(&mut self, other: &GapStats) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum_us += other.sum_us;
        self.squares_us += other.squares_us;
        self.slow.merge(&other.slow);
    }

    /// From whole numbers: the same in any order of arrival.
    fn fine_moments(&self) -> Moments {
        if self.total == 0 {
            return Moments::NONE;
        }
        let (count, sum) = (u128::from(self.total), u128::from(self.sum_us));
        let spread = (self.squares_us * count).saturating_sub(sum * sum) as f64 / self.total as f64;
        let end = |found: Option<usize>| found.map_or(0.0, |us| us as f64 / 1e3);
        Moments {
            count: self.total,
            sum: self.sum_us as f64 / 1e3,
            mean: self.sum_us as f64 / 1e3 / self.total as f64,
            squares: spread / 1e6,
            min: end(self.counts.iter().position(|count| *count > 0)),
            max: end(self.counts.iter().rposition(|count| *count > 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same values as a plain sample.
    fn plain(gaps_us: &[u32]) -> Sample {
        let mut sample = Sample::default();
        gaps_us.iter().for_each(|gap| sample.add(f64::from(*gap) / 1e3));
        sample
    }

    fn same(gaps: &GapStats, sample: &Sample) {
        let (a, b) = (gaps.view(), sample.view());
        assert_eq!((a.count(), a.min(), a.max(), a.exact()), (b.count(), b.min(), b.max(), true));
        for p in [0.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            assert_eq!(a.percentile(p), b.percentile(p), "p{p}");
        }
        assert!((a.mean().unwrap() - b.mean().unwrap()).abs() < 1e-9);
        assert!((a.std().unwrap() - b.std().unwrap()).abs() < 1e-9);
        assert!((a.sum().unwrap() - b.sum().unwrap()).abs() < 1e-6);
    }

    #[test]
    fn counted_gaps_say_the_same_as_kept_values() {
        let few = [9_998, 10_002, 10_000, 0, 31_500, 10_000];
        let mut gaps = GapStats::default();
        gaps.add(&few);
        same(&gaps, &plain(&few));
    }

    #[test]
    fn gaps_longer_than_the_counted_range_are_exact_too() {
        let mixed = [5_000, FINE_US - 1, FINE_US, 3_000_000, u32::MAX, 7_000];
        let mut gaps = GapStats::default();
        gaps.add(&mixed);
        same(&gaps, &plain(&mixed));
    }

    #[test]
    fn merged_gaps_equal_all_gaps() {
        let (a, b) = ([1_000, 2_000, 900_000], [70_000, 2_000, 800_000]);
        let (mut one, mut two) = (GapStats::default(), GapStats::default());
        one.add(&a);
        two.add(&b);
        one.merge(&two);
        same(&one, &plain(&[1_000, 2_000, 900_000, 70_000, 2_000, 800_000]));
    }

    #[test]
    fn no_gaps_give_no_numbers() {
        let gaps = GapStats::default();
        assert_eq!((gaps.count(), gaps.view().mean(), gaps.view().percentile(50.0)), (0, None, None));
    }
}
