//! What a process that was killed left in a results folder: journals without a part, and files that were to
//! get another name. Whoever calls this holds the folder's lock.

use super::{Folder, RunIdentity, journal, parts, reader, runs, seal, series};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
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
    if journals || !journal::begun(results)?.is_empty() || !series::left_over(results).is_empty() {
        return Ok(true);
    }
    // Of a run that nobody noted there are its rows.
    let with_rows: BTreeSet<u32> = files.live.iter().map(|file| file.run).collect();
    let table = results.join(runs::FILE);
    let kept = if table.exists() { reader::rows(&table)? } else { 0 };
    Ok(with_rows.len() as u64 > kept)
}

/// Runs that have rows and are not `known` by their place and name.
pub fn unknown(results: &Path, known: impl Fn(u32, &str) -> bool) -> Result<Vec<RunIdentity>> {
    let manifest = Folder::open(results)?.read_manifest()?;
    let mut found: BTreeMap<u32, RunIdentity> = BTreeMap::new();
    for file in parts::list(results)?.live {
        if found.contains_key(&file.run) {
            continue;
        }
        // What cannot be read is told by whoever reads it.
        let Ok(of) = reader::run_of(&file, &manifest) else { continue };
        if !known(file.run, &of.run) {
            found.insert(file.run, of);
        }
    }
    Ok(found.into_values().collect())
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
