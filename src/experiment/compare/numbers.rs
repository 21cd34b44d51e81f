//! `Number`: one row of a comparison: a statistic of both sides, and by how much it differs.

use super::loaded::Loaded;
use super::pieces::{column, piece};
use super::refused::Refused;
use super::what::What;
use crate::stats::metric::{Metric, MetricReader};
use crate::stats::names::{Name, Statistic};
use crate::stats::versus::change::{Change, Missing};
use crate::stats::versus::gaps::PairedGaps;
use crate::stats::versus::pairs::{Pairing, Sessions, UNMATCHED_MAX};
use crate::stats::versus::rounds::{self, Design};
use crate::stats::versus::rows::STEPS;
use crate::stats::versus::series::{Piece, Series};

/// A row.
#[derive(Debug, Clone)]
pub struct Number {
    pub what: What,
    pub values: [Option<f64>; 2],
    /// By chance within the runs, or from run to run where there are rounds of them.
    pub change: Result<Change, Missing>,
    /// By chance within the runs, beside that from run to run.
    pub within: Option<Change>,
    /// Computed request by request.
    pub joint: bool,
    pub counts: [u64; 2],
    /// The share of pairs whose replies are not equally long, where so many are not that this row has no
    /// pairs.
    pub unequal_replies: Option<f64>,
    /// An open loop: as many are sent as were planned, however good the server.
    pub fixed_by_arrivals: bool,
}

/// What is asked of a cell.
pub struct Asked {
    pub names: Vec<Name>,
    /// Nobody said which.
    pub default: bool,
    pub refused: Option<Refused>,
    /// What the objectives limit; `None`: there are none, or other ones on each side.
    pub limits: Option<Vec<Metric>>,
    pub steady: bool,
    pub open: bool,
    pub design: Option<(Design, (usize, usize))>,
}

impl Asked {
    /// Gaps are compared.
    pub fn needs_gaps(&self) -> bool {
        let left_out = |metric| self.refused.is_some_and(|refused| refused.has(metric, &[]));
        self.names.iter().any(|name| name.metric == Metric::Itl) && !left_out(Metric::Itl)
    }
}

pub type Sides<'a> = (&'a [Loaded], &'a [Loaded]);

/// The pairs of each run.
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    pub of_runs: &'a [Pairing],
    /// Gaps of the pairs on both sides, each at the time of its pair, where the planned times are not those of
    /// the traffic.
    pub gaps: Option<&'a [[PairedGaps; 2]]>,
}

impl Pairs<'_> {
    fn open(self) -> bool {
        self.of_runs.iter().all(|pairing| pairing.open)
    }

    fn has_later_turns(self) -> bool {
        self.of_runs.iter().any(|pairing| pairing.later_turns > 0)
    }
}

pub fn compare(asked: &Asked, sides: Sides, pairs: Option<Pairs>) -> Vec<Number> {
    let mut numbers = Vec::new();
    let limits = asked.limits.as_deref().unwrap_or_default();
    for name in &asked.names {
        let fixed = name.statistic == Statistic::Rate && name.metric != Metric::Goodput && asked.open;
        let left_out = asked.refused.is_some_and(|refused| refused.has(name.metric, limits))
            || name.metric == Metric::Goodput && asked.limits.is_none();
        if left_out || asked.default && fixed {
            continue;
        }
        let mut number = of(asked, What::Named(*name), sides, pairs);
        number.fixed_by_arrivals = fixed;
        numbers.push(number);
    }
    if matches!(asked.refused, Some(Refused::Events(..))) {
        let reached = |step: &usize| {
            let reached = |side: &[Loaded]| {
                side.iter().all(|run| {
                    let there = run.rows.times_to(*step).iter().filter(|time| !time.is_nan()).count();
                    there as f64 >= 0.99 * run.rows.habits.successes as f64 && there > 0
                })
            };
            reached(sides.0) && reached(sides.1)
        };
        let step = (0..STEPS.len()).rev().find(reached);
        numbers.extend(step.map(|step| of(asked, What::TimeTo(step), sides, pairs)));
    }
    if pairs.is_some_and(Pairs::has_later_turns) && asked.default {
        numbers.push(of(asked, What::Session, sides, pairs));
    }
    let errors = What::Named(Name::new(Metric::Errors, Statistic::Share));
    let none = |number: &Number| number.what == errors && number.values == [Some(0.0), Some(0.0)];
    numbers.retain(|number| !asked.default || !none(number));
    // What was never observed on either side, such as the gaps of replies that came whole, is no row.
    numbers.retain(|number| !asked.default || number.values != [None, None]);
    numbers
}

fn of(asked: &Asked, what: What, sides: Sides, pairs: Option<Pairs>) -> Number {
    let Found { a, b, joint, unequal_replies } = found(what, sides, pairs);
    let all = |series: &Series| vec![true; series.pieces.len()];
    let values = [a.value(&all(&a)), b.value(&all(&b))];
    let within = match (asked.steady, values) {
        (false, _) => Err(Missing::NotSteady),
        (true, [None, _] | [_, None]) => Err(Missing::NotObserved),
        (true, _) => a.change_to(&b, joint),
    };
    let between = asked.design.filter(|_| asked.steady).and_then(|(design, runs)| {
        rounds::change(design, runs, |in_a, in_b| a.value(in_a).zip(b.value(in_b)))
    });
    Number {
        what,
        values,
        within: between.and(within.ok()),
        change: between.map_or(within, Ok),
        joint,
        counts: [a.count(), b.count()],
        unequal_replies,
        fixed_by_arrivals: false,
    }
}

struct Found {
    a: Series,
    b: Series,
    joint: bool,
    unequal_replies: Option<f64>,
}

fn found(what: What, (a, b): Sides, pairs: Option<Pairs>) -> Found {
    let statistic = what.statistic();
    let alone = |side: &[Loaded]| {
        let pieces = side.iter().map(|run| piece(what, run)).collect();
        Series { pieces, statistic }
    };
    let apart = |joint: bool| Found { a: alone(a), b: alone(b), joint, unequal_replies: None };
    let Some(pairs) = pairs else { return apart(false) };
    match what {
        What::Session => whole_sessions((a, b), pairs).unwrap_or_else(|| apart(false)),
        What::Named(name) => match (name.metric, name.statistic) {
            // In an open loop both sides were asked the same in the same stretch of time.
            (Metric::Errors | Metric::Goodput, _) => apart(pairs.open()),
            (_, Statistic::Rate) => apart(false),
            (Metric::Itl, _) => match pairs.gaps {
                Some(gaps) => of_gaps(gaps, statistic),
                None => apart(pairs.open() && !pairs.has_later_turns()),
            },
            (metric, _) if !matches!(metric.about().reader, MetricReader::Each(_)) => apart(false),
            (metric, _) => {
                let grows = matches!(metric, Metric::E2el | Metric::ResponseE2el | Metric::Ntpot);
                each_request(what, (a, b), pairs.of_runs, grows)
                    .unwrap_or_else(|left_out| Found { unequal_replies: Some(left_out), ..apart(false) })
            }
        },
        What::TimeTo(_) => each_request(what, (a, b), pairs.of_runs, false).unwrap_or_else(|_| apart(false)),
    }
}

/// A number of conversations that both sides had in whole; `None`: they stand for too few of them.
fn whole_sessions((a, b): Sides, pairs: Pairs) -> Option<Found> {
    let (mut in_a, mut in_b) = (Vec::new(), Vec::new());
    for ((one, two), pairing) in a.iter().zip(b).zip(pairs.of_runs) {
        let both = Sessions::of(&one.rows, &two.rows);
        if !both.holds(pairing.open) {
            return None;
        }
        let at: Vec<i64> = both.pairs.iter().map(|session| session.0 + one.rows.offset()).collect();
        in_a.push(Piece::Values { at: at.clone(), values: both.pairs.iter().map(|both| both.1).collect() });
        in_b.push(Piece::Values { at, values: both.pairs.iter().map(|both| both.2).collect() });
    }
    Some(joint(in_a, in_b, Statistic::Mean))
}

fn joint(a: Vec<Piece>, b: Vec<Piece>, statistic: Statistic) -> Found {
    let series = |pieces| Series { pieces, statistic };
    Found { a: series(a), b: series(b), joint: true, unequal_replies: None }
}

fn of_gaps(gaps: &[[PairedGaps; 2]], statistic: Statistic) -> Found {
    let side = |side: usize| -> Vec<Piece> {
        let of_run = |run: &[PairedGaps; 2]| Piece::Gaps {
            gaps: run[side].gaps.clone(),
            blocks: run[side].blocks.clone(),
        };
        gaps.iter().map(of_run).collect()
    };
    joint(side(0), side(1), statistic)
}

/// A value of each pair; of what `grows` with a reply, of those with equal replies. Fails with the share that
/// is left out for it where that is too much.
fn each_request(what: What, (a, b): Sides, pairings: &[Pairing], grows: bool) -> Result<Found, f64> {
    let (mut in_a, mut in_b, mut kept, mut all) = (Vec::new(), Vec::new(), 0, 0);
    for ((one, two), pairing) in a.iter().zip(b).zip(pairings) {
        let equal = grows.then(|| pairing.equally_long(&one.rows, &two.rows).0);
        let pairs = equal.as_ref().unwrap_or(&pairing.pairs);
        (kept, all) = (kept + pairs.len(), all + pairing.pairs.len());
        let (from_a, from_b) = (column(what, one), column(what, two));
        let at = |pair: &(u32, u32)| one.rows.places()[pair.0 as usize].planned + one.rows.offset();
        // A value that only one side has makes no pair.
        let both = pairs.iter().map(|pair| {
            let (va, vb) = (from_a[pair.0 as usize], from_b[pair.1 as usize]);
            if va.is_nan() || vb.is_nan() { (f32::NAN, f32::NAN) } else { (va, vb) }
        });
        let (values_a, values_b): (Vec<f32>, Vec<f32>) = both.unzip();
        let at: Vec<i64> = pairs.iter().map(at).collect();
        in_a.push(Piece::Values { at: at.clone(), values: values_a });
        in_b.push(Piece::Values { at, values: values_b });
    }
    let left_out = 1.0 - kept as f64 / (all as f64).max(1.0);
    if left_out > UNMATCHED_MAX { Err(left_out) } else { Ok(joint(in_a, in_b, what.statistic())) }
}
