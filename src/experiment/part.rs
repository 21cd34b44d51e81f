//! `Part`: the rows of a run that a result stands for, and what reads them: the only loops over rows.

use crate::error::Result;
use crate::record::{Outcome, Phase, Record};
use crate::stats::{Fold, Summary, Window};
use crate::store::reader;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What rows can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Class,
    Turn,
    Phase,
    Outcome,
}

impl Label {
    pub const ALL: [(&str, Label); 4] = [
        ("class", Label::Class),
        ("turn", Label::Turn),
        ("phase", Label::Phase),
        ("outcome", Label::Outcome),
    ];

    fn of(self, record: &Record) -> Mark {
        match self {
            Label::Class => Mark::Class(record.class.clone()),
            Label::Turn => Mark::Turn(record.turn),
            Label::Phase => Mark::Phase(record.phase),
            Label::Outcome => Mark::Outcome(record.outcome),
        }
    }
}

/// What became of the records of each value of a label.
pub type Marked<F> = Vec<(Mark, F)>;

/// A label and its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mark {
    Class(Arc<str>),
    Turn(u32),
    Phase(Phase),
    Outcome(Outcome),
    /// What all rows of a run have in common, such as `model`.
    Run(String, String),
}

impl Mark {
    fn holds(&self, record: &Record) -> bool {
        match self {
            Mark::Class(class) => *class == record.class,
            Mark::Turn(turn) => *turn == record.turn,
            Mark::Phase(phase) => *phase == record.phase,
            Mark::Outcome(outcome) => *outcome == record.outcome,
            Mark::Run(..) => true,
        }
    }

    pub fn label(&self) -> &str {
        match self {
            Mark::Class(_) => "class",
            Mark::Turn(_) => "turn",
            Mark::Phase(_) => "phase",
            Mark::Outcome(_) => "outcome",
            Mark::Run(label, _) => label,
        }
    }

    pub fn value(&self) -> String {
        match self {
            Mark::Class(class) => class.to_string(),
            Mark::Turn(turn) => turn.to_string(),
            Mark::Phase(phase) => phase.name().to_string(),
            Mark::Outcome(outcome) => outcome.name().to_string(),
            Mark::Run(_, value) => value.clone(),
        }
    }
}

/// The rows of a run with all of these marks; without any, the whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part(Vec<Mark>);

impl Part {
    /// The rows of this part that have another mark, too.
    pub fn with(&self, mark: Mark) -> Part {
        Part([self.0.as_slice(), &[mark]].concat())
    }

    pub fn marks(&self) -> &[Mark] {
        &self.0
    }

    /// It has every row of its run.
    pub fn is_whole(&self) -> bool {
        self.0.iter().all(|mark| matches!(mark, Mark::Run(..)))
    }

    /// `short, turn 1`; empty for a run.
    pub fn name(&self) -> String {
        let name = |mark: &Mark| match mark {
            Mark::Class(class) => class.to_string(),
            mark => format!("{} {}", mark.label(), mark.value()),
        };
        self.0.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Only the warm-up is in it: what is counted of it, there, is what a run counts of its measured
    /// requests.
    pub fn is_warmup(&self) -> bool {
        self.0.contains(&Mark::Phase(Phase::Warmup))
    }

    /// Reads the rows of the part from the folder of its run, as far as `fold` looks at them. Beside it
    /// stand warnings about what could not be read.
    pub fn fold<F: Fold>(&self, folder: &Path, run: &str, fold: F) -> Result<(F, Vec<String>)> {
        let warmup = self.is_warmup();
        let each = |fold: &mut F, record: &mut Record| {
            if self.holds(record) {
                count_as_measured(record, warmup);
                fold.add(record);
            }
        };
        let fields = fold.fields();
        let (folds, warnings) = reader::scan_halves(folder, run, fields, || fold.fresh(), each)?;
        let mut fold = fold;
        folds.into_iter().for_each(|half| fold.merge(half));
        Ok((fold, warnings))
    }

    /// The same, one fold for each value of a label, in order of first appearance.
    pub fn split<F: Fold>(
        &self,
        folder: &Path,
        run: &str,
        label: Label,
        make: impl Fn(&Part) -> F + Sync,
    ) -> Result<(Marked<F>, Vec<String>)> {
        let warmup = self.is_warmup() || label == Label::Phase;
        let each = |split: &mut Split<F>, record: &mut Record| {
            if self.holds(record) {
                let fold = split.at(label.of(record), |mark| make(&self.with(mark.clone())));
                count_as_measured(record, warmup);
                fold.add(record);
            }
        };
        let fields = make(self).fields();
        let (halves, warnings) = reader::scan_halves(folder, run, fields, Split::default, each)?;
        let whole = halves.into_iter().reduce(Split::merge).unwrap_or_default();
        Ok((whole.folds, warnings))
    }

    /// The numbers of each value of a label. All have the window of the run, whose own numbers are `whole`,
    /// so that their rates add up to its own; only the warm-up has one of its own.
    pub fn summaries(
        &self,
        folder: &Path,
        run: &str,
        label: Label,
        whole: &Summary,
    ) -> Result<(Marked<Summary>, Vec<String>)> {
        let span = whole.span();
        let window = span.map_or(Window::UNKNOWN, |(start, end)| Window::Over { start, end });
        let make = |part: &Part| {
            let window = if part.is_warmup() { Window::UNKNOWN } else { window };
            Summary::new(window, whole.slo().cloned(), whole.is_open())
        };
        let (mut parts, warnings) = self.split(folder, run, label, make)?;
        for (_, summary) in &mut parts {
            summary.close();
            summary.of_run(whole);
        }
        Ok((parts, warnings))
    }

    fn holds(&self, record: &Record) -> bool {
        self.0.iter().all(|mark| mark.holds(record))
    }
}

/// A fold for each value of a label.
struct Split<F> {
    folds: Vec<(Mark, F)>,
    places: HashMap<Mark, usize>,
}

impl<F> Default for Split<F> {
    fn default() -> Split<F> {
        Split { folds: Vec::new(), places: HashMap::new() }
    }
}

impl<F: Fold> Split<F> {
    fn at(&mut self, mark: Mark, make: impl FnOnce(&Mark) -> F) -> &mut F {
        let place = *self.places.entry(mark).or_insert_with_key(|mark| {
            self.folds.push((mark.clone(), make(mark)));
            self.folds.len() - 1
        });
        &mut self.folds[place].1
    }

    fn merge(mut self, other: Split<F>) -> Split<F> {
        for (mark, fold) in other.folds {
            match self.places.get(&mark) {
                Some(place) => self.folds[*place].1.merge(fold),
                None => {
                    self.places.insert(mark.clone(), self.folds.len());
                    self.folds.push((mark, fold));
                }
            }
        }
        self
    }
}

fn count_as_measured(record: &mut Record, so: bool) {
    if so {
        record.phase = Phase::Measured;
    }
}
