//! `Cell`: the runs of one cell on both sides, read and matched.

use super::environment::{self, Environment, Unlike};
use super::loaded::{Loaded, load, paired_gaps};
use super::numbers::{self, Number, Pairs};
use super::refused::Refused;
use super::source::{self, RunOnDisk, Runs};
use super::wanted::Comparison;
use super::what;
use crate::error::{Error, Result};
use crate::stats::Slo;
use crate::stats::metric::Metric;
use crate::stats::names::metric_named;
use crate::stats::versus::gaps::PairedGaps;
use crate::stats::versus::pairs::Pairing;
use crate::stats::versus::rounds::{self, Design};
use crate::stats::versus::rows::{Goals, Habits};

/// What both sides have of a cell, compared.
pub struct Cell {
    pub name: String,
    pub runs: [usize; 2],
    /// The pairs, or why there are none.
    pub pairs: std::result::Result<PairsSeen, WhyUnpaired>,
    pub differs: Vec<Differs>,
    /// In what they were measured otherwise.
    pub unlike: Vec<Unlike>,
    /// By which requests are good; `None`: nobody said, or the sides say otherwise.
    pub goals: Option<Slo>,
    /// The sides have other objectives: goodput is not compared.
    pub other_goals: Option<[String; 2]>,
    /// Runs that are no valid measurement: which side, its name, the verdict.
    pub doubts: Vec<(bool, String, String)>,
    /// How rounds were drawn, where there are enough of them.
    pub design: Option<Design>,
    /// Numbers that are not compared, and why.
    pub refused: Option<Refused>,
    pub numbers: Vec<Number>,
    /// Seconds of measuring on the shorter side, and the requests of that time.
    pub seconds: f64,
    pub requests: u64,
}

/// What is told of pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PairsSeen {
    pub pairs: u64,
    pub common: u64,
    pub unmatched: crate::stats::versus::pairs::Unmatched,
    pub beyond: [u64; 2],
    pub open: bool,
    pub later_turns: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum WhyUnpaired {
    /// The sides have other numbers of runs.
    Runs,
    /// Other lengths or other arrivals.
    Traffic,
    /// It is not known what was asked.
    NoHash,
    NotSteady,
    /// There is no second side.
    Alone,
    /// All of the past on one of them.
    History,
    /// Too many have no partner.
    Unmatched(PairsSeen),
}

/// In what the traffic of the sides differs.
#[derive(Debug, Clone, PartialEq)]
pub enum Differs {
    /// Only in what was drawn at random.
    Draw,
    Rate(Option<f64>, Option<f64>),
    Concurrency(Option<f64>, Option<f64>),
    /// Mean lengths that were asked for: input, output.
    Input(f64, f64),
    Output(f64, f64),
}

impl Differs {
    /// The sides were not asked the same.
    pub fn matters(&self) -> bool {
        *self != Differs::Draw
    }
}

/// Mean lengths of two draws of the same lengths may differ by so much.
const SAME_LENGTHS: f64 = 0.05;

impl Cell {
    /// Reads the runs of both sides. Beside it stand warnings about rows that could not be read.
    pub fn read(name: &str, (a, b): &Runs, wanted: &Comparison) -> Result<(Cell, Vec<String>)> {
        let names = what::names(&wanted.metrics);
        let metrics: Vec<Metric> = names.iter().map(|name| name.metric).collect();
        let goals = goals((a, b), wanted);
        if goals.is_err() && wanted.metrics.iter().any(|name| name.metric == Metric::Goodput) {
            return Err(no_goals(name));
        }
        let (loaded, warnings) = load_all((a, b), &metrics, goals.as_ref().ok())?;
        let (loaded_a, loaded_b) = (&loaded[0], &loaded[1]);
        let pairings = match () {
            () if wanted.alone => Err(WhyUnpaired::Alone),
            () if wanted.history => Err(WhyUnpaired::History),
            () => pairings((a, loaded_a), (b, loaded_b)),
        };
        let steady = a.iter().chain(b).all(RunOnDisk::is_steady);
        let habits = [loaded_a, loaded_b].map(|side| habits(side));
        let design = design(a, b, wanted);
        let refused = Refused::of(&habits);
        let seconds = |runs: &[RunOnDisk]| {
            runs.iter().map(|run| (run.window.1 - run.window.0) as f64 / 1e9).sum::<f64>()
        };
        let shorter = if seconds(a) <= seconds(b) { 0 } else { 1 };
        let of_runs = pairings.as_deref().ok();
        let limits = |goals: &Goals| {
            let metric = |limit: &crate::stats::Limit| metric_named(&limit.metric, &limit.metric).ok();
            goals.slo.limits.iter().filter_map(metric).collect()
        };
        let asked = numbers::Asked {
            limits: goals.as_ref().ok().map(limits),
            default: wanted.metrics.is_empty(),
            refused,
            steady,
            open: is_open(a, b, of_runs),
            design: design.map(|design| (design, (a.len(), b.len()))),
            names,
        };
        let gaps = gaps((a, b), (loaded_a, loaded_b), of_runs.filter(|_| asked.needs_gaps()))?;
        let pairs = of_runs.map(|of_runs| Pairs { of_runs, gaps: gaps.as_deref() });
        let numbers = numbers::compare(&asked, (loaded_a, loaded_b), pairs);
        let cell = Cell {
            name: name.to_string(),
            runs: [a.len(), b.len()],
            differs: differs((a, &habits[0]), (b, &habits[1])),
            unlike: environments(a, b),
            other_goals: goals.as_ref().err().and_then(Clone::clone),
            goals: goals.ok().map(|goals| goals.slo),
            pairs: pairings.map(|pairings| seen(&pairings)),
            doubts: [doubts(a, false), doubts(b, true)].concat(),
            design,
            refused,
            numbers,
            seconds: seconds([a, b][shorter]),
            requests: habits[shorter].requests,
        };
        Ok((cell, warnings))
    }

    /// The sides were asked the same, so that a difference is one of servers.
    pub fn same_traffic(&self) -> bool {
        !self.differs.iter().any(Differs::matters)
    }
}

/// Reads all runs. Those of a side are laid behind each other, beside those of the other side.
fn load_all(
    (a, b): (&[RunOnDisk], &[RunOnDisk]),
    metrics: &[Metric],
    goals: Option<&Goals>,
) -> Result<([Vec<Loaded>; 2], Vec<String>)> {
    let mut warnings = Vec::new();
    let (mut loaded_a, mut loaded_b) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for at in 0..a.len().max(b.len()) {
        let sides = [(a.get(at), &mut loaded_a), (b.get(at), &mut loaded_b)];
        let mut longest = 0;
        for (run, loaded) in sides.into_iter().filter_map(|(run, loaded)| Some((run?, loaded))) {
            let (one, told) = load(run, metrics, offset, goals.cloned())?;
            warnings.extend(told);
            longest = longest.max(run.window.1);
            loaded.push(one);
        }
        // A minute between, so that the last requests of a run stay its own.
        offset += longest + 60_000_000_000;
    }
    Ok(([loaded_a, loaded_b], warnings))
}

/// The gaps of pairs whose planned times are of their own on each side, or of which only the first turns are
/// pairs.
fn gaps(
    (a, b): (&[RunOnDisk], &[RunOnDisk]),
    (loaded_a, loaded_b): (&[Loaded], &[Loaded]),
    pairings: Option<&[Pairing]>,
) -> Result<Option<Vec<[PairedGaps; 2]>>> {
    let own_times = |pairing: &Pairing| !pairing.open || pairing.later_turns > 0;
    let Some(pairings) = pairings.filter(|all| all.iter().any(own_times)) else { return Ok(None) };
    let runs = a.iter().zip(b).zip(loaded_a.iter().zip(loaded_b)).zip(pairings);
    let each =
        runs.map(|(((one, two), (in_a, in_b)), pairing)| paired_gaps([one, two], [in_a, in_b], pairing));
    each.collect::<Result<Vec<_>>>().map(Some)
}

/// The objectives of both sides. `Err`: there are none, or other ones on each side.
fn goals(
    (a, b): (&[RunOnDisk], &[RunOnDisk]),
    wanted: &Comparison,
) -> std::result::Result<Goals, Option<[String; 2]>> {
    let open = a.iter().chain(b).all(|run| run.asked_rate.is_some() && run.asked_concurrency.is_none());
    if let Some(slo) = &wanted.goals {
        return Ok(Goals { slo: slo.clone(), open });
    }
    let told = |side: &[RunOnDisk]| side.iter().map(|run| run.goals.clone()).collect::<Vec<_>>();
    let (in_a, in_b) = (told(a), told(b));
    match in_a.first() {
        Some(first) if in_a.iter().chain(&in_b).all(|other| other == first) => first.clone().ok_or(None),
        _ => Err(Some([said(&in_a), said(&in_b)])),
    }
}

/// `ttft 400 ms, tpot 50 ms`; empty where there are none.
fn said(goals: &[Option<Goals>]) -> String {
    let mut all: Vec<String> = Vec::new();
    for goals in goals.iter().flatten() {
        let limits = goals.slo.limits.iter().map(|limit| format!("{} {} ms", limit.metric, limit.ms));
        let told = limits.collect::<Vec<_>>().join(", ");
        if !all.contains(&told) {
            all.push(told);
        }
    }
    all.join(" / ")
}

fn no_goals(cell: &str) -> Error {
    Error::usage(format!(
        "compare: goodput of {cell} needs objectives, and the runs have none, or different ones"
    ))
    .hint("--goodput ttft:400 tpot:50 sets them for both sides (milliseconds)")
}

fn environments(a: &[RunOnDisk], b: &[RunOnDisk]) -> Vec<Unlike> {
    let of = |side: &'_ [RunOnDisk]| -> Vec<Environment> {
        side.iter().map(|run| run.environment.clone()).collect()
    };
    environment::unlike(&of(a), &of(b))
}

fn doubts(runs: &[RunOnDisk], second: bool) -> Vec<(bool, String, String)> {
    let verdict = |run: &RunOnDisk| match run.verdict.as_str() {
        "" | "valid" => run.recovered.then(|| "recovered".to_string()),
        verdict => Some(verdict.to_string()),
    };
    runs.iter().filter_map(|run| Some((second, run.name.clone(), verdict(run)?))).collect()
}

/// Requests left when they were planned, whatever became of those before.
fn is_open(a: &[RunOnDisk], b: &[RunOnDisk], pairings: Option<&[Pairing]>) -> bool {
    match pairings {
        Some(pairings) => pairings.iter().all(|pairing| pairing.open),
        None => a.iter().chain(b).all(|run| run.asked_rate.is_some() && run.asked_concurrency.is_none()),
    }
}

fn habits(side: &[Loaded]) -> Habits {
    side.iter().fold(Habits::default(), |mut sum, run| {
        sum.merge(&run.rows.habits);
        sum
    })
}

/// The runs of both sides, matched in the order of their starts.
fn pairings(
    (a, loaded_a): (&[RunOnDisk], &[Loaded]),
    (b, loaded_b): (&[RunOnDisk], &[Loaded]),
) -> std::result::Result<Vec<Pairing>, WhyUnpaired> {
    if a.len() != b.len() {
        return Err(WhyUnpaired::Runs);
    }
    if a.iter().chain(b).any(|run| !run.is_steady()) {
        return Err(WhyUnpaired::NotSteady);
    }
    if a.iter().chain(b).any(|run| run.traffic_hash.is_empty()) {
        return Err(WhyUnpaired::NoHash);
    }
    let same = |one: &RunOnDisk, two: &RunOnDisk| one.traffic_hash == two.traffic_hash;
    if a.iter().zip(b).any(|(one, two)| !same(one, two)) {
        return Err(WhyUnpaired::Traffic);
    }
    let pairings: Vec<Pairing> =
        loaded_a.iter().zip(loaded_b).map(|(one, two)| Pairing::of(&one.rows, &two.rows)).collect();
    match pairings.iter().all(Pairing::holds) {
        true => Ok(pairings),
        false => Err(WhyUnpaired::Unmatched(seen(&pairings))),
    }
}

fn seen(pairings: &[Pairing]) -> PairsSeen {
    pairings.iter().fold(PairsSeen { open: true, ..PairsSeen::default() }, |mut sum, pairing| {
        sum.pairs += pairing.pairs.len() as u64;
        sum.common += pairing.common;
        sum.unmatched.missing += pairing.unmatched.missing;
        sum.unmatched.failed += pairing.unmatched.failed;
        sum.unmatched.asked_otherwise += pairing.unmatched.asked_otherwise;
        sum.unmatched.cached_otherwise += pairing.unmatched.cached_otherwise;
        sum.beyond.iter_mut().zip(pairing.beyond).for_each(|(sum, more)| *sum += more);
        sum.open &= pairing.open;
        sum.later_turns += pairing.later_turns;
        sum
    })
}

fn design(a: &[RunOnDisk], b: &[RunOnDisk], wanted: &Comparison) -> Option<Design> {
    if wanted.alone || !source::enough(a.len(), b.len(), wanted.history) {
        return None;
    }
    let starts = |runs: &[RunOnDisk]| runs.iter().map(|run| run.began_ms).collect::<Vec<_>>();
    match () {
        () if wanted.history => Some(Design::History),
        () if rounds::interleaved(&starts(a), &starts(b)) => Some(Design::Rounds),
        () if wanted.restarted => Some(Design::Restarts),
        () => None,
    }
}

/// In what the traffic differs, as far as the runs say.
fn differs((a, in_a): (&[RunOnDisk], &Habits), (b, in_b): (&[RunOnDisk], &Habits)) -> Vec<Differs> {
    let (Some(one), Some(two)) = (a.first(), b.first()) else { return Vec::new() };
    let mut found = Vec::new();
    if one.asked_rate != two.asked_rate {
        found.push(Differs::Rate(one.asked_rate, two.asked_rate));
    }
    if one.asked_concurrency != two.asked_concurrency {
        found.push(Differs::Concurrency(one.asked_concurrency, two.asked_concurrency));
    }
    let same_hash = !one.traffic_hash.is_empty() && one.traffic_hash == two.traffic_hash;
    let mean = |habits: &Habits, of: usize| habits.asked[of] as f64 / (habits.requests as f64).max(1.0);
    let unlike = |of: usize| {
        let (one, two) = (mean(in_a, of), mean(in_b, of));
        (!same_hash && (one - two).abs() > SAME_LENGTHS * one.max(two)).then_some((one, two))
    };
    found.extend(unlike(0).map(|(one, two)| Differs::Input(one, two)));
    found.extend(unlike(1).map(|(one, two)| Differs::Output(one, two)));
    if found.is_empty() && !same_hash {
        found.push(Differs::Draw);
    }
    found
}
