//! `Levels`: how many intervals hold each moment.

use crate::record::Nanos;

/// Intervals that are kept as they are.
const EXACT_MAX: usize = 1 << 16;
/// Moments of a longer run: more than a picture has pixels.
const BINS_MAX: usize = 1 << 16;

/// Intervals in any order. Of more than 65,536 only the changes between as many moments are known.
#[derive(Debug, Clone)]
pub enum Levels {
    Exact(Vec<(Nanos, Nanos)>),
    Binned(Bins),
}

/// Changes of the level in bins of 2^`shift` nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Bins {
    shift: u32,
    /// Number of the first bin.
    base: i64,
    changes: Vec<i64>,
}

impl Default for Levels {
    fn default() -> Levels {
        Levels::Exact(Vec::new())
    }
}

impl Levels {
    pub fn add(&mut self, from: Nanos, to: Nanos) {
        match self {
            Levels::Exact(intervals) => {
                intervals.push((from, to.max(from)));
                if intervals.len() > EXACT_MAX {
                    self.bin();
                }
            }
            Levels::Binned(bins) => bins.add(from, to.max(from)),
        }
    }

    pub fn merge(&mut self, other: Levels) {
        match other {
            Levels::Exact(intervals) => intervals.into_iter().for_each(|(from, to)| self.add(from, to)),
            Levels::Binned(other) => self.bin().merge(&other),
        }
    }

    fn bin(&mut self) -> &mut Bins {
        if let Levels::Exact(intervals) = self {
            let mut bins = Bins::default();
            intervals.iter().for_each(|(from, to)| bins.add(*from, *to));
            *self = Levels::Binned(bins);
        }
        match self {
            Levels::Binned(bins) => bins,
            Levels::Exact(_) => unreachable!("the intervals were just moved"),
        }
    }

    /// (moment, level from then on), in order of time; changes of the same moment are one.
    pub fn steps(&self) -> Vec<(Nanos, i64)> {
        let changes = match self {
            Levels::Exact(intervals) => {
                let mut changes: Vec<(Nanos, i64)> =
                    intervals.iter().flat_map(|(from, to)| [(*from, 1), (*to, -1)]).collect();
                changes.sort_unstable();
                changes
            }
            Levels::Binned(bins) => bins.changes(),
        };
        let mut level = 0;
        let mut steps = Vec::new();
        for same_time in changes.chunk_by(|a, b| a.0 == b.0) {
            level += same_time.iter().map(|change| change.1).sum::<i64>();
            steps.push((same_time[0].0, level));
        }
        steps
    }
}

impl Bins {
    fn add(&mut self, from: Nanos, to: Nanos) {
        self.change(from, 1);
        self.change(to, -1);
    }

    fn change(&mut self, at: Nanos, by: i64) {
        self.reach(at);
        self.changes[((at >> self.shift) - self.base) as usize] += by;
    }

    /// Makes room for a moment; bins become as wide as all moments together ask for.
    fn reach(&mut self, at: Nanos) {
        if self.changes.is_empty() {
            self.base = at >> self.shift;
        }
        loop {
            let bin = at >> self.shift;
            let first = bin.min(self.base);
            let last = bin.max(self.base + self.changes.len() as i64 - 1);
            if ((last - first) as u64) < BINS_MAX as u64 {
                let before = (self.base - first) as usize;
                self.changes.splice(0..0, std::iter::repeat_n(0, before));
                self.base = first;
                let length = (last - first) as usize + 1;
                self.changes.resize(length.max(self.changes.len()), 0);
                return;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        let base = self.base >> 1;
        let mut changes = vec![0; self.changes.len() / 2 + 1];
        for (i, change) in self.changes.iter().enumerate() {
            changes[(((self.base + i as i64) >> 1) - base) as usize] += change;
        }
        let last = (self.base + self.changes.len() as i64 - 1) >> 1;
        changes.truncate((last - base) as usize + 1);
        (self.shift, self.base, self.changes) = (self.shift + 1, base, changes);
    }

    fn merge(&mut self, other: &Bins) {
        let mut other = other.clone();
        while self.shift < other.shift {
            self.widen();
        }
        while other.shift < self.shift {
            other.widen();
        }
        for (i, change) in other.changes.iter().enumerate() {
            // Reaching for one bin may have widened all of them.
            self.change((other.base + i as i64) << other.shift, *change);
        }
    }

    fn changes(&self) -> Vec<(Nanos, i64)> {
        let bins = self.changes.iter().enumerate().filter(|(_, change)| **change != 0);
        bins.map(|(i, change)| ((self.base + i as i64) << self.shift, *change)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(intervals: impl IntoIterator<Item = (Nanos, Nanos)>) -> Levels {
        let mut levels = Levels::default();
        intervals.into_iter().for_each(|(from, to)| levels.add(from, to));
        levels
    }

    /// Intervals of 2.6 ms, one each ms.
    fn even(from: i64, to: i64) -> impl Iterator<Item = (Nanos, Nanos)> {
        (from..to).map(|i| (i * 1_000_000, i * 1_000_000 + 2_600_000))
    }

    #[test]
    fn each_moment_has_the_intervals_that_hold_it() {
        assert_eq!(levels([(10, 30), (20, 40)]).steps(), [(10, 1), (20, 2), (30, 1), (40, 0)]);
        assert_eq!(levels([(10, 20), (20, 40)]).steps(), [(10, 1), (20, 1), (40, 0)]);
        assert!(Levels::default().steps().is_empty());
    }

    #[test]
    fn very_many_intervals_are_binned_and_their_level_is_still_theirs() {
        let n = 3 * EXACT_MAX as i64;
        let steps = levels(even(0, n)).steps();
        assert!(steps.len() <= BINS_MAX && steps.len() > BINS_MAX / 8, "{}", steps.len());
        let middle = &steps[steps.len() / 4..steps.len() / 2];
        assert!(middle.iter().all(|step| (2..=4).contains(&step.1)), "{middle:?}");
        assert_eq!(steps.last().map(|step| step.1), Some(0));
    }

    #[test]
    fn levels_are_the_same_in_any_order_and_from_any_parts() {
        let n = 2 * EXACT_MAX as i64;
        let all = levels(even(-5, n)).steps();
        assert_eq!(levels(even(-5, n).collect::<Vec<_>>().into_iter().rev()).steps(), all);
        for cut in [3, 70_000] {
            let mut later = levels(even(cut, n));
            later.merge(levels(even(-5, cut)));
            assert_eq!(later.steps(), all, "cut at {cut}");
            let mut earlier = levels(even(-5, cut));
            earlier.merge(levels(even(cut, n)));
            assert_eq!(earlier.steps(), all, "cut at {cut}");
        }
    }
}
