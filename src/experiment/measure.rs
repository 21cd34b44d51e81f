//! `measure`: runs plans from their first connection to their rows in the results folder.

use super::collect::{Collected, Collector};
use super::display::Display;
use super::finished::Finished;
use super::intent::intent;
use super::scraping::Scraping;
use super::server::Ready;
use super::{Experiment, folder, manifest, recorded, row};
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::os;
use crate::run::{self, Control, Ended, Message, Plan, Progress, Reason, Stop};
use crate::stats::report::Report;
use crate::stats::runs as table;
use crate::stats::tally::Failed;
use crate::stats::verdict::Verdict;
use crate::stats::words::unbroken;
use crate::store::writer::Written;
use crate::store::{Folder, parts, runs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Records between the sessions and the collector.
const CHANNEL: usize = 8192;

/// Kinds of failures that the end of a run tells.
const FAILURES_TOLD: usize = 4;

/// Runs a plan from its first connection to its row in `runs.parquet`. Beside the result, what
/// its end means for the process: an interruption is an error, and what was measured is kept.
pub fn measure(experiment: &Experiment, plan: Plan, ready: &Ready) -> Result<(Finished, Result<()>)> {
    let folder = folder::need(experiment, Some(&plan.target.model))?;
    let place = folder.path().display().to_string();
    let lost = experiment.console.words().interrupted_at_once(&place, &unbroken(&plan.name));
    let _measuring = experiment.host.measuring(experiment.secrets.scrub(&lost).into_owned());
    let runtime = experiment.runtime()?;
    let (underway, client, out) = Underway::start(experiment, plan, ready, folder)?;
    let control = watching(experiment, &underway.progress);
    let display = Display::start(experiment, &underway.plan, underway.progress.clone());
    experiment.load_begins();
    let prefix = format!("{:016x}-{}", nonce(), underway.index);
    let progress = underway.progress.clone();
    let ended = runtime.block_on(run::run(&underway.plan, client, &control, progress, out, &prefix));
    if !experiment.host.abort_requested() {
        // The sessions have ended, and their last records are still to become rows.
        os::give_back_memory();
    }
    display.finish();
    underway.finish(experiment, ended)
}

fn nonce() -> u64 {
    (os::wall() as u64).rotate_left(16) ^ u64::from(std::process::id())
}

/// A run that goes on, and what listens to it.
struct Underway<'a> {
    plan: Arc<Plan>,
    ready: &'a Ready,
    folder: Arc<Folder>,
    index: u32,
    traffic_hash: String,
    collector: Collector,
    progress: Arc<Progress>,
    scraping: Scraping,
}

impl<'a> Underway<'a> {
    fn start(
        experiment: &Experiment,
        plan: Plan,
        ready: &'a Ready,
        folder: Arc<Folder>,
    ) -> Result<(Underway<'a>, Arc<Client>, mpsc::Sender<Message>)> {
        let index = experiment.next_run();
        let plan = Arc::new(plan);
        let traffic_hash = run::planned::hash(&plan);
        let client = Arc::new(experiment.client(&plan.target)?);
        let (out, inbox) = mpsc::channel(CHANNEL);
        let rows = parts::requests_folder(folder.path());
        experiment.quota.check_rows(&rows)?;
        let quota = (experiment.quota.clone(), rows);
        let collector = Collector::start(&folder, index, &plan, ready.tokens.clone(), quota, inbox)?;
        let progress = Arc::new(Progress::of(client.live()));
        let scraping = Scraping::start(&plan.target, progress.clone(), folder.path(), &plan.name, index)?;
        let underway = Underway { plan, ready, folder, index, traffic_hash, collector, progress, scraping };
        Ok((underway, client, out))
    }

    /// What became of the run, told and kept.
    fn finish(self, experiment: &Experiment, ended: Result<Ended>) -> Result<(Finished, Result<()>)> {
        let at_once = experiment.host.abort_requested();
        let scraped = self.scraping.stop(at_once);
        let Collected { mut summary, writer, failed, full, series, rows } = self.collector.finish()?;
        let mut ended = ended?;
        ended.unrecorded = self.progress.started.load(Ordering::Relaxed).saturating_sub(rows);
        let scrapes = scraped.scrapes.clone();
        summary.hear(scrapes.counters.since(summary.span().map_or(0, |(start, _)| start)));
        let report = Report::new(&summary, &intent(&self.plan), &ended.health, writer.blocked_ms());
        summary.attach(report);
        summary.adapt(self.ready.adaptions.clone());
        let finished = Finished {
            plan: self.plan,
            summary: Arc::new(summary),
            ended: Arc::new(ended),
            folder: self.folder,
            tokenizer: self.ready.tokens.name(),
            traffic_hash: self.traffic_hash,
            scrapes: Arc::new(scrapes),
        };
        // Before any file is finished, and whatever becomes of the files.
        tell(experiment, &finished);
        let finish = || if at_once { writer.finish_at_once() } else { writer.finish() };
        let kept = failed.map_or_else(finish, Err).and_then(|written| {
            let zero = self.progress.zero().unwrap_or_default();
            if let Err(error) = scraped.save(zero, series.points(finished.ended.lasted)) {
                experiment.console.warn(&error.to_string());
            }
            keep(experiment, &finished, self.ready, self.index, written)
        });
        // What cannot be kept can still be read.
        kept.inspect_err(|_| tell_table(experiment, &finished, false))?;
        let judged = judge(experiment, &finished).and_then(|()| full.map_or(Ok(()), Err));
        Ok((finished, judged))
    }
}

/// One line of what a run came to.
fn tell(experiment: &Experiment, finished: &Finished) {
    let lang = experiment.console.words();
    let (name, told) = (unbroken(&finished.plan.name), table::line(&finished.summary, lang));
    let label = experiment.cells.label();
    experiment.console.mention(&format!("{label}{name}{}{told}", lang.colon()));
}

fn tell_table(experiment: &Experiment, finished: &Finished, reasons_told: bool) {
    let lang = experiment.switches.lang;
    experiment.console.tell(&finished.summary.table_named(&finished.plan.name, reasons_told, lang));
}

/// Writes what is known of a finished run beside its rows.
fn keep(
    experiment: &Experiment,
    finished: &Finished,
    ready: &Ready,
    index: u32,
    written: Written,
) -> Result<()> {
    let requests = written.rows;
    let row = row::row(finished, index, written);
    runs::append(finished.folder.path(), experiment.secrets.scrub_map(row))?;
    if finished.plan.requests.is_none() {
        recorded::tell_of(&experiment.console, &finished.plan, requests);
    }
    manifest::add_run(experiment, finished, ready, (index, requests))
}

/// What the end of a run means for the process.
fn judge(experiment: &Experiment, finished: &Finished) -> Result<()> {
    let name = &finished.plan.name;
    // What has no row is missing from every number: no doubt about them says more than that.
    let report = finished.summary.report().filter(|_| finished.ended.unrecorded == 0);
    let lang = experiment.console.words();
    if let Some(report) = report
        && report.verdict() != Verdict::Valid
    {
        experiment.doubt(name, report.verdict().name(), report.sentences(lang));
    }
    let of_run = lang.of_run(name);
    let remarks = report.filter(|_| !experiment.tells_in_tables());
    for remark in remarks.iter().flat_map(|report| &report.remarks) {
        experiment.console.warn(&format!("{of_run}{}", remark.text(lang)));
    }
    match &finished.ended.reason {
        Reason::Interrupted => {
            tell_table(experiment, finished, !experiment.tells_in_tables());
            let place = finished.folder.path().display().to_string();
            let (never_sent, unrecorded) = (finished.ended.never_sent, finished.ended.unrecorded);
            let told = lang.interrupted_run(&place, never_sent, unrecorded);
            return Err(Error::new(Kind::Interrupted, told));
        }
        Reason::Early(why) => experiment.problem(format!("{of_run}{}", lang.ended_early(&lang.early(why)))),
        _ => {}
    }
    let tally = finished.summary.tally();
    let told: Vec<String> = tally.failures.list().iter().take(FAILURES_TOLD).map(Failed::to_string).collect();
    let told = if told.is_empty() { String::new() } else { format!("{}{}", lang.colon(), told.join(", ")) };
    let (failed, requests) = (tally.failed(), tally.requests);
    if tally.succeeded == 0 || 2 * failed > requests {
        experiment.problem(format!("{of_run}{}{told}", lang.mostly_failed(failed, requests)));
    }
    Ok(())
}

/// What Ctrl-C asks of a run. The first one says how to end it at once, since streams that hang
/// may take minutes to end by themselves.
fn watching(experiment: &Experiment, progress: &Arc<Progress>) -> Control {
    let (host, progress) = (experiment.host.clone(), progress.clone());
    let lang = experiment.console.words();
    let told = AtomicBool::new(false);
    Control::watching(move || match (host.abort_requested(), host.stop_requested()) {
        (true, _) => Stop::Abort,
        (false, true) => {
            let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
            let flying = count(&progress.started).saturating_sub(count(&progress.finished));
            if flying > 0 && !told.swap(true, Ordering::Relaxed) {
                host.err(&lang.stopping(flying));
            }
            Stop::Drain
        }
        (false, false) => Stop::No,
    })
}
