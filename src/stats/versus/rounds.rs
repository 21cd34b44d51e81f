//! What restarts and rounds add: placement, clocks and neighbours vary more from one run to the next
//! than requests do within one. A verdict about a server is drawn from rounds, never from one run a side.

use super::change::{Change, Span};
use super::needed::Aim;
use super::student::critical;

/// Fewer rounds have no variance that could be told.
pub const ROUNDS_MIN: usize = 3;

/// Runs of the past that a gate compares with.
pub const HISTORY_MAX: usize = 10;

/// How the runs of the sides were drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Design {
    /// One of each side at a time, in turn: what drifts falls out.
    Rounds,
    /// Each run on a server that was started anew.
    Restarts,
    /// The first side is the past; the second is taken to vary as much as it did.
    History,
}

/// Whether the runs of both sides took turns: in order of their starts, each two that follow each other
/// are one of either side.
pub fn interleaved(a: &[i64], b: &[i64]) -> bool {
    let mut starts: Vec<(i64, bool)> =
        a.iter().map(|at| (*at, false)).chain(b.iter().map(|at| (*at, true))).collect();
    starts.sort_unstable();
    a.len() == b.len() && !a.is_empty() && starts.chunks(2).all(|two| two[0].1 != two[1].1)
}

/// The change between sides of several runs, with the interval that the runs allow: the statistic of all
/// requests of a side is made again without each run in turn (the jackknife: Quenouille 1956; of groups:
/// Kott 2001), so that no percentile is averaged. `value`: of both sides, by which of their runs count.
/// `None`: too few runs, or no value.
pub fn change(
    design: Design,
    (runs_a, runs_b): (usize, usize),
    value: impl Fn(&[bool], &[bool]) -> Option<(f64, f64)>,
) -> Option<Change> {
    let all = |runs: usize| vec![true; runs];
    let (a, b) = value(&all(runs_a), &all(runs_b))?;
    let without = |runs: usize, one: usize| (0..runs).map(|run| run != one).collect::<Vec<bool>>();
    let leave = |of: &dyn Fn(f64, f64) -> f64| -> Option<Span> {
        let whole = of(a, b);
        let side_a = || -> Option<Vec<f64>> {
            let each = |run| value(&without(runs_a, run), &all(runs_b)).map(|(a, b)| of(a, b));
            (0..runs_a).map(each).collect()
        };
        let (variance, freedom) = match design {
            Design::Rounds => {
                let each = |run| value(&without(runs_a, run), &without(runs_b, run)).map(|(a, b)| of(a, b));
                let values: Vec<f64> = (0..runs_a.min(runs_b)).map(each).collect::<Option<_>>()?;
                (jackknife(&values)?, values.len() as f64 - 1.0)
            }
            Design::Restarts => {
                let each = |run| value(&all(runs_a), &without(runs_b, run)).map(|(a, b)| of(a, b));
                let values: Vec<f64> = (0..runs_b).map(each).collect::<Option<_>>()?;
                let (one, two) = (jackknife(&side_a()?)?, jackknife(&values)?);
                // Welch and Satterthwaite.
                let (n, m) = (runs_a as f64 - 1.0, runs_b as f64 - 1.0);
                let both = one + two;
                let freedom =
                    if both > 0.0 { both * both / (one * one / n + two * two / m) } else { n.min(m) };
                (both, freedom)
            }
            Design::History => {
                let past = jackknife(&side_a()?)?;
                (past * (1.0 + runs_a as f64 / runs_b as f64), runs_a as f64 - 1.0)
            }
        };
        let half = critical(freedom) * variance.sqrt();
        (whole.is_finite() && half.is_finite()).then_some(Span {
            value: whole,
            low: whole - half,
            high: whole + half,
            freedom,
        })
    };
    let difference = leave(&|a, b| b - a)?;
    let log_ratio = if a > 0.0 && b > 0.0 { leave(&|a, b| (b / a).ln()) } else { None };
    Some(Change { log_ratio, difference })
}

/// The variance of a statistic by what it is without each of its parts. `None`: too few parts.
fn jackknife(without: &[f64]) -> Option<f64> {
    if without.len() < ROUNDS_MIN {
        return None;
    }
    let n = without.len() as f64;
    let mean = without.iter().sum::<f64>() / n;
    Some((n - 1.0) / n * without.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>())
}

/// Runs of each side until what is aimed at is told, where the run is what is drawn; `now` is the interval of
/// `runs` of them. `None`: no number helps, or more than a thousand.
pub fn runs_needed(aim: &Aim, now: &Span, runs: usize) -> Option<usize> {
    let t = |runs: usize| critical(runs as f64 - 1.0);
    let spread = (now.high - now.low) / 2.0 / t(runs) * (runs as f64).sqrt();
    let tells = |n: &usize| {
        let half = spread * t(*n) / (*n as f64).sqrt();
        // As wide as few runs make it: nothing else is to be made good.
        let then = Span { value: 0.0, low: -half, high: half, freedom: 1e6 };
        aim.times_as_long(&then).is_some_and(|times| times <= 1.0)
    };
    (ROUNDS_MIN..=1_000).find(tells)
}

/// The geometric mean of the changes of several cells.
pub fn pooled(cells: &[Change]) -> Option<Change> {
    let mean = |spans: &[Span]| {
        let n = spans.len() as f64;
        let value = spans.iter().map(|span| span.value).sum::<f64>() / n;
        let half =
            |of: &dyn Fn(&Span) -> f64| spans.iter().map(|span| of(span).powi(2)).sum::<f64>().sqrt() / n;
        let freedom = spans.iter().map(|span| span.freedom).fold(f64::INFINITY, f64::min);
        Span {
            value,
            low: value - half(&|span| span.value - span.low),
            high: value + half(&|span| span.high - span.value),
            freedom,
        }
    };
    let differences: Vec<Span> = cells.iter().map(|change| change.difference).collect();
    let ratios: Option<Vec<Span>> = cells.iter().map(|change| change.log_ratio).collect();
    (!cells.is_empty())
        .then(|| Change { log_ratio: ratios.as_deref().map(mean), difference: mean(&differences) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use rand::Rng;

    fn mean(values: &[f64], kept: &[bool]) -> Option<f64> {
        let kept: Vec<f64> = values.iter().zip(kept).filter(|(_, kept)| **kept).map(|(v, _)| *v).collect();
        (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
    }

    fn of(design: Design, a: &[f64], b: &[f64]) -> Option<Change> {
        change(design, (a.len(), b.len()), |in_a, in_b| Some((mean(a, in_a)?, mean(b, in_b)?)))
    }

    #[test]
    fn turns_are_known_by_the_starts() {
        assert!(interleaved(&[1, 3, 5], &[2, 4, 6]));
        assert!(interleaved(&[1, 4, 5], &[2, 3, 6]), "A B, B A, A B");
        assert!(!interleaved(&[1, 2, 3], &[4, 5, 6]));
        assert!(!interleaved(&[1, 3], &[2]) && !interleaved(&[], &[]));
    }

    #[test]
    fn the_interval_of_rounds_is_students_of_their_differences() {
        // R: t.test(c(1, 2, 3)): 2, -0.4841 to 4.4841
        let span = of(Design::Rounds, &[10.0, 20.0, 30.0], &[11.0, 22.0, 33.0]).unwrap().difference;
        assert!((span.value - 2.0).abs() < 1e-9 && (span.low + 0.484_1).abs() < 1e-3, "{span:?}");
        assert!((span.high - 4.484_1).abs() < 1e-3 && span.freedom == 2.0);
    }

    #[test]
    fn the_interval_of_restarts_is_welchs() {
        // R: t.test(c(5, 6, 7.5, 8), c(1, 2, 3, 4, 6.5)): 0.5483 to 6.1017, 6.817 degrees of freedom
        let span =
            of(Design::Restarts, &[1.0, 2.0, 3.0, 4.0, 6.5], &[5.0, 6.0, 7.5, 8.0]).unwrap().difference;
        assert!((span.value - 3.325).abs() < 1e-9 && (span.low - 0.548_3).abs() < 0.01, "{span:?}");
    }

    #[test]
    fn a_gate_against_the_past_has_the_variance_of_one_more_run() {
        let past = [10.0, 12.0, 11.0, 9.0];
        let span = of(Design::History, &past, &[14.0]).unwrap().difference;
        // The prediction interval: t(3) * s * sqrt(1 + 1/4).
        let half = 3.182_45 * 1.290_994 * (1.25_f64).sqrt();
        assert!((span.value - 3.5).abs() < 1e-9 && (span.high - 3.5 - half).abs() < 1e-3, "{span:?}");
    }

    #[test]
    fn two_rounds_have_no_interval() {
        assert_eq!(of(Design::Rounds, &[1.0, 2.0], &[1.0, 2.0]), None);
        assert_eq!(of(Design::History, &[1.0, 2.0], &[1.0]), None);
    }

    #[test]
    fn rounds_of_equals_are_rarely_called_different() {
        let mut missed = 0;
        for trial in 0..500 {
            let mut rng = Stream::new(1, "rounds", "equals").at(trial);
            let mut run = |level: f64| level + rng.random::<f64>() + rng.random::<f64>();
            let (a, b): (Vec<f64>, Vec<f64>) =
                (0..4).map(|round| (run(f64::from(round)), run(f64::from(round)))).unzip();
            let span = of(Design::Rounds, &a, &b).unwrap().difference;
            missed += u32::from(span.low > 0.0 || span.high < 0.0);
        }
        assert!(missed < 45, "{missed} of 500");
    }

    #[test]
    fn rounds_that_it_takes_are_counted_and_never_too_few() {
        let needed = |half: f64| {
            let aim = Aim { change: 0.0, margin: 0.05, rows: 1 };
            runs_needed(&aim, &Span { value: 0.0, low: -half, high: half, freedom: 2.0 }, 3)
        };
        assert_eq!((needed(0.001), needed(100.0)), (Some(3), None));
        let (few, many) = (needed(0.2).unwrap(), needed(0.4).unwrap());
        assert!(few > 3 && many > 2 * few, "{few} {many}");
    }

    #[test]
    fn cells_pool_to_their_geometric_mean() {
        let change = |log: f64| {
            let span = Span { value: log, low: log - 0.1, high: log + 0.1, freedom: 30.0 };
            Change { log_ratio: Some(span), difference: span }
        };
        let span = pooled(&[change(0.0), change(0.2)]).unwrap().log_ratio.unwrap();
        assert!((span.value - 0.1).abs() < 1e-12 && (span.high - 0.1 - 0.1 / 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(pooled(&[]), None);
    }
}
