//! What a process that was killed left in a results folder: journals without a part, and files that were to get
//! another name. Whoever calls this holds the folder's lock.

use super::{journal, parts, seal};
use crate::error::Result;
use std::fs;
use std::path::Path;

/// What became of the journals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    pub rows: u64,
    pub parts: u32,
    /// Bytes at their ends that were no whole rows.
    pub torn: u64,
}

/// Whether there is anything to complete, or somebody is writing.
pub fn is_there(results: &Path) -> Result<bool> {
    let files = parts::list(results)?;
    let journals = files.live.iter().chain(&files.covered).any(|file| file.journal);
    Ok(journals || !journal::begun(results)?.is_empty())
}

/// Makes a part of every journal, and takes away what is left over.
pub fn seal(results: &Path) -> Result<Sealed> {
    let files = parts::list(results)?;
    let mut all = Sealed::default();
    for file in files.live.iter().filter(|file| file.journal) {
        let sealed = seal::seal(results, file.run, file.first)?;
        all.rows += sealed.rows;
        all.parts += u32::from(sealed.rows > 0);
        all.torn += sealed.torn;
    }
    for file in files.covered.iter().filter(|file| file.journal) {
        let _ = fs::remove_file(&file.path);
    }
    for entry in fs::read_dir(journal::folder(results)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().ends_with(".tmp") {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(all)
}
