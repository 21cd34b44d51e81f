//! Files that are written beside their place first, and then put there.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that a reader sees the old or the new one, and never half of one, after a power cut too:
/// its bytes are synced before it gets its name, and the name before this returns.
pub(super) fn write_aside(path: &Path, content: &[u8]) -> Result<()> {
    write_aside_with(path, |aside| {
        let written = File::create(aside).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(|error| cannot_write(path, &error))
    })
}

/// The same for content that is written piece by piece: `write` gets the path beside it, and syncs it.
pub(super) fn write_aside_with(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = path.with_file_name(format!(".{name}.tmp"));
    let written = write(&aside).and_then(|()| {
        let put = fs::rename(&aside, path).and_then(|()| path.parent().map_or(Ok(()), sync_folder));
        put.map_err(|error| cannot_write(path, &error))
    });
    written.inspect_err(|_| drop(fs::remove_file(&aside)))
}

/// Makes the names in a folder last.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems cannot sync a folder, and need not.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::run(format!("cannot write {}: {error}", path.display()))
}
