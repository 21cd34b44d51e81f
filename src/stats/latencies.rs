//! `Latencies`: the distributions of TTFT and ITL, to be drawn.

use super::flow::Flow;
use super::fold::Fold;
use super::gaps::GapStats;
use super::weighed::Weighed;
use crate::record::{Fields, Phase, Record};

/// Of the measured requests that succeeded; warm-up and failures have no part in it.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    pub succeeded: u64,
    ttft: GapStats,
    itl: GapStats,
    /// Reused from record to record.
    flow: Flow,
}

impl Latencies {
    /// Milliseconds.
    pub fn ttft(&self) -> Weighed {
        self.ttft.view().weighed()
    }

    /// Milliseconds.
    pub fn itl(&self) -> Weighed {
        self.itl.view().weighed()
    }
}

impl Fold for Latencies {
    fn fields(&self) -> Fields {
        Fields::LATENCIES
    }

    fn add(&mut self, record: &Record) {
        if record.phase != Phase::Measured || !record.success() {
            return;
        }
        self.succeeded += 1;
        self.flow.read_times(record);
        // Both are whole microseconds, which are counted and not kept.
        self.ttft.add(self.flow.at_us.get(..1).unwrap_or_default());
        self.itl.add(&self.flow.gaps_us);
    }

    fn merge(&mut self, other: Latencies) {
        self.succeeded += other.succeeded;
        self.ttft.merge(&other.ttft);
        self.itl.merge(&other.itl);
    }

    fn fresh(&self) -> Latencies {
        Latencies::default()
    }
}
