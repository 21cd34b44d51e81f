//! `Weights`: values that count more than once, as GuideLLM weighs the requests of a run by their tokens.

use std::collections::BTreeMap;

/// Values are kept as they are up to so many of them; beyond, in steps of a microsecond.
const EXACT_MAX: usize = 1 << 20;

#[derive(Debug, Clone, Default)]
pub struct Weights {
    values: Vec<(f64, u64)>,
    /// By nanoseconds, a thousand to a step.
    rounded: BTreeMap<i64, u64>,
    count: u64,
}

/// Each value once, in order, with its share of the whole weight.
pub struct SortedWeights(Vec<(f64, f64)>);

impl Weights {
    /// A value (milliseconds) and how often it counts; never is as good as not at all.
    pub fn add(&mut self, value: f64, weight: u32) {
        self.count += 1;
        if weight > 0 {
            self.put(value, weight.into());
        }
    }

    fn put(&mut self, value: f64, weight: u64) {
        if self.values.len() < EXACT_MAX {
            self.values.push((value, weight));
        } else {
            *self.rounded.entry((value * 1e3).round() as i64).or_default() += weight;
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn merge(&mut self, other: Weights) {
        self.count += other.count;
        other.values.into_iter().for_each(|(value, weight)| self.put(value, weight));
        for (step, weight) in other.rounded {
            *self.rounded.entry(step).or_default() += weight;
        }
    }

    pub fn sorted(&self) -> SortedWeights {
        let rounded = self.rounded.iter().map(|(step, weight)| (*step as f64 / 1e3, *weight));
        let mut all: Vec<(f64, u64)> = self.values.iter().copied().chain(rounded).collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        let total: u64 = all.iter().map(|(_, weight)| weight).sum();
        SortedWeights(all.into_iter().map(|(value, weight)| (value, weight as f64 / total as f64)).collect())
    }
}

impl SortedWeights {
    pub fn mean(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.iter().map(|(value, share)| value * share).sum())
    }

    /// Of the population.
    pub fn std(&self) -> Option<f64> {
        let mean = self.mean()?;
        let squares: f64 = self.0.iter().map(|(value, share)| (value - mean).powi(2) * share).sum();
        Some(squares.sqrt())
    }

    /// The least value up to which `p` % of the weight lie: no value that did not occur.
    pub fn percentile(&self, p: f64) -> Option<f64> {
        let mut up_to = 0.0;
        let found = self.0.iter().find(|(_, share)| {
            up_to += share;
            up_to >= p / 100.0
        });
        found.or(self.0.last()).map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_as_often_as_it_weighs() {
        let mut weights = Weights::default();
        weights.add(10.0, 1);
        weights.add(20.0, 3);
        weights.add(99.0, 0);
        let mut more = Weights::default();
        more.add(20.0, 4);
        more.add(30.0, 2);
        weights.merge(more);
        let sorted = weights.sorted();
        assert_eq!((weights.count(), sorted.0.len()), (5, 3));
        assert!((sorted.mean().unwrap() - 21.0).abs() < 1e-12);
        assert!((sorted.std().unwrap() - 29f64.sqrt()).abs() < 1e-12);
        assert_eq!((sorted.percentile(10.0), sorted.percentile(50.0)), (Some(10.0), Some(20.0)));
        assert_eq!((sorted.percentile(79.0), sorted.percentile(81.0)), (Some(20.0), Some(30.0)));
        assert_eq!(Weights::default().sorted().mean(), None);
    }
}
