//! `Closing`: what an invocation came to.

use crate::error::{Error, ErrorKind};
use crate::experiment::Experiment;
use crate::experiment::check::Held;
use crate::experiment::findings::Findings;
use crate::lang::Lang;

/// What an invocation came to.
pub struct Closing<'a> {
    /// What ran: a script's file name, or `rampant single`.
    pub title: String,
    pub findings: Findings,
    /// What the process ends with.
    pub error: Option<&'a Error>,
    /// The results folder.
    pub folder: Option<String>,
    pub undecided_passes: bool,
    pub strict: bool,
    pub lang: Lang,
}

impl Closing<'_> {
    pub fn of<'a>(experiment: &Experiment, error: Option<&'a Error>) -> Closing<'a> {
        let program = &experiment.program;
        let title = if program.built_in { format!("rampant {}", program.name) } else { program.file_name() };
        Closing {
            title,
            findings: experiment.findings().clone(),
            error,
            folder: experiment.folder().map(|folder| folder.path().display().to_string()),
            undecided_passes: experiment.switches.undecided_passes,
            strict: experiment.switches.strict,
            lang: experiment.switches.lang,
        }
    }

    /// The error that is not told by checks, problems of runs or their verdicts.
    pub fn own_error(&self) -> Option<&Error> {
        let told = [ErrorKind::Check, ErrorKind::Undecided, ErrorKind::NotValid];
        let of_runs = self.findings.runs.iter().any(|run| !run.problems.is_empty());
        self.error
            .filter(|error| !told.contains(&error.kind))
            .filter(|error| error.kind != ErrorKind::Run || !of_runs || self.findings.problems.is_empty())
    }

    pub fn count(&self, held: Held) -> usize {
        self.findings.checks_of(held).count()
    }
}
