//! Runs that are simulated, each as a user has it: its summary with its report.

use rampant::client::Target;
use rampant::client::protocol::Api;
use rampant::engine::{self, Config};
use rampant::record::{Health, Phase, Record};
use rampant::simulate::{Plan, Process, Shape, Warmup, Way, simulate};
use rampant::stats::report::{ExpectedLoad, Report};
use rampant::stats::{Limit, Slo, Summary, Window};
use rampant::tokens::Tokens;
use rampant::workload::{Length, Prompts, Workload};
use std::sync::Arc;
use std::time::Duration;

/// The server: twenty sequences at once, whose steps grow with their number and with what is read.
pub const ENGINE: &str = "prefill=40000,itl=4ms,itl_per_seq=0.25ms,slots=20";
const SLOTS: usize = 20;
const UTILISATIONS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];
pub const METRICS: [&str; 3] = ["ttft", "e2el", "itl"];

/// Mean time of a request on its way: what makes two runs of one traffic differ.
const JITTER_MS: f64 = 0.5;

/// The warm-up, as a share of the measured time.
const WARMUP: f64 = 0.15;

/// How long replies are: six tokens in the middle or mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    Exponential,
    Lognormal,
    Bimodal,
}

impl Law {
    pub fn read(text: &str) -> Result<Law, String> {
        let all = [Law::Exponential, Law::Lognormal, Law::Bimodal];
        let found = all.into_iter().find(|law| law.name() == text);
        found.ok_or_else(|| format!("--law is exponential, lognormal or bimodal, not \"{text}\""))
    }

    pub fn name(self) -> &'static str {
        match self {
            Law::Exponential => "exponential",
            Law::Lognormal => "lognormal",
            Law::Bimodal => "bimodal",
        }
    }

    fn length(self) -> Length {
        match self {
            // Geometric: the exponential of whole numbers.
            Law::Exponential => {
                Length::Empirical((1..60).map(|n| (n, (5.0_f64 / 6.0).powi(n as i32 - 1))).collect())
            }
            Law::Lognormal => Length::Lognormal { median: 6.0, sigma: 0.4 },
            Law::Bimodal => Length::Empirical(vec![(3, 0.9), (30, 0.1)]),
        }
    }
}

/// What is asked of the server.
#[derive(Clone, Copy)]
pub struct Load {
    utilisation: f64,
    capacity: f64,
    open: bool,
    law: Law,
}

impl Load {
    pub fn all(capacity: f64, law: Law) -> Vec<Load> {
        let load = |open| move |utilisation| Load { utilisation, capacity, open, law };
        UTILISATIONS.into_iter().map(load(true)).chain(UTILISATIONS.into_iter().map(load(false))).collect()
    }

    pub fn name(&self) -> String {
        format!("{} {}", if self.open { "open" } else { "closed" }, self.utilisation)
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Its queue forgets within a hundred requests.
    pub fn is_easy(&self) -> bool {
        self.utilisation < 0.85
    }

    fn places(&self) -> usize {
        (self.utilisation * SLOTS as f64).round() as usize
    }

    fn plan(&self, requests: f64, seed: u64) -> Plan {
        let base = Target::base_url("http://simulated:1").unwrap();
        let rate = self.capacity * self.utilisation;
        // A closed loop of fewer users goes faster for each of them: about as many requests.
        let seconds = requests / rate;
        let places = self.places();
        let arrivals = match self.open {
            true => Shape::Rate { per_second: rate, process: Process::Poisson },
            false => Shape::Closed { places, from: places, over: 0.0 },
        };
        let workload = Workload::Prompts(Prompts {
            class: "".into(),
            input: Length::Lognormal { median: 100.0, sigma: 0.6 },
            output: self.law.length(),
            prefix: None,
            extra: None,
            tokens: Arc::new(Tokens::Words),
        });
        Plan {
            duration: Some(Duration::from_secs_f64(seconds)),
            warmup: Warmup::Time(Duration::from_secs_f64(WARMUP * seconds)),
            seed,
            ..Plan::new("coverage", Target::new(base, Api::Completions), workload, arrivals)
        }
    }

    /// What the plan wanted, for the verdicts.
    fn expected(&self) -> ExpectedLoad {
        ExpectedLoad {
            places: (!self.open).then(|| self.places()),
            rate: self.open.then_some(self.capacity * self.utilisation),
            level: true,
            streamed: true,
            ..ExpectedLoad::default()
        }
    }
}

fn config() -> Config {
    engine::parse(ENGINE).unwrap()
}

/// Requests a second of a server whose slots are all in use.
pub fn capacity(law: Law) -> f64 {
    let load = Load { utilisation: 1.0, capacity: 300.0, open: false, law };
    let plan = load.plan(60_000.0, 7);
    let mut measured = 0_u64;
    let each = |record: Record| measured += u64::from(record.phase == Phase::Measured);
    simulate(&plan, &config(), Way::NONE, each).unwrap();
    measured as f64 / plan.duration.unwrap().as_secs_f64()
}

/// Each record of a run: the lengths and the times of arrival are those of `seed`, what happens on the way
/// is that of `way_seed`. First tokens take longer by `slower`, and what follows them comes later.
pub fn play(load: &Load, requests: f64, seed: u64, way_seed: u64, slower: f64, mut see: impl FnMut(Record)) {
    let way = Way { fixed_ms: 0.1, jitter_ms: JITTER_MS, seed: way_seed };
    let each = |mut record: Record| {
        if slower != 1.0
            && let Some(first) = record.ttft_ms()
        {
            let later_us = (first * (slower - 1.0) * 1e3).round();
            record.timeline.end += (later_us * 1e3) as i64;
            record.timeline.events.at_us.iter_mut().for_each(|at| *at += later_us as u32);
        }
        see(record);
    };
    simulate(&load.plan(requests, seed), &config(), way, each).unwrap();
}

/// The run as a user has it.
pub fn run(load: &Load, requests: f64, seed: u64, way_seed: u64, slower: f64) -> Summary {
    let plan = load.plan(requests, seed);
    let slo = Slo { limits: vec![Limit::parse("e2el", "100ms").unwrap()], ..Slo::default() };
    let start = (WARMUP * plan.duration.unwrap().as_secs_f64() * 1e9) as i64;
    let latest = start + plan.duration.unwrap().as_nanos() as i64;
    let window = Window::Running { start: Some(start), latest: Some(latest) };
    let mut summary = Summary::new(window, Some(slo), load.open);
    play(load, requests, seed, way_seed, slower, |record| summary.add(&record));
    summary.close();
    let health = Health { wall: latest, cores: 2, ..Health::default() };
    summary.attach(Report::new(&summary, &load.expected(), &health, 0.0));
    summary
}
