//! `rampant compare A B`: two results, or several of each, side by side: by how much every number
//! differs, how sure that is, and what may be said of it.
//!
//! [`wanted`] is what was asked; [`source`] finds the runs, [`loaded`] reads one, [`cell`] matches those of a cell, [`numbers`] makes the rows of
//! its table, [`verdict`] judges them, [`table`] and [`say`] write them down.

mod cell;
mod loaded;
mod numbers;
mod say;
mod source;
mod table;
mod verdict;
mod wanted;

pub use wanted::Comparison;

use crate::chart::forest;
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::stats::names::Name;
use cell::Cell;
use source::Side;
use verdict::Outcome;

/// Reads the name of a number that can be compared; the error is a sentence.
pub fn name(text: &str) -> std::result::Result<Name, String> {
    numbers::parse(text)
}

/// Compares, prints, draws. The error is the verdict that a gate asked for, or why there is none.
pub fn run(wanted: &Comparison, host: &Host) -> Result<()> {
    let lang = wanted.lang;
    let (mut a, b) = (side(&wanted.a, wanted, host)?, side(&wanted.b, wanted, host)?);
    if wanted.history {
        a.keep_latest(crate::stats::versus::rounds::HISTORY_MAX);
    }
    let matched = source::cells(&a, &b)?;
    let mut cells = Vec::new();
    for (name, runs) in &matched.cells {
        let (cell, warnings) = Cell::read(name, runs, wanted)?;
        warnings.iter().for_each(|warning| host.err(&format!("{}{warning}", lang.warning())));
        cells.push(cell);
    }
    let outcome = Outcome::of(&cells, wanted);
    for line in say::sides(&a, &b, lang) {
        host.out(&line);
    }
    for line in say::unmatched_cells(&matched, lang).into_iter().chain(say::about(&cells, wanted)) {
        host.out(&line);
    }
    host.out(&table::table(&cells, &outcome, lang));
    for line in say::conclusion(&cells, &outcome, wanted) {
        host.out(&line);
    }
    draw(&a, &b, &outcome, wanted, host);
    gate(&outcome, wanted)
}

fn side(texts: &[String], wanted: &Comparison, host: &Host) -> Result<Side> {
    source::read(texts, &wanted.results, host)
}

/// Saves the picture. That it cannot be is a warning: the numbers are told.
fn draw(a: &Side, b: &Side, outcome: &Outcome, wanted: &Comparison, host: &Host) {
    let lang = wanted.lang;
    let figure = forest::figure(&table::forest(a, b, outcome, lang), lang);
    let path = match &wanted.save {
        Some(path) => host.cwd().join(path),
        None => b.folder().join("charts").join(format!("compare_{}.png", source::file_name(a))),
    };
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let saved = made
        .map_err(|error| Error::run(format!("cannot write the chart \"{}\": {error}", path.display())))
        .and_then(|()| figure.replace(&path));
    match saved {
        Ok(()) if wanted.quiet => {}
        Ok(()) => host.err(&lang.chart(&path.display().to_string())),
        Err(error) => {
            let hint = lang.pick("; --save FILE puts it elsewhere", "；可用 --save FILE 另存");
            host.err(&format!("{}{}{hint}", lang.warning(), error.message));
        }
    }
}

/// What the comparison comes to for whoever waits for its exit code.
fn gate(outcome: &Outcome, wanted: &Comparison) -> Result<()> {
    let told = |kind: ErrorKind, sentence: String| Err(Error::new(kind, sentence));
    match (outcome.gate, wanted.fail_if_worse.is_some()) {
        (verdict::Gate::Fails, true) => told(ErrorKind::Check, say::gate_fails(outcome, wanted.lang)),
        (verdict::Gate::Undecided, _) if wanted.undecided_fails => {
            told(ErrorKind::Undecided, say::gate_undecided(outcome, wanted.lang))
        }
        _ => Ok(()),
    }
}
