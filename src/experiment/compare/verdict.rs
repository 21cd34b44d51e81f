//! `Outcome`: what the rows of a comparison come to, each and all together.

use super::cell::Cell;
use super::numbers::Number;
use super::wanted::Comparison;
use super::what::What;
use crate::stats::metric::Better;
use crate::stats::versus::change::{Change, Missing, Span};
use crate::stats::versus::judge::{self, Word};
use crate::stats::versus::needed::Aim;
use crate::stats::versus::rounds;

/// How large a difference is one, where nobody says: of pairs, and else.
const MARGIN_PAIRED: f64 = 0.03;
const MARGIN_APART: f64 = 0.05;

/// Of a share it counts in points, and a fifth of the margin is much: 5 % are 1 point.
const OF_SHARES: f64 = 0.2;

/// A judged row.
#[derive(Debug, Clone)]
pub struct Row {
    pub what: What,
    /// Empty: of all cells.
    pub cell: String,
    pub values: [Option<f64>; 2],
    pub change: Result<Change, Missing>,
    pub within: Option<Change>,
    pub joint: bool,
    pub counts: [u64; 2],
    pub fixed_by_arrivals: bool,
    pub margin: f64,
    /// Adjusted over the rows.
    pub chance: Option<f64>,
    pub word: Word,
    /// How much more it takes on each side to tell.
    pub more: Option<More>,
}

/// More of the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum More {
    Seconds(f64),
    Runs(usize),
}

impl Row {
    /// What is judged: a share of the first side's value, or points where that is a share itself.
    pub fn shown(&self) -> Option<Span> {
        shown(self.what, &self.values, self.change.as_ref().ok()?)
    }
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Holds,
    Fails,
    Undecided,
}

/// Why no verdict about a server can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlyRuns {
    /// Too few runs a side.
    Few,
    /// Enough of them, but one side after the other.
    NotInterleaved,
    OtherTraffic,
}

pub struct Outcome {
    /// Of all cells together: these are the headline.
    pub rows: Vec<Row>,
    /// Of each cell, where there are several.
    pub of_cells: Vec<Row>,
    pub headline: Word,
    /// What keeps the headline from being about servers.
    pub only_runs: Option<OnlyRuns>,
}

impl Outcome {
    pub fn of(cells: &[Cell], wanted: &Comparison) -> Outcome {
        let mut rows = pooled(cells, wanted.margin);
        judge_rows(&mut rows, cells);
        let mut of_cells = Vec::new();
        if cells.len() > 1 {
            let each = |cell: &Cell| -> Vec<Row> {
                cell.numbers.iter().map(|number| row(number, cell.name.clone(), wanted.margin)).collect()
            };
            of_cells = cells.iter().flat_map(each).collect();
            judge_rows(&mut of_cells, cells);
            // One of twenty rows differs by chance alone: a cell speaks where all cells together do.
            let spoken = |what: What| {
                rows.iter().any(|row| row.what == what && matches!(row.word, Word::Better | Word::Worse))
            };
            for row in of_cells.iter_mut().filter(|row| row.word != Word::Same && !spoken(row.what)) {
                row.word = Word::Unclear;
            }
        }
        let counted: Vec<Word> =
            rows.iter().filter(|row| !row.fixed_by_arrivals).map(|row| row.word).collect();
        let only_runs = match () {
            () if cells.iter().any(|cell| !cell.same_traffic()) => Some(OnlyRuns::OtherTraffic),
            () if cells.iter().all(|cell| cell.design.is_some()) => None,
            () if cells.iter().all(|cell| super::source::enough(cell.runs[0], cell.runs[1], false)) => {
                Some(OnlyRuns::NotInterleaved)
            }
            () => Some(OnlyRuns::Few),
        };
        let headline = judge::headline(&counted);
        Outcome { rows, of_cells, headline, only_runs }
    }

    /// Whether the second side is worse by more than `margin`, or than each row's own, by the rows of all
    /// cells together that `counts` picks.
    pub fn gate(&self, margin: Option<f64>, counts: impl Fn(&Row) -> bool) -> Gate {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| counts(row)).collect();
        if self.only_runs.is_some() { Gate::Undecided } else { gate(&rows, margin) }
    }

    pub fn with(&self, word: Word) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.word == word)
    }
}

/// Fails where a row is worse by more than the margin; holds where none can be.
fn gate(rows: &[&Row], margin: Option<f64>) -> Gate {
    let counted = || rows.iter().copied().filter(|row| !row.fixed_by_arrivals);
    let limit = |row: &Row| margin.map_or(row.margin, |margin| of_row(row.what, margin));
    let worse = |row: &Row| {
        let word = row.shown().zip(row.chance);
        let word = word.map(|(span, chance)| judge::word(&span, limit(row), row.what.better(), chance));
        word == Some(Word::Worse)
    };
    let harmless = |row: &Row| {
        row.shown().is_some_and(|span| match row.what.better() {
            Better::Higher => span.low >= -limit(row),
            _ => span.high <= limit(row),
        })
    };
    match () {
        () if counted().any(worse) => Gate::Fails,
        () if counted().next().is_some() && counted().all(harmless) => Gate::Holds,
        () => Gate::Undecided,
    }
}

fn of_row(what: What, margin: f64) -> f64 {
    if what.is_share() { margin * OF_SHARES } else { margin }
}

fn row(number: &Number, cell: String, margin: Option<f64>) -> Row {
    let usual = if number.joint { MARGIN_PAIRED } else { MARGIN_APART };
    Row {
        what: number.what,
        cell,
        values: number.values,
        change: number.change,
        within: number.within,
        joint: number.joint,
        counts: number.counts,
        fixed_by_arrivals: number.fixed_by_arrivals,
        margin: of_row(number.what, margin.unwrap_or(usual)),
        chance: None,
        word: Word::Unclear,
        more: None,
    }
}

/// The rows of all cells together: the geometric mean of their changes.
fn pooled(cells: &[Cell], margin: Option<f64>) -> Vec<Row> {
    if let [cell] = cells {
        return cell.numbers.iter().map(|number| row(number, String::new(), margin)).collect();
    }
    let Some(first) = cells.first() else { return Vec::new() };
    let of = |number: &Number| -> Option<Row> {
        let same = |cell: &'_ Cell| cell.numbers.iter().find(|other| other.what == number.what).cloned();
        let all: Vec<Number> = cells.iter().map(same).collect::<Option<_>>()?;
        let changes: Result<Vec<Change>, Missing> = all.iter().map(|number| number.change).collect();
        let count = |side: usize| all.iter().map(|number| number.counts[side]).sum();
        let whole = Number {
            values: [None, None],
            change: changes.and_then(|changes| rounds::pooled(&changes).ok_or(Missing::NotObserved)),
            within: None,
            joint: all.iter().all(|number| number.joint),
            counts: [count(0), count(1)],
            unequal_replies: None,
            fixed_by_arrivals: all.iter().any(|number| number.fixed_by_arrivals),
            ..number.clone()
        };
        Some(row(&whole, String::new(), margin))
    };
    first.numbers.iter().filter_map(of).collect()
}

/// Gives each row its word. Chances are adjusted over all rows that have one.
fn judge_rows(rows: &mut [Row], cells: &[Cell]) {
    let seconds = cells.iter().map(|cell| cell.seconds).fold(f64::INFINITY, f64::min);
    let tested = |row: &Row| if row.fixed_by_arrivals { None } else { chance(row) };
    let chances: Vec<f64> = rows.iter().filter_map(tested).collect();
    let tests = chances.len();
    let by_runs = runs(cells);
    let mut adjusted = judge::holm(&chances).into_iter();
    for row in rows.iter_mut() {
        row.chance = tested(row).and_then(|_| adjusted.next());
        match (row.shown(), row.chance) {
            (Some(span), Some(chance)) => {
                row.word = judge::word(&span, row.margin, row.what.better(), chance);
                let aim = Aim { change: span.value, margin: row.margin, rows: tests };
                let more = match by_runs {
                    Some(runs) => rounds::runs_needed(&aim, &span, runs)
                        .map(|all| More::Runs(all.saturating_sub(runs).max(1))),
                    None => more(&aim, &span, seconds).map(More::Seconds),
                };
                row.more = more.filter(|_| row.word == Word::Unclear);
            }
            _ => {
                let times = row.change.err().and_then(Missing::times_as_long);
                row.more = times.map(|times| More::Seconds((times - 1.0).max(0.1) * seconds));
            }
        }
    }
}

fn chance(row: &Row) -> Option<f64> {
    let change = row.change.as_ref().ok()?;
    Some(judge::chance(&change.log_ratio.filter(|_| !row.what.is_share()).unwrap_or(change.difference)))
}

fn shown(what: What, values: &[Option<f64>; 2], change: &Change) -> Option<Span> {
    if what.is_share() {
        return Some(change.difference);
    }
    let of_first = || {
        let first = values[0].filter(|first| *first > 0.0)?;
        let Span { value, low, high, freedom } = change.difference;
        Some(Span { value: value / first, low: low / first, high: high / first, freedom })
    };
    change.log_ratio.map(|span| span.as_share()).or_else(of_first)
}

/// Runs of the smaller side, where the run is what is drawn.
pub fn runs(cells: &[Cell]) -> Option<usize> {
    let drawn = !cells.is_empty() && cells.iter().all(|cell| cell.design.is_some());
    cells.iter().flat_map(|cell| cell.runs).filter(|runs| *runs > 1).min().filter(|_| drawn)
}

/// Seconds that a side must go on for, so that this change, if it is the true one, is told in 80 of 100
/// comparisons.
fn more(aim: &Aim, span: &Span, seconds: f64) -> Option<f64> {
    let times = aim.times_as_long(span)?;
    (times > 1.0).then_some(seconds * (times - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::metric::Metric;
    use crate::stats::names::{Name, Statistic};

    fn judged(low: f64, high: f64) -> Row {
        let name = Name::new(Metric::Ttft, Statistic::Mean);
        let span = Span { value: f64::midpoint(low, high), low, high, freedom: 40.0 };
        let change = Change { log_ratio: Some(span), difference: span };
        let number = Number {
            what: What::Named(name),
            values: [Some(1.0), Some(1.0)],
            change: Ok(change),
            within: None,
            joint: true,
            counts: [9, 9],
            unequal_replies: None,
            fixed_by_arrivals: false,
        };
        let mut rows = [row(&number, String::new(), None)];
        judge_rows(&mut rows, &[]);
        rows.into_iter().next().unwrap()
    }

    #[test]
    fn a_gate_fails_holds_or_cannot_tell() {
        let gate = |rows: &[Row]| super::gate(&rows.iter().collect::<Vec<_>>(), Some(0.05));
        assert_eq!(gate(&[judged(0.06, 0.08)]), Gate::Fails);
        assert_eq!(gate(&[judged(0.01, 0.04)]), Gate::Holds);
        assert_eq!(gate(&[judged(-0.3, -0.2)]), Gate::Holds, "better is not worse");
        assert_eq!(gate(&[judged(0.01, 0.08)]), Gate::Undecided);
        assert_eq!(gate(&[judged(0.01, 0.04), judged(0.06, 0.08)]), Gate::Fails);
        assert_eq!(gate(&[]), Gate::Undecided, "nothing was compared");
    }

    #[test]
    fn what_is_unclear_says_how_much_longer_it_takes() {
        let of = |value: f64| {
            let span = Span { value, low: value - 0.06, high: value + 0.06, freedom: 1e6 };
            more(&Aim { change: span.value, margin: 0.03, rows: 1 }, &span, 100.0)
        };
        let same = of(0.0).unwrap();
        assert!((same - 100.0 * ((2.0 * 3.241_5_f64 / 1.96).powi(2) - 1.0)).abs() < 5.0, "{same}");
        assert_eq!(
            (of(0.03), of(0.5)),
            (None, None),
            "at the margin none helps, and far from it none is needed"
        );
        assert!(judged(-0.06, 0.06).word == Word::Unclear);
    }

    #[test]
    fn a_margin_of_shares_is_in_points() {
        let share = What::Named(Name::new(Metric::Errors, Statistic::Share));
        assert!((of_row(share, 0.05) - 0.01).abs() < 1e-12);
    }
}
