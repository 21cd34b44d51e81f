//! `Comparison`: what is compared, and how.

use crate::lang::Lang;
use crate::stats::names::Name;
use std::path::PathBuf;

/// What is compared, and how.
pub struct Comparison {
    /// `FOLDER` or `FOLDER:RUN`, of each side.
    pub a: Vec<String>,
    pub b: Vec<String>,
    /// Where folders are looked for by their names.
    pub results: PathBuf,
    /// As a share; `None`: 3 % of pairs, 5 % else.
    pub margin: Option<f64>,
    /// Fail when the second side is worse by more than this.
    pub fail_if_worse: Option<Option<f64>>,
    pub undecided_fails: bool,
    /// Every run was made on a server that was started for it.
    pub restarted: bool,
    /// The first side is the past.
    pub history: bool,
    /// Empty: those that everybody asks for.
    pub metrics: Vec<Name>,
    /// Where the picture goes; `None`: into the second side's folder.
    pub save: Option<PathBuf>,
    pub lang: Lang,
    pub quiet: bool,
}
