//! `ComparedRow`: one configuration, as the pictures and texts over several take it.

use super::ties;
use crate::chart::Theme;
use crate::lang::Lang;
use crate::stats::tied::Candidate;
use std::collections::{BTreeMap, BTreeSet};

/// One configuration and what was measured of it.
#[derive(Debug, Clone, Default)]
pub struct ComparedRow {
    /// `io512x512_mc4_np40`; no other row has it.
    pub label: String,
    /// What it belongs to among several: the model, the date of the results; empty where all are of one.
    pub group: String,
    /// What was asked for: `512x512`, or the name of a data set.
    pub shape: String,
    /// By the columns of the aggregated CSV.
    pub values: BTreeMap<String, f64>,
    /// From where to where a value may lie: its 95 % interval, or the lowest and the highest of repeats.
    pub intervals: BTreeMap<String, (f64, f64)>,
    /// Why its numbers are not to be quoted; `None`: nothing is known against them.
    pub verdict: Option<String>,
    /// Columns of percentiles that the sample is too small for.
    pub weak: BTreeSet<String>,
    /// Runs that it stands for.
    pub repeats: usize,
}

/// How the pictures are to look, and what they are called.
#[derive(Debug, Clone)]
pub struct Look {
    /// What is compared, such as the model's short name; it stands in front of a picture's own title.
    pub title: String,
    pub lang: Lang,
    pub theme: Theme,
    /// Of throughput, TTFT and TPOT in the ranking; their sum is 1.
    pub weights: [f64; 3],
}

impl ComparedRow {
    /// A missing value is not a number: a gap with a "-".
    pub fn value(&self, column: &str) -> f64 {
        self.values.get(column).copied().unwrap_or(f64::NAN)
    }

    pub fn interval(&self, column: &str) -> Option<(f64, f64)> {
        self.intervals.get(column).copied()
    }

    /// A value with its interval, or what is taken for one; for [`crate::stats::tied`].
    pub fn candidate(&self, column: &str) -> Option<Candidate> {
        ties::candidate(self.value(column), self.interval(column))
    }

    pub fn is_sound(&self) -> bool {
        self.verdict.is_none()
    }

    /// Whether this one value is not to be quoted.
    pub fn is_doubtful(&self, column: &str) -> bool {
        !self.is_sound() || self.weak.contains(column)
    }

    /// The label, and why its numbers are not to be quoted.
    pub fn named(&self) -> String {
        match &self.verdict {
            Some(verdict) => format!("{} ({verdict})", self.label),
            None => self.label.clone(),
        }
    }
}

impl Look {
    pub fn say(&self, english: &str, chinese: &str) -> String {
        self.lang.pick(english, chinese).to_string()
    }

    /// A picture's own title behind what is compared.
    pub fn titled(&self, english: &str, chinese: &str) -> String {
        let own = self.say(english, chinese);
        if self.title.is_empty() { own } else { format!("{} — {own}", self.title) }
    }
}

/// The rows of which one can be the best: those that are sound, or all where none is.
pub fn eligible(rows: &[ComparedRow]) -> Vec<bool> {
    let any = rows.iter().any(ComparedRow::is_sound);
    rows.iter().map(|row| row.is_sound() || !any).collect()
}

#[cfg(test)]
pub mod testing {
    use super::*;
    use crate::chart::compare::ranking::WEIGHTS;

    pub fn row(label: &str, values: &[(&str, f64)]) -> ComparedRow {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        ComparedRow { label: label.to_owned(), values, repeats: 1, ..ComparedRow::default() }
    }

    /// One row for each label, with a value in each column.
    pub fn table<const N: usize>(columns: [&str; N], rows: &[(&str, [f64; N])]) -> Vec<ComparedRow> {
        let of = |(label, values): &(&str, [f64; N])| {
            row(label, &columns.into_iter().zip(*values).collect::<Vec<_>>())
        };
        rows.iter().map(of).collect()
    }

    pub fn look(title: &str, lang: Lang) -> Look {
        Look { title: title.into(), lang, theme: Theme::Light, weights: WEIGHTS }
    }
}
