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
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Points that wait for a disk that does not answer, at most: some 100 MB.
const WAITING_MAX: usize = 1_000_000;

/// How long such a disk is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The scraper of one run and the rows that it made so far.
pub struct Scraping {
    /// None of a server that is simulated.
    scraper: Option<Scraper>,
    rows: Arc<Rows>,
}

/// Rows on their way to the results folder. A thread of their own writes them: neither the scraper nor the
/// end of the run waits for the disk.
struct Rows {
    inbox: Mutex<Option<Sender<Item>>>,
    waiting: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
}

enum Item {
    /// With the run's zero.
    Points(Nanos, Vec<Point>),
    /// No more come. Without it what there is stays in its journal.
    End,
}

impl Scraping {
    /// Starts to scrape `target`; returns after the first answer. Without one nobody is asked.
    pub fn start(
        target: Option<&Target>,
        progress: Arc<Progress>,
        folder: &Path,
        of: RunIdentity,
    ) -> Result<Scraping> {
        let rows = Arc::new(Rows::start(folder.to_path_buf(), of)?);
        let theirs = rows.clone();
        let start = |target| {
            Scraper::start(target, move || progress.zero(), move |zero, points| theirs.add(zero, points))
        };
        let scraper = target.map(start).transpose()?;
        Ok(Scraping { scraper, rows })
    }

    /// The scrape after the run, unless it must end `at_once`; no rows are written yet.
    pub fn stop(self, at_once: bool) -> Stopped {
        let none = || Scrapes { not_scraped: Some("it was simulated".into()), ..Scrapes::default() };
        let scrapes = self.scraper.map_or_else(none, |scraper| scraper.finish(!at_once));
        Stopped { scrapes, rows: self.rows }
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
        self.rows.end().map(|()| self.scrapes)
    }
}

impl Rows {
    fn start(folder: PathBuf, of: RunIdentity) -> Result<Rows> {
        let (inbox, items) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let theirs = waiting.clone();
        let thread = std::thread::Builder::new()
            .name("series".into())
            .spawn(move || write(&folder, &of, &items, &theirs))
            .map_err(|error| Error::run(format!("cannot start the thread that writes series: {error}")))?;
        Ok(Rows { inbox: Mutex::new(Some(inbox)), waiting, thread: Mutex::new(Some(thread)) })
    }

    fn add(&self, zero: Nanos, points: Vec<Point>) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.waiting.fetch_add(points.len(), Relaxed) < WAITING_MAX;
        if let Some(inbox) = inbox.as_ref().filter(|_| room) {
            let _ = inbox.send(Item::Points(zero, points));
        }
    }

    fn end(&self) -> Result<()> {
        if let Some(inbox) = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = inbox.send(Item::End);
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        let begun = Instant::now();
        while !thread.is_finished() {
            if begun.elapsed() > PATIENCE {
                return Err(Error::run("cannot write series.parquet: the disk does not answer"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        thread.join().unwrap_or_else(|_| Err(Error::run("the thread that writes series has failed")))
    }
}

/// After the first points that cannot be written none are taken.
fn write(folder: &Path, of: &RunIdentity, items: &Receiver<Item>, waiting: &AtomicUsize) -> Result<()> {
    let mut writer: Option<SeriesWriter> = None;
    let mut failed = None;
    for item in items {
        match item {
            Item::Points(zero, points) => {
                waiting.fetch_sub(points.len(), Relaxed);
                let writer = writer.get_or_insert_with(|| {
                    let zero_us = (os::wall() - (os::now() - zero)) / 1_000;
                    SeriesWriter::new(folder, of.clone(), zero_us)
                });
                if failed.is_none() {
                    failed = writer.add(points).err();
                }
            }
            Item::End => {
                return match (failed, writer) {
                    (Some(error), _) => Err(error),
                    (None, Some(writer)) => writer.finish(),
                    (None, None) => Ok(()),
                };
            }
        }
    }
    Ok(())
}
