//! `Program`: the text of the script that an invocation runs.

use crate::error::{Error, Result};
use crate::host::Host;
use crate::os::file::plain;
use std::path::{Path, PathBuf};

/// Most bytes of a script or a module.
pub const TEXT_BYTES_MAX: u64 = 4 << 20;

/// The program to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// What errors call it: the path as it was typed, or `single` for a built-in command.
    pub name: String,
    pub text: String,
    /// Where the file is; `None` for a built-in command.
    pub path: Option<PathBuf>,
    /// A built-in command and not a user's file.
    pub built_in: bool,
}

impl Program {
    /// Reads a script file. Fails when it cannot be read or is not UTF-8.
    pub fn file(path: &Path, host: &Host) -> Result<Self> {
        let full = host.cwd().join(path);
        let shown = path.display().to_string();
        let cannot =
            |error: &std::io::Error| Error::usage(format!("cannot read script {shown:?}: {}", plain(error)));
        let bytes = crate::os::file::read(&full, TEXT_BYTES_MAX).map_err(|error| cannot(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| cannot(&std::io::ErrorKind::InvalidData.into()))?;
        // Some editors put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_string);
        Ok(Program { name: shown, text, path: Some(full), built_in: false })
    }

    /// The folder beside which modules are looked for and under which files may be read.
    pub fn folder(&self, host: &Host) -> PathBuf {
        let parent = self.path.as_deref().and_then(Path::parent);
        parent.map_or_else(|| host.cwd(), Path::to_path_buf)
    }

    /// Whether it is the built-in command of that name.
    pub fn is_command(&self, name: &str) -> bool {
        self.built_in && self.name == name
    }

    /// Its name as that of a file.
    pub fn file_name(&self) -> String {
        let file = self.path.as_deref().and_then(Path::file_name);
        file.map_or_else(|| format!("{}.rhai", self.name), |name| name.to_string_lossy().into_owned())
    }

    /// Its name without what says that it is a script.
    pub fn stem(&self) -> String {
        let stem = self.path.as_deref().and_then(Path::file_stem);
        stem.map_or_else(|| self.name.clone(), |stem| stem.to_string_lossy().into_owned())
    }
}
