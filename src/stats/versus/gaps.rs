//! `PairedGaps`: the gaps between output events of requests that are pairs, each at the time of its pair.
//!
//! In a closed loop a request waits for others, so that one and the same request comes at another time on
//! either side. Its gaps are laid at the time that the first side gave it: then the blocks of both sides hold
//! the same requests, and can be drawn together.

use super::rows::Key;
use crate::record::{Fields, Nanos, Phase, Record};
use crate::stats::flow::Flow;
use crate::stats::fold::Fold;
use crate::stats::gaps::GapStats;
use crate::stats::sketch::{Room, SketchBlocks};
use std::sync::Arc;

#[derive(Clone)]
pub struct PairedGaps {
    /// Which requests, in their order, and the time of each.
    pairs: Arc<[(Key, Nanos)]>,
    pub gaps: GapStats,
    pub blocks: SketchBlocks,
    flow: Flow,
    room: Room,
}

impl PairedGaps {
    /// `pairs`: sorted.
    pub fn of(pairs: Arc<[(Key, Nanos)]>) -> PairedGaps {
        PairedGaps {
            pairs,
            gaps: GapStats::default(),
            blocks: SketchBlocks::default(),
            flow: Flow::default(),
            room: Room::default(),
        }
    }
}

impl Fold for PairedGaps {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::BELONGS)
    }

    fn add(&mut self, record: &Record) {
        if record.phase != Phase::Measured || !record.success() {
            return;
        }
        let key = Key::of(record);
        let Ok(place) = self.pairs.binary_search_by_key(&key, |pair| pair.0) else { return };
        self.flow.read(record);
        self.gaps.add(&self.flow.gaps_us);
        let gaps_ms = self.flow.gaps_us.iter().map(|gap| f64::from(*gap) / 1e3);
        self.blocks.add_all(self.pairs[place].1, gaps_ms, &mut self.room);
    }

    fn merge(&mut self, other: Self) {
        self.gaps.merge(&other.gaps);
        self.blocks.merge(&other.blocks);
    }

    fn fresh(&self) -> Self {
        PairedGaps::of(self.pairs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture::{MS, reply};

    #[test]
    fn only_gaps_of_pairs_count_and_lie_where_the_pair_does() {
        let request = |seq: u64, at: i64| reply(seq, at).tokens_at(&[10, 20, 40]).record();
        let pairs: Arc<[(Key, Nanos)]> =
            [(0, 5), (2, 70)].map(|(seq, at)| (Key::of(&request(seq, 0)), at * 1_000 * MS)).into();
        let mut whole = PairedGaps::of(pairs);
        let mut split = whole.fresh();
        let mut rest = whole.fresh();
        for seq in 0..4 {
            whole.add(&request(seq, 900));
            if seq < 2 { split.add(&request(seq, 900)) } else { rest.add(&request(seq, 900)) }
        }
        whole.add(&reply(0, 0).warmup().tokens_at(&[1, 2]).record());
        split.merge(rest);
        assert_eq!((whole.gaps.count(), split.gaps.count()), (4, 4));
        assert_eq!(whole.blocks, split.blocks);
        let blocks = whole.blocks.blocks();
        let last = blocks.start(blocks.blocks().len() - 1);
        assert!((5_000 * MS - blocks.width()..=5_000 * MS).contains(&blocks.start(0)));
        assert!((70_000 * MS - blocks.width()..=70_000 * MS).contains(&last));
    }
}
