//! Coverage: whether what is printed as a 95 % interval holds the true value in 95 of 100 runs, whether two
//! runs of one server are called different, and whether a server that is slower is found out.
//!
//! `cargo bench --bench coverage` simulates many runs at each utilisation, open and closed, with the
//! built-in engine's own kernel, and asks each run for its numbers as a user would. Nothing is sent and no
//! clock is asked, so that a busy machine gives the same numbers.
//!
//! `--runs N` and `--pairs N` at each load, `--requests N` a run, `--law exponential|lognormal|bimodal` of
//! the lengths of replies, `--seed N`, `--loads open,0.95`. `--check` ends with 1 where something is missed
//! by more than chance allows; `--quick` is a minute of it. `--why` adds below each row how many intervals
//! lie above and below the truth, %, and how wide they are beside those of one who knows the spread of the
//! number between runs.

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
use rampant::stats::estimate::Estimate;
use rampant::stats::pool;
use simulated::{Law, Load, METRICS};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// The columns of the table: a statistic of each of [`METRICS`].
const STATISTICS: [&str; 4] = ["mean", "p50", "p90", "p99"];

/// And what has one number only.
const SINGLE: [&str; 5] =
    ["requests.rate", "output_tokens.rate", "goodput.share", "goodput.rate", "concurrency.mean"];

/// Runs that one core works off before it takes others, and adds up.
const TOGETHER: usize = 25;

/// Characters of a cell.
const WIDTH: usize = 26;

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
    why: bool,
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
        println!(
            "\nOf {} runs: intervals that hold the truth, % (± 95 %), and [those that have both",
            options.runs
        );
        println!(
            "ends] (those without an upper end, withheld, % of the runs). !: fewer than 93 %, +: more than"
        );
        println!("97 %, each by more than chance. Below {JUDGED_FROM} intervals a cell is not judged.");
        println!("{:13}{:12}{}", "", "", STATISTICS.map(|name| format!("{name:>WIDTH$}")).concat());
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
            why: false,
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
                "--why" => options.why = true,
                "--quick" => {
                    (options.runs, options.pairs, options.requests) = (250, 60, 2_500.0);
                    options.quick = true;
                }
                _ => {
                    return Err(format!(
                        "unknown option {word}: --runs --pairs --requests --law --seed --loads --why --check --quick"
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
}

impl Seen {
    fn of(estimate: &Estimate) -> Seen {
        Seen {
            value: estimate.value.unwrap_or(f64::NAN),
            interval: estimate.interval.map(|interval| (interval.low, interval.high)),
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
    let groups = each(options.runs.div_ceil(TOGETHER), |group| {
        let of_group = group * TOGETHER..options.runs.min((group + 1) * TOGETHER);
        let (mut seen, mut all) = (Vec::new(), None);
        for n in of_group {
            let seed = options.seed + n as u64;
            let summary = simulated::run(load, options.requests, seed, seed, 1.0);
            seen.push(
                names.iter().map(|name| Seen::of(&summary.estimate(name).unwrap())).collect::<Vec<_>>(),
            );
            match &mut all {
                None => all = Some(summary),
                Some(all) => *all += &summary,
            }
        }
        (seen, all.unwrap())
    });
    let (runs, together): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
    let runs: Vec<Vec<Seen>> = runs.into_iter().flatten().collect();
    let truth = truth(&runs, together, &names);
    let mut missed = Vec::new();
    for (row, chunk) in (0..names.len()).collect::<Vec<_>>().chunks(STATISTICS.len()).enumerate() {
        let head = METRICS.get(row).map_or("", |metric| *metric);
        let mut line = format!("{:13}{head:12}", if row == 0 { load.name() } else { String::new() });
        let mut why = format!("{:25}", "");
        for place in chunk {
            let cell = Cell::of(runs.iter().map(|run| run[*place]), truth[*place]);
            line += &format!("{:>WIDTH$}", cell.text());
            why += &format!("{:>WIDTH$}", cell.why());
            if row >= METRICS.len() {
                line += &format!(" {}", names[*place]);
            }
            if cell.misses() {
                missed.push(format!("{} {} {:.1} %", load.name(), names[*place], 100.0 * cell.any.share()));
            }
        }
        println!("{line}");
        if options.why {
            println!("{why}");
        }
    }
    missed
}

/// The numbers of all runs taken together: of all their values, and where that would be of all their time
/// the mean of theirs. Of a thousand, that a run is among them moves the truth by a thousandth of what it is
/// off by; from a third as many others the p99 of a nearly full server would be off by 3 %, and its intervals
/// would seem to miss.
fn truth(runs: &[Vec<Seen>], together: Vec<Summary>, names: &[String]) -> Vec<f64> {
    let mut parts = together.into_iter();
    let mut all = parts.next().unwrap();
    parts.for_each(|part| all += &part);
    let mean = |place: usize| runs.iter().map(|run| run[place].value).sum::<f64>() / runs.len() as f64;
    let number = |name: &String| all.value(name).unwrap().unwrap_or(f64::NAN);
    let single = |name: &String| SINGLE.contains(&name.as_str());
    names.iter().enumerate().map(|(i, name)| if single(name) { mean(i) } else { number(name) }).collect()
}

/// What became of one number in all runs.
#[derive(Default)]
struct Cell {
    runs: usize,
    /// Intervals of any kind, and those among them that have both ends.
    any: Held,
    both: Held,
    /// The truth lies below the lower end.
    below: usize,
    /// Halves of intervals with both ends, over what they would be if the spread of the values between
    /// runs were known.
    width: f64,
}

/// Intervals, and how many of them hold the truth.
#[derive(Default)]
struct Held {
    printed: usize,
    held: usize,
}

impl Held {
    fn count(&mut self, held: bool) {
        self.printed += 1;
        self.held += usize::from(held);
    }

    fn share(&self) -> f64 {
        self.held as f64 / self.printed.max(1) as f64
    }
}

impl Cell {
    fn of(seen: impl Iterator<Item = Seen> + Clone, truth: f64) -> Cell {
        let mut cell = Cell::default();
        let mut halves = 0.0;
        for seen in seen.clone() {
            cell.runs += 1;
            if let Some((low, high)) = seen.interval {
                // A percentile in a coarse clock is what it is, to a hair.
                let hair = 1e-6 * seen.value.abs();
                let held = low <= truth + hair && truth <= high + hair;
                cell.below += usize::from(low > truth + hair);
                cell.any.count(held);
                if high.is_finite() {
                    cell.both.count(held);
                    halves += (high - low) / 2.0;
                }
            }
        }
        let values: Vec<f64> = seen.filter(|seen| seen.interval.is_some()).map(|seen| seen.value).collect();
        let spread = pool::spread(&values).unwrap_or(f64::NAN);
        cell.width = halves / cell.both.printed.max(1) as f64 / (1.96 * spread);
        cell
    }

    fn text(&self) -> String {
        let share = |count: usize| 100.0 * count as f64 / self.runs.max(1) as f64;
        let open = self.any.printed - self.both.printed;
        let rest = format!("({:.0}, {:.0})", share(open), share(self.runs - self.any.printed));
        if self.any.printed < JUDGED_FROM {
            return format!("- {rest}");
        }
        let (low, high) = wilson(self.any.held, self.any.printed);
        let mark = match () {
            () if self.misses() => "!",
            () if low > *WANTED.end() => "+",
            () => "",
        };
        let both = match (open, self.both.printed) {
            (0, _) => String::new(),
            (_, 0..JUDGED_FROM) => " [-]".into(),
            _ => format!(" [{:.1}]", 100.0 * self.both.share()),
        };
        format!("{mark}{:.1}±{:.1}{both} {rest}", 100.0 * self.any.share(), 50.0 * (high - low))
    }

    /// Of the intervals that miss the truth, those that lie above it, and those below it, in % of all;
    /// and how wide they are.
    fn why(&self) -> String {
        let share = |count: usize| 100.0 * count as f64 / self.any.printed.max(1) as f64;
        let missed = self.any.printed - self.any.held;
        format!("{:.1} {:.1} x{:.2}", share(self.below), share(missed - self.below), self.width)
    }

    fn misses(&self) -> bool {
        self.any.printed >= JUDGED_FROM && wilson(self.any.held, self.any.printed).1 < *WANTED.start()
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
