//! `Series`: one number of one side, as far as a comparison needs it: the value of any of its runs
//! together, and how it came about over time.

use super::change::{self, Change, Missing, Span};
use crate::record::Nanos;
use crate::stats::blocks::{Joins, TimeBlocks};
use crate::stats::gaps::GapStats;
use crate::stats::quotient::Quotient;
use crate::stats::resample::{BlockStatistic, interval, worth};
use crate::stats::sketch::SketchBlocks;
use crate::stats::statistic::Statistic;

/// What one run has of a number.
pub enum Piece {
    /// One value of a request, with its time.
    Values { at: Vec<Nanos>, values: Vec<f32> },
    /// Gaps between events.
    Gaps { gaps: GapStats, blocks: SketchBlocks },
    /// Something in so much of something: tokens in seconds, failures of requests. In blocks of time, and
    /// in all.
    Parts { blocks: TimeBlocks<Part>, part: f64, whole: f64 },
}

/// What a stretch of time has of a [`Piece::Parts`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Part {
    pub part: f64,
    pub whole: f64,
}

impl Joins for Part {
    fn join(&mut self, other: &Part) {
        self.part += other.part;
        self.whole += other.whole;
    }
}

/// The same number of each run of a side.
pub struct Series {
    pub pieces: Vec<Piece>,
    pub statistic: Statistic,
}

/// Parts and what they are parts of, one for each stretch of time.
type Counted = Vec<(f64, f64)>;

impl Series {
    /// The number over the runs that are `kept`, of all their requests together.
    pub fn value(&self, kept: &[bool]) -> Option<f64> {
        let pieces = || self.pieces.iter().zip(kept).filter(|(_, kept)| **kept).map(|(piece, _)| piece);
        match pieces().next()? {
            Piece::Values { .. } => {
                let values = pieces().flat_map(|piece| match piece {
                    Piece::Values { values, .. } => values.as_slice(),
                    _ => &[],
                });
                let values = values.copied().map(f64::from).filter(|value| !value.is_nan());
                match self.statistic.percentile() {
                    Some(p) => percentile(values.collect(), p),
                    None => mean(values),
                }
            }
            Piece::Gaps { gaps, .. } => {
                let mut more = pieces().skip(1).peekable();
                let view = |gaps: &GapStats| match self.statistic.percentile() {
                    Some(p) => gaps.view().percentile(p),
                    None => gaps.view().mean(),
                };
                if more.peek().is_none() {
                    return view(gaps);
                }
                let mut all = gaps.clone();
                for piece in more {
                    if let Piece::Gaps { gaps, .. } = piece {
                        all.merge(gaps);
                    }
                }
                view(&all)
            }
            Piece::Parts { .. } => {
                let (mut parts, mut wholes) = (0.0, 0.0);
                for piece in pieces() {
                    if let Piece::Parts { part, whole, .. } = piece {
                        parts += part;
                        wholes += whole;
                    }
                }
                (wholes > 0.0).then(|| parts / wholes)
            }
        }
    }

    /// Values behind it: requests, gaps, or what a rate counts.
    pub fn count(&self) -> u64 {
        let count = |piece: &Piece| match piece {
            Piece::Values { values, .. } => values.iter().filter(|value| !value.is_nan()).count() as u64,
            Piece::Gaps { gaps, .. } => gaps.count(),
            Piece::Parts { part, whole, .. } => {
                if self.statistic == Statistic::Share {
                    *whole as u64
                } else {
                    *part as u64
                }
            }
        };
        self.pieces.iter().map(count).sum()
    }

    fn all(&self) -> Vec<bool> {
        vec![true; self.pieces.len()]
    }

    fn sketch(&self) -> SketchBlocks {
        let mut all = SketchBlocks::default();
        for piece in &self.pieces {
            match piece {
                Piece::Values { at, values } => {
                    let pairs = at.iter().zip(values).filter(|(_, value)| !value.is_nan());
                    pairs.for_each(|(at, value)| all.add(*at, f64::from(*value)));
                }
                Piece::Gaps { blocks, .. } => all.merge(blocks),
                Piece::Parts { .. } => {}
            }
        }
        all
    }

    fn blocks(&self) -> impl Iterator<Item = &TimeBlocks<Part>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parts { blocks, .. } => Some(blocks),
            _ => None,
        })
    }

    fn parts(&self) -> Counted {
        self.blocks().flat_map(listed).collect()
    }

    /// The parts of both sides in the same stretches of time, run by run.
    fn parts_beside(&self, other: &Series) -> (Counted, Counted) {
        let aligned = self.blocks().zip(other.blocks()).map(|(a, b)| a.aligned(b));
        let (a, b): (Vec<_>, Vec<_>) = aligned.map(|(a, b)| (listed(&a), listed(&b))).unzip();
        (a.concat(), b.concat())
    }

    /// Whether parts can be drawn in joint blocks. What was never seen, or always, may be otherwise next
    /// time, which no draw of its blocks shows.
    fn can_join(&self, other: &Series, (a, b): (f64, f64)) -> bool {
        let inside = |share: f64| share > 0.0 && (share < 1.0 || self.statistic == Statistic::Rate);
        inside(a) && inside(b) && self.pieces.len() == other.pieces.len()
    }

    fn totals(&self) -> (f64, f64) {
        self.pieces.iter().fold((0.0, 0.0), |(parts, wholes), piece| match piece {
            Piece::Parts { part, whole, .. } => (parts + part, wholes + whole),
            _ => (parts, wholes),
        })
    }

    /// How it changes from this side to the other, by chance within the runs alone. `joint`: the values of
    /// both sides are of the same requests.
    pub fn change_to(&self, other: &Series, joint: bool) -> Result<Change, Missing> {
        let values = self.value(&self.all()).zip(other.value(&other.all())).ok_or(Missing::NotObserved)?;
        match self.statistic {
            Statistic::Share | Statistic::Rate if joint && self.can_join(other, values) => {
                let (a, b) = self.parts_beside(other);
                let (a, b) = (Quotient::new(few(a)), Quotient::new(few(b)));
                let change = change::of((&a, &b), values, true)?;
                Ok(Change {
                    log_ratio: change.log_ratio.filter(|_| self.statistic == Statistic::Rate),
                    ..change
                })
            }
            Statistic::Share => {
                let side = |series: &Series| {
                    let (part, whole) = series.totals();
                    change::share(part, whole, &series.parts()).ok_or(Missing::NotObserved)
                };
                let difference = change::between(side(self)?, side(other)?).difference;
                Ok(Change { log_ratio: None, difference })
            }
            Statistic::Rate => {
                let side = |series: &Series, value: f64| rate(&series.parts(), value);
                Ok(change::between(side(self, values.0)?, side(other, values.1)?))
            }
            statistic => change::of_sketches((&self.sketch(), &other.sketch()), values, statistic, joint),
        }
    }
}

fn listed(blocks: &TimeBlocks<Part>) -> Vec<(f64, f64)> {
    blocks.blocks().iter().map(|block| (block.part, block.whole)).collect()
}

/// More runs than blocks of one: neighbours join until they fit.
fn few(mut blocks: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    while blocks.len() > 255 {
        let join = |two: &[(f64, f64)]| two.iter().fold((0.0, 0.0), |sum, b| (sum.0 + b.0, sum.1 + b.1));
        blocks = blocks.chunks(2).map(join).collect();
    }
    blocks
}

fn rate(blocks: &[(f64, f64)], value: f64) -> Result<Span, Missing> {
    let quotient = Quotient::new(few(blocks.to_vec()));
    let freedom = worth(&quotient.influence(), quotient.filled()).effective - 1.0;
    let found = interval(&quotient, value);
    let found = found.map_err(|effective| Missing::FewBlocks { effective })?.interval;
    Ok(Span { value, low: found.low, high: found.high, freedom })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// By linear interpolation between ranks.
fn percentile(mut values: Vec<f64>, p: f64) -> Option<f64> {
    let place = p / 100.0 * values.len().checked_sub(1)? as f64;
    let (_, low, above) = values.select_nth_unstable_by(place.floor() as usize, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::stats::fixture::MS;
    use rand::Rng;

    /// A block a second.
    fn parts(of: impl IntoIterator<Item = (f64, f64)>) -> Piece {
        let mut blocks = TimeBlocks::<Part>::default();
        for (i, (part, whole)) in of.into_iter().enumerate() {
            blocks.at(i as i64 * 1_024 * MS).join(&Part { part, whole });
        }
        let (part, whole) =
            blocks.blocks().iter().fold((0.0, 0.0), |(a, b), one: &Part| (a + one.part, b + one.whole));
        Piece::Parts { blocks, part, whole }
    }

    fn values(of: &[f32]) -> Piece {
        Piece::Values { at: (0..of.len() as i64).map(|i| i * MS).collect(), values: of.to_vec() }
    }

    #[test]
    fn percentiles_are_those_of_all_values_and_never_averaged() {
        let pieces = vec![values(&[1.0, 2.0, 3.0]), values(&[10.0, f32::NAN, 20.0])];
        let series = Series { pieces, statistic: Statistic::Median };
        assert_eq!(series.value(&[true, true]), Some(3.0));
        assert_eq!((series.value(&[true, false]), series.value(&[false, true])), (Some(2.0), Some(15.0)));
        assert_eq!((series.value(&[false, false]), series.count()), (None, 5));
    }

    #[test]
    fn rates_and_shares_are_of_all_runs_together() {
        let pieces = vec![parts([(10.0, 2.0)]), parts([(90.0, 8.0)])];
        let series = Series { pieces, statistic: Statistic::Rate };
        assert_eq!(series.value(&[true, true]), Some(10.0));
    }

    #[test]
    fn a_rate_has_an_interval_from_its_blocks_and_few_blocks_have_none() {
        let side = |factor: f64, n: u32| {
            let piece = parts((0..n).map(|i| (factor * f64::from(100 + i * 7 % 11), 1.0)));
            Series { pieces: vec![piece], statistic: Statistic::Rate }
        };
        let span = side(1.0, 60).change_to(&side(1.2, 60), false).unwrap().log_ratio.unwrap().as_share();
        assert!(span.low > 0.17 && span.high < 0.23 && (span.value - 0.2).abs() < 1e-9, "{span:?}");
        assert!(matches!(side(1.0, 8).change_to(&side(1.0, 8), false), Err(Missing::FewBlocks { .. })));
    }

    #[test]
    fn a_server_that_begins_to_fail_is_seen_though_the_other_never_failed() {
        let side = |failed: f64| {
            let pieces = vec![parts((0..50).map(|_| (failed, 20.0)))];
            Series { pieces, statistic: Statistic::Share }
        };
        for joint in [false, true] {
            let change = side(0.0).change_to(&side(2.0), joint).unwrap();
            assert!(change.difference.low > 0.07 && change.log_ratio.is_none(), "{change:?}");
            let none = side(0.0).change_to(&side(0.0), joint).unwrap().difference;
            assert!(none.high > 0.001, "what never failed may fail next time: {none:?}");
        }
    }

    #[test]
    fn shares_of_the_same_requests_are_told_apart_in_joint_blocks() {
        // The load comes and goes, and takes both sides along.
        let side = |more: f64| {
            let mut rng = Stream::new(4, "series", "joint").at(more as u64);
            let blocks = (0..60).map(|i| (f64::from(i % 10) + more + rng.random::<f64>() * 0.2, 20.0));
            Series { pieces: vec![parts(blocks)], statistic: Statistic::Share }
        };
        let (a, b) = (side(2.0), side(3.0));
        let width = |joint: bool| {
            let span = a.change_to(&b, joint).unwrap().difference;
            assert!((span.value - 0.05).abs() < 1e-2, "{span:?}");
            span.high - span.low
        };
        assert!(width(true) < 0.1 * width(false), "{} {}", width(true), width(false));
    }
}
