//! `Quotient`, `Quantile`: the two kinds of statistics that are made of blocks. Means, rates and shares
//! are quotients of sums, percentiles come from sketches.

use super::estimate::Interval;
use super::resample::{BlockStatistic, Z, worth};
use super::sample::View;
use super::sketch::{Sketch, SketchBlocks};

/// One sum over another: values over their count, tokens over seconds, failures over requests.
#[derive(Debug, Clone, Default)]
pub struct Quotient {
    parts: Vec<f64>,
    wholes: Vec<f64>,
    /// What is rare in it: that of which blocks must not have too little.
    rare: Rare,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rare {
    /// Values, of which each counts.
    #[default]
    Nothing,
    Parts,
    /// The parts, or the rest of the wholes.
    PartsOrRest,
}

impl Quotient {
    /// Of pairs, one a block. Blocks before the first whole that is not 0, and behind the last, are none.
    pub fn new(pairs: impl IntoIterator<Item = (f64, f64)>) -> Quotient {
        let (mut parts, mut wholes): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let end = wholes.iter().rposition(|whole| *whole > 0.0).map_or(0, |last| last + 1);
        let start = wholes.iter().position(|whole| *whole > 0.0).unwrap_or(end);
        Quotient {
            parts: parts.drain(..end).skip(start).collect(),
            wholes: wholes.drain(..end).skip(start).collect(),
            rare: Rare::Nothing,
        }
    }

    /// The same of what comes in seconds.
    pub fn rate(pairs: impl IntoIterator<Item = (f64, f64)>) -> Quotient {
        Quotient { rare: Rare::Parts, ..Quotient::new(pairs) }
    }

    /// The same of parts of wholes.
    pub fn share(pairs: impl IntoIterator<Item = (f64, f64)>) -> Quotient {
        Quotient { rare: Rare::PartsOrRest, ..Quotient::new(pairs) }
    }

    /// The mean of the values of a metric.
    pub fn mean(sketches: &SketchBlocks) -> Quotient {
        Quotient::new(sketches.blocks().blocks().iter().map(|block| (block.sum(), block.count() as f64)))
    }
}

impl BlockStatistic for Quotient {
    fn blocks(&self) -> usize {
        self.parts.len()
    }

    fn of(&self, times: &[u8]) -> Option<f64> {
        let sum = |values: &[f64]| {
            values.iter().zip(times).map(|(value, times)| value * f64::from(*times)).sum::<f64>()
        };
        let whole = sum(&self.wholes);
        (whole > 0.0).then(|| sum(&self.parts) / whole)
    }

    fn influence(&self) -> Vec<f64> {
        let quotient = self.of(&vec![1; self.blocks()]).unwrap_or(0.0);
        self.parts.iter().zip(&self.wholes).map(|(part, whole)| part - quotient * whole).collect()
    }

    fn filled(&self) -> usize {
        self.wholes.iter().filter(|whole| **whole > 0.0).count()
    }

    fn carriers(&self) -> Option<f64> {
        let parts = kish(self.parts.iter().copied());
        match self.rare {
            Rare::Nothing => None,
            Rare::Parts => Some(parts),
            Rare::PartsOrRest => {
                let rest = self.wholes.iter().zip(&self.parts).map(|(whole, part)| whole - part);
                Some(parts.min(kish(rest)))
            }
        }
    }

    /// Nothing of what is counted or measured is below 0, and no share above 1.
    fn ends(&self, value: f64, down: f64, up: f64) -> Interval {
        let wholes: f64 = self.wholes.iter().sum();
        let most = if self.rare == Rare::PartsOrRest { 1.0 } else { f64::INFINITY };
        Interval { low: (value - down / wholes).max(0.0), high: (value + up / wholes).min(most) }
    }
}

/// How many blocks hold so much, those that hold less than others counting for less: the square of the
/// sum over the sum of squares (Kish 1965).
fn kish(amounts: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) =
        amounts.fold((0.0, 0.0), |(sum, squares), amount| (sum + amount, squares + amount * amount));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// The values of a metric, ready to be asked for percentiles of any draw.
#[derive(Debug, Clone)]
pub struct Tower {
    blocks: usize,
    /// Where each bin that is in use begins, and where the last one ends.
    edges: Vec<(f64, f64)>,
    /// For each bin, and each block: values up to and with this bin.
    upto: Vec<u32>,
    /// For each block: values that lie above all that is known.
    above: Vec<u32>,
}

/// A percentile of a [`Tower`].
#[derive(Clone, Copy)]
pub struct Quantile<'a> {
    tower: &'a Tower,
    /// From 0 to 1.
    share: f64,
    /// The values themselves, where they are at hand.
    values: Option<&'a View<'a>>,
}

/// Where a percentile lies among the bins.
#[derive(Debug, Clone, Copy)]
struct Place {
    bin: usize,
    /// Values in all bins before it, and up to and with it.
    below: u64,
    upto: u64,
    /// Of the values in the bin so much lies below the percentile.
    part: f64,
}

impl Tower {
    /// `above`: for each block how many more values there are above all others, such as requests that
    /// failed; empty: none.
    pub fn new(sketches: &SketchBlocks, above: &[u32]) -> Tower {
        let blocks = sketches.blocks().blocks();
        let mut bins: Vec<u16> = blocks.iter().flat_map(Sketch::bins).map(|(bin, _)| bin).collect();
        bins.sort_unstable();
        bins.dedup();
        let n = blocks.len();
        let mut upto = vec![0_u32; bins.len() * n];
        for (block, sketch) in blocks.iter().enumerate() {
            for (bin, count) in sketch.bins() {
                let place = bins.binary_search(&bin).expect("every bin in use was gathered");
                upto[place * n + block] = count;
            }
        }
        for place in n..upto.len() {
            upto[place] = upto[place].saturating_add(upto[place - n]);
        }
        let (least, most) = sketches.ends();
        let edges = |bin: &u16| match sketches.start_of(*bin) {
            // Nothing lies between 0 and the least value that is told from it, or all are below that.
            0.0 => (least.max(0.0), least.max(0.0)),
            start => (start.max(least), sketches.start_of(bin + 1).min(most)),
        };
        let edges = bins.iter().map(edges).collect();
        let mut above = above.to_vec();
        above.resize(n, 0);
        Tower { blocks: n, edges, upto, above }
    }

    /// `p` from 0 to 100.
    pub fn percentile(&self, p: f64) -> Quantile<'_> {
        Quantile { tower: self, share: p / 100.0, values: None }
    }

    fn count_upto(&self, bin: usize, times: &[u8]) -> u64 {
        let row = &self.upto[bin * self.blocks..][..self.blocks];
        row.iter().zip(times).map(|(count, times)| u64::from(*count) * u64::from(*times)).sum()
    }

    /// The bin below whose end so many values lie.
    fn find(&self, wanted: f64, times: &[u8]) -> Option<Place> {
        let (mut low, mut high) = (0, self.edges.len());
        while low < high {
            let middle = low.midpoint(high);
            if (self.count_upto(middle, times) as f64) < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == self.edges.len() {
            return None;
        }
        let below = if low == 0 { 0 } else { self.count_upto(low - 1, times) };
        let upto = self.count_upto(low, times);
        let part = ((wanted - below as f64) / (upto - below).max(1) as f64).clamp(0.0, 1.0);
        Some(Place { bin: low, below, upto, part })
    }

    /// Values of a block in all bins before this one.
    fn before(&self, bin: usize, block: usize) -> f64 {
        bin.checked_sub(1).map_or(0.0, |last| f64::from(self.upto[last * self.blocks + block]))
    }

    /// By how much each block pulls the share of values that lie below something away, of which each has
    /// so many below it.
    fn pulls(&self, share: f64, below: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..self.blocks).map(|block| share * f64::from(self.count(block)) - below(block)).collect()
    }

    fn filled(&self) -> usize {
        (0..self.blocks).filter(|block| self.count(*block) > 0).count()
    }

    /// The variance of the share of values before a bin over that of as many independent values (Kish
    /// 1965). `None`: so few are on one of its sides that they tell nothing.
    fn design_effect_before(&self, bin: usize) -> Option<f64> {
        let total = self.total(&vec![1; self.blocks]) as f64;
        let below: f64 = (0..self.blocks).map(|block| self.before(bin, block)).sum();
        let share = below / total;
        let told = below.min(total - below) >= self.blocks as f64;
        let pulls = || self.pulls(share, |block| self.before(bin, block));
        told.then(|| worth(&pulls(), self.filled()).variance() / (total * share * (1.0 - share)))
    }

    fn count(&self, block: usize) -> u32 {
        let last = self.edges.len().checked_sub(1);
        last.map_or(0, |last| self.upto[last * self.blocks + block]).saturating_add(self.above[block])
    }

    /// Values in all.
    fn total(&self, times: &[u8]) -> u64 {
        (0..self.blocks).map(|block| u64::from(self.count(block)) * u64::from(times[block])).sum()
    }
}

impl BlockStatistic for Quantile<'_> {
    fn blocks(&self) -> usize {
        self.tower.blocks
    }

    fn of(&self, times: &[u8]) -> Option<f64> {
        let total = self.tower.total(times);
        if total == 0 {
            return None;
        }
        let wanted = self.share * total as f64;
        let Some(place) = self.tower.find(wanted, times) else { return Some(f64::INFINITY) };
        let (start, end) = self.tower.edges[place.bin];
        Some(start + (end - start) * place.part)
    }

    /// A value pulls a percentile by which side of it it lies on, not by how far away. Values in the bin
    /// of the percentile lie on both sides, as they do in all.
    fn influence(&self) -> Vec<f64> {
        let tower = self.tower;
        let place = self.place();
        tower.pulls(self.share, |block| match place {
            None => tower.before(tower.edges.len(), block),
            Some(Place { bin, part, .. }) => {
                let below = tower.before(bin, block);
                below + part * (tower.before(bin + 1, block) - below)
            }
        })
    }

    fn filled(&self) -> usize {
        self.tower.filled()
    }

    /// A tail is made by bursts, of which a run that saw few looks calm: what lies beyond a percentile
    /// resembles its neighbours no less than what lies beyond a lower one, of which there is more. Where
    /// that is not so, as with gaps between tokens, it is wider than it need be.
    fn widened(&self) -> f64 {
        let lower = Quantile { share: (1.0 - LOWER * (1.0 - self.share)).max(0.5), ..*self };
        if lower.share >= self.share {
            return 1.0;
        }
        let widened = (lower.design_effect() / self.design_effect()).sqrt();
        if widened.is_finite() { widened.max(1.0) } else { 1.0 }
    }

    /// Between values that other shares exceed, and never less than what is told apart.
    fn ends(&self, value: f64, down: f64, up: f64) -> Interval {
        let n = self.total();
        let low = self.share - self.reach(down) / n;
        let low = self.around(low, value).filter(|_| low > 0.0).map_or(0.0, |(low, _)| low);
        let high = self.around(self.share + self.reach(up) / n, value).filter(|_| self.has_end(up));
        let high = high.map_or(f64::INFINITY, |(_, high)| high);
        let unknown = self.place().filter(|place| self.within(*place).1.is_none() || self.values.is_none());
        match unknown {
            Some(place) => {
                let (least, most) = self.ends_of(place);
                Interval { low: low.min(least), high: high.max(most) }
            }
            None => Interval { low, high },
        }
    }

    /// Whether more than a value is left beyond it.
    fn has_end(&self, up: f64) -> bool {
        self.total() * (1.0 - self.share) - self.reach(up) > 1.0
    }

    fn blur(&self) -> f64 {
        let Some(place) = self.place() else { return 0.0 };
        let (start, end) = self.tower.edges[place.bin];
        match self.within(place) {
            (variance, Some(alike)) => {
                (end - start) * (variance * alike).sqrt() / (place.upto - place.below).max(1) as f64
            }
            (_, None) => (end - start) / Z,
        }
    }
}

/// Beyond the lower percentile that a higher one is laid beside lie so many times more values.
const LOWER: f64 = 4.0;

impl<'a> Quantile<'a> {
    /// The same with the values at hand, of which its ends are taken: all but those above all that is
    /// known.
    pub fn among(self, values: &'a View<'a>) -> Quantile<'a> {
        Quantile { values: Some(values), ..self }
    }

    fn total(&self) -> f64 {
        self.tower.total(&vec![1; self.tower.blocks]) as f64
    }

    fn place(&self) -> Option<Place> {
        self.tower.find(self.share * self.total(), &vec![1; self.tower.blocks])
    }

    /// Which values of its own bin lie below it, no block tells: the variance of their number if they were
    /// independent, and how many times as much it is for those that are alike. `None`: nothing outside of
    /// the bin tells.
    fn within(&self, place: Place) -> (f64, Option<f64>) {
        let alone = (place.upto - place.below) as f64 * place.part * (1.0 - place.part);
        let edges = [place.bin, place.bin + 1];
        let alike = edges.into_iter().filter_map(|bin| self.tower.design_effect_before(bin));
        (alone, alike.reduce(f64::max).map(|alike| alike.max(1.0)))
    }

    /// As far as its blocks say that it reaches, with what they do not tell.
    fn reach(&self, told: f64) -> f64 {
        let (variance, alike) = self.place().map_or((0.0, None), |place| self.within(place));
        told.hypot(Z * (variance * alike.unwrap_or(1.0)).sqrt())
    }

    /// The least and the greatest value below which this share may lie. `None`: above all that is known.
    fn around(&self, share: f64, value: f64) -> Option<(f64, f64)> {
        let ones = vec![1; self.tower.blocks];
        let near = |share: f64| Quantile { share, ..*self }.of(&ones);
        match self.values {
            Some(values) => {
                let above: u64 = self.tower.above.iter().map(|above| u64::from(*above)).sum();
                values.around(100.0 * share.clamp(0.0, 1.0), above)
            }
            None => {
                // As far as the value is off those that its bin tells, they are.
                let ratio =
                    near(self.share).map_or(1.0, |whole| if whole > 0.0 { value / whole } else { 1.0 });
                near(share).map(|near| (near * ratio, near * ratio))
            }
        }
    }

    /// The least and the greatest value of a bin; where the values are not at hand, its own ends.
    fn ends_of(&self, place: Place) -> (f64, f64) {
        let of =
            |values: &View| Some((values.around_rank(place.below)?.0, values.around_rank(place.upto - 1)?.1));
        self.values.and_then(of).unwrap_or(self.tower.edges[place.bin])
    }

    /// The variance of the share of values beyond it over that of as many independent values (Kish 1965).
    fn design_effect(&self) -> f64 {
        worth(&self.influence(), self.filled()).variance() / (self.share * (1.0 - self.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::stats::fixture::MS;
    use crate::stats::sample::Sample;
    use rand::Rng;

    fn filled(values: impl IntoIterator<Item = f64>) -> (SketchBlocks, Sample) {
        let (mut sketches, mut sample) = (SketchBlocks::default(), Sample::default());
        for (i, value) in values.into_iter().enumerate() {
            sketches.add(i as i64 * MS, value);
            sample.add(value);
        }
        (sketches, sample)
    }

    #[test]
    fn percentiles_of_blocks_are_those_of_the_values_to_half_a_percent() {
        let (sketches, sample) = filled((0..20_000).map(|i| 5.0 + f64::from(i * 7_919 % 20_000) / 100.0));
        let tower = Tower::new(&sketches, &[]);
        let ones = vec![1; sketches.blocks().blocks().len()];
        for p in [1.0, 25.0, 50.0, 90.0, 99.0, 99.9] {
            let (near, exact) =
                (tower.percentile(p).of(&ones).unwrap(), sample.view().percentile(p).unwrap());
            assert!((near / exact - 1.0).abs() < 0.005, "p{p}: {near} for {exact}");
        }
        let mean = Quotient::mean(&sketches).of(&ones).unwrap();
        assert!((mean / sample.view().mean().unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn blocks_that_occur_twice_count_twice() {
        let (sketches, _) = filled((0..64).map(|i| if i < 32 { 1.0 } else { 2.0 }));
        let tower = Tower::new(&sketches, &[]);
        let n = sketches.blocks().blocks().len();
        let half = |late: bool| (0..n).map(|i| 2 * u8::from((i >= n / 2) == late)).collect::<Vec<_>>();
        let of = |late| tower.percentile(90.0).of(&half(late)).unwrap();
        assert!((of(false) - 1.0).abs() < 0.02 && (of(true) - 2.0).abs() < 0.03);
        assert_eq!(tower.percentile(50.0).of(&vec![0; n]), None);
    }

    #[test]
    fn a_percentile_among_failures_is_above_all_that_is_known() {
        let (sketches, _) = filled([1.0; 64]);
        let n = sketches.blocks().blocks().len();
        let tower = Tower::new(&sketches, &vec![1; n]);
        assert_eq!(tower.percentile(99.0).of(&vec![1; n]), Some(f64::INFINITY));
        assert!((tower.percentile(10.0).of(&vec![1; n]).unwrap() - 1.0).abs() < 0.01);
        assert!(tower.percentile(99.0).influence().iter().all(|pull| pull.is_finite()));
    }

    #[test]
    fn what_blocks_pull_adds_up_to_nothing() {
        let (sketches, _) = filled((0..5_000).map(|i| 1.0 + f64::from(i * 613 % 701)));
        let tower = Tower::new(&sketches, &[]);
        for p in [50.0, 90.0, 99.0] {
            let pulls = tower.percentile(p).influence();
            assert!(pulls.iter().sum::<f64>().abs() < 1e-6, "p{p}");
        }
        assert!(Quotient::mean(&sketches).influence().iter().sum::<f64>().abs() < 1e-6);
    }

    /// What there is of an interval: the standard error by the blocks is that of nothing where all of them
    /// are alike.
    fn ends((sketches, sample): &(SketchBlocks, Sample), p: f64, at_hand: bool) -> Interval {
        let (tower, view) = (Tower::new(sketches, &[]), sample.view());
        let quantile = tower.percentile(p);
        let quantile = if at_hand { quantile.among(&view) } else { quantile };
        let value = view.percentile(p).unwrap();
        crate::stats::resample::interval(&quantile, value).unwrap().interval
    }

    #[test]
    fn values_that_are_not_all_the_same_have_no_interval_that_says_so() {
        // A few hundredths of a percent apart, within a bin and across two; by so many bins that each has
        // few; and with hardly anything outside of one.
        let alike = |i: u64| 100.0 + 0.3 * Stream::new(5, "quotient", "alike").at(i).random::<f64>();
        type Made = fn(u64, f64) -> f64;
        let samples: [(&str, Made); 4] = [
            ("one bin", |_, alike| alike),
            ("two bins", |_, alike| alike * 1.004),
            ("many bins", |i, alike| alike * (1.0 + (i * 613 % 701) as f64)),
            ("few beyond", |i, alike| if i % 500 == 3 { 2.0 * alike } else { alike }),
        ];
        for (name, of) in samples {
            let sample = filled((0..5_000).map(|i| of(i, alike(i))));
            let (tower, ones) = (Tower::new(&sample.0, &[]), vec![1; sample.0.blocks().blocks().len()]);
            for p in [10.0, 50.0, 90.0, 99.0] {
                let value = sample.1.view().percentile(p).unwrap();
                for at_hand in [true, false] {
                    let Interval { low, high } = ends(&sample, p, at_hand);
                    assert!(low < value && value < high, "{name} p{p}: {low} {value} {high}");
                    assert!(name == "many bins" || high - low <= 0.02 * value, "{name} p{p}: {low} {high}");
                }
                let Interval { low, high } = ends(&sample, p, false);
                let edges = tower.edges[tower.find(p / 100.0 * 5_000.0, &ones).unwrap().bin];
                assert!(low <= edges.0 && edges.1 <= high, "{name} p{p}: not the whole bin");
            }
        }
    }

    #[test]
    fn values_that_are_all_the_same_are_known_exactly() {
        for value in [0.0, 1e-7, 20.0, 99.999, 1e9] {
            let sample = filled((0..5_000).map(|_| value));
            for (p, at_hand) in [(50.0, true), (50.0, false), (99.0, true), (99.0, false)] {
                let Interval { low, high } = ends(&sample, p, at_hand);
                let hair = 1e-9 * value;
                assert!((low - value).abs() <= hair && (high - value).abs() <= hair, "{low} {value} {high}");
            }
        }
    }

    #[test]
    fn what_a_histogram_rounds_its_ends_do_not_hide() {
        // So many that they are counted in steps of three digits, all of them in one.
        let sample = filled((0..80_000).map(|i| 100.0 + 0.001 * f64::from(i * 7_919 % 31)));
        assert!(!sample.1.view().exact());
        let Interval { low, high } = ends(&sample, 50.0, true);
        assert!(low <= 100.001 && high >= 100.029, "{low} to {high}");
    }
}
