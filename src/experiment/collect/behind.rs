//! `Behind`: the thread on which hooks hear of what has happened: of finished requests, and of what was
//! measured so far. Nobody waits for it, and it goes on until it has heard of everything.

use crate::error::{Error, Result};
use crate::record::{Phase, Record};
use crate::run::Hooks;
use crate::run::hooks::Hooked;
use crate::stats::Summary;
use crate::stats::own::OwnRow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// Finished requests that may wait for a slow hook. Those beyond are left out, counted and told: to wait for
/// it would hold up the load.
const WAITING_MAX: usize = 1 << 16;

/// What hooks have to say to a run that goes on.
#[derive(Debug, Default)]
pub struct News {
    failed: OnceLock<Error>,
    /// Where `stop_when` stands that has said stop.
    stopped: OnceLock<String>,
    skipped: AtomicU64,
}

impl News {
    /// Why a hook has failed.
    pub fn failed(&self) -> Option<&Error> {
        self.failed.get()
    }

    /// The hook that has ended the run.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.get().map(String::as_str)
    }

    /// Whether the run is to end.
    pub fn wants_the_end(&self) -> bool {
        self.failed.get().is_some() || self.stopped.get().is_some()
    }

    /// Finished requests that no hook has heard of.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }
}

enum Happened {
    Response(Arc<Record>),
    /// What was measured so far, at so many seconds.
    SoFar(Box<Summary>, f64),
}

/// See the file's head.
pub struct Behind {
    happened: SyncSender<Happened>,
    news: Arc<News>,
    hears: bool,
    judges: bool,
    thread: JoinHandle<Vec<OwnRow>>,
}

impl Behind {
    /// `None`: no hook of the plan listens. Fails when the system gives no thread.
    pub fn start(hooks: &Hooks, news: Arc<News>) -> Result<Option<Behind>> {
        if !hooks.listen() {
            return Ok(None);
        }
        let (happened, heard) = sync_channel(WAITING_MAX);
        let (hooks, theirs) = (hooks.clone(), news.clone());
        let (hears, judges) = (hooks.on_response.is_some(), hooks.stop_when.is_some());
        let thread = std::thread::Builder::new()
            .name("hooks".into())
            .spawn(move || listen(&hooks, &theirs, &heard))
            .map_err(|error| Error::run(format!("cannot start the thread for hooks: {error}")))?;
        Ok(Some(Behind { happened, news, hears, judges, thread }))
    }

    /// Tells of a finished request.
    pub fn tell(&self, record: &Record) {
        if self.hears && self.news.failed().is_none() {
            self.hand_over(Happened::Response(Arc::new(record.clone())));
        }
    }

    /// Whether somebody judges what was measured so far.
    pub fn judges(&self) -> bool {
        self.judges && !self.news.wants_the_end()
    }

    pub fn show(&self, so_far: &Summary, seconds: f64) {
        // One that is still at the last one has no use for this.
        let _ = self.happened.try_send(Happened::SoFar(Box::new(so_far.clone()), seconds));
    }

    fn hand_over(&self, happened: Happened) {
        if let Err(TrySendError::Full(_)) = self.happened.try_send(happened) {
            self.news.skipped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until it has heard of everything; what hooks have measured.
    pub fn finish(self) -> Vec<OwnRow> {
        drop(self.happened);
        self.thread.join().unwrap_or_default()
    }
}

fn listen(hooks: &Hooks, news: &News, heard: &Receiver<Happened>) -> Vec<OwnRow> {
    let mut rows = Vec::new();
    while let Ok(happened) = heard.recv() {
        let done = match happened {
            Happened::Response(record) => hear(hooks, &record, &mut rows),
            Happened::SoFar(so_far, seconds) => judge(hooks, *so_far, seconds, news),
        };
        if let Err(error) = done {
            let _ = news.failed.set(error);
        }
        if news.failed.get().is_some() {
            break;
        }
    }
    rows
}

fn hear(hooks: &Hooks, record: &Arc<Record>, rows: &mut Vec<OwnRow>) -> Result<()> {
    let Some(Hooked { hook, cost }) = &hooks.on_response else { return Ok(()) };
    let values = cost.time(|| hook.hear(record.clone())).map_err(|error| {
        let of = match record.turn {
            0 => format!("request {}", record.seq),
            turn => format!("turn {turn} of session {}", record.session),
        };
        error.context(format_args!("{} failed for {of}", cost.name))
    })?;
    // What a warm-up measures counts nowhere.
    if record.phase == Phase::Measured {
        let (seq, turn) = (record.seq, record.turn);
        rows.extend(values.into_iter().map(|value| OwnRow { seq, turn, value }));
    }
    Ok(())
}

fn judge(hooks: &Hooks, so_far: Summary, seconds: f64, news: &News) -> Result<()> {
    let Some(Hooked { hook, cost }) = &hooks.stop_when else { return Ok(()) };
    let enough = cost.time(|| hook.judge(so_far, seconds));
    if enough.map_err(|error| error.context(format_args!("{} failed", cost.name)))? {
        let _ = news.stopped.set(cost.place.to_string());
    }
    Ok(())
}
