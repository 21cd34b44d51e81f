//! Accuracy: what `rampant` measured against what the built-in engine really did.
//!
//! `cargo bench --bench truth` runs everything five times and shows medians (about six minutes);
//! `cargo bench --bench truth -- --runs 1 ttft` runs one section once. Sections: `ttft`, `itl`,
//! `poisson`. How to read the tables: `docs/performance.md`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a bench prints, and ends where it fails"
)]

#[path = "rig/mod.rs"]
mod rig;

use rampant::record::{Phase, Record};
use rampant::stats::truth::{Truth, distance_to_poisson};
use rig::load::{Load, Start};
use rig::server::Engine;
use rig::{Cores, Options, Result, child, digits, median, print_table, tell};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

/// A request as its client saw it, with what its server did.
type Pair = (Record, Truth);

fn main() -> Result<()> {
    let options = Options::read()?;
    if options.server.is_some() {
        return Err("only the built-in engine tells the truth: --server is for the benchmark cost".into());
    }
    let cores = Cores::share();
    if options.wants("ttft") {
        ttft(&options, &cores)?;
    }
    if options.wants("itl") {
        itl(&options, &cores)?;
    }
    if options.wants("poisson") {
        poisson(&options, &cores)?;
    }
    Ok(())
}

/// Runs a load against a fresh engine: every measured request with its truth, and how many cores
/// the client kept busy.
fn pairs(config: &str, load: &Load, cores: &Cores) -> Result<(Vec<Pair>, f64)> {
    let engine = Engine::start(config, cores)?;
    let folder = tempfile::tempdir()?;
    let cost = child::run(&mut load.command(&engine.url, folder.path()), &cores.client)?;
    let mut truths: HashMap<String, Truth> = engine.truth()?;
    let mut pairs = Vec::with_capacity(load.requests);
    for record in records(folder.path())? {
        let id = &record.id;
        let truth = truths.remove(id).ok_or_else(|| format!("the engine never saw request {id}"))?;
        let writes = truth.emissions_ns.len();
        if !record.success() || writes != load.tokens {
            return Err(format!("request {id} failed after {writes} writes: {:?}", record.error).into());
        }
        pairs.push((record, truth));
    }
    match pairs.len() == load.requests {
        true => Ok((pairs, cost.cpu / cost.wall)),
        false => Err(format!("{} of {} requests have a record", pairs.len(), load.requests).into()),
    }
}

/// The measured records of the one results folder in `parent`.
fn records(parent: &Path) -> Result<Vec<Record>> {
    let folder = std::fs::read_dir(parent)?.next().ok_or("rampant left no results")??;
    let mut records = Vec::new();
    let each = |_: &str, record: Record| {
        if record.phase == Phase::Measured {
            records.push(record);
        }
    };
    rampant::store::reader::requests(&folder.path(), None, each).map_err(|error| error.to_string())?;
    Ok(records)
}

/// The median of each column over all runs of one row.
fn row<const N: usize>(
    options: &Options,
    name: &str,
    mut once: impl FnMut() -> Result<[f64; N]>,
) -> Result<[f64; N]> {
    let mut runs = Vec::new();
    for run in 1..=options.runs {
        tell(format!("{name}, run {run} of {}", options.runs));
        runs.push(once()?);
    }
    Ok(std::array::from_fn(|column| median(runs.iter().map(|run| run[column]))))
}

/// Time to the first token of many requests that start at the same time.
fn ttft(options: &Options, cores: &Cores) -> Result<()> {
    let mut rows = Vec::new();
    // Beside the server, or as the system likes, which may put the client on the server's core.
    let anywhere = Cores { server: cores.server.clone(), client: Vec::new() };
    for (streams, shared) in
        [(1, false), (64, false), (256, false), (1024, false), (64, true), (256, true), (1024, true)]
    {
        let load = Load { start: Start::Together, requests: streams, tokens: 4, warmup: 0 };
        let name = format!("{streams}{}", if shared { ", any core" } else { "" });
        let cores = if shared { &anywhere } else { cores };
        let values = row(options, &format!("ttft, {name} streams"), || {
            let (pairs, busy) = pairs("ttft=50ms,itl=20ms", &load, cores)?;
            Ok(ttft_errors(&pairs, busy))
        })?;
        rows.push([vec![name], values.map(|value| digits(value, 3)).to_vec()].concat());
    }
    print_table(
        "Time to first token, ms, all requests started at once (true: 50 ms)",
        &[
            "streams",
            "server",
            "client",
            "mean error",
            "p99 error",
            "as it read",
            "write",
            "way there",
            "way back",
            "sent in",
            "CPU",
        ],
        &rows,
    );
    println!(
        "  mean error: against the kernel's time of arrival at the engine, target 0.1; as it read: against the engine's own read of the request, which waits for those before it where they come quicker than it reads\n  the error is the client's write, the way there and the way back; any core: the client may share the engine's"
    );
    Ok(())
}

/// Means of: what the server did, what the client measured, the error, its p99, the error if the
/// server's time began at its read; then the parts of the error: in the client's write, until the
/// arrival, on the way back; the time between the first and the last send; CPU.
fn ttft_errors(pairs: &[Pair], busy: f64) -> [f64; 10] {
    let zero = zero(pairs);
    let parts = pairs.iter().filter_map(|(record, truth)| {
        let (sent, written) = (record.timeline.sent?, record.timeline.written?);
        let (first, measured) = (*truth.emissions_ns.first()?, record.first_output()?);
        let real = first - truth.arrival_ns;
        let there = truth.arrival_ns - (zero + written);
        let late = truth.read_ns? - truth.arrival_ns;
        let back = zero + measured - first;
        let error = measured - sent - real;
        Some([real, measured - sent, error, error + late, written - sent, there, back, sent])
    });
    let parts: Vec<[i64; 8]> = parts.collect();
    let column = |i: usize| -> Vec<f64> { parts.iter().map(|part| part[i] as f64 / 1e6).collect() };
    let [server, client, error, as_read, write, there, back, _] = std::array::from_fn(|i| mean(&column(i)));
    let sent = column(7);
    let sent_in = quantile(&sent, 1.0) - quantile(&sent, 0.0);
    [server, client, error, quantile(&column(2), 0.99), as_read, write, there, back, sent_in, busy]
}

/// The run's zero on the engine's clock, as late as it can have been: the quickest of all tokens
/// took no time at all.
fn zero(pairs: &[Pair]) -> i64 {
    let latest =
        pairs.iter().filter_map(|(record, truth)| Some(truth.emissions_ns.first()? - record.first_output()?));
    latest.max().unwrap_or(0)
}

/// Gaps between the tokens of many streams.
fn itl(options: &Options, cores: &Cores) -> Result<()> {
    let mut rows = Vec::new();
    for (streams, busy) in [(1, false), (64, false), (256, false), (1000, false), (64, true), (256, true)] {
        let load =
            Load { start: Start::Rate(streams as f64 * 5.0), requests: streams, tokens: 200, warmup: 0 };
        let name = format!("{streams}{}", if busy { ", busy" } else { "" });
        let values = row(options, &format!("itl, {name}"), || {
            let _spinners = busy.then(Spinners::start);
            let (pairs, cpu) = pairs("ttft=50ms,itl=10ms", &load, cores)?;
            Ok(itl_errors(&pairs, cpu))
        })?;
        rows.push([vec![name], values.map(|value| digits(value, 3)).to_vec()].concat());
    }
    print_table(
        "Gaps between tokens, ms, streams out of phase (the engine aims at 10 ms)",
        &[
            "streams",
            "server p50",
            "p99",
            "client p50",
            "p99",
            "p50 error",
            "p99 error",
            "each, p50",
            "each, p99",
            "shared",
            "CPU",
        ],
        &rows,
    );
    println!(
        "  p50 error: target below 0.1; p99 error: 0.05; each: |client - server| of one and the same gap"
    );
    println!(
        "  shared: reads that brought several events, per 100 events; CPU: cores that the client kept busy"
    );
    Ok(())
}

/// A thread for every core that does nothing but take its time; dropping it ends them.
struct Spinners {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinners {
    fn start() -> Spinners {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let spin = |stop: Arc<AtomicBool>| {
            be_ordinary();
            while !stop.load(Relaxed) {}
        };
        let threads = (0..cores).map(|_| stop.clone()).map(|stop| std::thread::spawn(move || spin(stop)));
        Spinners { threads: threads.collect(), stop }
    }
}

/// Whatever priority the benchmark was started with, a spinning thread must not have it.
fn be_ordinary() {
    #[cfg(target_os = "linux")]
    // SAFETY: the parameter lives through the call.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &libc::sched_param { sched_priority: 0 });
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // A loop on a flag does not panic.
            let _ = thread.join();
        }
    }
}

/// Quantiles of the server's and of the client's gaps, their differences, the quantiles of the
/// differences gap by gap, the share of shared reads, CPU.
fn itl_errors(pairs: &[Pair], busy: f64) -> [f64; 10] {
    let (mut server, mut client, mut each) = (Vec::new(), Vec::new(), Vec::new());
    let (mut events, mut shared) = (0, 0);
    for (record, truth) in pairs {
        let real = truth.emissions_ns.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6);
        let real: Vec<f64> = real.collect();
        let measured = record.itl_ms();
        each.extend(measured.iter().zip(&real).map(|(measured, real)| (measured - real).abs()));
        server.extend(real);
        client.extend(measured);
        events += record.timeline.events.len();
        shared += record.timeline.shared_reads as usize;
    }
    let [p50, p99] = [0.5, 0.99].map(|q| (quantile(&server, q), quantile(&client, q)));
    let [each_p50, each_p99] = [0.5, 0.99].map(|q| quantile(&each, q));
    let shared = 100.0 * shared as f64 / events as f64;
    [p50.0, p99.0, p50.1, p99.1, p50.1 - p50.0, p99.1 - p99.0, each_p50, each_p99, shared, busy]
}

/// Requests at random times: how they left, and how they arrived.
fn poisson(options: &Options, cores: &Cores) -> Result<()> {
    let mut rows = Vec::new();
    for (rate, requests) in [(200.0, 6_001), (1_000.0, 12_001)] {
        let load = Load { start: Start::Rate(rate), requests, tokens: 4, warmup: 50 };
        let values = row(options, &format!("poisson, {rate}/s"), || {
            let (pairs, busy) = pairs("ttft=5ms,itl=2ms", &load, cores)?;
            Ok(send_errors(&pairs, rate, busy))
        })?;
        let decimals = [2, 2, 4, 4, 4, 4, 3, 3, 3, 3];
        let values = values.iter().zip(decimals).map(|(value, n)| digits(*value, n));
        rows.push(std::iter::once(format!("{rate}")).chain(values).collect());
    }
    print_table(
        "Poisson arrivals",
        &[
            "asked/s",
            "planned/s",
            "arrived/s",
            "off by %",
            "KS plan",
            "KS sent",
            "KS arrived",
            "late p50 ms",
            "p99",
            "max",
            "CPU",
        ],
        &rows,
    );
    println!(
        "  KS: distance of the gaps to the exponential distribution of the asked rate; target 0.03 of 6,000 gaps, 0.02 of 12,000"
    );
    println!(
        "  off by: length of the whole sending against its plan, target 0.1; late: sent - planned, target p99 0.1"
    );
    Ok(())
}

fn send_errors(pairs: &[Pair], rate: f64, busy: f64) -> [f64; 10] {
    let in_order = |mut times: Vec<i64>| {
        times.sort_unstable();
        times
    };
    let planned = in_order(pairs.iter().map(|(record, _)| record.timeline.planned).collect());
    let sent = in_order(pairs.iter().filter_map(|(record, _)| record.timeline.sent).collect());
    let arrived = in_order(pairs.iter().map(|(_, truth)| truth.arrival_ns).collect());
    let span = |times: &[i64]| (times[times.len() - 1] - times[0]) as f64 / 1e9;
    let per_second = |times: &[i64]| (times.len() - 1) as f64 / span(times);
    let off = 100.0 * (span(&sent) / span(&planned) - 1.0).abs();
    let late: Vec<f64> = pairs.iter().filter_map(|(record, _)| record.lateness_ms()).collect();
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| quantile(&late, q));
    let [plan_ks, sent_ks, arrived_ks] = [&planned, &sent, &arrived]
        .map(|times| distance_to_poisson(times.iter().copied(), rate).unwrap_or(f64::NAN));
    [per_second(&planned), per_second(&arrived), off, plan_ks, sent_ks, arrived_ks, p50, p99, max, busy]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// With linear interpolation between neighbours.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}
