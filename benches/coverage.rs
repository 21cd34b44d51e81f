//! Coverage: whether what is printed as a 95 % interval holds the true value in 95 of 100 runs, whether two
//! runs of one server are called different, and whether a server that is slower is found out.
//!
//! `cargo bench --bench coverage` simulates many runs at each utilisation, open and closed, with the
//! built-in engine's own kernel, and asks each run for its numbers as a user would. Nothing is sent and no
//! clock is asked, so that a busy machine gives the same numbers.
//!
//! `--runs N` and `--pairs N` at each load, `--requests N` a run, `--law exponential|lognormal|bimodal` of
//! the lengths of replies, `--seed N`, `--loads open,0.95`. `--check` ends with 1 where something is missed
//! by more than chance allows; `--quick` is a minute of it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a bench prints, and ends where it fails"
)]

#[path = "coverage/pairs.rs"]
mod pairs;
#[path = "coverage/simulated.rs"]
mod simulated;

use rampant::stats::Summary;
use rampant::stats::estimate::{Estimate, Mark};
use simulated::{Law, Load, METRICS};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// The columns of the table: a statistic of each of [`METRICS`].
const STATISTICS: [&str; 4] = ["mean", "p50", "p90", "p99"];

/// And what has one number only.
const SINGLE: [&str; 5] =
    ["requests.rate", "output_tokens.rate", "goodput.share", "goodput.rate", "concurrency.mean"];

/// A cell with fewer intervals is not judged.
const JUDGED_FROM: usize = 30;

/// Of 100 runs so many intervals hold the truth, with room for chance.
const WANTED: std::ops::RangeInclusive<f64> = 0.93..=0.97;

/// What is asked for.
pub struct Options {
    runs: usize,
    pairs: usize,
    requests: f64,
    seed: u64,
    law: Law,
    loads: String,
    /// Only loads at which a short run says something.
    quick: bool,
    check: bool,
}

fn main() {
    let options = Options::read().unwrap_or_else(|problem| {
        eprintln!("{problem}");
        std::process::exit(2)
    });
    let began = Instant::now();
    let capacity = simulated::capacity(options.law);
    println!(
        "{}; {} lengths: {capacity:.0} requests a second at most; {} requests a run; seeds from {}",
        simulated::ENGINE,
        options.law.name(),
        options.requests,
        options.seed
    );
    let all = Load::all(capacity, options.law);
    let wanted = |load: &Load| {
        options.loads.split(',').all(|word| load.name().contains(word)) && (!options.quick || load.is_easy())
    };
    let loads: Vec<Load> = all.into_iter().filter(wanted).collect();
    let mut missed = Vec::new();
    if options.runs > 0 {
        println!("\nOf {} runs: intervals that hold the truth, % (± 95 %; those without", options.runs);
        println!(
            "an upper end, withheld, % of the runs). Below {JUDGED_FROM} intervals a cell is not judged."
        );
        println!("{:13}{:12}{}", "", "", STATISTICS.map(|name| format!("{name:>23}")).concat());
        loads.iter().for_each(|load| missed.extend(coverage(load, &options)));
    }
    if options.pairs > 0 {
        missed.extend(pairs::differences(&loads, &options));
    }
    println!("\n{:.0} s on {} cores", began.elapsed().as_secs_f64(), cores());
    if !missed.is_empty() {
        println!("missed by more than chance: {}", missed.join(", "));
    }
    std::process::exit(i32::from(options.check && !missed.is_empty()));
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options {
            runs: 2_000,
            pairs: 500,
            requests: 8_000.0,
            seed: 1,
            law: Law::Lognormal,
            loads: String::new(),
            quick: false,
            check: false,
        };
        let mut given = std::env::args().skip(1);
        while let Some(word) = given.next() {
            let mut next = || given.next().unwrap_or_default();
            let number = |text: String| {
                text.parse::<f64>().map_err(|_| format!("{word} needs a number, got \"{text}\""))
            };
            match &*word {
                "--bench" => {}
                "--runs" => options.runs = number(next())? as usize,
                "--pairs" => options.pairs = number(next())? as usize,
                "--requests" => options.requests = number(next())?,
                "--seed" => options.seed = number(next())? as u64,
                "--law" => options.law = Law::read(&next())?,
                "--loads" => options.loads = next(),
                "--check" => options.check = true,
                "--quick" => {
                    (options.runs, options.pairs, options.requests) = (250, 60, 2_500.0);
                    options.quick = true;
                }
                _ => {
                    return Err(format!(
                        "unknown option {word}: --runs --pairs --requests --law --seed --loads --check --quick"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// What a user sees of a number.
#[derive(Clone, Copy)]
struct Seen {
    value: f64,
    /// Without an upper end where that is infinite.
    interval: Option<(f64, f64)>,
    unsteady: bool,
}

impl Seen {
    fn of(estimate: &Estimate) -> Seen {
        Seen {
            value: estimate.value.unwrap_or(f64::NAN),
            interval: estimate.interval.map(|interval| (interval.low, interval.high)),
            unsteady: estimate.mark == Some(Mark::NotSteady),
        }
    }
}

fn names() -> Vec<String> {
    let of = |metric: &str| STATISTICS.map(|statistic| format!("{metric}.{statistic}"));
    METRICS.iter().flat_map(|metric| of(metric)).chain(SINGLE.map(String::from)).collect()
}

/// Prints the rows of a load; what misses by more than chance allows.
fn coverage(load: &Load, options: &Options) -> Vec<String> {
    let names = names();
    let run = |seed: u64| simulated::run(load, options.requests, seed, seed, 1.0);
    let runs = each(options.runs, |n| {
        let summary = run(options.seed + n as u64);
        names.iter().map(|name| Seen::of(&summary.estimate(name).unwrap())).collect::<Vec<_>>()
    });
    let truth = truth(options.runs, &names, |n| run(options.seed + 1_000_000 + n as u64));
    let mut missed = Vec::new();
    for (row, chunk) in (0..names.len()).collect::<Vec<_>>().chunks(STATISTICS.len()).enumerate() {
        let head = METRICS.get(row).map_or("", |metric| *metric);
        let mut line = format!("{:13}{head:12}", if row == 0 { load.name() } else { String::new() });
        for place in chunk {
            let cell = Cell::of(runs.iter().map(|run| run[*place]), truth[*place]);
            line += &format!("{:>23}", cell.text());
            if row >= METRICS.len() {
                line += &format!(" {}", names[*place]);
            }
            if cell.misses() {
                missed.push(format!("{} {} {:.1} %", load.name(), names[*place], 100.0 * cell.held()));
            }
        }
        println!("{line}");
    }
    missed
}

/// The numbers of further runs, taken together: of all their values, and where that would be of all their
/// time the mean of theirs.
fn truth(runs: usize, names: &[String], run: impl Fn(usize) -> Summary + Sync) -> Vec<f64> {
    const TOGETHER: usize = 10;
    let number = |summary: &Summary, name: &String| summary.value(name).unwrap().unwrap_or(f64::NAN);
    let sums = each((runs / 3).clamp(40, 700) / TOGETHER, |n| {
        let mut all = run(n * TOGETHER);
        let mut means: Vec<f64> = names.iter().map(|name| number(&all, name)).collect();
        for more in 1..TOGETHER {
            let next = run(n * TOGETHER + more);
            means.iter_mut().zip(names).for_each(|(mean, name)| *mean += number(&next, name));
            all += &next;
        }
        (all, means.into_iter().map(|mean| mean / TOGETHER as f64).collect::<Vec<f64>>())
    });
    let mut parts = sums.iter();
    let mut all = parts.next().unwrap().0.clone();
    parts.for_each(|(part, _)| all += part);
    let mean = |place: usize| sums.iter().map(|(_, means)| means[place]).sum::<f64>() / sums.len() as f64;
    let single = |name: &String| SINGLE.contains(&name.as_str());
    names
        .iter()
        .enumerate()
        .map(|(i, name)| if single(name) { mean(i) } else { number(&all, name) })
        .collect()
}

/// What became of one number in all runs.
struct Cell {
    runs: usize,
    printed: usize,
    held: usize,
    open: usize,
    unsteady: usize,
}

impl Cell {
    fn of(seen: impl Iterator<Item = Seen>, truth: f64) -> Cell {
        let mut cell = Cell { runs: 0, printed: 0, held: 0, open: 0, unsteady: 0 };
        for seen in seen {
            cell.runs += 1;
            cell.unsteady += usize::from(seen.unsteady);
            if let Some((low, high)) = seen.interval {
                cell.printed += 1;
                cell.open += usize::from(high.is_infinite());
                // A percentile in a coarse clock is what it is, to a hair.
                let hair = 1e-6 * seen.value.abs();
                cell.held += usize::from(low <= truth + hair && truth <= high + hair);
            }
        }
        cell
    }

    fn held(&self) -> f64 {
        self.held as f64 / self.printed.max(1) as f64
    }

    fn text(&self) -> String {
        let share = |count: usize| 100.0 * count as f64 / self.runs.max(1) as f64;
        let rest = format!("({:.0}, {:.0})", share(self.open), share(self.runs - self.printed));
        if self.printed < JUDGED_FROM {
            return format!("- {rest}");
        }
        let (low, high) = wilson(self.held, self.printed);
        let mark = match () {
            () if self.misses() => "!",
            () if low > *WANTED.end() => "+",
            () => "",
        };
        format!("{mark}{:.1}±{:.1} {rest}", 100.0 * self.held(), 50.0 * (high - low))
    }

    fn misses(&self) -> bool {
        self.printed >= JUDGED_FROM && wilson(self.held, self.printed).1 < *WANTED.start()
    }
}

/// Works off `count` pieces on all cores; results in their order.
pub fn each<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            loop {
                match next.fetch_add(1, Relaxed) {
                    n if n < count => mine.push((n, work(n))),
                    _ => return mine,
                }
            }
        };
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Wilson's 95 % interval of a share (1927).
pub fn wilson(part: usize, whole: usize) -> (f64, f64) {
    let (n, z) = (whole.max(1) as f64, 1.96);
    let p = part as f64 / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}
