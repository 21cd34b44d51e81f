//! `Scraping`: a server's own metrics beside a run, from its first scrape to `series.parquet`.

use crate::client::Target;
use crate::client::scrape::{Scraper, Scrapes};
use crate::error::{Error, Result};
use crate::os;
use crate::record::{Nanos, Point};
use crate::run::Progress;
use crate::store::RunIdentity;
use crate::store::series::SeriesWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The scraper of one run and the rows that it made so far.
pub struct Scraping {
    scraper: Scraper,
    rows: Arc<Rows>,
}

/// Rows on their way to the results folder.
struct Rows {
    folder: PathBuf,
    of: RunIdentity,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    writer: Option<SeriesWriter>,
    /// The first rows that could not be written; none are taken after it.
    failed: Option<Error>,
}

impl Scraping {
    /// Starts to scrape `target`; returns after the first answer.
    pub fn start(
        target: &Target,
        progress: Arc<Progress>,
        folder: &Path,
        of: RunIdentity,
    ) -> Result<Scraping> {
        let rows = Arc::new(Rows { folder: folder.to_path_buf(), of, kept: Mutex::default() });
        let theirs = rows.clone();
        let scraper =
            Scraper::start(target, move || progress.zero(), move |zero, points| theirs.add(zero, points))?;
        Ok(Scraping { scraper, rows })
    }

    /// The scrape after the run, unless it must end `at_once`; no rows are written yet.
    pub fn stop(self, at_once: bool) -> Stopped {
        Stopped { scrapes: self.scraper.finish(!at_once), rows: self.rows }
    }
}

/// All that the server said.
pub struct Stopped {
    pub scrapes: Scrapes,
    rows: Arc<Rows>,
}

impl Stopped {
    /// Writes the rest, and what the client saw beside it.
    pub fn save(self, zero: Nanos, client: Vec<Point>) -> Result<Scrapes> {
        self.rows.add(zero, client);
        let mut kept = self.rows.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match (kept.failed.take(), kept.writer.take()) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finish(),
            (None, None) => Ok(()),
        };
        written.map(|()| self.scrapes)
    }
}

impl Rows {
    fn add(&self, zero: Nanos, points: Vec<Point>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.failed.is_some() {
            return;
        }
        let writer = kept.writer.get_or_insert_with(|| {
            let zero_us = (os::wall() - (os::now() - zero)) / 1_000;
            SeriesWriter::new(&self.folder, self.of.clone(), zero_us)
        });
        if let Err(error) = writer.add(points) {
            kept.failed = Some(error);
        }
    }
}
