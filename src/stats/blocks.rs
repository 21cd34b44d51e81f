//! `TimeBlocks`: what happened when, in at most 64 stretches of time of one length.
//!
//! Requests that shared a queue resemble each other, so what chance could have done to a run is told by
//! stretches of it and not by single requests: `resample` draws blocks. Blocks lie on one grid of
//! time whose width doubles when there would be too many of them: whatever the order of arrival, and
//! however a run is split and merged, the blocks are the same.

use crate::record::Nanos;

/// More of them would be shorter than what makes neighbours alike; half as many leave hardly enough for
/// a variance (see [`super::resample::BLOCKS_MIN`]).
pub const BLOCKS_MAX: usize = 64;

/// Width of the finest grid: 1.024 ms, so that a minute fills 59 blocks and half a minute as many, with
/// room for a start that lies between two of them.
const FINEST: Nanos = 1_024_000;

/// What is kept of a block.
pub trait Joins: Clone + Default {
    /// Adds what another stretch of time has.
    fn join(&mut self, other: &Self);
}

/// Stretches of time, each with what happened in it; those between the first and the last that hold
/// nothing are there, too.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeBlocks<B> {
    /// Of the width.
    doublings: u32,
    /// The number of the first block on the grid.
    first: i64,
    blocks: Vec<B>,
}

impl<B> Default for TimeBlocks<B> {
    fn default() -> TimeBlocks<B> {
        TimeBlocks { doublings: 0, first: 0, blocks: Vec::new() }
    }
}

impl<B: Joins> TimeBlocks<B> {
    /// The block that holds this time, which is made where it is missing.
    pub fn at(&mut self, time: Nanos) -> &mut B {
        let mut place = self.number(time);
        if self.blocks.is_empty() {
            self.first = place;
        }
        while self.first.min(place) + (BLOCKS_MAX as i64) <= place.max(self.last()) {
            self.double();
            place = self.number(time);
        }
        if place < self.first {
            let missing = (self.first - place) as usize;
            self.blocks.splice(0..0, std::iter::repeat_with(B::default).take(missing));
            self.first = place;
        }
        let place = (place - self.first) as usize;
        if place >= self.blocks.len() {
            self.blocks.resize_with(place + 1, B::default);
        }
        &mut self.blocks[place]
    }

    /// From the first that holds something to the last.
    pub fn blocks(&self) -> &[B] {
        &self.blocks
    }

    pub fn blocks_mut(&mut self) -> &mut [B] {
        &mut self.blocks
    }

    /// Nanoseconds.
    pub fn width(&self) -> Nanos {
        FINEST.checked_shl(self.doublings).filter(|width| *width > 0).unwrap_or(Nanos::MAX)
    }

    /// Where the `place`-th block begins.
    pub fn start(&self, place: usize) -> Nanos {
        (self.first + place as i64).saturating_mul(self.width())
    }

    /// The same stretches of time with something else in them: `make` is told the place of each.
    pub fn with<C: Joins>(&self, make: impl Fn(usize, &B) -> C) -> TimeBlocks<C> {
        let blocks = self.blocks.iter().enumerate().map(|(place, block)| make(place, block)).collect();
        TimeBlocks { doublings: self.doublings, first: self.first, blocks }
    }

    /// Adds what another part of the same run has.
    pub fn merge(&mut self, other: &TimeBlocks<B>) {
        if other.blocks.is_empty() {
            return;
        }
        if self.blocks.is_empty() {
            self.clone_from(other);
            return;
        }
        // The whole range first, so that no block joins while others are still to be placed.
        self.reach(other);
        let mut other = other.clone();
        while other.doublings < self.doublings {
            other.double();
        }
        for (i, block) in other.blocks.iter().enumerate() {
            self.at(other.start(i)).join(block);
        }
    }

    /// Both as blocks of the same stretches of time: as many of the one as of the other.
    pub fn aligned(&self, other: &TimeBlocks<B>) -> (TimeBlocks<B>, TimeBlocks<B>) {
        let (mut a, mut b) = (self.clone(), other.clone());
        a.beside(&mut b);
        (a, b)
    }

    /// Gives both the same stretches of time, whatever they keep of them.
    pub fn beside<C: Joins>(&mut self, other: &mut TimeBlocks<C>) {
        self.reach(other);
        other.reach(self);
    }

    /// Gets blocks as wide as these, and covers their time.
    fn reach<C: Joins>(&mut self, other: &TimeBlocks<C>) {
        let Some(last) = other.blocks.len().checked_sub(1) else { return };
        while self.doublings < other.doublings {
            self.double();
        }
        self.at(other.start(0));
        self.at(other.start(last));
    }

    fn number(&self, time: Nanos) -> i64 {
        time.div_euclid(FINEST) >> self.doublings
    }

    fn last(&self) -> i64 {
        self.first + self.blocks.len().saturating_sub(1) as i64
    }

    /// Neighbours join.
    fn double(&mut self) {
        let first = self.first >> 1;
        let mut joined: Vec<B> = Vec::with_capacity(BLOCKS_MAX / 2 + 1);
        for (i, block) in std::mem::take(&mut self.blocks).into_iter().enumerate() {
            let place = (((self.first + i as i64) >> 1) - first) as usize;
            match joined.get_mut(place) {
                Some(neighbour) => neighbour.join(&block),
                None => joined.push(block),
            }
        }
        (self.doublings, self.first, self.blocks) = (self.doublings + 1, first, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture::MS;

    impl Joins for u64 {
        fn join(&mut self, other: &u64) {
            *self += other;
        }
    }

    fn counted(times: impl IntoIterator<Item = Nanos>) -> TimeBlocks<u64> {
        let mut blocks = TimeBlocks::default();
        times.into_iter().for_each(|time| *blocks.at(time) += 1);
        blocks
    }

    /// Times that leap about.
    fn times(n: i64, over_ms: i64) -> Vec<Nanos> {
        (0..n).map(|i| (i * 7_919 % n) * over_ms * MS / n).collect()
    }

    #[test]
    fn there_are_never_more_than_64_and_nothing_is_lost() {
        for over_ms in [1, 60, 70, 1_000, 60_000, 100_000, 86_400_000] {
            let blocks = counted(times(5_000, over_ms));
            let n = blocks.blocks().len();
            assert!(n <= BLOCKS_MAX, "{n} of {over_ms} ms");
            assert!(over_ms < 100 || n > BLOCKS_MAX / 2 - 1, "{n} of {over_ms} ms");
            assert_eq!(blocks.blocks().iter().sum::<u64>(), 5_000);
        }
    }

    #[test]
    fn any_order_and_any_split_give_the_same_blocks() {
        let times = times(3_000, 90_000);
        let whole = counted(times.clone());
        assert_eq!(whole, counted(times.iter().rev().copied()));
        let mut merged = counted(times[..10].iter().copied());
        merged.merge(&counted(times[2_000..].iter().copied()));
        merged.merge(&TimeBlocks::default());
        let mut rest = TimeBlocks::default();
        rest.merge(&counted(times[10..2_000].iter().copied()));
        rest.merge(&merged);
        assert_eq!(whole, rest);
    }

    #[test]
    fn a_block_holds_what_happened_from_its_start_for_its_width() {
        let blocks = counted([100 * MS, 101 * MS, 900 * MS]);
        for (i, count) in blocks.blocks().iter().enumerate() {
            let inside = |time: &&Nanos| (blocks.start(i)..blocks.start(i) + blocks.width()).contains(time);
            assert_eq!([100 * MS, 101 * MS, 900 * MS].iter().filter(inside).count() as u64, *count);
        }
    }

    #[test]
    fn times_before_zero_and_at_the_ends_of_time_have_a_block() {
        let blocks = counted([-5 * MS, 0, 5 * MS]);
        assert_eq!(blocks.blocks().iter().sum::<u64>(), 3);
        let ends = counted([Nanos::MIN, 0, Nanos::MAX]);
        assert_eq!(ends.blocks().iter().sum::<u64>(), 3);
    }

    #[test]
    fn two_runs_can_be_laid_side_by_side() {
        let (a, b) = counted(times(100, 5_000)).aligned(&counted(times(50, 70_000)));
        assert_eq!((a.blocks().len(), a.width(), a.start(0)), (b.blocks().len(), b.width(), b.start(0)));
        assert_eq!((a.blocks().iter().sum::<u64>(), b.blocks().iter().sum::<u64>()), (100, 50));
    }
}
