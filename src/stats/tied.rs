//! The tied set: those of several that cannot be told from the best. Whoever names a winner names these.

use super::estimate::Interval;
use super::metric::Better;

/// A value of one of several, with its interval where it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub value: f64,
    pub interval: Option<Interval>,
}

/// The best of several, and those that may be as good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tied {
    /// With the best value.
    pub best: usize,
    /// The best and those that chance may have put behind it, best value first.
    pub set: Vec<usize>,
    /// Of the set: those of which it is not known how far chance moves them.
    pub untold: Vec<usize>,
}

impl Tied {
    /// The best stands alone.
    pub fn is_won(&self) -> bool {
        self.set.len() == 1
    }
}

/// The best of `candidates` and all that cannot be told from it. A candidate without a value is `None` and
/// wins nothing; one without an interval may lie anywhere. `None`: no candidate has a value, or nothing is
/// better than anything else.
pub fn tied(candidates: &[Option<Candidate>], better: Better) -> Option<Tied> {
    if better == Better::Neither {
        return None;
    }
    let known = candidates.iter().enumerate().filter_map(|(i, one)| Some((i, (*one)?)));
    let mut known: Vec<(usize, Candidate)> = known.filter(|(_, one)| !one.value.is_nan()).collect();
    known.sort_by(|(_, a), (_, b)| match better {
        Better::Higher => b.value.total_cmp(&a.value),
        _ => a.value.total_cmp(&b.value),
    });
    let (best, first) = *known.first()?;
    let set: Vec<(usize, Candidate)> =
        known.into_iter().filter(|(i, one)| *i == best || !is_better(&first, one, better)).collect();
    let untold = set.iter().filter(|(_, one)| one.interval.is_none());
    Some(Tied { best, untold: untold.map(|(i, _)| *i).collect(), set: set.iter().map(|(i, _)| *i).collect() })
}

/// The points that no other clearly beats: another is at least as good in both values, and better in one of
/// them by more than chance allows. In the order of the points.
pub fn front(points: &[Option<[Candidate; 2]>], better: [Better; 2]) -> Vec<usize> {
    let no_worse = |a: f64, b: f64, better: Better| match better {
        Better::Higher => a >= b,
        _ => a <= b,
    };
    let beats = |one: &[Candidate; 2], other: &[Candidate; 2]| {
        let sides = || one.iter().zip(other).zip(better);
        sides().all(|((a, b), better)| no_worse(a.value, b.value, better))
            && sides().any(|((a, b), better)| is_better(a, b, better))
    };
    let known = |point: &Option<[Candidate; 2]>| point.filter(|of| of.iter().all(|one| !one.value.is_nan()));
    let all: Vec<(usize, [Candidate; 2])> =
        points.iter().enumerate().filter_map(|(i, point)| Some((i, known(point)?))).collect();
    let stands = |point: &[Candidate; 2]| !all.iter().any(|(_, other)| beats(other, point));
    all.iter().filter(|(_, point)| stands(point)).map(|(i, _)| *i).collect()
}

/// Whether `a` is better than `b` by more than chance allows: the interval of their difference, recovered
/// from their own (MOVER: Zou and Donner 2008), does not hold 0.
fn is_better(a: &Candidate, b: &Candidate, better: Better) -> bool {
    let (Some(in_a), Some(in_b)) = (a.interval, b.interval) else { return false };
    let (gap, chance) = match better {
        Better::Higher => (a.value - b.value, (a.value - in_a.low).hypot(in_b.high - b.value)),
        _ => (b.value - a.value, (in_a.high - a.value).hypot(b.value - in_b.low)),
    };
    gap > chance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: f64, half: f64) -> Option<Candidate> {
        Some(Candidate { value, interval: Some(Interval { low: value - half, high: value + half }) })
    }

    const BARE: Candidate = Candidate { value: 20.0, interval: None };

    #[test]
    fn whoever_is_within_the_noise_of_the_best_is_tied_with_it() {
        let candidates = [one(10.0, 1.0), one(10.5, 1.0), one(12.0, 1.0), None];
        let lower = tied(&candidates, Better::Lower).unwrap();
        assert_eq!((lower.best, lower.set.as_slice(), lower.is_won()), (0, [0, 1].as_slice(), false));
        let higher = tied(&candidates, Better::Higher).unwrap();
        assert_eq!((higher.best, higher.set.as_slice(), higher.is_won()), (2, [2].as_slice(), true));
        assert_eq!(tied(&candidates, Better::Neither), None);
        assert_eq!(tied(&[None], Better::Lower), None);
    }

    #[test]
    fn what_has_no_interval_is_never_beaten_and_beats_nothing() {
        let tied = tied(&[one(10.0, 0.1), Some(BARE), one(12.0, 0.1)], Better::Lower).unwrap();
        assert_eq!((tied.set, tied.untold), (vec![0, 1], vec![1]));
        let all = super::tied(&[Some(BARE), one(30.0, 0.1)], Better::Lower).unwrap();
        assert_eq!(all.set, [0, 1]);
    }

    #[test]
    fn a_front_keeps_what_is_within_the_noise_of_it() {
        let point = |x: f64, y: f64, half: f64| Some([one(x, half).unwrap(), one(y, half).unwrap()]);
        let points = [
            point(10.0, 1.0, 0.1),
            point(5.0, 5.0, 0.1),
            point(4.95, 4.95, 0.1),
            point(4.0, 4.0, 0.1),
            None,
            point(1.0, 10.0, 0.1),
        ];
        assert_eq!(front(&points, [Better::Higher, Better::Higher]), [0, 1, 2, 5]);
        assert_eq!(front(&points, [Better::Lower, Better::Higher]), [5]);
    }
}
