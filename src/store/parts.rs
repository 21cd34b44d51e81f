//! `RowFile`: one file of requests, a part or the journal of one, and what its name says.
//!
//! `requests/part-003-0007.parquet` is part 7 of run 3, and `.journal/rows-003-0007.arrows` its journal until
//! it is there. Old versions merged parts: `part-003-0000-0007.parquet` is parts 0 to 7, and the small ones
//! were deleted after it was there. Whoever lists the parts leaves out those that another one covers, so a
//! process killed in between neither loses a row nor doubles one.

use super::journal;
use crate::error::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A file on disk, named after what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowFile {
    /// Place of the run in its folder.
    pub run: u32,
    pub first: u32,
    pub last: u32,
    /// Rows that are in no part yet.
    pub journal: bool,
    pub path: PathBuf,
}

/// What holds the rows of a results folder.
#[derive(Debug, Default)]
pub struct RowFiles {
    /// By run, then by part; together they hold every row once.
    pub live: Vec<RowFile>,
    /// What a killed process did not get to delete: parts that were merged, journals whose part is there.
    pub covered: Vec<RowFile>,
    /// Parts of an old version that were being written when they were seen.
    pub unfinished: Vec<PathBuf>,
}

/// Where the parts of a results folder are.
pub fn requests_folder(folder: &Path) -> PathBuf {
    folder.join("requests")
}

/// The name of a part that holds parts `first` to `last` of a run.
pub fn part_name(run: u32, first: u32, last: u32) -> String {
    if first == last {
        format!("part-{run:03}-{first:04}.parquet")
    } else {
        format!("part-{run:03}-{first:04}-{last:04}.parquet")
    }
}

/// The name while it is written: hidden, and not ending in `.parquet`, so that no reader takes it.
pub fn unfinished_name(name: &str) -> String {
    format!(".{name}.tmp")
}

impl RowFile {
    /// The file as it is now: a journal that is gone since it was listed has become a part, which had its
    /// name before the journal was deleted.
    pub fn now(&self) -> RowFile {
        let part = || {
            let results = self.path.parent().and_then(Path::parent).unwrap_or(&self.path);
            requests_folder(results).join(part_name(self.run, self.first, self.last))
        };
        match self.journal && !self.path.exists() {
            true => RowFile { journal: false, path: part(), ..self.clone() },
            false => self.clone(),
        }
    }
}

/// What holds the rows of a results folder; nothing when it has no requests yet. Complete at the moment when
/// it is called, also while somebody is writing there.
pub fn list(folder: &Path) -> Result<RowFiles> {
    let mut parts = RowFiles::default();
    let mut all = Vec::new();
    // Journals first: one that becomes a part meanwhile is found twice, and not missed.
    for (name, path) in entries(&journal::folder(folder))? {
        if let Some((run, part)) = journal::parse(&name) {
            all.push(RowFile { run, first: part, last: part, journal: true, path });
        }
    }
    for (name, path) in entries(&requests_folder(folder))? {
        if let Some((run, first, last)) = parse(&name) {
            all.push(RowFile { run, first, last, journal: false, path });
        } else if name.starts_with(".part-") && name.ends_with(".tmp") {
            parts.unfinished.push(path);
        }
    }
    // The widest of those that begin together comes first, so that it is the one that stays.
    all.sort_by_key(|part| (part.run, part.first, std::cmp::Reverse(part.last), part.journal));
    for part in all {
        let covered = parts.live.last().is_some_and(|wide| wide.run == part.run && part.last <= wide.last);
        if covered { parts.covered.push(part) } else { parts.live.push(part) }
    }
    parts.unfinished.sort();
    Ok(parts)
}

/// The names in a folder that are text, with their paths; none when it is not there.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let cannot = |error| Error::run(format!("cannot list {}: {error}", folder.display()));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(cannot)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

pub(super) fn parse(name: &str) -> Option<(u32, u32, u32)> {
    let numbers = name.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let numbers: Vec<u32> =
        numbers.split('-').map(|digits| digits.parse().ok()).collect::<Option<Vec<u32>>>()?;
    match numbers[..] {
        [run, part] => Some((run, part, part)),
        [run, first, last] if first < last => Some((run, first, last)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(requests_folder(folder.path())).unwrap();
        for name in names {
            fs::write(requests_folder(folder.path()).join(name), "").unwrap();
        }
        folder
    }

    fn names(parts: &[RowFile]) -> Vec<String> {
        parts.iter().map(|part| part.path.file_name().unwrap().to_str().unwrap().to_string()).collect()
    }

    #[test]
    fn parts_that_a_merged_one_covers_are_not_live() {
        let folder = folder_with(&[
            "part-001-0000.parquet",
            "part-000-0000.parquet",
            "part-000-0001.parquet",
            "part-000-0002.parquet",
            "part-000-0000-0001.parquet",
            ".part-001-0001.parquet.tmp",
            "notes.txt",
        ]);
        let parts = list(folder.path()).unwrap();
        let live = ["part-000-0000-0001.parquet", "part-000-0002.parquet", "part-001-0000.parquet"];
        assert_eq!(names(&parts.live), live);
        assert_eq!(names(&parts.covered), ["part-000-0000.parquet", "part-000-0001.parquet"]);
        assert_eq!(parts.unfinished.len(), 1);
    }

    #[test]
    fn a_journal_is_live_until_its_part_is_there() {
        let folder = folder_with(&["part-000-0000.parquet", "part-001-0000-0002.parquet"]);
        fs::create_dir(journal::folder(folder.path())).unwrap();
        for (run, part) in [(0, 0), (0, 1), (1, 2), (2, 0)] {
            fs::write(journal::path(folder.path(), run, part), "").unwrap();
        }
        let parts = list(folder.path()).unwrap();
        let live = [
            "part-000-0000.parquet",
            "rows-000-0001.arrows",
            "part-001-0000-0002.parquet",
            "rows-002-0000.arrows",
        ];
        assert_eq!(names(&parts.live), live);
        assert_eq!(names(&parts.covered), ["rows-000-0000.arrows", "rows-001-0002.arrows"]);
    }

    #[test]
    fn a_folder_without_requests_has_no_parts() {
        let folder = tempfile::tempdir().unwrap();
        assert!(list(folder.path()).unwrap().live.is_empty());
    }

    #[test]
    fn names_of_parts_are_read_back_past_their_padding() {
        for (run, first, last) in [(0, 0, 0), (12, 3, 3), (1_000, 12_345, 12_345), (7, 0, 99_999)] {
            assert_eq!(parse(&part_name(run, first, last)), Some((run, first, last)));
        }
        assert_eq!(parse("part-0.parquet"), None);
        assert_eq!(parse("part-000-0003-0001.parquet"), None);
        assert_eq!(parse("part-000-x.parquet"), None);
    }
}
