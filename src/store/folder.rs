//! `Folder`: `results/<name>_<YYYYMMDD_HHMMSS>/`, made once per invocation, never overwritten.

use crate::error::Result;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes `<parent>/<name>_<stamp>/`; a taken name gets `-2`, `-3`, ...
    pub fn create(_parent: &Path, _name: &str, _stamp: &str) -> Result<Folder> {
        todo!()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes `manifest.json` (read, change, write aside, rename).
    pub fn manifest(
        &self,
        _change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) -> Result<()> {
        todo!()
    }

    /// Writes a new file into the folder; a taken name is an error.
    pub fn save(&self, _name: &str, _content: &[u8]) -> Result<PathBuf> {
        todo!()
    }
}

/// A results folder on disk, found by [`list`].
#[derive(Debug, Clone)]
pub struct Found {
    pub path: PathBuf,
    /// Folder name.
    pub name: String,
    /// Start, from the manifest: milliseconds since 1970.
    pub started_ms: i64,
    pub runs: usize,
    pub requests: u64,
    pub model: Option<String>,
}

/// Results folders under `parent`, newest start first. Folders without a manifest are left out.
pub fn list(_parent: &Path) -> Result<Vec<Found>> {
    todo!()
}

/// `deepseek-ai/DeepSeek-R1-AWQ` -> `DeepSeek-R1`: last path part, without `-awq`, `-gptq`,
/// `-gguf` in any case, safe as a folder name, never empty.
pub fn short_model_name(_model: &str) -> String {
    todo!()
}
