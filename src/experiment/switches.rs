//! `Switches`: what the command line says beside the script's own parameters.

use super::secret::From as SecretFrom;
use crate::chart::Theme;
use crate::host::Host;
use crate::lang::Lang;
use std::path::{Path, PathBuf};

/// What the command line says beside the script's own parameters.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// Replaces every plan's seed.
    pub seed: Option<u64>,
    /// The parent of the results folder; `results` when not given.
    pub out: Option<PathBuf>,
    pub lang: Lang,
    /// Colours of charts.
    pub theme: Theme,
    /// No progress and no `info` lines.
    pub quiet: bool,
    /// A run whose verdict is not `valid` ends the process with 96.
    pub strict: bool,
    /// Nothing is sent: runs are simulated.
    pub dry: bool,
    /// Conditions that cannot be decided pass.
    pub undecided_passes: bool,
    /// Send the same prompts in every cell and in the warm-up.
    pub same_bytes: bool,
    /// Hosts that the script may reach: `host` or `host:port`.
    pub allow: Vec<String>,
    /// Folders that the script may read.
    pub allow_read: Vec<PathBuf>,
    /// Most bytes of the files that are saved; see [`super::quota::Quota`].
    pub max_disk: Option<u64>,
    /// Folders with modules.
    pub lib: Vec<PathBuf>,
    pub secrets: Vec<(String, SecretFrom)>,
    /// Go on in this results folder, by name or path; empty: in the newest of the same command.
    pub resume: Option<String>,
    /// Where the checks and runs go as JUnit's XML, and as Markdown.
    pub junit: Option<PathBuf>,
    pub summary: Option<PathBuf>,
    /// The whole command line as it was typed, for the manifest.
    pub argv: Vec<String>,
}

/// The names of the colours that charts may have.
pub fn themes() -> impl Iterator<Item = &'static str> {
    Theme::ALL.into_iter().map(|(name, _)| name)
}

/// The colours of this name, else the usual ones.
pub fn theme(name: &str) -> Theme {
    Theme::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, theme)| theme).unwrap_or_default()
}

impl Switches {
    /// The parent of the results folder.
    pub fn results(&self, host: &Host) -> PathBuf {
        let results = host.cwd().join(self.out.as_deref().unwrap_or(Path::new("results")));
        // Nobody should find what was never measured among results.
        if self.dry { results.join("dry") } else { results }
    }
}
