//! Cost: the CPU time and memory of `rampant` beside the least that any client needs and,
//! where `VLLM_RS` names its program, beside the benchmark client of vLLM.
//!
//! `cargo bench --bench cost` runs everything five times and shows medians (about 25 minutes);
//! `cargo bench --bench cost -- --runs 1 paced` runs one section once. Sections: `paced`,
//! `saturated`, `requests`, `memory`, `startup`. How to read the table: `docs/performance.md`.

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

use rig::child::{self, Cost};
use rig::client::{Client, clients};
use rig::load::{Load, Start};
use rig::server::Engine;
use rig::{Cores, Options, Result, digits, median, print_table, tell};

/// What is divided by what.
#[derive(Clone, Copy)]
enum Unit {
    /// CPU per token, from two lengths of reply.
    TokenSlope,
    /// CPU per token, everything counted.
    TokenWhole,
    /// CPU per request, from two numbers of requests.
    RequestSlope,
    Peak,
    Cpu,
}

/// One row of the table.
struct Case {
    section: &'static str,
    name: &'static str,
    config: &'static str,
    load: Load,
    /// Tokens, or requests, of the smaller run that a slope starts from.
    from: usize,
    unit: Unit,
    /// Share of vLLM's client that must not be passed.
    target: Option<f64>,
}

const PACED: &str = "ttft=20ms,itl=10ms";

#[rustfmt::skip]
const CASES: [Case; 11] = [
    case("paced", "us per token, 64 x 10 ms", PACED, load(Start::Rate(640.0), 64, 400), 100, Unit::TokenSlope, Some(0.7)),
    case("paced", "us per token, 256 x 10 ms", PACED, load(Start::Rate(2560.0), 256, 400), 100, Unit::TokenSlope, Some(0.7)),
    case("paced", "the same, everything counted", PACED, load(Start::Rate(2560.0), 256, 400), 0, Unit::TokenWhole, Some(0.7)),
    case("saturated", "us per token, 16 a write", "ttft=1ms,burst=16", load(Start::Together, 64, 4_000), 1_000, Unit::TokenSlope, Some(0.4)),
    case("requests", "us per request of 1 token", "ttft=0.2ms", load(Start::Places(32), 12_000, 1), 2_000, Unit::RequestSlope, Some(0.25)),
    case("requests", "us per request, 16 tokens in one write", "ttft=0.2ms,burst=16", load(Start::Places(64), 12_000, 16), 2_000, Unit::RequestSlope, Some(0.25)),
    case("requests", "us per request of 1 token, 1,000 a second", "ttft=0.2ms", load(Start::Rate(1000.0), 6_000, 1), 1_000, Unit::RequestSlope, None),
    case("memory", "peak MiB, 1,000 x 256 tokens", "ttft=50ms,itl=40ms", load(Start::Rate(2000.0), 1_000, 256), 0, Unit::Peak, Some(0.25)),
    case("memory", "the same, 4 times as long", "ttft=50ms,itl=40ms", load(Start::Places(1_000), 4_000, 256), 0, Unit::Peak, None),
    case("memory", "peak MiB, 5,000 x 64 tokens", "ttft=50ms,itl=200ms", load(Start::Rate(2500.0), 5_000, 64), 0, Unit::Peak, None),
    case("startup", "CPU ms of one request", PACED, load(Start::Together, 1, 1), 0, Unit::Cpu, None),
];

const fn load(start: Start, requests: usize, tokens: usize) -> Load {
    Load { start, requests, tokens, warmup: 0 }
}

const fn case(
    section: &'static str,
    name: &'static str,
    config: &'static str,
    load: Load,
    from: usize,
    unit: Unit,
    target: Option<f64>,
) -> Case {
    Case { section, name, config, load, from, unit, target }
}

fn main() -> Result<()> {
    if rig::floor::was_asked()? {
        return Ok(());
    }
    let options = Options::read()?;
    let cores = Cores::share();
    let folder = tempfile::tempdir()?;
    let clients = clients(folder.path())?;
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| options.wants(case.section)) {
        let mut values = vec![Vec::new(); clients.len()];
        for run in 1..=options.runs {
            tell(format!("{}: {}, run {run} of {}", case.section, case.name, options.runs));
            // One after the other in each run, so that all meet the same moods of the machine.
            for (client, values) in clients.iter().zip(&mut values) {
                values.push(case.measure(client, &options, &cores)?);
            }
        }
        rows.push(case.row(values.into_iter().map(median).collect()));
    }
    let head = ["", "floor", "rampant", "/ floor", "vllm-rs", "/ vllm-rs", "target"];
    print_table("Process CPU and memory (medians)", &head, &rows);
    if clients.len() < 3 {
        println!("  for the last columns name the program in VLLM_RS; see docs/performance.md");
    }
    Ok(())
}

impl Case {
    /// One value of one client.
    fn measure(&self, client: &Client, options: &Options, cores: &Cores) -> Result<f64> {
        let whole = self.once(client, &self.load, options, cores)?;
        let us = 1e6 * whole.cpu;
        let tokens = |load: &Load| (load.requests * load.tokens) as f64;
        Ok(match self.unit {
            Unit::Peak => whole.peak,
            Unit::Cpu => us / 1e3,
            Unit::TokenWhole => us / tokens(&self.load),
            Unit::TokenSlope => {
                let less = Load { tokens: self.from, ..self.load };
                let part = self.once(client, &less, options, cores)?;
                (us - 1e6 * part.cpu) / (tokens(&self.load) - tokens(&less))
            }
            Unit::RequestSlope => {
                let less = Load { requests: self.from, ..self.load };
                let part = self.once(client, &less, options, cores)?;
                (us - 1e6 * part.cpu) / (self.load.requests - less.requests) as f64
            }
        })
    }

    /// Runs a load once. Fails when the engine has not finished every request of it.
    fn once(&self, client: &Client, load: &Load, options: &Options, cores: &Cores) -> Result<Cost> {
        let folder = tempfile::tempdir()?;
        if let Some(url) = &options.server {
            return child::run(&mut client.command(load, url, folder.path())?, &cores.client);
        }
        let engine = Engine::start(self.config, cores)?;
        let cost = child::run(&mut client.command(load, &engine.url, folder.path())?, &cores.client)?;
        let truths = engine.truth()?;
        let whole = truths.values().filter(|truth| truth.emissions_ns.len() == load.tokens);
        match whole.count() {
            n if n >= load.requests => Ok(cost),
            n => Err(format!("{} had only {n} of {} replies", client.name(), load.requests).into()),
        }
    }

    fn row(&self, values: Vec<f64>) -> Vec<String> {
        let value = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let (floor, ours, theirs) = (value(0), value(1), value(2));
        let decimals = if ours < 10.0 { 2 } else { 1 };
        vec![
            self.name.to_string(),
            digits(floor, decimals),
            digits(ours, decimals),
            digits(ours / floor, 2),
            digits(theirs, decimals),
            digits(ours / theirs, 2),
            self.target.map_or_else(String::new, |target| digits(target, 2)),
        ]
    }
}
