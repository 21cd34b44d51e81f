//! `measure`: runs plans from their first connection to their rows in the results folder.

use super::collect::behind::News;
use super::collect::{Collected, Collector};
use super::display::Display;
use super::expected_load::intent;
use super::findings::RunEnd;
use super::finished::Finished;
use super::scraping::Scraping;
use super::server::Ready;
use super::{Experiment, folder, hooks, manifest, recorded, recover, row, vllm};
use crate::client::{Client, Http, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::os;
use crate::run::{self, Control, Ended, Load, Message, Plan, Progress, Reason, Stop, room};
use crate::stats::counts::Failed;
use crate::stats::names::{Metric, Name, Statistic};
use crate::stats::own::{OwnRow, OwnValues};
use crate::stats::report::Report;
use crate::stats::runs as table;
use crate::stats::verdict::Verdict;
use crate::stats::words::unbroken;
use crate::store::saving::{Saving, Trouble};
use crate::store::writer::RowsWritten;
use crate::store::{Folder, RunIdentity, journal, own_metrics, parts, runs, statistics, tables};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Records between the sessions and the collector.
const CHANNEL: usize = 8192;

/// Why a load ended whose rows can neither be written nor held.
pub(super) const UNSAVED: &str = "no more rows could be held for a disk that takes none";

/// Kinds of failures that the end of a run tells.
const FAILURES_TOLD: usize = 4;

/// Runs plans at the same time, from their first connections to their rows in `runs.parquet`. Beside
/// each result, what its end means for the process: an interruption is an error, and what was
/// measured is kept.
///
/// An error means that nothing was measured, or that what was could not be kept.
pub fn measure(experiment: &Experiment, plans: Vec<(Plan, &Ready)>) -> Result<Vec<(Finished, Result<()>)>> {
    let runtime = experiment.runtime()?;
    let clients = runtime.block_on(clients(plans.iter().map(|(plan, _)| plan)))?;
    let asks: Vec<_> = plans.iter().zip(&clients).map(|((plan, _), client)| (plan, &**client)).collect();
    room::divide(&asks).map_err(|error| Error { kind: experiment.kind_of_fault(), ..error })?;
    let Some((first, _)) = plans.first() else { return Ok(Vec::new()) };
    let folder = folder::need(experiment, Some(&first.target.model))?;
    let place = folder.path().display().to_string();
    let names: Vec<_> = plans.iter().map(|(plan, _)| unbroken(&plan.name)).collect();
    let lost = experiment.console.words().interrupted_at_once(&place, &names.join(", "));
    let _measuring = experiment.host.measuring(experiment.secrets.scrub(&lost).into_owned());
    let (mut underway, mut outs) = (Vec::new(), Vec::new());
    for ((plan, ready), client) in plans.into_iter().zip(&clients) {
        let (started, out) = Underway::start(experiment, plan, ready, folder.clone(), Some(client))?;
        underway.push(started);
        outs.push(out);
    }
    let saving = underway.iter().map(|run| run.collector.saving().clone()).collect();
    let news = underway.iter().map(|run| run.news.clone()).collect();
    let progress = underway.iter().map(|run| run.progress.clone()).collect();
    let control = watching(experiment, progress, saving, news);
    // The line has room for one of them.
    let display = Display::start(experiment, &underway[0].plan, underway[0].progress.clone());
    experiment.load_begins();
    let loads = underway.iter().zip(clients).zip(outs).map(|((run, client), out)| Load {
        plan: &run.plan,
        client,
        progress: run.progress.clone(),
        out,
        id_prefix: &run.id_prefix,
    });
    let ended = runtime.block_on(run::together(loads.collect(), &control));
    if !experiment.host.abort_requested() {
        // The sessions have ended, and their last records are still to become rows.
        os::give_back_memory();
    }
    display.finish();
    let mut ended = ended.map(Vec::into_iter);
    let finished = underway.into_iter().map(|run| {
        let ended = ended.as_mut().map(|ended| ended.next().expect("each load has an end"));
        run.finish(experiment, ended.map_err(|error| error.clone()))
    });
    // All of them before the first error ends it: what was measured is kept.
    finished.collect::<Vec<_>>().into_iter().collect()
}

/// Clients that share what sends and reads.
async fn clients<'a>(plans: impl Iterator<Item = &'a Plan>) -> Result<Vec<Arc<Client>>> {
    let transport = Transport::start()?;
    let mut clients = Vec::new();
    for plan in plans {
        let http = Http::new(plan.target.clone(), transport.clone()).await?;
        clients.push(Arc::new(Client::Http(Box::new(http))));
    }
    Ok(clients)
}

fn nonce() -> u64 {
    (os::wall() as u64).rotate_left(16) ^ u64::from(std::process::id())
}

/// A run that goes on, and what listens to it.
pub(super) struct Underway<'a> {
    pub plan: Arc<Plan>,
    ready: &'a Ready,
    folder: Arc<Folder>,
    of: RunIdentity,
    /// Starts every `x-request-id`.
    id_prefix: String,
    traffic_hash: String,
    collector: Collector,
    progress: Arc<Progress>,
    scraping: Scraping,
    /// What its hooks have to say while it goes on.
    news: Arc<News>,
}

impl<'a> Underway<'a> {
    /// `client`: none of a run that is simulated.
    pub fn start(
        experiment: &Experiment,
        plan: Plan,
        ready: &'a Ready,
        folder: Arc<Folder>,
        client: Option<&Client>,
    ) -> Result<(Underway<'a>, mpsc::Sender<Message>)> {
        let index = experiment.next_run();
        let id_prefix = format!("{:016x}-{index}", nonce());
        let plan = Arc::new(plan);
        let traffic_hash = run::planned::hash(&plan);
        let (out, inbox) = mpsc::channel(CHANNEL);
        let rows = [parts::requests_folder(folder.path()), journal::folder(folder.path())];
        experiment.quota.check_rows(&rows)?;
        let quota = (experiment.quota.clone(), rows);
        let of = folder.identity(index, &plan.name, &plan.traffic)?.of_cell(&plan.cell);
        let news = Arc::new(News::default());
        let collector =
            Collector::start(&folder, of.clone(), &plan, ready.tokens.clone(), quota, news.clone(), inbox)?;
        tell_troubles(experiment, &plan, collector.saving());
        let note = note(experiment, &plan, ready, &of, &traffic_hash);
        journal::begin(folder.path(), of.index, &experiment.secrets.scrub_map(note))?;
        let progress = Arc::new(Progress::of(client.map(Client::live).unwrap_or_default()));
        let scraping =
            Scraping::start(client.map(|_| &*plan.target), progress.clone(), folder.path(), of.clone())?;
        let underway = Underway {
            plan,
            ready,
            folder,
            of,
            id_prefix,
            traffic_hash,
            collector,
            progress,
            scraping,
            news,
        };
        Ok((underway, out))
    }

    /// What became of the run, told and kept.
    pub fn finish(self, experiment: &Experiment, ended: Result<Ended>) -> Result<(Finished, Result<()>)> {
        let at_once = experiment.host.abort_requested();
        let scraped = self.scraping.stop(at_once);
        let saving = self.collector.saving().clone();
        let Collected { mut summary, writer, full, series, rows, own } = self.collector.finish()?;
        let mut ended = ended?;
        if ended.reason == Reason::Interrupted && saving.is_full() && !experiment.host.stop_requested() {
            ended.reason = Reason::Early(UNSAVED.to_string());
        }
        if let Some(reason) = hooks::reason(&self.news, &ended.reason, experiment.host.stop_requested()) {
            ended.reason = reason;
        }
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
            own: Arc::new(OwnValues::of(&own)),
            hooks_skipped: self.news.skipped(),
        };
        // Before any file is finished, and whatever becomes of the files.
        tell(experiment, &finished);
        let finish = || if at_once { writer.finish_at_once() } else { writer.finish() };
        let kept = finish().and_then(|written| {
            let zero = self.progress.zero().unwrap_or_default();
            if let Err(error) = scraped.save(zero, series.points(finished.ended.lasted)) {
                experiment.console.warn(&error.to_string());
            }
            keep(experiment, &finished, self.ready, &self.of, (written, &own))
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
    of: &RunIdentity,
    (written, own): (RowsWritten, &[OwnRow]),
) -> Result<()> {
    let requests = written.rows;
    let path = finished.folder.path();
    let parameters = experiment.findings().params.iter().cloned().collect();
    let row = row::row(finished, of, written, parameters);
    let zero_ms = finished.ended.zero_ms;
    tables::make_absent(path, &[(of, zero_ms)])?;
    own_metrics::append(path, of, zero_ms, &hooks::rows(own))?;
    let mut numbers = row::statistics(&finished.summary);
    // A second Ctrl-C leaves no time to read the rows back.
    if !experiment.host.abort_requested() {
        match row::class_statistics(path, &of.run, &finished.summary) {
            Ok((of_classes, warnings)) => {
                numbers.extend(of_classes);
                warnings.iter().for_each(|warning| experiment.console.warn(warning));
            }
            Err(error) => experiment.console.warn(&error.context("no numbers of classes").to_string()),
        }
    }
    statistics::append(path, of, zero_ms, &numbers)?;
    if finished.plan.requests.is_none() {
        recorded::tell_of(&experiment.console, &finished.plan, requests);
    }
    manifest::add_run(experiment, finished, ready, (of, requests))?;
    // Last: a run that has its row has all the rest, too, and one that has none is completed by others.
    runs::append(path, experiment.secrets.scrub_map(row))?;
    if experiment.resumed.is_some() {
        in_order(experiment, path)?;
    }
    journal::end(path, of.index);
    Ok(())
}

/// Puts runs that were made later in the order in which they were asked for.
fn in_order(experiment: &Experiment, folder: &Path) -> Result<()> {
    let places: HashMap<String, usize> =
        experiment.findings().plans.iter().enumerate().map(|(i, plan)| (plan.name.clone(), i)).collect();
    let place = |row: &Map<String, Value>| places.get(row.get("run")?.as_str()?).copied();
    let mut rows = runs::rows(folder)?;
    if rows.is_sorted_by_key(place) {
        return Ok(());
    }
    rows.sort_by_key(place);
    runs::save(folder, &rows)
}

/// What is known of a run before it begins, for whoever completes its folder should we be killed.
fn note(
    experiment: &Experiment,
    plan: &Plan,
    ready: &Ready,
    of: &RunIdentity,
    traffic_hash: &str,
) -> Map<String, Value> {
    let meta = vllm::meta_of_plan(
        plan,
        &ready.tokens.name(),
        os::wall() / 1_000_000,
        plan.requests.unwrap_or_default(),
    );
    let parameters = experiment.findings().params.iter().cloned().collect();
    let asked = row::asked(plan, meta, of, traffic_hash, parameters);
    recover::note(asked, plan, plan.window_start(), &intent(plan))
}

/// What the end of a run means for the process.
fn judge(experiment: &Experiment, finished: &Finished) -> Result<()> {
    let name = &finished.plan.name;
    // What has no row is missing from every number: no doubt about them says more than that.
    let report = finished.summary.report().filter(|_| finished.ended.unrecorded == 0);
    let lang = experiment.console.words();
    let verdict = report.map(Report::verdict);
    let doubted = report.filter(|_| verdict != Some(Verdict::Valid));
    experiment.run_ended(RunEnd {
        name: name.clone(),
        seconds: finished.summary.number(Name::new(Metric::Duration, Statistic::Sum)),
        verdict: verdict.map(Verdict::name),
        reasons: doubted.map(|report| report.sentences(lang)).unwrap_or_default(),
        problems: Vec::new(),
        line: table::line(&finished.summary, lang),
    });
    let of_run = lang.of_run(name);
    let remarks = report.filter(|_| !experiment.tells_in_tables());
    for remark in remarks.iter().flat_map(|report| &report.remarks) {
        experiment.console.warn(&format!("{of_run}{}", remark.text(lang)));
    }
    hooks::tell(&experiment.console, finished);
    match &finished.ended.reason {
        Reason::Interrupted => {
            tell_table(experiment, finished, !experiment.tells_in_tables());
            let place = finished.folder.path().display().to_string();
            let (never_sent, unrecorded) = (finished.ended.never_sent, finished.ended.unrecorded);
            let told = lang.interrupted_run(&place, never_sent, unrecorded);
            return Err(Error::new(ErrorKind::Interrupted, told));
        }
        Reason::Preparation(error) => {
            tell_table(experiment, finished, !experiment.tells_in_tables());
            return Err(Error { message: format!("{of_run}{}", error.message), ..error.clone() });
        }
        Reason::Enough(place) => {
            experiment.console.mention(&format!("{of_run}{}", lang.stopped_by_script(place)));
        }
        Reason::Early(why) => experiment.problem_of(name, lang.ended_early(&lang.early(why))),
        _ => {}
    }
    let tally = finished.summary.tally();
    let told: Vec<String> = tally.failures.list().iter().take(FAILURES_TOLD).map(Failed::to_string).collect();
    let told = if told.is_empty() { String::new() } else { format!("{}{}", lang.colon(), told.join(", ")) };
    let (failed, requests) = (tally.failed(), tally.requests);
    if tally.succeeded + tally.left == 0 || 2 * failed > requests {
        experiment.problem_of(name, format!("{}{told}", lang.mostly_failed(failed, requests)));
    }
    Ok(())
}

/// What Ctrl-C asks of the runs. The first one says how to end it at once, since streams that hang
/// may take minutes to end by themselves.
fn watching(
    experiment: &Experiment,
    progress: Vec<Arc<Progress>>,
    saving: Vec<Arc<Saving>>,
    news: Vec<Arc<News>>,
) -> Control {
    let host = experiment.host.clone();
    let lang = experiment.console.words();
    let told = AtomicBool::new(false);
    Control::watching(move || match (host.abort_requested(), host.stop_requested()) {
        (true, _) => Stop::Abort,
        (false, true) => {
            let flying = progress.iter().map(|progress| progress.in_flight()).sum();
            if flying > 0 && !told.swap(true, Ordering::Relaxed) {
                host.err(&lang.stopping(flying));
            }
            Stop::Drain
        }
        (false, false) if saving.iter().any(|saving| saving.is_full()) => Stop::Drain,
        (false, false) if news.iter().any(|news| news.wants_the_end()) => Stop::Drain,
        (false, false) => Stop::No,
    })
}

/// Says what happens to the saving of a run's rows when it happens.
fn tell_troubles(experiment: &Experiment, plan: &Plan, saving: &Saving) {
    let console = experiment.console.clone();
    let of_run = console.words().of_run(&plan.name);
    saving.listen(move |trouble| {
        let told = console.words().trouble(&trouble);
        match trouble {
            Trouble::Over => console.mention(&format!("{of_run}{told}")),
            _ => console.warn(&format!("{of_run}{told}")),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::args::Args;
    use crate::experiment::program::Program;
    use crate::experiment::switches::Switches;
    use crate::host::Host;
    use crate::run::tests::{closed, plan};
    use crate::store::reader;
    use crate::tokens::Tokens;
    use crate::workload::Turn;
    use crate::workload::testing::Talks;
    use std::time::Duration;

    #[test]
    fn a_request_that_cannot_be_made_is_an_error_and_the_rows_before_it_are_kept() {
        for (panics, session, turn, rows) in [(false, 4, 0, 8), (true, 0, 1, 1)] {
            let parent = tempfile::tempdir().expect("a folder");
            let host = Host::fake(parent.path(), &[]);
            let program = Program { name: "a.rhai".into(), text: String::new(), path: None, built_in: false };
            let experiment = Experiment::new(program, &Args::default(), Switches::default(), host, None)
                .expect("an experiment");
            let workload = Talks::told(move |seq, n, _| match (seq, n) == (session, turn) {
                true if panics => panic!("no ink"),
                true => Err(Error::run("no ink")),
                false => Ok((n < 2).then(|| Turn::of(seq, n, Duration::ZERO))),
            });
            // Nobody listens there: each request fails, and is a row.
            let plan = Plan { workload, requests: Some(100), ..plan(closed(1)) };
            let ready = Ready {
                target: plan.target.clone(),
                tokens: Arc::new(Tokens::Words),
                facts: Arc::default(),
                notes: Arc::default(),
                adaptions: Arc::default(),
                simulated: None,
            };
            let mut measured = measure(&experiment, vec![(plan, &ready)]).expect("it is kept");
            let (finished, judged) = measured.pop().expect("one run");
            let error = judged.expect_err("it cannot go on");
            let what = if turn == 0 { "request 4" } else { "turn 1 of session 0" };
            assert_eq!((error.kind, error.kind.exit_code()), (ErrorKind::Run, 1));
            assert_eq!(error.message, format!("run cell: cannot make {what}: no ink"));
            let mut kept = 0;
            reader::requests(finished.folder.path(), None, |_, _| kept += 1).expect("rows");
            assert_eq!(kept, rows);
        }
    }
}
