//! `Bench`: what the runs of one invocation share: the runtime, the results folder, the salt.

use super::display::Display;
use super::intent::intent;
use super::quota::Quota;
use super::scraping::Scraping;
use super::server::Ready;
use super::state::State;
use crate::client::scrape::Scrapes;
use crate::client::{Client, Http, Target};
use crate::error::{Error, Kind, Result};
use crate::os;
use crate::record::{Events, Parcel, Record};
use crate::run::{self, Control, Ended, Message, Plan, Progress, Reason, Stop};
use crate::stats::report::Report;
use crate::stats::runs as table;
use crate::stats::tally::Failed;
use crate::stats::verdict::Verdict;
use crate::stats::words::unbroken;
use crate::stats::{ClientSeries, Summary, Window};
use crate::store::{Folder, Writer, runs};
use crate::tokens::Tokens;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long finished records gather before they are taken.
const GATHER: Duration = Duration::from_millis(20);

/// How often the rows' size is looked at.
const LOOK_AT_ROWS: Duration = Duration::from_millis(500);

/// Records between the sessions and the collector.
const CHANNEL: usize = 8192;

/// Kinds of failures that the end of a run tells.
const FAILURES_TOLD: usize = 4;

/// Width of a window of the client's series, nanoseconds.
const SERIES_WINDOW: i64 = 1_000_000_000;

/// What the runs of one invocation share.
pub struct Bench {
    pub runtime: tokio::runtime::Runtime,
    folder: Mutex<Option<Arc<Folder>>>,
    runs: AtomicU32,
    names: Mutex<HashSet<String>>,
    /// Changes the words of every prompt, so that a rerun meets no warm prefix cache.
    pub salt: u64,
    /// The same bytes for the same traffic, whoever was asked before.
    same_bytes: bool,
    /// Runs so far of a traffic on a server.
    asked: Mutex<HashMap<(String, String), u64>>,
}

/// One finished run.
#[derive(Clone)]
pub struct Finished {
    pub plan: Arc<Plan>,
    pub summary: Arc<Summary>,
    pub ended: Arc<Ended>,
    pub folder: Arc<Folder>,
    pub tokenizer: String,
    /// What was asked and when, as planned.
    pub traffic_hash: String,
    /// How the server's own metrics were read.
    pub scrapes: Arc<Scrapes>,
}

impl Bench {
    /// `same_bytes`: no salt; the same traffic gives the same bytes in every invocation.
    pub fn new(same_bytes: bool) -> Result<Bench> {
        let runtime = run::runtime()
            .map_err(|error| Error::run(format!("cannot start the threads that send requests: {error}")))?;
        let fresh = os::wall() as u64 ^ u64::from(std::process::id()).rotate_left(40);
        let salt = if same_bytes { 0 } else { fresh };
        Ok(Bench {
            runtime,
            folder: Mutex::new(None),
            runs: AtomicU32::new(0),
            names: Mutex::default(),
            salt,
            same_bytes,
            asked: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Folder>>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The results folder, if there is one yet.
    pub fn folder(&self) -> Option<Arc<Folder>> {
        self.lock().clone()
    }

    /// The results folder, made at its first use and named after `model` or the script.
    pub fn need_folder(&self, state: &State, model: Option<&str>) -> Result<Arc<Folder>> {
        let mut slot = self.lock();
        if let Some(folder) = &*slot {
            return Ok(folder.clone());
        }
        let stem = state.source.path.as_deref().and_then(std::path::Path::file_stem);
        let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
        let name = match model {
            Some(model) if !model.is_empty() => {
                crate::store::folder::short_model_name(&state.secrets.scrub(model))
            }
            _ => stem.unwrap_or_else(|| state.source.name.clone()),
        };
        let parent = state.switches.results(&state.host);
        let now = chrono::Local::now();
        let stamp = now.format("%Y%m%d_%H%M%S").to_string();
        let folder = Folder::create(&parent, &name, &stamp)
            .map_err(|error| Error { kind: state.kind_of_fault(), ..error })?;
        super::manifest::begin(state, &folder, self.salt, now)?;
        let folder = Arc::new(folder);
        *slot = Some(folder.clone());
        Ok(folder)
    }

    /// Fails when the results folder, not made yet, plainly cannot be: better told before the
    /// server is asked for anything.
    pub fn check_folder(&self, state: &State) -> Result<()> {
        match self.folder() {
            Some(_) => Ok(()),
            None => Folder::check_parent(&state.switches.results(&state.host))
                .map_err(|error| Error { kind: state.kind_of_fault(), ..error }),
        }
    }

    /// Runs a plan from its first connection to its row in `runs.parquet`. Beside the result, what
    /// its end means for the process: an interruption is an error, and what was measured is kept.
    pub fn run(&self, state: &State, plan: Plan, ready: &Ready) -> Result<(Finished, Result<()>)> {
        let folder = self.need_folder(state, Some(&plan.target.model))?;
        let place = folder.path().display().to_string();
        let lost = state.words().interrupted_at_once(&place, &unbroken(&plan.name));
        let _measuring = state.host.measuring(state.secrets.scrub(&lost).into_owned());
        let index = self.runs.fetch_add(1, Ordering::Relaxed);
        let plan = Arc::new(plan);
        let traffic_hash = run::planned::hash(&plan);
        let client = Arc::new(self.client(&plan.target)?);
        let (out, inbox) = mpsc::channel(CHANNEL);
        let rows = crate::store::parts::requests_folder(folder.path());
        state.quota.check_rows(&rows)?;
        let quota = (state.quota.clone(), rows);
        let collector = Collector::start(&folder, index, &plan, ready.tokens.clone(), quota, inbox)?;
        let progress = Arc::new(Progress::of(client.live()));
        let control = watching(state, &progress);
        let scraping = Scraping::start(&plan.target, progress.clone(), folder.path(), &plan.name, index)?;
        let display = Display::start(state, &plan, progress.clone());
        state.load_begins();
        let prefix = format!("{:016x}-{index}", self.id_nonce());
        let ended = self.runtime.block_on(run::run(&plan, client, &control, progress.clone(), out, &prefix));
        let at_once = state.host.abort_requested();
        if !at_once {
            // The sessions have ended, and their last records are still to become rows.
            os::give_back_memory();
        }
        display.finish();
        let scraped = scraping.stop(at_once);
        let Collected { mut summary, writer, failed, full, series, rows } = collector.finish()?;
        let mut ended = ended?;
        ended.unrecorded = progress.started.load(Ordering::Relaxed).saturating_sub(rows);
        let scrapes = scraped.scrapes.clone();
        summary.hear(scrapes.counters.since(summary.span().map_or(0, |(start, _)| start)));
        let report = Report::new(&summary, &intent(&plan), &ended.health, writer.blocked_ms());
        summary.attach(report);
        summary.adapt(ready.adaptions.clone());
        // Before any file is finished, and whatever becomes of the files.
        let lang = state.words();
        let told = table::line(&summary, lang);
        let name = unbroken(&plan.name);
        state.mention(&format!("{}{name}{}{told}", state.cell_label(), lang.colon()));
        let finished = Finished {
            plan,
            summary: Arc::new(summary),
            ended: Arc::new(ended),
            folder: folder.clone(),
            tokenizer: ready.tokens.name(),
            traffic_hash,
            scrapes: Arc::new(scrapes),
        };
        let finish = || if at_once { writer.finish_at_once() } else { writer.finish() };
        let kept = failed.map_or_else(finish, Err).and_then(|written| {
            let zero = progress.zero().unwrap_or_default();
            if let Err(error) = scraped.save(zero, series.points(finished.ended.lasted)) {
                state.warn(&error.to_string());
            }
            let requests = written.rows;
            let row = super::row::row(&finished, index, written);
            runs::append(folder.path(), state.secrets.scrub_map(row))?;
            if finished.plan.requests.is_none() {
                super::recorded::tell_of(state, &finished.plan, requests);
            }
            super::manifest::add_run(state, &folder, &finished, ready, (index, requests))
        });
        kept.inspect_err(|_| {
            // What cannot be kept can still be read.
            state.tell(&finished.summary.table_named(&finished.plan.name, false, state.switches.lang.name()));
        })?;
        let judged = self.judge(state, &finished).and_then(|()| full.map_or(Ok(()), Err));
        Ok((finished, judged))
    }

    /// A client of `target`; no traffic yet.
    pub fn client(&self, target: &Arc<Target>) -> Result<Client> {
        self.runtime.block_on(self.client_of(target))
    }

    /// The same, awaited.
    pub async fn client_of(&self, target: &Arc<Target>) -> Result<Client> {
        Ok(Client::Http(Box::new(Http::new(target.clone()).await?)))
    }

    fn id_nonce(&self) -> u64 {
        (os::wall() as u64).rotate_left(16) ^ u64::from(std::process::id())
    }

    /// What the end of a run means for the process.
    fn judge(&self, state: &State, finished: &Finished) -> Result<()> {
        let name = &finished.plan.name;
        // What has no row is missing from every number: no doubt about them says more than that.
        let report = finished.summary.report().filter(|_| finished.ended.unrecorded == 0);
        if let Some(report) = report
            && report.verdict() != Verdict::Valid
        {
            state.doubt(name, report.verdict().name(), report.sentences(state.words()));
        }
        let lang = state.words();
        let of_run = lang.of_run(name);
        let remarks = report.filter(|_| !state.tells_in_tables());
        for remark in remarks.iter().flat_map(|report| &report.remarks) {
            state.warn(&format!("{of_run}{}", remark.text(lang)));
        }
        match &finished.ended.reason {
            Reason::Interrupted => {
                let told = !state.tells_in_tables();
                state.tell(&finished.summary.table_named(name, told, state.switches.lang.name()));
                let place = finished.folder.path().display().to_string();
                let (never_sent, unrecorded) = (finished.ended.never_sent, finished.ended.unrecorded);
                let told = lang.interrupted_run(&place, never_sent, unrecorded);
                return Err(Error::new(Kind::Interrupted, told));
            }
            Reason::Early(why) => state.problem(format!("{of_run}{}", lang.ended_early(&lang.early(why)))),
            _ => {}
        }
        let tally = finished.summary.tally();
        let told: Vec<String> =
            tally.failures.list().iter().take(FAILURES_TOLD).map(Failed::to_string).collect();
        let told =
            if told.is_empty() { String::new() } else { format!("{}{}", lang.colon(), told.join(", ")) };
        let (failed, requests) = (tally.failed(), tally.requests);
        if tally.succeeded == 0 || 2 * failed > requests {
            state.problem(format!("{of_run}{}{told}", lang.mostly_failed(failed, requests)));
        }
        Ok(())
    }

    /// The salt of the next run of a traffic on a server: two servers get the same words, and one
    /// that is asked again gets fresh ones, or its prefix cache would answer.
    pub fn salt_of(&self, traffic: &str, target: &Target) -> u64 {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = asked.entry((traffic.into(), target.base.to_string())).or_default();
        let earlier = std::mem::replace(runs, *runs + 1);
        if self.same_bytes { 0 } else { self.salt.wrapping_add(earlier) }
    }

    /// `name`, or `run-1`; with a number behind it when an earlier run has that name.
    pub fn free_name(&self, name: Option<String>) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = name.unwrap_or_else(|| format!("run-{}", names.len() + 1));
        let mut free = wanted.clone();
        for n in 2.. {
            if names.insert(free.clone()) {
                break;
            }
            free = format!("{wanted}-{n}");
        }
        free
    }
}

/// What Ctrl-C asks of a run. The first one says how to end it at once, since streams that hang
/// may take minutes to end by themselves.
fn watching(state: &State, progress: &Arc<Progress>) -> Control {
    let (host, progress, lang) = (state.host.clone(), progress.clone(), state.words());
    let told = AtomicBool::new(false);
    Control::watching(move || match (host.abort_requested(), host.stop_requested()) {
        (true, _) => Stop::Abort,
        (false, true) => {
            let count = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
            let flying = count(&progress.started).saturating_sub(count(&progress.finished));
            if flying > 0 && !told.swap(true, Ordering::Relaxed) {
                host.err(&lang.stopping(flying));
            }
            Stop::Drain
        }
        (false, false) => Stop::No,
    })
}

/// The thread that takes finished records: counts tokens where the server did not, adds them
/// to the summary, hands them to the writer.
struct Collector {
    thread: std::thread::JoinHandle<Collected>,
}

/// What all records of a run became.
struct Collected {
    summary: Summary,
    /// Holds the rows, the last of which are still to be written.
    writer: Writer,
    /// Why rows could not be written.
    failed: Option<Error>,
    /// Why rows were no longer written.
    full: Option<Error>,
    series: ClientSeries,
    /// How many there are.
    rows: u64,
}

impl Collector {
    fn start(
        folder: &Folder,
        index: u32,
        plan: &Arc<Plan>,
        tokens: Arc<Tokens>,
        (quota, rows): (Arc<Quota>, PathBuf),
        mut inbox: mpsc::Receiver<Message>,
    ) -> Result<Collector> {
        let plan = plan.clone();
        let mut writer = Writer::start(folder.path(), &plan.name, &plan.traffic, index)?;
        let work = move || {
            let mut summary = Summary::new(Window::UNKNOWN, plan.slo.clone(), plan.open());
            let mut series = ClientSeries::new(SERIES_WINDOW);
            let mut batch: Vec<Parcel> = Vec::new();
            let mut room = Events::default();
            let (mut failed, mut full, mut looked) = (None, None, Instant::now());
            let (mut count_of_rows, mut over) = (0, false);
            while !over && let Some(message) = inbox.blocking_recv() {
                let mut next = Some(message);
                while !over && let Some(message) = next {
                    match message {
                        Message::Zero(zero_ms) => writer.begin(zero_ms),
                        Message::End => over = true,
                        Message::Window(at) => {
                            let latest = plan.duration.map(|duration| at + duration.as_nanos() as i64);
                            summary.set_window(Window::Running { start: Some(at), latest });
                        }
                        Message::Record(mut parcel) => {
                            count_of_rows += 1;
                            parcel.show(&mut room, |record| {
                                count(record, &tokens, &plan);
                                scrub(record, &plan);
                                summary.add(record);
                                series.add(record);
                            });
                            batch.push(parcel);
                        }
                    }
                    next = inbox.try_recv().ok();
                }
                if full.is_none() && looked.elapsed() >= LOOK_AT_ROWS {
                    looked = Instant::now();
                    full = quota.check_rows(&rows).err();
                }
                if full.is_some() {
                    batch.clear();
                } else if let Err(error) = writer.write(std::mem::take(&mut batch)) {
                    // The run goes on to its end, so that its numbers are seen; the error is
                    // told after it.
                    failed.get_or_insert(error);
                }
                if !over {
                    // Let more gather: waking for each costs more than taking it.
                    std::thread::sleep(GATHER);
                }
            }
            summary.close();
            Collected { summary, writer, failed, full, series, rows: count_of_rows }
        };
        let thread = std::thread::Builder::new()
            .name("collect".into())
            .spawn(work)
            .map_err(|error| Error::run(format!("cannot start the thread that collects results: {error}")))?;
        Ok(Collector { thread })
    }

    fn finish(self) -> Result<Collected> {
        self.thread.join().map_err(|_| Error::run("the thread that collects results has failed"))
    }
}

/// Counts the reply's tokens where the server did not, and lets go of text nobody asked for.
fn count(record: &mut Record, tokens: &Tokens, plan: &Plan) {
    if record.told_output().is_none() {
        record.counted_output = record.text.as_deref().and_then(|text| tokens.count(text));
    }
    if plan.capture != run::plan::Capture::All {
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

/// The facts of a run that are not in its summary.
pub fn facts(finished: &Finished) -> Map<String, Value> {
    let (ended, span) = (&finished.ended, finished.summary.span());
    let failures: Vec<String> = finished.summary.failures().iter().map(Failed::to_string).collect();
    let reason = match &ended.reason {
        Reason::Requests => "requests".to_string(),
        Reason::Duration => "duration".to_string(),
        Reason::Schedule => "schedule".to_string(),
        Reason::Interrupted => "interrupted".to_string(),
        Reason::Early(why) => format!("ended early: {why}"),
    };
    let Value::Object(map) = json!({
        "zero_ms": ended.zero_ms,
        "window_start_ns": span.map(|(start, _)| start),
        "window_end_ns": span.map(|(_, end)| end),
        "stopped_by": reason,
        "failures": failures.join(", "),
        "never_sent": ended.never_sent,
        "unrecorded": ended.unrecorded,
        "server_scrapes": finished.scrapes.answers,
        "server_scrape_gaps": finished.scrapes.gaps,
        "server_scrape_gap_reason": finished.scrapes.gap_reason,
        "server_not_scraped": finished.scrapes.not_scraped,
        "server_series_left_out": finished.scrapes.series_left_out,
    }) else {
        unreachable!("a JSON object literal is an object")
    };
    map
}

#[cfg(test)]
mod recount;
