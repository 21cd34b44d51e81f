//! `Collector`: the thread that takes finished records, counts tokens where the server did not, adds
//! them to the summary and hands them to the writer.

use super::quota::Quota;
use crate::error::{Error, Result};
use crate::record::{Events, PackedRecord, Record};
use crate::run::plan::Capture;
use crate::run::{Message, Plan};
use crate::stats::own::OwnRow;
use crate::stats::{ClientSeries, Fold, Summary, Window};
use crate::store::saving::Saving;
use crate::store::{Folder, RowWriter, RunIdentity};
use crate::tokens::Tokens;
use behind::{Behind, News};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long finished records gather before they are taken.
const GATHER: Duration = Duration::from_millis(20);

/// How often the rows' size is looked at.
const LOOK_AT_ROWS: Duration = Duration::from_millis(500);

/// How often `stop_when` looks at what was measured so far.
const JUDGE_EVERY: Duration = Duration::from_secs(1);

/// Width of a window of the client's series, nanoseconds.
const SERIES_WINDOW: i64 = 1_000_000_000;

/// Collects the records of one run until it has ended.
pub struct Collector {
    thread: std::thread::JoinHandle<Collected>,
    saving: Arc<Saving>,
}

/// What all records of a run became.
pub struct Collected {
    pub summary: Summary,
    /// Holds the rows, the last of which are still to be written.
    pub writer: RowWriter,
    /// Why rows were no longer written.
    pub full: Option<Error>,
    pub series: ClientSeries,
    /// How many there are.
    pub rows: u64,
    /// What hooks have measured.
    pub own: Vec<OwnRow>,
}

impl Collector {
    /// Rows go into `folder`; `quota` bounds what may lie in its folder of rows.
    pub fn start(
        folder: &Folder,
        of: RunIdentity,
        plan: &Arc<Plan>,
        tokens: Arc<Tokens>,
        (quota, rows): (Arc<Quota>, [PathBuf; 2]),
        news: Arc<News>,
        mut inbox: mpsc::Receiver<Message>,
    ) -> Result<Collector> {
        let plan = plan.clone();
        let mut writer = RowWriter::start(folder.path(), of)?;
        let saving = writer.saving();
        let behind = Behind::start(&plan.hooks, news)?;
        let work = move || {
            let mut summary = Summary::new(Window::UNKNOWN, plan.slo.clone(), plan.open());
            let mut series = ClientSeries::new(SERIES_WINDOW);
            let mut batch: Vec<PackedRecord> = Vec::new();
            let mut room = Events::default();
            let (mut full, mut looked) = (None, Instant::now());
            let (mut judged, mut zero) = (Instant::now(), Instant::now());
            let (mut count_of_rows, mut over) = (0, false);
            while !over && let Some(message) = inbox.blocking_recv() {
                let mut next = Some(message);
                while !over && let Some(message) = next {
                    match message {
                        Message::Zero(zero_ms) => {
                            writer.begin(zero_ms);
                            zero = Instant::now();
                        }
                        Message::End => over = true,
                        Message::Window(at) => {
                            writer.open_window(at);
                            let latest = plan.duration.map(|duration| at + duration.as_nanos() as i64);
                            summary.set_window(Window::Running { start: Some(at), latest });
                        }
                        Message::Record(mut parcel) => {
                            count_of_rows += 1;
                            parcel.show(&mut room, |record| {
                                count(record, &tokens);
                                scrub(record, &plan);
                                if let Some(behind) = &behind {
                                    behind.tell(record);
                                }
                                forget(record, &plan);
                                summary.add(record);
                                series.add(record);
                            });
                            batch.push(parcel);
                        }
                    }
                    next = inbox.try_recv().ok();
                }
                if let Some(behind) = &behind
                    && judged.elapsed() >= JUDGE_EVERY
                    && behind.judges()
                {
                    judged = Instant::now();
                    behind.show(&summary, zero.elapsed().as_secs_f64());
                }
                if full.is_none() && looked.elapsed() >= LOOK_AT_ROWS {
                    looked = Instant::now();
                    full = quota.check_rows(&rows).err();
                }
                if full.is_some() {
                    batch.clear();
                } else {
                    writer.hand_over(std::mem::take(&mut batch));
                }
                if !over {
                    // Let more gather: waking for each costs more than taking it.
                    std::thread::sleep(GATHER);
                }
            }
            if plan.window_start().is_none() && summary.tally().requests == 0 {
                // The request that opened the window left no record: by its rows the run has no window.
                summary.set_window(Window::UNKNOWN);
            }
            summary.close();
            let own = behind.map_or(Vec::new(), Behind::finish);
            Collected { summary, writer, full, series, rows: count_of_rows, own }
        };
        let thread = std::thread::Builder::new()
            .name("collect".into())
            .spawn(work)
            .map_err(|error| Error::run(format!("cannot start the thread that collects results: {error}")))?;
        Ok(Collector { thread, saving })
    }

    /// How its rows are being saved.
    pub fn saving(&self) -> &Arc<Saving> {
        &self.saving
    }

    /// Waits until every record was taken.
    pub fn finish(self) -> Result<Collected> {
        self.thread.join().map_err(|_| Error::run("the thread that collects results has failed"))
    }
}

/// Counts the reply's tokens where the server did not.
fn count(record: &mut Record, tokens: &Tokens) {
    if record.told_output().is_none() {
        record.counted_output = record.text.as_deref().and_then(|text| tokens.count(text));
    }
}

/// Lets go of text that nobody wants to keep.
fn forget(record: &mut Record, plan: &Plan) {
    if plan.capture != Capture::All {
        record.text = None;
    }
}

/// Takes secrets out of the server's words, once: what follows is seen. Before it the words were
/// the server's own, and a conversation went on with them.
fn scrub(record: &mut Record, plan: &Plan) {
    for words in [&mut record.error, &mut record.finish, &mut record.text].into_iter().flatten() {
        if let Cow::Owned(clean) = plan.target.scrub(words) {
            *words = clean;
        }
    }
}

pub mod behind;
#[cfg(test)]
mod recount;
