//! Files that are written beside their place first, and then put there.

use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// Writes a file so that a reader sees the old or the new one, and never half of one.
pub(super) fn write_aside(path: &Path, content: &[u8]) -> Result<()> {
    write_aside_with(path, |aside| fs::write(aside, content).map_err(|error| cannot_write(path, &error)))
}

/// The same for content that is written piece by piece: `write` gets the path beside it.
pub(super) fn write_aside_with(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = path.with_file_name(format!(".{name}.tmp"));
    let written =
        write(&aside).and_then(|()| fs::rename(&aside, path).map_err(|error| cannot_write(path, &error)));
    written.inspect_err(|_| drop(fs::remove_file(&aside)))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::run(format!("cannot write {}: {error}", path.display()))
}
