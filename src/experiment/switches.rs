//! `Switches`: what the command line says beside the script's own parameters.

use super::secret::From as SecretFrom;
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
    /// No progress and no `info` lines.
    pub quiet: bool,
    /// A run whose verdict is not `valid` ends the process with 96.
    pub strict: bool,
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
    /// The whole command line as it was typed, for the manifest.
    pub argv: Vec<String>,
}

impl Switches {
    /// The parent of the results folder.
    pub fn results(&self, host: &Host) -> PathBuf {
        host.cwd().join(self.out.as_deref().unwrap_or(Path::new("results")))
    }
}
