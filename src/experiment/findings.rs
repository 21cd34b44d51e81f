//! `Findings`: what an invocation came to so far, for its exit code and for the manifest.

use crate::error::{Error, ErrorKind, Result};
use crate::lang::Lang;
use serde_json::Value;

/// Checks, notes, parameters, and what speaks against runs.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// `check` and `require`: name, and whether it held.
    pub checks: Vec<(String, bool)>,
    /// `note(key, value)`.
    pub notes: Vec<(String, Value)>,
    /// Parameters as the script read them.
    pub params: Vec<(String, Value)>,
    /// Runs whose verdict is not `valid`: name and worst verdict.
    pub doubts: Vec<(String, String)>,
    /// Runs that ended early or in which nothing succeeded, as sentences.
    pub problems: Vec<String>,
}

impl Findings {
    /// The error that the invocation ends with: a problem comes before a failed check, that
    /// before a doubtful run, which counts only where the user is `strict`.
    pub fn verdict(&self, strict: bool, lang: Lang) -> Result<()> {
        match &self.problems[..] {
            [] => {}
            [one] => return Err(Error::run(one.clone())),
            [first, rest @ ..] => return Err(Error::run(lang.and_more(first, rest.len()))),
        }
        let failed: Vec<&str> =
            self.checks.iter().filter(|(_, held)| !held).map(|(name, _)| name.as_str()).collect();
        if !failed.is_empty() {
            return Err(Error::new(ErrorKind::Check, lang.checks_failed(&failed, self.checks.len())));
        }
        match self.doubts.first().filter(|_| strict) {
            Some((run, reason)) => Err(Error::new(ErrorKind::NotValid, lang.not_valid(run, reason))),
            None => Ok(()),
        }
    }
}
