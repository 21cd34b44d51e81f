//! `Sketch`: how values of a stretch of time are spread, roughly, and their exact sum.
//!
//! Bins are as wide as 1 % of their values. They serve the question by how much a percentile might have
//! come out otherwise, never the percentile itself, which is made from the values.

use super::blocks::{Joins, TimeBlocks};

/// Bins of a doubling of the value: none is wider than 1 % of its values, so that its middle is off by
/// half a percent at most.
const BINS: f64 = 75.0;

/// Values from a nanosecond (in milliseconds) on have bins of their own; what is smaller, or no number,
/// is in the first.
const LEAST_EXPONENT: i32 = -20;
const MOST_EXPONENT: i32 = 43;

/// Parts of a value in the sum: whole numbers, so that it is the same in any order.
const PARTS: f64 = 1e6;

/// Bins of all blocks of a metric: 6 bytes each, so that the 17 metrics of a run stay below 2 MB.
const ALL_BINS_MAX: usize = 18_000;

/// Beyond the last bin there is none.
const BINS_MAX: usize = (MOST_EXPONENT - LEAST_EXPONENT + 1) as usize * BINS as usize + 2;

/// Where the values of a request are counted before they go where they belong.
#[derive(Debug, Clone, Default)]
pub struct Room(Vec<u32>);

/// Bins with something in them, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sketch {
    count: u64,
    sum: i128,
    bins: Vec<u16>,
    counts: Vec<u32>,
}

impl Sketch {
    fn add(&mut self, value: f64, coarseness: u32) {
        self.count += 1;
        self.sum += i128::from(parts_of(value));
        self.add_bin(0, bin_of(value) >> coarseness, 1);
    }

    /// Adds to a bin that is none of those before the place `from`, and says where it is.
    fn add_bin(&mut self, from: usize, bin: u16, times: u32) -> usize {
        // What is added in order finds its next bin where the last one was, or behind it.
        let next = self.bins[from..].iter().take(2).position(|next| *next == bin);
        let found = next.map_or_else(|| self.bins[from..].binary_search(&bin), Ok);
        match found.map(|place| from + place).map_err(|place| from + place) {
            Ok(place) => {
                self.counts[place] = self.counts[place].saturating_add(times);
                place
            }
            Err(place) => {
                if self.bins.len() == self.bins.capacity() {
                    // A quarter more, not twice as much: sixty-four of these stand beside each other.
                    let more = self.bins.len() / 4 + 4;
                    self.bins.reserve_exact(more);
                    self.counts.reserve_exact(more);
                }
                self.bins.insert(place, bin);
                self.counts.insert(place, times);
                place
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn sum(&self) -> f64 {
        self.sum as f64 / PARTS
    }

    /// Each bin that holds something, with how many values.
    pub fn bins(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.bins.iter().copied().zip(self.counts.iter().copied())
    }

    fn coarsen(&mut self, doublings: u32) {
        let (bins, counts) = (std::mem::take(&mut self.bins), std::mem::take(&mut self.counts));
        for (bin, count) in bins.into_iter().zip(counts) {
            match self.bins.last() {
                Some(last) if *last == bin >> doublings => {
                    let place = self.counts.len() - 1;
                    self.counts[place] = self.counts[place].saturating_add(count);
                }
                _ => {
                    self.add_bin(self.bins.len(), bin >> doublings, count);
                }
            }
        }
    }
}

impl Joins for Sketch {
    fn join(&mut self, other: &Sketch) {
        self.count += other.count;
        self.sum += other.sum;
        other.bins().fold(0, |from, (bin, count)| self.add_bin(from, bin, count));
    }
}

/// The values of one metric in their blocks of time.
#[derive(Debug, Clone, PartialEq)]
pub struct SketchBlocks {
    blocks: TimeBlocks<Sketch>,
    /// The least and the greatest value.
    ends: (f64, f64),
    /// So often have neighbouring bins joined, which they do when there would be too many.
    coarseness: u32,
    /// Bins that were made since they were counted.
    made: usize,
}

impl Default for SketchBlocks {
    fn default() -> SketchBlocks {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        SketchBlocks { blocks: TimeBlocks::default(), ends, coarseness: 0, made: 0 }
    }
}

impl SketchBlocks {
    /// Adds a value of a request that was planned at this time.
    pub fn add(&mut self, planned: i64, value: f64) {
        let coarseness = self.coarseness;
        let block = self.blocks.at(planned);
        let before = block.bins.len();
        block.add(value, coarseness);
        self.made += block.bins.len() - before;
        self.ends = (self.ends.0.min(value), self.ends.1.max(value));
        self.bound();
    }

    /// The same of many values of one request. `room` is reused from one to the next.
    pub fn add_all(&mut self, planned: i64, values: impl Iterator<Item = f64>, room: &mut Room) {
        // The gaps of a reply fill few bins: counted here first, each bin is looked for once.
        room.0.resize(BINS_MAX, 0);
        let (mut low, mut high, mut count, mut parts) = (BINS_MAX, 0, 0, 0_i64);
        let (mut least, mut most) = self.ends;
        for value in values {
            let bin = usize::from(bin_of(value));
            room.0[bin] += 1;
            (low, high) = (low.min(bin), high.max(bin));
            (least, most) = (least.min(value), most.max(value));
            count += 1;
            parts = parts.saturating_add(parts_of(value));
        }
        if count == 0 {
            return;
        }
        self.ends = (least, most);
        let coarseness = self.coarseness;
        let block = self.blocks.at(planned);
        let before = block.bins.len();
        block.count += count;
        block.sum += i128::from(parts);
        let mut from = 0;
        for (bin, times) in room.0.iter_mut().enumerate().take(high + 1).skip(low) {
            if *times > 0 {
                from = block.add_bin(from, bin as u16 >> coarseness, std::mem::take(times));
            }
        }
        self.made += block.bins.len() - before;
        self.bound();
    }

    pub fn blocks(&self) -> &TimeBlocks<Sketch> {
        &self.blocks
    }

    /// The least and the greatest value; without any, the first is infinite and above the second.
    pub fn ends(&self) -> (f64, f64) {
        self.ends
    }

    /// Of memory, all blocks together.
    pub fn bytes(&self) -> usize {
        let blocks = self.blocks.blocks();
        let bins = |block: &Sketch| block.bins.capacity() * 2 + block.counts.capacity() * 4;
        blocks.iter().map(bins).sum::<usize>() + size_of_val(blocks)
    }

    /// Where a bin begins; the next one begins where it ends.
    pub fn start_of(&self, bin: u16) -> f64 {
        start_of(u32::from(bin) << self.coarseness)
    }

    pub fn merge(&mut self, other: &SketchBlocks) {
        let mut other = other.clone();
        let coarseness = self.coarseness.max(other.coarseness);
        self.coarsen(coarseness);
        other.coarsen(coarseness);
        self.blocks.merge(&other.blocks);
        self.ends = (self.ends.0.min(other.ends.0), self.ends.1.max(other.ends.1));
        self.made = ALL_BINS_MAX + 1;
        self.bound();
    }

    /// Both in the same blocks of time and with the same bins.
    pub fn aligned(&self, other: &SketchBlocks) -> (SketchBlocks, SketchBlocks) {
        let (mut a, mut b) = (self.clone(), other.clone());
        let coarseness = a.coarseness.max(b.coarseness);
        a.coarsen(coarseness);
        b.coarsen(coarseness);
        (a.blocks, b.blocks) = a.blocks.aligned(&b.blocks);
        (a, b)
    }

    /// Lays these and other blocks of the same run side by side.
    pub fn beside<B: Joins>(&mut self, other: &mut TimeBlocks<B>) {
        self.blocks.beside(other);
    }

    fn bound(&mut self) {
        while self.made > ALL_BINS_MAX {
            self.made = self.blocks.blocks().iter().map(|block| block.bins.len()).sum();
            if self.made > ALL_BINS_MAX {
                self.coarsen(self.coarseness + 1);
            }
        }
    }

    fn coarsen(&mut self, coarseness: u32) {
        let doublings = coarseness - self.coarseness;
        if doublings > 0 {
            self.blocks.blocks_mut().iter_mut().for_each(|block| block.coarsen(doublings));
            self.coarseness = coarseness;
        }
    }
}

/// No value that is a time is negative.
#[inline]
fn parts_of(value: f64) -> i64 {
    // The conversion saturates, and rounds without a call of a function.
    (value * PARTS + 0.5) as i64
}

/// The bin of a value: its logarithm, by way of the parabola through the mantissa that DDSketch uses
/// (Masson, Rim and Lee 2019, "quadratically interpolated mapping"), which needs no logarithm.
#[inline]
fn bin_of(value: f64) -> u16 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) as i32) - 1_023;
    if exponent < LEAST_EXPONENT || value.is_nan() || value <= 0.0 {
        return 0;
    }
    let exponent = exponent.min(MOST_EXPONENT);
    let part = f64::from_bits((bits & ((1 << 52) - 1)) | (1_023 << 52)) - 1.0;
    let place = f64::from(exponent - LEAST_EXPONENT) + part * (4.0 - part) / 3.0;
    (place * BINS) as u16 + 1
}

/// The least value of a bin.
fn start_of(bin: u32) -> f64 {
    let Some(bin) = bin.checked_sub(1) else { return 0.0 };
    let place = f64::from(bin) / BINS;
    let part = 2.0 - (4.0 - 3.0 * place.fract()).sqrt();
    (1.0 + part) * f64::from(place.floor() as i32 + LEAST_EXPONENT).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture::MS;

    #[test]
    fn a_value_lies_in_its_bin_and_no_bin_is_wider_than_one_percent() {
        let mut value = 1e-5;
        while value < 1e9 {
            let bin = u32::from(bin_of(value));
            let (start, end) = (start_of(bin), start_of(bin + 1));
            assert!(start <= value * (1.0 + 1e-12) && value < end * (1.0 + 1e-12), "{start} {value} {end}");
            assert!((end - start) / (end + start) <= 0.005 + 1e-6, "{start} to {end}");
            value *= 1.001_7;
        }
    }

    #[test]
    fn what_has_no_logarithm_has_a_bin() {
        for value in [0.0, -1.0, f64::NAN, 1e-300, f64::NEG_INFINITY] {
            assert_eq!(bin_of(value), 0, "{value}");
        }
        assert!(bin_of(f64::INFINITY) >= bin_of(1e12) && bin_of(f64::MAX) >= bin_of(1e12));
    }

    #[test]
    fn gaps_added_together_are_gaps_added_one_by_one() {
        let gaps = [10_000, 0, 31_000, 10_005, 900_000, u32::MAX, 10_000];
        let (mut together, mut single, mut room) =
            (SketchBlocks::default(), SketchBlocks::default(), Room::default());
        together.add_all(5 * MS, gaps.iter().map(|us| f64::from(*us) / 1e3), &mut room);
        gaps.iter().for_each(|us| single.add(5 * MS, f64::from(*us) / 1e3));
        assert_eq!(together.blocks, single.blocks);
        assert!(room.0.iter().all(|times| *times == 0));
    }

    #[test]
    fn merged_sketches_are_those_of_all_values_and_stay_small() {
        // Ten decades of values: no metric of a run is that wild.
        let value = |i: u64| 1e-3 * 10f64.powf((i * 7_919 % 100_000) as f64 / 10_000.0);
        let mut parts: Vec<SketchBlocks> = vec![SketchBlocks::default(); 3];
        let mut whole = SketchBlocks::default();
        for i in 0..100_000 {
            whole.add(i as i64 * MS, value(i));
            parts[(i % 3) as usize].add(i as i64 * MS, value(i));
        }
        let mut merged = parts[2].clone();
        merged.merge(&parts[0]);
        merged.merge(&parts[1]);
        let told = |sketches: &SketchBlocks| {
            sketches.blocks().blocks().iter().map(|block| (block.count(), block.sum)).collect::<Vec<_>>()
        };
        assert_eq!(told(&merged), told(&whole));
        let bins: usize = whole.blocks.blocks().iter().map(|block| block.bins.len()).sum();
        assert!(whole.coarseness > 0 && bins <= ALL_BINS_MAX, "{bins}");
        let sum: f64 = whole.blocks.blocks().iter().map(Sketch::sum).sum();
        let exact: f64 = (0..100_000).map(value).sum();
        assert!((sum / exact - 1.0).abs() < 1e-9);
    }
}
