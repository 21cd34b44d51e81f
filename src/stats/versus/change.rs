//! `Change`: by how much the second of two series differs from the first, as far as chance lets one say.
//!
//! Pairs are drawn in joint blocks of time: a stretch in which many requests came is slow on both sides,
//! and falls out of their ratio. What is not paired is two intervals, from which that of the difference
//! is recovered (MOVER: Zou and Donner 2008).

use super::student::critical;
use crate::stats::estimate::Interval;
use crate::stats::quotient::{Quotient, Tower};
use crate::stats::resample::{
    BLOCKS_MIN, BlockStatistic, Found, INDEPENDENT_MIN, RESAMPLES, Resamples, interval, worth,
};
use crate::stats::sample::supports;
use crate::stats::sketch::SketchBlocks;
use crate::stats::statistic::Statistic;

/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_964;

/// So many independent blocks are expected where hardly a run is left with fewer than it takes.
pub const BLOCKS_SAFE: f64 = 1.5 * BLOCKS_MIN;

/// A value, the interval that holds the true one in 95 of 100 cases, and the degrees of freedom behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub freedom: f64,
}

/// How two values differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The natural logarithm of their ratio; `None`: one of them is not above 0.
    pub log_ratio: Option<Span>,
    /// The second less the first.
    pub difference: Span,
}

impl Span {
    /// From a logarithm of a ratio to a share: 0.05 is 5 % more.
    pub fn as_share(&self) -> Span {
        let share = f64::exp_m1;
        Span { value: share(self.value), low: share(self.low), high: share(self.high), ..*self }
    }
}

/// Why there is no interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Missing {
    /// Too few stretches of time that are independent of each other, of the twenty that it takes.
    FewBlocks {
        effective: f64,
    },
    /// Hardly a value is expected beyond the percentile.
    FewValues {
        count: u64,
        needed: u64,
    },
    NotSteady,
    /// One of the sides has no value.
    NotObserved,
}

impl Missing {
    /// How many times as long the runs must be. `None`: that would not help.
    pub fn times_as_long(self) -> Option<f64> {
        match self {
            Missing::FewBlocks { effective } => Some(BLOCKS_SAFE / effective.max(1.0)),
            Missing::FewValues { count, needed } => Some(needed as f64 / (count.max(1)) as f64),
            Missing::NotSteady | Missing::NotObserved => None,
        }
    }
}

/// The change of a mean or a percentile of values in blocks, of which the exact `values` are known.
pub fn of_sketches(
    (a, b): (&SketchBlocks, &SketchBlocks),
    values: (f64, f64),
    statistic: Statistic,
    joint: bool,
) -> Result<Change, Missing> {
    let (a, b) = if joint { a.aligned(b) } else { (a.clone(), b.clone()) };
    match statistic.percentile() {
        Some(p) => {
            let count =
                |side: &SketchBlocks| side.blocks().blocks().iter().map(|block| block.count()).sum::<u64>();
            let count = count(&a).min(count(&b));
            if !supports(count, p) {
                let needed = (100.0 / (100.0 - p)).ceil() as u64;
                return Err(Missing::FewValues { count, needed });
            }
            let (a, b) = (Tower::new(&a, &[]), Tower::new(&b, &[]));
            of((&a.percentile(p), &b.percentile(p)), values, joint)
        }
        None => of((&Quotient::mean(&a), &Quotient::mean(&b)), values, joint),
    }
}

/// The change of a statistic of blocks; `joint`: those of both are the same stretches of time.
pub fn of<S: BlockStatistic>((a, b): (&S, &S), values: (f64, f64), joint: bool) -> Result<Change, Missing> {
    if joint { together(a, b, values) } else { apart(a, b, values) }
}

fn together<S: BlockStatistic>(a: &S, b: &S, (va, vb): (f64, f64)) -> Result<Change, Missing> {
    let resamples = Resamples::of(a.blocks());
    let span = |kind: Kind, value: f64| drawn(&Joint { a, b, kind }, value, &resamples);
    let difference = span(Kind::Difference, vb - va)?;
    let log_ratio = match va > 0.0 && vb > 0.0 {
        true => Some(span(Kind::LogRatio, (vb / va).ln())?),
        false => None,
    };
    Ok(Change { log_ratio, difference })
}

/// The interval of a joint statistic. What pairs share falls out, and what is left comes in lumps: a stall
/// of one side is a block like no other. Their share of the variance lowers the degrees of freedom, down
/// to 1, and so widens the interval; only likeness of neighbours takes it away.
fn drawn<S: BlockStatistic>(joint: &Joint<S>, value: f64, resamples: &Resamples) -> Result<Span, Missing> {
    let worth = worth(&joint.influence(), joint.filled());
    let n = joint.blocks() as f64;
    let independent = (n / worth.inflation).min(joint.filled() as f64);
    let blocks = (BLOCKS_MIN / INDEPENDENT_MIN * independent).min(joint.filled() as f64);
    let few = Missing::FewBlocks { effective: blocks };
    let whole = joint.of(&vec![1; joint.blocks()]).ok_or(few)?;
    let mut moves: Vec<f64> =
        resamples.runs().filter_map(|times| joint.of(times)).map(|drawn| drawn - whole).collect();
    if blocks < BLOCKS_MIN || moves.len() < RESAMPLES / 2 {
        return Err(few);
    }
    moves.sort_unstable_by(f64::total_cmp);
    let freedom = (worth.effective - 1.0).max(1.0);
    let wider = critical(freedom) / Z * (worth.inflation * n / (n - 1.0)).sqrt();
    let at = |share: f64| moves[(share * (moves.len() - 1) as f64).round() as usize];
    let blur = critical(freedom) * joint.blur();
    let down = (-wider * at(0.025)).max(0.0).hypot(blur);
    let up = (wider * at(0.975)).max(0.0).hypot(blur);
    Ok(Span { value, low: value - down, high: value + up, freedom })
}

fn apart<S: BlockStatistic>(a: &S, b: &S, (va, vb): (f64, f64)) -> Result<Change, Missing> {
    let side = |of: &S, value: f64| -> Result<Span, Missing> {
        let freedom = worth(&of.influence(), of.filled()).effective - 1.0;
        let Found { interval: Interval { low, high }, times } =
            interval(of, value).map_err(|effective| Missing::FewBlocks { effective })?;
        match high.is_finite() {
            true => Ok(Span { value, low, high, freedom }),
            false => Err(Missing::FewBlocks { effective: BLOCKS_MIN / times }),
        }
    };
    Ok(between(side(a, va)?, side(b, vb)?))
}

/// The change between two values that are independent of each other.
pub fn between(a: Span, b: Span) -> Change {
    let positive = a.low > 0.0 && b.low > 0.0;
    Change { log_ratio: positive.then(|| less(logarithm(b), logarithm(a))), difference: less(b, a) }
}

/// The interval of a difference from those of its parts.
fn less(b: Span, a: Span) -> Span {
    let value = b.value - a.value;
    let low = value - (b.value - b.low).hypot(a.high - a.value);
    let high = value + (b.high - b.value).hypot(a.value - a.low);
    Span { value, low, high, freedom: a.freedom.min(b.freedom) }
}

/// Of what is positive.
fn logarithm(span: Span) -> Span {
    Span { value: span.value.ln(), low: span.low.ln(), high: span.high.ln(), freedom: span.freedom }
}

/// A share of so many, by Wilson's interval (1927), which has room where none was seen. Requests that
/// fail together count as fewer: `blocks` are parts and wholes of stretches of time.
pub fn share(part: f64, whole: f64, blocks: &[(f64, f64)]) -> Option<Span> {
    if whole <= 0.0 {
        return None;
    }
    let p = part / whole;
    let n = blocks.len() as f64;
    let pulls = Quotient::new(blocks.iter().copied()).influence();
    let worth = worth(&pulls, blocks.iter().filter(|block| block.1 > 0.0).count());
    let seen = pulls.iter().map(|pull| pull * pull).sum::<f64>() * n / (n - 1.0).max(1.0) * worth.inflation;
    let alone = whole * p * (1.0 - p);
    let whole = if alone > 0.0 { whole / (seen / alone).max(1.0) } else { whole };
    let freedom = (n - 1.0).max(1.0);
    let z = critical(freedom);
    let centre = (p + z * z / (2.0 * whole)) / (1.0 + z * z / whole);
    let half = z / (1.0 + z * z / whole) * (p * (1.0 - p) / whole + z * z / (4.0 * whole * whole)).sqrt();
    Some(Span {
        value: p,
        low: (centre - half).max(0.0).min(p),
        high: (centre + half).min(1.0).max(p),
        freedom,
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    LogRatio,
    Difference,
}

impl Kind {
    /// What a unit of either value is worth in the unit of the change.
    fn scale(self, a: f64, b: f64) -> (f64, f64) {
        match self {
            Kind::LogRatio if a != 0.0 && b != 0.0 => (1.0 / a, 1.0 / b),
            _ => (1.0, 1.0),
        }
    }
}

/// Two statistics of the same blocks.
struct Joint<'a, S> {
    a: &'a S,
    b: &'a S,
    kind: Kind,
}

impl<S: BlockStatistic> BlockStatistic for Joint<'_, S> {
    fn blocks(&self) -> usize {
        self.a.blocks()
    }

    fn of(&self, times: &[u8]) -> Option<f64> {
        let (a, b) = (self.a.of(times)?, self.b.of(times)?);
        let value = match self.kind {
            Kind::LogRatio => (b / a).ln(),
            Kind::Difference => b - a,
        };
        value.is_finite().then_some(value)
    }

    fn influence(&self) -> Vec<f64> {
        let ones = vec![1; self.blocks()];
        let (Some(a), Some(b)) = (self.a.of(&ones), self.b.of(&ones)) else {
            return vec![0.0; self.blocks()];
        };
        let (by_a, by_b) = self.kind.scale(a, b);
        let pulls = scaled(self.a).into_iter().zip(scaled(self.b));
        pulls.map(|(one, two)| two * by_b - one * by_a).collect()
    }

    fn filled(&self) -> usize {
        self.a.filled().min(self.b.filled())
    }

    fn blur(&self) -> f64 {
        let ones = vec![1; self.blocks()];
        let (Some(a), Some(b)) = (self.a.of(&ones), self.b.of(&ones)) else { return 0.0 };
        let (by_a, by_b) = self.kind.scale(a, b);
        (self.a.blur() * by_a).hypot(self.b.blur() * by_b)
    }

    /// What is drawn has its interval from its draws: see [`drawn`].
    fn ends(&self, value: f64, down: f64, up: f64) -> Interval {
        Interval { low: value - down, high: value + up }
    }
}

/// What each block adds, in the unit of the statistic: pulls are known but for a factor, which comes
/// from what the statistic is without each block.
fn scaled<S: BlockStatistic>(statistic: &S) -> Vec<f64> {
    let pulls = statistic.influence();
    let mut times = vec![1; statistic.blocks()];
    let Some(whole) = statistic.of(&times) else { return vec![0.0; times.len()] };
    let (mut products, mut squares) = (0.0, 0.0);
    for (block, pull) in pulls.iter().enumerate() {
        times[block] = 0;
        let without = statistic.of(&times).unwrap_or(whole);
        times[block] = 1;
        products += pull * (whole - without);
        squares += pull * pull;
    }
    let factor = if squares > 0.0 { products / squares } else { 0.0 };
    pulls.into_iter().map(|pull| pull * factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::stats::fixture::MS;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    /// Two sides that share a queue whose level wanders; the second is slower by `factor`, and each has
    /// some noise of its own.
    fn sides(rng: &mut ChaCha8Rng, factor: f64, noise: f64) -> (SketchBlocks, SketchBlocks, f64, f64) {
        let (mut a, mut b) = (SketchBlocks::default(), SketchBlocks::default());
        let (mut level, mut sum_a, mut sum_b) = (0.0, 0.0, 0.0);
        for i in 0..4_000_i64 {
            level = 0.95 * level + rng.random::<f64>() - 0.5;
            let mut value = |factor: f64| factor * (10.0 + level + noise * (rng.random::<f64>() - 0.5));
            let (one, two) = (value(1.0), value(factor));
            a.add(i * 10 * MS, one);
            b.add(i * 10 * MS, two);
            sum_a += one;
            sum_b += two;
        }
        (a, b, sum_a / 4_000.0, sum_b / 4_000.0)
    }

    fn ratio(side: &(SketchBlocks, SketchBlocks, f64, f64), joint: bool) -> Span {
        let change = of_sketches((&side.0, &side.1), (side.2, side.3), Statistic::Mean, joint).unwrap();
        change.log_ratio.unwrap().as_share()
    }

    /// A bin of each side has nearly all of its values: by less than its width they cannot be told apart.
    #[test]
    fn sides_that_differ_by_less_than_what_is_told_apart_are_not_called_different() {
        let side = |shift: f64| {
            let (mut sketches, mut sum) = (SketchBlocks::default(), 0.0);
            for i in 0..4_000_i64 {
                let value = 100.0 + shift + 0.01 * (i * 7_919 % 31) as f64;
                sketches.add(i * 10 * MS, value);
                sum += value;
            }
            (sketches, 100.15 + shift, sum / 4_000.0)
        };
        let (a, b) = (side(0.0), side(0.02));
        for joint in [true, false] {
            let change = of_sketches((&a.0, &b.0), (a.1, b.1), Statistic::Median, joint).unwrap();
            let Span { low, value, high, .. } = change.difference;
            assert!((value - 0.02).abs() < 1e-9 && low < 0.0 && high > 0.04, "{change:?}");
        }
    }

    #[test]
    fn what_both_sides_share_falls_out_of_pairs_and_stays_in_what_is_not_paired() {
        let side = sides(&mut Stream::new(3, "versus", "pairs").at(0), 1.1, 1.0);
        let (paired, alone) = (ratio(&side, true), ratio(&side, false));
        assert!(paired.low > 0.095 && paired.high < 0.105, "{paired:?}");
        assert!(alone.high - alone.low > 5.0 * (paired.high - paired.low), "{alone:?} {paired:?}");
    }

    #[test]
    fn intervals_of_the_change_hold_the_truth_in_95_of_100_cases() {
        for (joint, noise) in [(true, 4.0), (false, 4.0)] {
            let (mut held, mut printed) = (0, 0);
            for trial in 0..300 {
                let mut rng = Stream::new(5, "versus", "coverage").at(trial);
                let mut side = sides(&mut rng, 1.1, noise);
                if !joint {
                    let other = sides(&mut rng, 1.1, noise);
                    (side.1, side.3) = (other.1, other.3);
                }
                let change = of_sketches((&side.0, &side.1), (side.2, side.3), Statistic::Mean, joint);
                if let Some(span) = change.ok().and_then(|change| change.log_ratio) {
                    printed += 1;
                    held += u32::from(span.low <= 1.1_f64.ln() && 1.1_f64.ln() <= span.high);
                }
            }
            let share = f64::from(held) / f64::from(printed);
            assert!(printed > 180 && (0.9..=0.99).contains(&share), "joint {joint}: {share} of {printed}");
        }
    }

    #[test]
    fn a_percentile_shifts_with_all_values_and_needs_enough_of_them() {
        let mut rng = Stream::new(7, "versus", "percentiles").at(0);
        let (a, b, ..) = sides(&mut rng, 1.2, 1.0);
        let value = |side: &SketchBlocks| {
            let tower = Tower::new(side, &[]);
            tower.percentile(90.0).of(&vec![1; side.blocks().blocks().len()]).unwrap()
        };
        let change =
            of_sketches((&a, &b), (value(&a), value(&b)), Statistic::Percentile(90.0), true).unwrap();
        let share = change.log_ratio.unwrap().as_share();
        assert!(share.low > 0.18 && share.low < 0.21 && share.high > 0.19 && share.high < 0.22, "{share:?}");
        let (mut few, mut others) = (SketchBlocks::default(), SketchBlocks::default());
        (0..50).for_each(|i| few.add(i * 100 * MS, 1.0));
        (0..50).for_each(|i| others.add(i * 100 * MS, 1.0));
        let missing =
            of_sketches((&few, &others), (1.0, 1.0), Statistic::Percentile(99.0), true).unwrap_err();
        assert_eq!(missing, Missing::FewValues { count: 50, needed: 100 });
        assert_eq!(missing.times_as_long(), Some(2.0));
    }

    #[test]
    fn two_runs_that_are_one_differ_by_nothing() {
        let side = sides(&mut Stream::new(9, "versus", "same").at(0), 1.0, 1.0);
        let change = of_sketches((&side.0, &side.0), (side.2, side.2), Statistic::Mean, true).unwrap();
        let span = change.log_ratio.unwrap();
        assert_eq!((span.value, change.difference.value), (0.0, 0.0));
        assert!(span.low > -1e-9 && span.high < 1e-9, "{span:?}");
    }

    #[test]
    fn shares_have_room_where_nothing_was_seen_and_more_where_failures_come_together() {
        let alone: Vec<(f64, f64)> = vec![(0.0, 10.0); 40];
        let none = share(0.0, 400.0, &alone).unwrap();
        assert!(none.low == 0.0 && none.high > 0.005 && none.high < 0.02, "{none:?}");
        let spread: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i % 2), 10.0)).collect();
        let lumped: Vec<(f64, f64)> = (0..40).map(|i| (if i < 2 { 10.0 } else { 0.0 }, 10.0)).collect();
        let width = |blocks: &[(f64, f64)]| {
            let span = share(20.0, 400.0, blocks).unwrap();
            span.high - span.low
        };
        assert!(width(&lumped) > 2.0 * width(&spread));
        assert_eq!(share(0.0, 0.0, &[]), None);
    }
}
