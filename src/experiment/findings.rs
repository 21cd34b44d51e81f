//! `Findings`: what an invocation came to so far, for its exit code and for the manifest.

use super::cell_plan::CellPlan;
use super::switches::Switches;
use crate::error::{Error, ErrorKind, Result};
use serde_json::Value;

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Yes,
    No,
    /// It may be chance.
    Undecided,
}

impl Held {
    pub fn of(held: bool) -> Held {
        if held { Held::Yes } else { Held::No }
    }

    /// `None`: undecided.
    pub fn known(self) -> Option<bool> {
        match self {
            Held::Yes => Some(true),
            Held::No => Some(false),
            Held::Undecided => None,
        }
    }
}

/// Checks, notes, parameters, and what speaks against runs.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// `check` and `require`: name, and whether it held.
    pub checks: Vec<(String, Held)>,
    /// `note(key, value)`.
    pub notes: Vec<(String, Value)>,
    /// Parameters as the script read them.
    pub params: Vec<(String, Value)>,
    /// Files that gave parameters: name and text.
    pub presets: Vec<(String, String)>,
    /// The runs that the sweeps so far were to make.
    pub plans: Vec<CellPlan>,
    /// Runs whose verdict is not `valid`: name and worst verdict.
    pub doubts: Vec<(String, String)>,
    /// Runs that ended early or in which nothing succeeded, as sentences.
    pub problems: Vec<String>,
}

impl Findings {
    /// The error that the invocation ends with: a problem comes before a failed check, that
    /// before one that cannot be decided, that before a doubtful run, where the user is `strict`.
    pub fn verdict(&self, switches: &Switches) -> Result<()> {
        let lang = switches.lang;
        match &self.problems[..] {
            [] => {}
            [one] => return Err(Error::run(one.clone())),
            [first, rest @ ..] => return Err(Error::run(lang.and_more(first, rest.len()))),
        }
        let failed = self.checks_that(Held::No);
        if !failed.is_empty() {
            return Err(Error::new(ErrorKind::Check, lang.checks_failed(&failed, self.checks.len())));
        }
        let undecided = self.checks_that(Held::Undecided);
        if !undecided.is_empty() && !switches.undecided_passes {
            let told = lang.checks_undecided(&undecided, self.checks.len());
            return Err(Error::new(ErrorKind::Undecided, told).hint(lang.measure_longer()));
        }
        match self.doubts.first().filter(|_| switches.strict) {
            Some((run, reason)) => Err(Error::new(ErrorKind::NotValid, lang.not_valid(run, reason))),
            None => Ok(()),
        }
    }

    fn checks_that(&self, held: Held) -> Vec<&str> {
        let those = self.checks.iter().filter(|(_, found)| *found == held);
        those.map(|(name, _)| name.as_str()).collect()
    }
}
