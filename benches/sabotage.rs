//! Sabotage: what a run says of itself when something spoils it, and that it says nothing when
//! nothing does.
//!
//! `cargo bench --bench sabotage` does everything five times (about 10 minutes);
//! `cargo bench --bench sabotage -- --runs 100 clean` runs one section more often. Sections:
//! `clean`, `cpu`, `stopped`, `disk`, `network`, `server`, `load`, and, only when it is named,
//! `clock`, which moves the wall clock by half a second and back. Ends with 1 when a verdict was
//! none of those that the case must have. Some cases need Linux, some root; the others say why
//! they were left out.

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

use rampant::stats::truth::Truth;
use rig::faulty::{Fault, Faulty};
use rig::load::{Load, Start};
use rig::saboteur::{self, Burners, Limit, Pulses, SteppedClock};
use rig::server::Engine;
use rig::{Cores, Options, Result, digits, lossy, median, print_table, tell};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Who answers.
#[derive(Clone, Copy)]
enum Server {
    Engine(&'static str),
    Faulty(Fault),
}

/// What is done to the run.
#[derive(Clone, Copy)]
enum Sabotage {
    None,
    /// So many threads for each core do nothing but compute, and the client may not ask the
    /// scheduler to be preferred, as if it were not root's.
    Burn(usize),
    /// Milliseconds of CPU time that the client gets in 100 ms.
    Throttle(u32),
    StopClient(Pulses),
    StopServer(Pulses),
    /// The server dies after this time.
    KillServer(Duration),
    /// Every write of results takes so long, and the first one so much longer.
    SlowDisk(Duration, Duration),
    /// Each packet takes so long, and one in so many is lost.
    Network(Duration, u32),
    /// The wall clock goes forward by milliseconds, and back.
    StepClock(i64),
    /// So many open files at most.
    FewFiles(u64),
    /// The same bytes were sent to this server before.
    Again,
}

/// What came of one run.
struct Told {
    /// Or `exit N`, where there was no run.
    verdict: String,
    error_ms: Option<f64>,
}

/// One row of the table.
struct Case {
    section: &'static str,
    name: &'static str,
    server: Server,
    load: Load,
    sabotage: Sabotage,
    /// The verdicts that are right, or how the process must end.
    accepted: &'static [&'static str],
    why: &'static str,
}

const CALM: Server = Server::Engine("ttft=20ms,itl=5ms");
const PLAIN: Server = Server::Faulty(Fault::None);

const fn load(start: Start, requests: usize) -> Load {
    Load { start, requests, tokens: 16, warmup: 0 }
}

const fn case(
    section: &'static str,
    name: &'static str,
    server: Server,
    load: Load,
    sabotage: Sabotage,
    accepted: &'static [&'static str],
    why: &'static str,
) -> Case {
    Case { section, name, server, load, sabotage, accepted, why }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// 8 users for 3 s, and 50 requests a second for 3 s.
const CLOSED: Load = load(Start::Places(8), 240);
const OPEN: Load = load(Start::Rate(50.0), 150);

const ONCE: Pulses = Pulses { first: ms(1_500), stopped: ms(300), every: ms(300), count: 1 };
const OFTEN: Pulses = Pulses { first: ms(500), stopped: ms(40), every: ms(200), count: 100 };
const COLLECTING: Pulses = Pulses { first: ms(500), stopped: ms(100), every: ms(1_000), count: 100 };

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("clean", "closed loop, 8 users", CALM, CLOSED, Sabotage::None, &["valid"], "nothing is wrong"),
    case("clean", "Poisson, 50 a second", CALM, OPEN, Sabotage::None, &["valid"], "nothing is wrong"),
    case("clean", "64 at once", CALM, load(Start::Together, 64), Sabotage::None, &["valid"], "nothing is wrong"),
    case("cpu", "a burner on each core, closed", CALM, CLOSED, Sabotage::Burn(1), &["client_bound"], "no core is free"),
    case("cpu", "a burner on each core, open", CALM, OPEN, Sabotage::Burn(1), &["client_bound"], "the same"),
    case("cpu", "two burners on each core, closed", CALM, CLOSED, Sabotage::Burn(2), &["client_bound"], "the client waits for a core"),
    case("cpu", "two burners on each core, open", CALM, OPEN, Sabotage::Burn(2), &["client_bound"], "the same"),
    case("cpu", "client limited to 2 % of a core", CALM, CLOSED, Sabotage::Throttle(2), &["client_bound"], "it stands still until the next period"),
    case("stopped", "client stopped 40 ms in 200 ms", CALM, CLOSED, Sabotage::StopClient(OFTEN), &["client_bound"], "a fifth of the time is missing"),
    case("stopped", "client stopped once for 300 ms, closed", CALM, CLOSED, Sabotage::StopClient(ONCE), &["client_bound"], "a tenth of the run is missing"),
    case("stopped", "client stopped once for 300 ms, open", CALM, OPEN, Sabotage::StopClient(ONCE), &["client_bound"], "the same"),
    case("disk", "each write of results takes 100 ms", CALM, CLOSED, Sabotage::SlowDisk(ms(100), ms(0)), &["valid"], "only the writer waits"),
    case("disk", "the writer is held for 2 s", CALM, CLOSED, Sabotage::SlowDisk(ms(0), ms(2_000)), &["valid"], "only the writer waits"),
    case("network", "through the relay, no delay, no loss", PLAIN, CLOSED, Sabotage::Network(ms(0), 0), &["valid"], "nothing is wrong"),
    case("network", "20 ms each way, no loss", PLAIN, CLOSED, Sabotage::Network(ms(20), 0), &["valid"], "far away is no fault, and ttft holds it"),
    case("network", "20 ms each way, 1 % lost", PLAIN, CLOSED, Sabotage::Network(ms(20), 100), &["network_suspect"], "what is lost comes late"),
    case("network", "the server dies half way", CALM, CLOSED, Sabotage::KillServer(ms(1_600)), &["network_suspect"], "connections are refused"),
    case("server", "it stands still once for 1 s", CALM, CLOSED, Sabotage::StopServer(Pulses { stopped: ms(1_000), every: ms(1_000), ..ONCE }), &["valid", "not_steady"], "not the client's fault"),
    case("server", "it pauses 100 ms in 1 s, closed", CALM, CLOSED, Sabotage::StopServer(COLLECTING), &["valid", "not_steady"], "not the client's fault"),
    case("server", "it pauses 100 ms in 1 s, open", CALM, OPEN, Sabotage::StopServer(COLLECTING), &["valid", "not_steady"], "not the client's fault"),
    case("server", "it closes after each reply", Server::Engine("ttft=20ms,itl=5ms,close=true"), CLOSED, Sabotage::None, &["valid"], "servers may"),
    case("server", "it cuts one reply in ten", Server::Engine("ttft=20ms,itl=5ms,fail=cut:0.1"), CLOSED, Sabotage::None, &["valid"], "failures are counted, not doubted"),
    case("server", "half of the requests get a 503", Server::Engine("ttft=20ms,itl=5ms,fail=status:503:0.5"), CLOSED, Sabotage::None, &["valid"], "failures are counted, not doubted"),
    case("server", "ttft grows to three times", Server::Faulty(Fault::Drift(240)), CLOSED, Sabotage::None, &["not_steady"], "no number describes all of it"),
    case("server", "slow first fifth, closed", Server::Faulty(Fault::SlowStart(48)), CLOSED, Sabotage::None, &["not_steady"], "the warm-up was measured"),
    case("server", "slow first fifth, open", Server::Faulty(Fault::SlowStart(30)), OPEN, Sabotage::None, &["not_steady"], "the warm-up was measured"),
    case("server", "its prefix cache knows the prompts", Server::Faulty(Fault::Cache), CLOSED, Sabotage::Again, &["cache_contaminated"], "nothing was computed"),
    case("load", "a queue that grows", Server::Engine("ttft=15ms,itl=1ms,slots=1"), load(Start::Rate(60.0), 200), Sabotage::None, &["not_steady"], "twice of what it can do"),
    case("load", "50,000 a second", Server::Engine("ttft=1ms"), Load { tokens: 1, ..load(Start::Rate(50_000.0), 30_000) }, Sabotage::None, &["client_bound", "schedule_missed"], "more than two cores can send"),
    case("load", "10 requests", CALM, load(Start::Places(2), 10), Sabotage::None, &["too_few_samples"], "fewer than 20"),
    case("load", "64 users with 40 open files", CALM, load(Start::Places(64), 240), Sabotage::FewFiles(40), &["exit 2"], "refused before the run"),
    case("clock", "the wall clock steps by 500 ms and back", CALM, CLOSED, Sabotage::StepClock(500), &["valid"], "times are monotonic"),
];

fn main() -> Result<()> {
    let options = Options::read()?;
    let (mut rows, mut wrong) = (Vec::new(), 0);
    for case in CASES.iter().filter(|case| case.wanted(&options)) {
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        let (mut errors, mut skipped) = (Vec::new(), None);
        for run in 1..=options.runs {
            tell(format!("{}: {}, run {run} of {}", case.section, case.name, options.runs));
            match case.once() {
                Ok(told) => {
                    *given.entry(told.verdict).or_default() += 1;
                    errors.extend(told.error_ms);
                }
                Err(why) => {
                    skipped = Some(why.to_string());
                    break;
                }
            }
        }
        let right = given.iter().filter(|(told, _)| case.accepted.contains(&told.as_str()));
        let (right, of): (usize, usize) = (right.map(|(_, n)| n).sum(), given.values().sum());
        wrong += of - right;
        let share = if of > 0 { format!("{right} of {of}") } else { String::new() };
        rows.push(case.row(&given, share, digits(median(errors), 2), skipped));
    }
    print_table("Verdicts under sabotage", &["", "must be", "was", "right", "error", "why"], &rows);
    println!(
        "  error: the client's part of what is wrong with ttft, ms, 99th percentile, median of the runs; where the built-in engine serves and lives"
    );
    if wrong > 0 { Err(format!("{wrong} verdicts were wrong").into()) } else { Ok(()) }
}

impl Case {
    fn wanted(&self, options: &Options) -> bool {
        // A machine's clock is not moved unless it was asked for.
        options.wants(self.section) && (self.section != "clock" || !options.only.is_empty())
    }

    fn row(
        &self,
        given: &BTreeMap<String, usize>,
        share: String,
        error: String,
        skipped: Option<String>,
    ) -> Vec<String> {
        let counts = given.iter().map(|(told, n)| format!("{n} {told}")).collect::<Vec<_>>().join(", ");
        let was = skipped.map_or(counts, |why| format!("left out: {why}"));
        vec![self.name.into(), self.accepted.join(" or "), was, share, error, self.why.into()]
    }

    /// The verdict of one run, or `exit N` when there was none. Fails where the sabotage cannot
    /// be done here.
    fn once(&self) -> Result<Told> {
        if let Sabotage::Network(delay, lose) = self.sabotage {
            // A thread of its own is in the network of its own.
            let told = std::thread::scope(|scope| {
                let inside = scope.spawn(|| {
                    lossy::enter(delay, lose)
                        .and_then(|()| self.against_faulty(lossy::OURS))
                        .map_err(|e| e.to_string())
                });
                inside.join().expect("the thread has not panicked")
            });
            return Ok(told?);
        }
        match self.server {
            Server::Engine(config) => {
                let nobody = Cores { server: Vec::new(), client: Vec::new() };
                let engine = Engine::start(config, &nobody)?;
                self.run(&engine.url, Some(&engine))
            }
            Server::Faulty(_) => self.against_faulty(Ipv4Addr::LOCALHOST.into()),
        }
    }

    fn against_faulty(&self, address: IpAddr) -> Result<Told> {
        let fault = if let Server::Faulty(fault) = self.server { fault } else { Fault::None };
        let faulty = Faulty::start(address, fault)?;
        let url = faulty.url.replace(&lossy::OURS.to_string(), &lossy::PEER.to_string());
        if matches!(self.sabotage, Sabotage::Again) {
            self.run(&url, None)?;
        }
        self.run(&url, None)
    }

    fn run(&self, url: &str, engine: Option<&Engine>) -> Result<Told> {
        let folder = tempfile::tempdir()?;
        let mut command = self.load.command(url, folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match self.sabotage {
            Sabotage::FewFiles(count) => saboteur::few_files(&mut command, count),
            Sabotage::SlowDisk(write, first) => {
                saboteur::slow_disk(&mut command, folder.path(), write, first)?
            }
            Sabotage::Burn(_) => saboteur::ordinary(&mut command),
            Sabotage::Again => _ = command.arg("--same-bytes"),
            _ => {}
        }
        let code = self.spoiled(&mut command, engine.map(Engine::pid))?;
        let Some(results) = results(folder.path())? else {
            return Ok(Told { verdict: format!("exit {code}"), error_ms: None });
        };
        // A server that was killed has nothing more to tell.
        let truth = engine.and_then(|engine| engine.truth().ok()).unwrap_or_default();
        Ok(Told { verdict: verdict(&results)?, error_ms: error_ms(&results, truth)? })
    }

    /// Runs the command while it is sabotaged; its exit code.
    fn spoiled(&self, command: &mut Command, server: Option<u32>) -> Result<i32> {
        let cores = std::thread::available_parallelism()?.get();
        let _burners = match self.sabotage {
            Sabotage::Burn(each) => Some(Burners::start(each * cores)),
            _ => None,
        };
        let limit = match self.sabotage {
            Sabotage::Throttle(ms) => Some(Limit::new(ms)?),
            _ => None,
        };
        if let Some(limit) = &limit {
            limit.hold(command)?;
        }
        let mut child = command.spawn()?;
        let over = AtomicBool::new(false);
        let (client, over) = (child.id(), &over);
        std::thread::scope(|scope| {
            let spoiling = scope.spawn(move || self.spoil(client, server, over));
            let code = wait(&mut child, over);
            spoiling
                .join()
                .expect("the thread has not panicked")
                .map_err(|e| -> Box<dyn std::error::Error> { e.into() })?;
            code
        })
    }

    fn spoil(&self, client: u32, server: Option<u32>, over: &AtomicBool) -> std::result::Result<(), String> {
        match (self.sabotage, server) {
            (Sabotage::StopClient(pulses), _) => pulses.give(client, over),
            (Sabotage::StopServer(pulses), Some(server)) => pulses.give(server, over),
            (Sabotage::KillServer(after), Some(server)) => {
                saboteur::nap(after, over);
                // SAFETY: no pointers; the engine is a child that was not waited for.
                unsafe { libc::kill(server as libc::pid_t, libc::SIGKILL) };
            }
            (Sabotage::StepClock(ms), _) => {
                saboteur::nap(Duration::from_secs(1), over);
                let _clock = SteppedClock::step(ms).map_err(|error| error.to_string())?;
                saboteur::nap(Duration::from_secs(1), over);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Looks whether the child has ended without taking it away, so that signals still reach it and
/// nobody else; then takes its exit code.
fn wait(child: &mut Child, over: &AtomicBool) -> Result<i32> {
    // SAFETY: an all-zero siginfo is a valid one, and it lives through the call.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, child.id(), &mut info, libc::WEXITED | libc::WNOWAIT);
    }
    over.store(true, Ordering::Relaxed);
    Ok(child.wait()?.code().unwrap_or(-1))
}

/// The results folder with a finished run in `parent`, if there is one.
fn results(parent: &Path) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(parent)?.collect::<std::io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).find(|path| path.join("runs.parquet").exists()))
}

/// What the last run of a folder says of itself.
fn verdict(folder: &Path) -> Result<String> {
    let run = rampant::experiment::recalled::rows(folder)?.pop().ok_or("there is no run")?;
    let text = |key: &str| run.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_string();
    let verdict = text("verdict");
    tell(format!("  {verdict} {}", text("verdict_reason")));
    Ok(verdict)
}

/// The client's part of what is wrong with the times to the first token, milliseconds, 99th
/// percentile: from its stamp to the end of its write, and from the server's write to its stamp.
/// The server may have read late, but that is the server's.
fn error_ms(folder: &Path, mut truth: HashMap<String, Truth>) -> Result<Option<f64>> {
    let mut parts = Vec::new();
    rampant::store::reader::requests(folder, None, |_, record| {
        let Some(first) = truth.remove(&record.id).and_then(|truth| truth.emissions_ns.first().copied())
        else {
            return;
        };
        let (sent, written) = (record.timeline.sent, record.timeline.written);
        if let (Some(sent), Some(written), Some(output)) = (sent, written, record.first_output()) {
            parts.push((written - sent, first - output));
        }
    })?;
    // The run's zero on the server's clock, as late as it can have been: the quickest of all
    // tokens took no time at all.
    let zero = parts.iter().map(|(_, ahead)| *ahead).max().unwrap_or(0);
    let mut errors: Vec<i64> = parts.iter().map(|(write, ahead)| write + zero - ahead).collect();
    errors.sort_unstable();
    Ok(errors.get(errors.len() * 99 / 100).map(|error| *error as f64 / 1e6))
}
