//! `Compared`: both sides, their cells, and what they come to.

use super::cell::Cell;
use super::plan;
use super::say;
use super::source::{self, Given, MatchedCells, Places, Side};
use super::table;
use super::verdict::{Gate, Outcome, Row};
use super::wanted::Comparison;
use crate::chart::Figure;
use crate::chart::forest;
use crate::error::Result;
use crate::stats::versus::judge::Word;
use crate::stats::versus::rounds::HISTORY_MAX;
use std::path::PathBuf;

pub struct Compared {
    pub warnings: Vec<String>,
    a: Side,
    b: Side,
    matched: MatchedCells,
    cells: Vec<Cell>,
    outcome: Outcome,
    how: Comparison,
}

impl Compared {
    /// Reads both sides; an empty second one is the first, as if it were measured again. Fails where there is nothing that could be compared.
    pub fn read(a: &[Given], b: &[Given], places: &Places, how: &Comparison) -> Result<Compared> {
        let (mut a, mut warnings) = source::read(a, places)?;
        let how = Comparison { alone: b.is_empty(), ..how.clone() };
        let (b, more) = if how.alone { (a.clone(), Vec::new()) } else { source::read(b, places)? };
        warnings.extend(more);
        if how.history {
            a.keep_latest(HISTORY_MAX);
        }
        if !how.alone {
            warnings.extend(source::on_both_sides(&a, &b, places.lang));
        }
        let matched = source::cells(&a, &b)?;
        let mut cells = Vec::new();
        for (name, runs) in &matched.cells {
            let (cell, more) = Cell::read(name, runs, &how)?;
            warnings.extend(more);
            cells.push(cell);
        }
        let outcome = Outcome::of(&cells, &how);
        Ok(Compared { warnings, a, b, matched, cells, outcome, how })
    }

    /// What is to be known of the rows: the sides, the cells, pairs, and what else differs.
    pub fn about(&self) -> Vec<String> {
        let lang = self.how.lang;
        let mut lines = say::sides(&self.a, &self.b, lang).to_vec();
        if self.how.alone {
            lines.truncate(1);
            return lines;
        }
        lines.extend(say::unmatched_cells(&self.matched, lang));
        lines.extend(say::about(&self.cells, &self.how));
        lines
    }

    pub fn table(&self) -> String {
        table::table(&self.cells, &self.outcome, self.how.lang)
    }

    /// What came out, and what would tell more. The first line is the sentence.
    pub fn conclusion(&self) -> Vec<String> {
        say::conclusion(&self.cells, &self.outcome, &self.how)
    }

    /// How long each side must be to show a difference of the margin: a table, and what it means.
    pub fn plan(&self) -> Vec<String> {
        let (lang, alone) = (self.how.lang, self.how.alone);
        let planned = plan::planned(&self.outcome, &self.cells);
        let mut lines = vec![plan::table(&planned, &self.cells, alone, lang)];
        lines.extend(plan::about(&planned, &self.cells, alone, lang));
        lines
    }

    /// Why a row has no interval.
    pub fn missing(&self, row: &Row) -> Option<String> {
        Some(table::missing_text(row.change.err()?, row, self.how.lang))
    }

    pub fn figure(&self) -> Figure {
        forest::figure(&table::forest(&self.a, &self.b, &self.outcome, self.how.lang), self.how.lang)
    }

    /// The name of the picture's file, without its ending.
    pub fn file_name(&self) -> String {
        format!("compare_{}", source::file_name(&self.a))
    }

    /// The folder of the second side.
    pub fn folder(&self) -> PathBuf {
        self.b.folder()
    }

    /// Of all cells together; then, where there are several, of each.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.outcome.rows.iter().chain(&self.outcome.of_cells)
    }

    /// Of all rows that count.
    pub fn headline(&self) -> Word {
        self.outcome.headline
    }

    /// There are enough rounds of the same traffic for a verdict about servers.
    pub fn is_about_servers(&self) -> bool {
        self.outcome.only_runs.is_none()
    }

    /// What a gate says of the rows that `counts` picks.
    pub fn gate(&self, margin: Option<f64>, counts: impl Fn(&Row) -> bool) -> Gate {
        self.outcome.gate(margin, counts)
    }

    /// Why a gate says so.
    pub fn why(&self, gate: Gate) -> String {
        match gate {
            Gate::Fails => say::gate_fails(&self.outcome, self.how.lang),
            _ => say::gate_undecided(&self.outcome, self.how.lang),
        }
    }
}
