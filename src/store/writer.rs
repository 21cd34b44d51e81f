//! `RowWriter`: a thread that puts finished records into the run's journal, and makes parts of it.

use super::identity::RunIdentity;
use super::journal::{self, Journal};
use super::parts::{self, requests_folder};
use super::queue::{Queue, Taken};
use super::saving::{Saving, Trouble};
use super::schema;
use super::seal::{self, cannot_write};
use crate::error::{Error, Result};
use crate::record::{Nanos, PackedRecord};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A row is in the journal at most this long after it came.
const FLUSH_TIME: Duration = Duration::from_millis(500);
/// Records are turned into columns so many at a time ...
const BATCH_ROWS: usize = 512;
/// ... or as soon as they hold so many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// A journal of so many bytes becomes a part, although it could hold more rows.
const JOURNAL_BYTES: u64 = 256 << 20;
/// Bytes of records that wait before [`RowWriter::write`] does.
const WAITING_BYTES: usize = 16 << 20;
/// How long a write that failed rests.
const RETRY: Duration = Duration::from_millis(500);
/// How long writes that fail are tried again after the last row came.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a disk that does not answer is waited for at the end.
const STALL_PATIENCE: Duration = Duration::from_secs(60);

/// The writing side of one run. Nobody who hands rows over waits for the disk. Dropped without
/// [`RowWriter::finish`], it still makes the last part.
pub struct RowWriter {
    queue: Arc<Queue<Item>>,
    saving: Arc<Saving>,
    thread: Option<JoinHandle<Result<RowsWritten>>>,
    folder: PathBuf,
    handing: Duration,
}

impl RowWriter {
    /// Starts the thread. Parts go to `<folder>/requests/part-<run index>-<part>.parquet`.
    pub fn start(folder: &Path, of: RunIdentity) -> Result<RowWriter> {
        let saving = Arc::new(Saving::default());
        let queue = Arc::new(Queue::new());
        let rows = RunRows::new(folder, of, queue.clone(), saving.clone())?;
        let thread =
            std::thread::Builder::new().name("results".to_string()).spawn(move || write_all(rows)).map_err(
                |error| Error::run(format!("cannot start the thread that writes results: {error}")),
            )?;
        let (folder, handing) = (folder.to_path_buf(), Duration::ZERO);
        Ok(RowWriter { queue, saving, thread: Some(thread), folder, handing })
    }

    /// How saving goes, for others to watch.
    pub fn saving(&self) -> Arc<Saving> {
        self.saving.clone()
    }

    /// Tells the wall clock of the run's zero, milliseconds since 1970. Comes before the first row:
    /// what was written earlier counts from 1970.
    pub fn begin(&mut self, zero_ms: i64) {
        self.queue.push(Item::Zero(zero_ms), 0);
    }

    /// Tells where the measured window begins, nanoseconds since the zero, once that is known.
    pub fn open_window(&mut self, start: Nanos) {
        self.queue.push(Item::Window(start), 0);
    }

    /// Hands records over, and waits while many are waiting: for whoever has no time to lose. Fails when
    /// they cannot be written for a while.
    pub fn write(&mut self, parcels: Vec<PackedRecord>) -> Result<()> {
        let start = Instant::now();
        while self.queue.weight() >= WAITING_BYTES {
            if self.queue.waited() >= PATIENCE {
                let told = format!("cannot write results to {}: the disk takes none", self.folder.display());
                return Err(self.saving.lost(Error::run(told), &self.folder));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.handing += start.elapsed();
        self.hand_over(parcels);
        Ok(())
    }

    /// Hands records over without waiting. Where they cannot be written they are held, up to a bound
    /// ([`Saving`]).
    pub fn hand_over(&mut self, parcels: Vec<PackedRecord>) {
        if parcels.is_empty() {
            return;
        }
        let start = Instant::now();
        let weight = parcels.iter().map(PackedRecord::weight).sum();
        let rows = parcels.len() as u64;
        if self.saving.take(rows, self.queue.weight() + weight, self.queue.waited()) {
            self.queue.push(Item::Rows(parcels), weight);
        }
        self.handing += start.elapsed();
    }

    /// How long handing over has taken, milliseconds.
    pub fn blocked_ms(&self) -> f64 {
        self.handing.as_secs_f64() * 1e3
    }

    /// Waits until every row is in a part. Fails when some cannot be saved, or are safe in the journal and
    /// cannot become a part: the sentence says how many are safe.
    pub fn finish(self) -> Result<RowsWritten> {
        self.end(PATIENCE, STALL_PATIENCE)
    }

    /// The same where nobody waits for a disk that is full.
    pub fn finish_at_once(self) -> Result<RowsWritten> {
        self.end(Duration::ZERO, PATIENCE)
    }

    fn end(mut self, patience: Duration, stalled: Duration) -> Result<RowsWritten> {
        let mut written = self.stop(patience, stalled)?;
        written.blocked_ms = self.blocked_ms();
        Ok(written)
    }

    fn stop(&mut self, patience: Duration, stalled: Duration) -> Result<RowsWritten> {
        self.saving.end_by(Instant::now() + patience);
        self.queue.close();
        let thread = self.thread.take().expect("a writer is stopped once");
        while !thread.is_finished() {
            self.saving.waits(self.saving.rests_for());
            if self.saving.rests_for() > stalled {
                // The thread hangs in the kernel, and is left there.
                let told =
                    format!("cannot write results to {}: the disk does not answer", self.folder.display());
                return Err(self.saving.lost(Error::run(told), &self.folder));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let done =
            thread.join().unwrap_or_else(|_| Err(Error::run("the thread that writes results broke down")));
        done.map_err(|error| self.saving.lost(error, &self.folder))
    }
}

impl Drop for RowWriter {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Nobody is left to hear of an error.
            let _ = self.stop(Duration::ZERO, PATIENCE);
        }
    }
}

/// What a writer has done.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowsWritten {
    pub rows: u64,
    pub parts: u32,
    pub blocked_ms: f64,
}

/// What the thread is told.
enum Item {
    Zero(i64),
    Window(Nanos),
    Rows(Vec<PackedRecord>),
}

fn write_all(mut rows: RunRows) -> Result<RowsWritten> {
    loop {
        let patience = rows.due.map(|due| due.saturating_duration_since(Instant::now()));
        match rows.queue.take(patience) {
            Taken::Item(Item::Zero(zero_ms)) => rows.zero_ms = zero_ms,
            Taken::Item(Item::Window(start)) => {
                // For whoever completes the run should we be killed: without it they go by its rows.
                let _ = journal::learn(&rows.folder, rows.of.index, "window_start_ns", start.into());
            }
            Taken::Item(Item::Rows(parcels)) => rows.add(parcels, Instant::now())?,
            Taken::Nothing => rows.tick(Instant::now())?,
            Taken::Closed => return rows.end(),
        }
    }
}

/// The rows of one run, on their way into its journals. Is told the time.
struct RunRows {
    folder: PathBuf,
    of: RunIdentity,
    queue: Arc<Queue<Item>>,
    saving: Arc<Saving>,
    /// Wall clock of the run's zero, milliseconds since 1970; 0 until it is told.
    zero_ms: i64,
    /// Number of the next journal: above 0 at first when the run index was used before.
    next: u32,
    waiting: Vec<PackedRecord>,
    waiting_bytes: usize,
    open: Option<Journal>,
    /// When the first waiting row must be in the journal.
    due: Option<Instant>,
    sealer: Option<Sealer>,
    written: RowsWritten,
}

impl RunRows {
    fn new(folder: &Path, of: RunIdentity, queue: Arc<Queue<Item>>, saving: Arc<Saving>) -> Result<RunRows> {
        let requests = requests_folder(folder);
        fs::create_dir_all(&requests)
            .map_err(|error| Error::run(format!("cannot make the folder {}: {error}", requests.display())))?;
        let before = parts::list(folder)?.live.into_iter().filter(|part| part.run == of.index);
        let next = before.map(|part| part.last + 1).max().unwrap_or(0);
        Ok(RunRows {
            folder: folder.to_path_buf(),
            of,
            queue,
            saving,
            zero_ms: 0,
            next,
            waiting: Vec::new(),
            waiting_bytes: 0,
            open: None,
            due: None,
            sealer: None,
            written: RowsWritten::default(),
        })
    }

    fn add(&mut self, parcels: Vec<PackedRecord>, now: Instant) -> Result<()> {
        for parcel in parcels {
            self.due.get_or_insert(now + FLUSH_TIME);
            self.waiting_bytes += parcel.weight();
            self.waiting.push(parcel);
            let full = self.open.as_ref().map_or(0, Journal::rows) as usize + self.waiting.len();
            if self.waiting.len() >= BATCH_ROWS
                || self.waiting_bytes >= BATCH_BYTES
                || full >= schema::GROUP_ROWS
            {
                self.flush()?;
            }
        }
        self.tick(now)
    }

    fn tick(&mut self, now: Instant) -> Result<()> {
        if self.due.is_some_and(|due| due <= now) { self.flush() } else { Ok(()) }
    }

    /// Puts what waits into the journal. A write that fails is told, and tried again until it succeeds; only
    /// at the end of the run, after some time, that is given up.
    fn flush(&mut self) -> Result<()> {
        let mut told = false;
        loop {
            match self.try_flush() {
                Ok(rows) => {
                    self.saving.saved(rows);
                    break;
                }
                Err(error) => {
                    let sentence = cannot_write(&self.folder, error.into());
                    if !std::mem::replace(&mut told, true) {
                        self.saving.tell(Trouble::Failing(sentence.message.clone()));
                    }
                    if self.saving.is_over(Instant::now()) {
                        return Err(sentence);
                    }
                    self.queue.rest(RETRY);
                }
            }
        }
        self.due = None;
        let full = |journal: &Journal| {
            journal.rows() >= schema::GROUP_ROWS as u64 || journal.bytes() >= JOURNAL_BYTES
        };
        if self.open.as_ref().is_some_and(full) {
            self.close_journal();
        }
        Ok(())
    }

    fn try_flush(&mut self) -> io::Result<u64> {
        if self.waiting.is_empty() && self.open.is_none() {
            return Ok(0);
        }
        if self.open.is_none() {
            self.open = Some(Journal::create(&self.folder, &self.of, self.zero_ms, self.next)?);
            self.next += 1;
        }
        let journal = self.open.as_mut().expect("it was just opened");
        if !self.waiting.is_empty() {
            journal.add(&self.waiting)?;
            self.waiting.clear();
            self.waiting_bytes = 0;
        }
        journal.flush()
    }

    /// What is in the journal becomes a part, on a thread of its own: that takes a part of a second, in which
    /// rows go on coming.
    fn close_journal(&mut self) {
        let Some(journal) = self.open.take() else { return };
        let part = self.next - 1;
        self.written.rows += journal.rows();
        let sealer = match self.sealer.take() {
            Some(sealer) => sealer,
            None => Sealer::start(&self.folder, self.of.index, self.saving.clone()),
        };
        sealer.seal(part);
        self.sealer = Some(sealer);
    }

    /// The last rows, and every part.
    fn end(mut self) -> Result<RowsWritten> {
        self.flush()?;
        self.close_journal();
        let Some(sealer) = self.sealer.take() else { return Ok(self.written) };
        let unsealed = sealer.finish(&mut self.written.parts);
        for part in unsealed {
            // What it said while the run went on may not hold any more.
            while let Err(error) = self.seal(part) {
                if self.saving.is_over(Instant::now()) {
                    return Err(error);
                }
                self.queue.rest(RETRY);
            }
        }
        Ok(self.written)
    }

    fn seal(&mut self, part: u32) -> Result<()> {
        let sealed = seal::seal(&self.folder, self.of.index, part)?;
        self.saving.moves();
        self.written.parts += u32::from(sealed.rows > 0);
        Ok(())
    }
}

/// A thread that makes parts of journals, one after the other.
struct Sealer {
    journals: mpsc::Sender<u32>,
    /// How many parts were made, and the journals of which none could be.
    thread: Option<JoinHandle<(u32, Vec<u32>)>>,
    /// Those that were given to no thread.
    left: std::cell::RefCell<Vec<u32>>,
}

impl Sealer {
    fn start(folder: &Path, run: u32, saving: Arc<Saving>) -> Sealer {
        let (journals, inbox) = mpsc::channel::<u32>();
        let folder = folder.to_path_buf();
        let work = move || {
            let (mut parts, mut failed) = (0, Vec::new());
            for part in inbox {
                match seal::seal(&folder, run, part) {
                    Ok(sealed) => parts += u32::from(sealed.rows > 0),
                    Err(_) => failed.push(part),
                }
                saving.moves();
            }
            (parts, failed)
        };
        // Without a thread the parts are made at the end.
        let thread = std::thread::Builder::new().name("parts".to_string()).spawn(work).ok();
        Sealer { journals, thread, left: Default::default() }
    }

    fn seal(&self, part: u32) {
        if self.journals.send(part).is_err() {
            self.left.borrow_mut().push(part);
        }
    }

    /// Waits for the thread; returns the journals of which no part was made.
    fn finish(self, parts: &mut u32) -> Vec<u32> {
        drop(self.journals);
        let mut left = self.left.into_inner();
        if let Some((made, failed)) = self.thread.and_then(|thread| thread.join().ok()) {
            *parts += made;
            left.extend(failed);
        }
        left
    }
}

#[cfg(test)]
mod tests;
