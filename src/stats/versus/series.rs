//! `Series`: one number of one side, as far as a comparison needs it: the value of any of its runs
//! together, and how it came about over time.

use super::change::{self, Change, Missing, Span};
use crate::record::Nanos;
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
    Parts { blocks: Vec<(f64, f64)>, part: f64, whole: f64 },
}

/// The same number of each run of a side.
pub struct Series {
    pub pieces: Vec<Piece>,
    pub statistic: Statistic,
}

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

    fn parts(&self) -> Vec<(f64, f64)> {
        let blocks = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parts { blocks, .. } => Some(blocks.iter().copied()),
            _ => None,
        });
        blocks.flatten().collect()
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

fn rate(blocks: &[(f64, f64)], value: f64) -> Result<Span, Missing> {
    // More runs than blocks of one: neighbours join until they fit.
    let mut blocks = blocks.to_vec();
    while blocks.len() > 255 {
        blocks = blocks
            .chunks(2)
            .map(|two| two.iter().fold((0.0, 0.0), |sum, b| (sum.0 + b.0, sum.1 + b.1)))
            .collect();
    }
    let quotient = Quotient::new(blocks);
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
    use crate::stats::fixture::MS;

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
        let parts = |part: f64, whole: f64| Piece::Parts { blocks: vec![(part, whole)], part, whole };
        let series = Series { pieces: vec![parts(10.0, 2.0), parts(90.0, 8.0)], statistic: Statistic::Rate };
        assert_eq!(series.value(&[true, true]), Some(10.0));
    }

    #[test]
    fn a_rate_has_an_interval_from_its_blocks_and_few_blocks_have_none() {
        let side = |factor: f64, n: u32| {
            let blocks: Vec<(f64, f64)> =
                (0..n).map(|i| (factor * f64::from(100 + i * 7 % 11), 1.0)).collect();
            let part = blocks.iter().map(|block| block.0).sum();
            let piece = Piece::Parts { blocks, part, whole: f64::from(n) };
            Series { pieces: vec![piece], statistic: Statistic::Rate }
        };
        let span = side(1.0, 60).change_to(&side(1.2, 60), false).unwrap().log_ratio.unwrap().as_share();
        assert!(span.low > 0.17 && span.high < 0.23 && (span.value - 0.2).abs() < 1e-9, "{span:?}");
        assert!(matches!(side(1.0, 8).change_to(&side(1.0, 8), false), Err(Missing::FewBlocks { .. })));
    }

    #[test]
    fn a_server_that_begins_to_fail_is_seen_though_the_other_never_failed() {
        let side = |failed: f64| {
            let blocks = vec![(failed, 20.0); 50];
            Series {
                pieces: vec![Piece::Parts { blocks, part: failed * 50.0, whole: 1_000.0 }],
                statistic: Statistic::Share,
            }
        };
        let change = side(0.0).change_to(&side(2.0), false).unwrap();
        assert!(change.difference.low > 0.07 && change.log_ratio.is_none(), "{change:?}");
    }
}
