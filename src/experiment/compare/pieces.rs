//! What a run has of a number, as a piece of the series of its side.

use super::loaded::{Loaded, RATES};
use super::what::What;
use crate::stats::blocks::{Joins, TimeBlocks};
use crate::stats::metric::Metric;
use crate::stats::names::Statistic;
use crate::stats::versus::rows::{ComparedRows, Ended, Place};
use crate::stats::versus::series::{Part, Piece};

/// The values of a number, one for each place.
pub fn column(what: What, run: &Loaded) -> &[f32] {
    match what {
        What::Named(name) => run.rows.values(name.metric).unwrap_or(&[]),
        What::TimeTo(step) => run.rows.times_to(step),
        What::Session => &[],
    }
}

/// What a run has of a number, whoever it is compared with.
pub fn piece(what: What, run: &Loaded) -> Piece {
    let rows = &run.rows;
    match what {
        What::Named(name) => match (name.metric, name.statistic) {
            (Metric::Goodput, Statistic::Rate) => good_in_time(rows),
            (Metric::Goodput, _) => share(rows, |place| place.good),
            (Metric::Errors, _) => share(rows, |place| !place.success),
            (metric, Statistic::Rate) => rate(metric, run),
            (Metric::Itl, _) => Piece::Gaps { gaps: rows.gaps.clone(), blocks: rows.gap_blocks.clone() },
            _ => values(what, run),
        },
        What::TimeTo(_) => values(what, run),
        What::Session => {
            let whole = crate::stats::versus::pairs::whole_sessions(rows);
            let at = |planned: &i64| planned + rows.offset();
            Piece::Values {
                at: whole.iter().map(|(planned, _)| at(planned)).collect(),
                values: whole.iter().map(|(_, took)| *took).collect(),
            }
        }
    }
}

fn values(what: What, run: &Loaded) -> Piece {
    let (rows, values) = (&run.rows, column(what, run).to_vec());
    Piece::Values { at: rows.places().iter().map(|place| place.planned + rows.offset()).collect(), values }
}

/// What ended in the window, in the blocks that lie in it.
fn rate(metric: Metric, run: &Loaded) -> Piece {
    let amount = |ended: &Ended| match metric {
        Metric::Requests => ended.requests as f64,
        Metric::TotalTokens => (ended.input_tokens + ended.output_tokens) as f64,
        _ => ended.output_tokens as f64,
    };
    let place = RATES.iter().position(|known| *known == metric).unwrap_or_default();
    // By the run's own definition: tokens count when they arrive, not when their reply has ended.
    let part = run.rates[place].unwrap_or_default() * seconds(&run.rows);
    Piece::Parts { blocks: in_seconds(&run.rows, &run.rows.ended, amount), part, whole: seconds(&run.rows) }
}

fn seconds(rows: &ComparedRows) -> f64 {
    (rows.window().1 - rows.window().0) as f64 / 1e9
}

/// Amounts, in the seconds of the window that each block holds.
fn in_seconds<B: Joins>(
    rows: &ComparedRows,
    of: &TimeBlocks<B>,
    amount: impl Fn(&B) -> f64,
) -> TimeBlocks<Part> {
    let (start, end) = rows.window();
    let (start, end) = (start + rows.offset(), end + rows.offset());
    of.with(|place, block| {
        let (from, to) = (of.start(place).max(start), (of.start(place) + of.width()).min(end));
        Part { part: amount(block), whole: (to - from).max(0) as f64 / 1e9 }
    })
}

/// Requests that are such, of all.
fn share(rows: &ComparedRows, is: impl Fn(&Place) -> bool) -> Piece {
    let mut blocks: TimeBlocks<Part> = TimeBlocks::default();
    for place in rows.places() {
        blocks
            .at(place.planned + rows.offset())
            .join(&Part { part: f64::from(u8::from(is(place))), whole: 1.0 });
    }
    let all = rows.places();
    let part = all.iter().filter(|place| is(place)).count() as f64;
    Piece::Parts { blocks, part, whole: all.len() as f64 }
}

/// Good requests in a second, by when they were planned.
fn good_in_time(rows: &ComparedRows) -> Piece {
    let mut blocks: TimeBlocks<Part> = TimeBlocks::default();
    for place in rows.places() {
        blocks.at(place.planned + rows.offset()).part += f64::from(u8::from(place.good));
    }
    let part = rows.places().iter().filter(|place| place.good).count() as f64;
    Piece::Parts { blocks: in_seconds(rows, &blocks, |block| block.part), part, whole: seconds(rows) }
}
