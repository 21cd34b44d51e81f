//! `Findings`: what an invocation came to so far, for its exit code and for the manifest.

use super::cell_plan::CellPlan;
use super::check::{Check, Held};
use super::switches::Switches;
use crate::error::{Error, ErrorKind, Result};
use crate::lang::Lang;
use crate::stats::verdict::Verdict;
use serde_json::Value;

/// A run that has ended.
#[derive(Debug, Clone)]
pub struct RunEnd {
    pub name: String,
    /// Seconds of its measured window.
    pub seconds: Option<f64>,
    /// The worst word of its verdict, such as `valid`; none where there is no verdict.
    pub verdict: Option<&'static str>,
    /// What speaks against it as a measurement, as sentences.
    pub reasons: Vec<String>,
    /// Why it is no success as a whole, as sentences.
    pub problems: Vec<String>,
    /// What it came to, in a line.
    pub line: String,
}

impl RunEnd {
    pub fn is_valid(&self) -> bool {
        self.verdict.is_none_or(|verdict| verdict == Verdict::Valid.name())
    }
}

/// Checks, notes, parameters, runs and what speaks against them.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// `check` and `require`.
    pub checks: Vec<Check>,
    pub runs: Vec<RunEnd>,
    /// `note(key, value)`.
    pub notes: Vec<(String, Value)>,
    /// Parameters as the script read them.
    pub params: Vec<(String, Value)>,
    /// Files that gave parameters: name and text.
    pub presets: Vec<(String, String)>,
    /// The runs that the sweeps so far were to make.
    pub plans: Vec<CellPlan>,
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
        let failed = self.told_of(Held::No, lang);
        if !failed.is_empty() {
            return Err(Error::new(ErrorKind::Check, lang.checks_failed(&failed, self.checks.len())));
        }
        let undecided = self.told_of(Held::Undecided, lang);
        if !undecided.is_empty() && !switches.undecided_passes {
            let told = lang.checks_undecided(&undecided, self.checks.len());
            return Err(Error::new(ErrorKind::Undecided, told).hint(lang.measure_longer()));
        }
        match self.runs.iter().find(|run| switches.strict && !run.is_valid()) {
            Some(run) => Err(Error::new(
                ErrorKind::NotValid,
                lang.not_valid(&run.name, run.verdict.unwrap_or_default()),
            )),
            None => Ok(()),
        }
    }

    /// The checks of which this became.
    pub fn checks_of(&self, held: Held) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.held == held)
    }

    fn told_of(&self, held: Held, lang: Lang) -> Vec<String> {
        self.checks_of(held).map(|check| check.told(lang)).collect()
    }
}
