//! Throughput once more, from the rows of a run and by the words of docs/metrics.md alone: it must
//! be what the table says, however the run began and ended.

use super::{Collector, Folder, Quota};
use crate::client::{Client, Fake};
use crate::os;
use crate::random::Stream;
use crate::record::{EventKind, Events, Nanos, Outcome, PackedRecord, Phase, Record, Timeline, Usage};
use crate::run::plan::{MaxErrors, OverCap, Plan, Warmup};
use crate::run::tests::{alone, plan};
use crate::run::{self, Control, Message, Progress, Stop};
use crate::schedule::{Process, Shape};
use crate::stats::vllm::{Meta, VllmResult};
use crate::stats::{Summary, Window, fixture};
use crate::store::{journal, parts, reader};
use crate::tokens::Tokens;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

const MS: Nanos = 1_000_000;

/// What a run must say of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Recount {
    window: (Nanos, Nanos),
    ended: f64,
    input: f64,
    output: f64,
    /// The measured successes, their output tokens, and the end of the last measured request.
    completed: f64,
    completed_tokens: f64,
    last_end: Nanos,
}

/// By the definition. `None`: nothing was measured, and nothing arrived.
fn recount(plan: &Plan, rows: &[Record]) -> Option<Recount> {
    let latest = |start: Nanos| plan.duration.map_or(Nanos::MAX, |time| start + time.as_nanos() as Nanos);
    let by_phase = |phase| rows.iter().filter(move |row| row.phase == phase);
    // Of a closed loop that warms up with so many requests only the first one after them tells.
    let start =
        plan.window_start().or_else(|| by_phase(Phase::Measured).map(|row| row.timeline.planned).min())?;
    let measured: Vec<&Record> =
        by_phase(Phase::Measured).filter(|row| row.timeline.planned <= latest(start)).collect();
    let last_of_all = rows.iter().map(|row| row.timeline.end).max().filter(|last| *last > start);
    let last = measured.iter().map(|row| row.timeline.end).max().or(last_of_all)?;
    // What was due at once may have ended before the zero.
    let window = (start, last.max(start).min(latest(start)));
    let completed: Vec<&&Record> = measured.iter().filter(|row| row.success()).collect();
    let mut found = Recount {
        window,
        completed: completed.len() as f64,
        completed_tokens: completed
            .iter()
            .map(|row| row.output_tokens().map_or(0.0, |n| f64::from(n.0)))
            .sum(),
        last_end: last,
        ..Recount::default()
    };
    rows.iter().filter(|row| row.success()).for_each(|row| add(&mut found, row));
    Some(found)
}

fn add(found: &mut Recount, row: &Record) {
    let timeline = &row.timeline;
    let inside = |at: Nanos| found.window.0 < at && at <= found.window.1;
    let events = &timeline.events;
    let outputs: Vec<usize> = if row.streamed { events.output().collect() } else { Vec::new() };
    let at = |i: usize| timeline.sent.expect("a success was sent") + Nanos::from(events.at_us[i]) * 1_000;
    let told = outputs.iter().all(|i| events.tokens[*i] > 0);
    let weight = |i: &usize| if told { f64::from(events.tokens[*i]) } else { 1.0 };
    let part = match outputs.is_empty() {
        true => f64::from(u8::from(inside(timeline.end))),
        false => {
            let arrived: f64 = outputs.iter().filter(|i| inside(at(**i))).map(weight).sum();
            arrived / outputs.iter().map(weight).sum::<f64>()
        }
    };
    found.ended += f64::from(u8::from(inside(timeline.end)));
    let answered = inside(outputs.first().map_or(timeline.end, |i| at(*i)));
    found.output += row.output_tokens().map_or(0.0, |(n, _)| f64::from(n)) * part;
    found.input += row.input_tokens().filter(|_| answered).map_or(0.0, f64::from);
}

/// Holds a finished run to its rows; the case is named in what fails.
fn hold(case: &str, plan: &Plan, summary: &Summary, rows: &[Record]) {
    let say = |summary: &Summary, name: &str| summary.value(name).expect("a name");
    let Some(found) = recount(plan, rows) else {
        assert_eq!(say(summary, "requests.rate"), None, "{case}");
        return;
    };
    assert_eq!(summary.span(), Some(found.window), "{case}");
    let seconds = (found.window.1 - found.window.0) as f64 / 1e9;
    let mut again = Summary::new(
        Window::Over { start: found.window.0, end: found.window.1 },
        plan.slo.clone(),
        plan.open(),
    );
    rows.iter().for_each(|row| again.add(row));
    for (name, amount) in [
        ("requests.rate", found.ended),
        ("input_tokens.rate", found.input),
        ("output_tokens.rate", found.output),
        ("total_tokens.rate", found.input + found.output),
    ] {
        let rate = (seconds > 0.0).then(|| amount / seconds);
        for summary in [summary, &again] {
            near(&format!("{case}: {name}"), say(summary, name), rate);
        }
    }
    let vllm = VllmResult::new(summary, Meta::default());
    let seconds = (found.last_end - found.window.0) as f64 / 1e9;
    for (key, amount) in
        [("request_throughput", found.completed), ("output_throughput", found.completed_tokens)]
    {
        let rate = (seconds > 0.0 && found.completed > 0.0).then(|| amount / seconds);
        let told = vllm.map()[key].as_f64().filter(|_| found.completed > 0.0);
        near(&format!("{case}: {key}"), told, rate);
    }
}

fn near(what: &str, told: Option<f64>, counted: Option<f64>) {
    match (told, counted) {
        (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-6 + 1e-7 * b, "{what}: told {a}, counted {b}"),
        (a, b) => assert_eq!(a, b, "{what}"),
    }
}

/// Starts the collector of a run in a folder of its own.
fn collecting(plan: &Arc<Plan>) -> (tempfile::TempDir, Folder, mpsc::Sender<Message>, Collector) {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(parent.path(), "recount", "20260101_000000").expect("a folder");
    let (out, inbox) = mpsc::channel(4096);
    let quota = (
        Arc::new(Quota::new(None, true)),
        [parts::requests_folder(folder.path()), journal::folder(folder.path())],
    );
    let of = folder.identity(0, &plan.name, &plan.traffic).expect("a folder");
    let collector =
        Collector::start(&folder, of, plan, Arc::new(Tokens::Words), quota, Arc::default(), inbox)
            .expect("it starts");
    (parent, folder, out, collector)
}

fn rows(folder: &Folder) -> Vec<Record> {
    let mut rows = Vec::new();
    reader::requests(folder.path(), None, |_, row| rows.push(row)).expect("readable");
    rows
}

/// A duration from 0 to `most` milliseconds.
fn up_to(rng: &mut ChaCha8Rng, most: u64) -> Duration {
    Duration::from_micros(rng.random_range(0..=most * 1_000))
}

/// One of these, each as likely.
fn one_of<T: Clone, const N: usize>(choices: [T; N], rng: &mut ChaCha8Rng) -> T {
    choices[rng.random_range(0..choices.len())].clone()
}

/// A plan of a fraction of a second: any kind of loop, warm-up and end.
fn random_plan(rng: &mut ChaCha8Rng) -> Plan {
    let places = rng.random_range(1..6);
    let per_second = rng.random_range(50.0..400.0);
    let arrivals = one_of(
        [
            Shape::Closed { places, from: places, over: 0.0 },
            Shape::Closed { places, from: 1, over: 0.02 },
            Shape::Rate { per_second, process: Process::Poisson },
            Shape::Rate { per_second, process: Process::Even },
            Shape::AtOnce,
        ],
        rng,
    );
    let closed = matches!(arrivals, Shape::Closed { .. });
    // A burst has no time before it.
    let burst = arrivals == Shape::AtOnce;
    let warm = if burst { Warmup::None } else { Warmup::Time(up_to(rng, 60)) };
    let (most, count) = (rng.random_range(1..40), rng.random_range(1..12));
    let time = Duration::from_millis(20) + up_to(rng, 80);
    let (requests, duration) = one_of(
        [(Some(most), None), (Some(most), Some(time)), (None, Some(time)), (Some(most), Some(time * 20))],
        rng,
    );
    // A burst ends by its number alone.
    let (requests, duration) = if burst { (requests.or(Some(most)), duration) } else { (requests, duration) };
    Plan {
        cap: if closed { None } else { one_of([None, Some(2), Some(5)], rng) },
        over_cap: one_of([OverCap::Wait, OverCap::Drop], rng),
        warmup: one_of([Warmup::None, Warmup::Requests(count), warm], rng),
        drain: one_of([None, None, Some(Duration::from_millis(4))], rng),
        max_errors: one_of([None, None, Some(MaxErrors::Count(3))], rng),
        seed: rng.random(),
        requests,
        duration,
        ..plan(arrivals)
    }
}

/// The loop itself with a client whose replies differ in everything, through the collector and
/// back from disk.
#[test]
fn the_rates_of_random_runs_are_those_of_their_rows() {
    for seed in 0..36 {
        let rng = &mut Stream::new(seed, "recount", "runs").at(0);
        let plan = Arc::new(random_plan(rng));
        let stop_after = one_of([None, None, Some(up_to(rng, 60))], rng);
        let abort_after = stop_after.map(|stop| stop + up_to(rng, 20));
        let (_parent, folder, out, collector) = collecting(&plan);
        let progress = Arc::new(Progress::default());
        let theirs = progress.clone();
        let control = Control::watching(move || {
            let Some(zero) = theirs.zero() else { return Stop::No };
            let since = |time: Duration| os::now() - zero > time.as_nanos() as Nanos;
            match (stop_after, abort_after) {
                (_, Some(time)) if since(time) => Stop::Abort,
                (Some(time), _) if since(time) && theirs.finished.load(Relaxed) > 0 => Stop::Drain,
                _ => Stop::No,
            }
        });
        let client =
            Arc::new(Client::Fake(Fake::varied(Duration::from_micros(rng.random_range(500..25_000)))));
        let runtime = run::runtime().expect("a runtime");
        let ended = runtime.block_on(alone(&plan, client, &control, progress, out));
        let collected = collector.finish().expect("it collects");
        let written = collected.writer.finish().expect("it writes");
        let rows = rows(&folder);
        assert_eq!(rows.len() as u64, written.rows);
        let what = (&plan.arrivals, plan.warmup, plan.requests, plan.duration, plan.cap, plan.over_cap);
        let case = format!("seed {seed}: {what:?}, drain {:?}, {:?}", plan.drain, ended.reason);
        hold(&case, &plan, &collected.summary, &rows);
    }
}

/// A run that was ended before anything measured was recorded, while replies of its warm-up still came.
#[test]
fn a_run_of_which_only_the_warm_up_was_recorded_has_the_window_that_its_rows_tell() {
    let closed = Shape::Closed { places: 1, from: 1, over: 0.0 };
    let even = Shape::Rate { per_second: 100.0, process: Process::Even };
    for (arrivals, warmup, known) in [
        // The request that opened the window was given up, and no record came of it.
        (closed.clone(), Warmup::Requests(1), false),
        (even, Warmup::Requests(1), true),
        (closed, Warmup::Time(Duration::from_millis(10)), true),
    ] {
        let plan = Arc::new(Plan { warmup, ..plan(arrivals) });
        let (_parent, folder, out, collector) = collecting(&plan);
        let mut record = fixture::reply(0, 0).tokens_at(&[5, 40]).usage(9, 2).record();
        record.phase = Phase::Warmup;
        let start = plan.window_start().unwrap_or(10 * MS);
        for message in [Message::Window(start), Message::Record(PackedRecord::from(record)), Message::End] {
            out.blocking_send(message).expect("it listens");
        }
        let collected = collector.finish().expect("it collects");
        collected.writer.finish().expect("it writes");
        let case = format!("{:?}, {:?}", plan.arrivals, plan.warmup);
        assert_eq!(collected.summary.span().is_some(), known, "{case}");
        hold(&case, &plan, &collected.summary, &rows(&folder));
    }
}

/// A reply as a server might stream it, or send it whole, or fail; sent at `sent`.
fn random_record(rng: &mut ChaCha8Rng, seq: u64, planned: Nanos, sent: Nanos) -> Record {
    let mut timeline = Timeline::planned(planned, sent);
    timeline.sent = Some(sent);
    timeline.events = Events::default();
    let streamed = rng.random_bool(0.85);
    let told = rng.random_bool(0.3);
    let mut at_us = 0;
    if streamed {
        timeline.events.push(rng.random_range(1..2_000), EventKind::ROLE, 0, 0);
        at_us = 2_000;
        for _ in 0..rng.random_range(0..60) {
            // Now and then one read brings two events.
            at_us += one_of([0, 300, 1_000, 9_000], rng) + rng.random_range(0..3);
            let tokens = if told { rng.random_range(1..9) } else { 0 };
            timeline.events.push(at_us, one_of([EventKind::CONTENT, EventKind::REASONING], rng), tokens, 4);
        }
        timeline.events.push(at_us, EventKind::FINISH, 0, 0);
    }
    timeline.end = sent + Nanos::from(at_us) * 1_000 + rng.random_range(1_000..40 * MS);
    let usage = Usage {
        input: one_of([None, Some(rng.random_range(1..999))], rng),
        output: one_of([None, Some(0), Some(rng.random_range(1..999))], rng),
        ..Usage::default()
    };
    let outcome = one_of([Outcome::Success, Outcome::Success, Outcome::Success, Outcome::Truncated], rng);
    Record { streamed, timeline, outcome, usage, ..fixture::reply(seq, 0).record() }
}

/// A closed loop, computed: each place plans its next request at the end of its last.
fn computed_loop(rng: &mut ChaCha8Rng, plan: &Plan, places: usize, n: u64, stop: Nanos) -> Vec<Record> {
    let mut free = vec![0; places];
    let mut records = Vec::new();
    for seq in 0..n {
        let place = (0..places).min_by_key(|place| free[*place]).expect("a place");
        let planned = free[place];
        let start = match plan.warmup {
            Warmup::Requests(warm) => records.get(warm as usize).map(|first: &Record| first.timeline.planned),
            Warmup::Time(time) => Some(time.as_nanos() as Nanos),
            Warmup::None => Some(0),
        };
        let latest = start.zip(plan.duration).map(|(start, time)| start + time.as_nanos() as Nanos);
        if planned >= stop || latest.is_some_and(|latest| planned >= latest) {
            break;
        }
        let sent = planned + rng.random_range(0..200_000);
        let mut record = random_record(rng, seq, planned, sent);
        let warm = match plan.warmup {
            Warmup::None => false,
            Warmup::Requests(warm) => seq < warm,
            Warmup::Time(time) => planned < time.as_nanos() as Nanos,
        };
        record.phase = if warm { Phase::Warmup } else { Phase::Measured };
        free[place] = record.timeline.end;
        records.push(record);
    }
    records
}

/// What the loop tells the collector: records in order of their ends, a little shuffled, and where
/// the window begins as soon as that is known.
fn messages(rng: &mut ChaCha8Rng, plan: &Plan, records: Vec<Record>) -> Vec<Message> {
    let first = records.iter().find(|record| record.phase == Phase::Measured);
    let window = match plan.warmup {
        Warmup::None => Some((Nanos::MIN, 0)),
        Warmup::Time(time) => Some((Nanos::MIN, time.as_nanos() as Nanos)),
        Warmup::Requests(_) => first.map(|first| (first.timeline.planned, first.timeline.planned)),
    };
    let mut timed: Vec<(Nanos, Message)> =
        window.map(|(at, start)| (at, Message::Window(start))).into_iter().collect();
    timed.extend(records.into_iter().map(|record| {
        // What ended just before the first measured request had its place may come after the news
        // of it, and never the other way round.
        let late = if record.phase == Phase::Warmup { rng.random_range(-MS..=MS) } else { 0 };
        (record.timeline.end + late, Message::Record(PackedRecord::from(record)))
    }));
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, message)| message).collect()
}

/// Hundreds of long streams, with stragglers over both ends of the window.
#[test]
fn the_rates_of_computed_loops_are_those_of_their_rows() {
    for seed in 0..60 {
        let rng = &mut Stream::new(seed, "recount", "loops").at(0);
        let places = one_of([1, 2, 7, 40], rng);
        let n = rng.random_range(1..300);
        let time = Some(up_to(rng, 4_000));
        let plan = Arc::new(Plan {
            duration: one_of([None, time, time], rng),
            warmup: one_of(
                [Warmup::None, Warmup::Requests(rng.random_range(1..80)), Warmup::Time(up_to(rng, 1_500))],
                rng,
            ),
            ..plan(Shape::Closed { places, from: places, over: 0.0 })
        });
        let stop = one_of([Nanos::MAX, Nanos::MAX, rng.random_range(0..2_000 * MS)], rng);
        let records = computed_loop(rng, &plan, places, n, stop);
        let (_parent, folder, out, collector) = collecting(&plan);
        for message in messages(rng, &plan, records) {
            out.blocking_send(message).expect("it listens");
        }
        drop(out);
        let collected = collector.finish().expect("it collects");
        collected.writer.finish().expect("it writes");
        let case = format!("seed {seed}: {places} users, {:?}, {:?}", plan.warmup, plan.duration);
        hold(&case, &plan, &collected.summary, &rows(&folder));
    }
}
