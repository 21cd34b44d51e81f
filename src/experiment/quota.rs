//! `Quota`: how much a script may do in one invocation: files on disk, runs, requests.
//!
//! A script cannot raise it; the command line can (`--max-disk`). The built-in commands are their
//! user's own and have none, unless the command line gives one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::limits::{REQUESTS_MAX, RUNS_MAX};
use crate::error::{Error, Result};
use crate::os::file;
use crate::stats::words::grouped;

/// Most bytes of the files that a script saves, when the command line does not say.
const SAVED_MAX: u64 = 1 << 30;

/// The rows of its requests may take this many times as much: they are what it is for.
const ROWS_TIMES: u64 = 10;

/// What the smallest file takes on disk.
const BLOCK: u64 = 4096;

/// What was done so far, and what may be.
#[derive(Debug)]
pub struct Quota {
    /// `None`: no end.
    saved_max: Option<u64>,
    saved: AtomicU64,
    counts_runs: bool,
    runs: AtomicU64,
    requests: AtomicU64,
}

impl Quota {
    /// `given`: bytes that the command line allows.
    pub fn new(given: Option<u64>, built_in: bool) -> Quota {
        Quota {
            saved_max: given.or((!built_in).then_some(SAVED_MAX)),
            saved: AtomicU64::new(0),
            counts_runs: !built_in,
            runs: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        }
    }

    /// Has `write` make a file, unless too much was written already, and counts it.
    pub fn saving(&self, call: &str, write: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
        self.check_saved(call)?;
        let path = write()?;
        self.add_saved(&path);
        Ok(path)
    }

    /// Fails when the files that were saved are as large as they may get.
    pub fn check_saved(&self, call: &str) -> Result<()> {
        match self.saved_max.filter(|most| self.saved.load(Relaxed) >= *most) {
            Some(most) => Err(full(call, "the files that it has saved have", most, most)),
            None => Ok(()),
        }
    }

    /// Counts a file that was made.
    pub fn add_saved(&self, path: &Path) {
        let bytes = path.metadata().map_or(0, |found| found.len());
        self.add(bytes);
    }

    /// Counts bytes that were added to a file.
    pub fn add(&self, bytes: u64) {
        self.saved.fetch_add(bytes.max(BLOCK), Relaxed);
    }

    /// Fails when the rows of requests, which lie in `folders`, are as large as they may get.
    pub fn check_rows(&self, folders: &[PathBuf]) -> Result<()> {
        let Some(most) = self.saved_max else { return Ok(()) };
        let rows_max = most.saturating_mul(ROWS_TIMES);
        let entries = folders.iter().flat_map(std::fs::read_dir).flatten().flatten();
        let bytes: u64 = entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum();
        match bytes >= rows_max {
            true => Err(full("run", "the rows of its requests have", rows_max, most)),
            false => Ok(()),
        }
    }

    /// Fails when `more` runs with `requests` in all, as far as that is known, are too many beside
    /// those that were made.
    pub fn check_runs(&self, call: &str, more: u64, requests: u64) -> Result<()> {
        if !self.counts_runs {
            return Ok(());
        }
        let runs = self.runs.load(Relaxed).saturating_add(more);
        if runs > RUNS_MAX {
            let told = format!(
                "{call}: a script makes at most {} runs in all, and this is too much: {}",
                grouped(RUNS_MAX),
                grouped(runs)
            );
            return Err(Error::usage(told).hint("divide it into several invocations"));
        }
        let sent = self.requests.load(Relaxed);
        let requests = sent.saturating_add(requests.max(1));
        if requests > REQUESTS_MAX {
            let told = format!(
                "{call}: the runs of a script send at most {} requests in all, and this would be {}",
                grouped(REQUESTS_MAX),
                grouped(requests)
            );
            return Err(Error::usage(told).hint("divide it into several invocations"));
        }
        Ok(())
    }

    /// A run was made.
    pub fn add_run(&self, requests: u64) {
        self.runs.fetch_add(1, Relaxed);
        self.requests.fetch_add(requests, Relaxed);
    }
}

fn full(call: &str, what: &str, most: u64, given: u64) -> Error {
    let told = format!("{call}: a script may not fill the disk: {what} {}", file::size(most));
    Error::usage(told).hint(format!("--max-disk {} allows twice as much", shown(given.saturating_mul(2))))
}

/// As `--max-disk` takes it.
fn shown(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}GB", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}MB", bytes >> 20),
        _ => bytes.to_string(),
    }
}

/// `500MB`, `2GB`, or a number of bytes; k, M, G and T are powers of 1024.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let bare = text.trim().to_ascii_lowercase();
    let bare = bare.strip_suffix('b').unwrap_or(&bare);
    let bare = bare.strip_suffix('i').unwrap_or(bare);
    let shift =
        ["k", "m", "g", "t"].iter().position(|unit| bare.ends_with(unit)).map_or(0, |i| 10 * (i as u32 + 1));
    let digits = if shift > 0 { &bare[..bare.len() - 1] } else { bare };
    match digits.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok((number * (1u64 << shift) as f64) as u64),
        _ => Err("a size is a number of bytes such as 500MB or 2GB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("500", 500),
            ("500b", 500),
            ("2k", 2048),
            ("10MB", 10 << 20),
            ("1.5 GiB", 3 << 29),
            ("1T", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "-1", "0", "x", "inf", "1PB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(parse_size(&shown(6 << 20)), Ok(6 << 20));
    }

    #[test]
    fn files_count_until_they_are_too_many_and_small_ones_count_as_a_block() {
        let folder = tempfile::tempdir().unwrap();
        let quota = Quota::new(Some(10_000), false);
        let save = |n: u32| {
            quota.saving("save", || {
                let path = folder.path().join(n.to_string());
                std::fs::write(&path, "x").unwrap();
                Ok(path)
            })
        };
        assert_eq!((0..9).filter(|n| save(*n).is_ok()).count(), 3);
        let told = save(9).unwrap_err().to_string();
        assert_eq!(
            told,
            "save: a script may not fill the disk: the files that it has saved have 10000 bytes\n  try: --max-disk 20000 allows twice as much"
        );
        assert!(Quota::new(None, true).saving("save", || Ok("/".into())).is_ok());
        std::fs::write(folder.path().join("rows"), vec![0; 100_000]).unwrap();
        assert!(
            quota
                .check_rows(&[folder.path().into()])
                .unwrap_err()
                .message
                .contains("the rows of its requests")
        );
    }

    #[test]
    fn runs_and_requests_count_over_the_whole_invocation() {
        let quota = Quota::new(None, false);
        for _ in 0..RUNS_MAX - 1 {
            quota.add_run(10);
        }
        quota.check_runs("run", 1, 0).unwrap();
        assert!(
            quota
                .check_runs("sweep", 2, 0)
                .unwrap_err()
                .message
                .starts_with("sweep: a script makes at most 10,000 runs")
        );
        assert!(
            quota
                .check_runs("run", 1, REQUESTS_MAX)
                .unwrap_err()
                .message
                .contains("100,000,000 requests in all")
        );
        Quota::new(None, true).check_runs("sweep", u64::MAX, u64::MAX).unwrap();
    }
}
