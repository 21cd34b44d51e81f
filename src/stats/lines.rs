//! `Lines`: requests as lines in time.

use super::fold::Fold;
use super::occupancy::number;
use super::thinned::Thinned;
use super::turnout::Turnout;
use crate::record::{Fields, Nanos, Record};

/// Successes, and failures, that are kept: far more than a picture has lines, so that some chosen
/// from them are spread as evenly as some chosen from all.
const LINES_MAX: usize = 1 << 14;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesLine {
    pub planned: Nanos,
    pub seq: u64,
    pub turn: u32,
    pub sent: Option<Nanos>,
    /// Of a success whose first output was seen.
    pub first_output: Option<Nanos>,
    pub end: Nanos,
    pub success: bool,
}

/// All requests, or an even part of very many.
#[derive(Debug, Clone)]
pub struct Lines {
    pub turnout: Turnout,
    good: Thinned<SeriesLine>,
    bad: Thinned<SeriesLine>,
}

impl Default for Lines {
    fn default() -> Lines {
        let [good, bad] = [(); 2].map(|()| Thinned::at_most(LINES_MAX));
        Lines { turnout: Turnout::default(), good, bad }
    }
}

impl Lines {
    /// How many requests succeeded, and how many failed, warm-up included.
    pub fn counts(&self) -> (u64, u64) {
        (self.good.count(), self.bad.count())
    }

    /// Those that were kept, by planned time: the successes, and the failures.
    pub fn kept(&self) -> (Vec<SeriesLine>, Vec<SeriesLine>) {
        let in_order = |thinned: &Thinned<SeriesLine>| {
            let mut lines: Vec<SeriesLine> = thinned.kept().copied().collect();
            lines.sort_unstable_by_key(SeriesLine::place);
            lines
        };
        (in_order(&self.good), in_order(&self.bad))
    }
}

impl SeriesLine {
    /// Where it stands among the others.
    pub fn place(&self) -> (Nanos, u64, u32) {
        (self.planned, self.seq, self.turn)
    }
}

impl Fold for Lines {
    fn fields(&self) -> Fields {
        Fields::LATENCIES
    }

    fn add(&mut self, record: &Record) {
        self.turnout.add(record);
        let timeline = &record.timeline;
        let success = record.success();
        let line = SeriesLine {
            planned: timeline.planned,
            seq: record.seq,
            turn: record.turn,
            sent: timeline.sent,
            first_output: record.first_output().filter(|_| success),
            end: timeline.end,
            success,
        };
        if success { &mut self.good } else { &mut self.bad }.add(number(record), line);
    }

    fn merge(&mut self, other: Lines) {
        self.turnout.merge(other.turnout);
        self.good.merge(other.good);
        self.bad.merge(other.bad);
    }

    fn fresh(&self) -> Lines {
        Lines::default()
    }
}
