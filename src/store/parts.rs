//! `RowFile`: one Parquet file of requests, and what its name says.
//!
//! `part-003-0007.parquet` is part 7 of run 3; `part-003-0000-0007.parquet` is parts 0 to 7 merged. A merge
//! renames the merged file into place first and deletes the small ones after. Whoever lists the parts
//! leaves out those that another one covers, so a process killed in between neither loses a row nor
//! doubles one.

use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A finished part on disk, named after what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowFile {
    /// Place of the run in its folder.
    pub run: u32,
    pub first: u32,
    pub last: u32,
    pub path: PathBuf,
}

/// What the `requests` folder holds.
#[derive(Debug, Default)]
pub struct RowFiles {
    /// By run, then by part; together they hold every row once.
    pub live: Vec<RowFile>,
    /// Merged away: a killed process did not get to delete them.
    pub covered: Vec<RowFile>,
    /// Parts that were being written when they were seen.
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

/// The parts of a results folder; none when it has no requests yet.
pub fn list(folder: &Path) -> Result<RowFiles> {
    let requests = requests_folder(folder);
    let entries = match fs::read_dir(&requests) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(RowFiles::default()),
        Err(error) => return Err(Error::run(format!("cannot list {}: {error}", requests.display()))),
    };
    let mut parts = RowFiles::default();
    let mut all = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|error| Error::run(format!("cannot list {}: {error}", requests.display())))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some((run, first, last)) = parse(name) {
            all.push(RowFile { run, first, last, path: entry.path() });
        } else if name.starts_with(".part-") && name.ends_with(".tmp") {
            parts.unfinished.push(entry.path());
        }
    }
    // The widest of those that begin together comes first, so that it is the one that stays.
    all.sort_by_key(|part| (part.run, part.first, std::cmp::Reverse(part.last)));
    for part in all {
        let covered = parts.live.last().is_some_and(|wide| wide.run == part.run && part.last <= wide.last);
        if covered { parts.covered.push(part) } else { parts.live.push(part) }
    }
    parts.unfinished.sort();
    Ok(parts)
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
