//! Fold: what it takes to draw and to split a long run, from the rows in its folder.
//!
//! `cargo bench --bench fold -- --requests 1000000 --tokens 128` makes the folder once (`--folder
//! PARENT` says where, else `fold-data` in the folder for temporary files), reads it in a process of its
//! own for each picture, and prints time and memory. A word such as `by` takes only what it is in.
//! `-- write` writes the rows instead, without and with files: rows a CPU second, memory, bytes a token.
//! `-- million` takes the commands that read such a folder, and DuckDB on the same files, where `python3`
//! (or the program that PYTHON names) has it. `-- cells` takes `import` and `aggregate` of 1,000 runs.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a bench prints, and ends where it fails"
)]

#[path = "fold/cells.rs"]
mod cells;
#[path = "fold/generate.rs"]
mod generate;
#[path = "fold/library.rs"]
mod library;
#[path = "rig/mod.rs"]
mod rig;

use rampant::chart::{self, Figure};
use rampant::experiment::part::{Label, Part};
use rampant::lang::Lang;
use rampant::stats::latencies::Latencies;
use rampant::stats::lines::Lines;
use rampant::stats::names::Metric;
use rampant::stats::occupancy::Occupancy;
use rampant::stats::values::Values;
use rampant::stats::view::{View, ViewStats};
use rampant::stats::{ClientSeries, Fold, Summary, Window};
use rig::{Result, digits, print_table, tell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

type Work = fn(&Path) -> Result<()>;

/// Name and work; each is a process of its own.
const WORKS: [(&str, Work); 21] = [
    ("charts(), all pictures", all),
    ("picture of distributions", distributions),
    ("picture over time", over_time),
    ("timeline", timeline),
    ("by(\"class\")", |folder| by(folder, Label::Class)),
    ("by(\"turn\")", |folder| by(folder, Label::Turn)),
    ("series(\"output_tokens.rate\", \"1s\")", series),
    ("chart of kind cdf, ttft", |folder| cdf(folder, "ttft")),
    ("chart of kind cdf, itl", |folder| cdf(folder, "itl")),
    ("chart of kind cdf, queue_delay", |folder| cdf(folder, "queue_delay")),
    ("aggregate --view rampant", |folder| viewed(folder, View::Rampant)),
    ("aggregate --view vllm", |folder| viewed(folder, View::Vllm)),
    ("aggregate --view guidellm", |folder| viewed(folder, View::Guidellm)),
    ("aggregate --view aiperf", |folder| viewed(folder, View::Aiperf)),
    ("aggregate --view inference-perf", |folder| viewed(folder, View::InferencePerf)),
    ("million: rampant aggregate", |folder| rampant(folder, &["aggregate", "--dir", FOLDER])),
    ("million: rampant aggregate --view vllm", |folder| {
        rampant(folder, &["aggregate", "--view", "vllm", "--dir", FOLDER])
    }),
    ("million: rampant visualize", |folder| {
        rampant(folder, &["visualize", "--dir", FOLDER, "--output", FOLDER])
    }),
    ("million: rampant compare", |folder| rampant(folder, &["compare", FOLDER, FOLDER])),
    ("million: DuckDB, ttft", |folder| duckdb(folder, "ttft")),
    ("million: DuckDB, itl", |folder| duckdb(folder, "itl")),
];

/// Stands for the results folder in an argument.
const FOLDER: &str = "{folder}";

/// What a child is asked with.
const ONE: &str = "--one";
const WRITE: &str = "--write";
const FILES: &str = "files";
const READ: &str = "read";
const LIBRARY: &str = "library";

const SECOND: i64 = 1_000_000_000;

fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, place, folder] = &given[..]
        && word == ONE
    {
        return child(place.parse()?, Path::new(folder));
    }
    if let [word, what, parent, requests, tokens] = &given[..]
        && word == WRITE
    {
        let (requests, tokens) = (requests.parse()?, tokens.parse()?);
        return cost(|| {
            match what.as_str() {
                FILES => drop(generate::rows(Path::new(parent), requests, tokens)?),
                READ => library::copy(&only_folder(Path::new(parent))?, false)?,
                LIBRARY => library::copy(&only_folder(Path::new(parent))?, true)?,
                _ => generate::made(requests, tokens),
            }
            Ok(())
        });
    }
    if let [word, args @ ..] = &given[..]
        && word == cells::CELLS
    {
        return cost(|| cells::command(args));
    }
    let asked = Asked::read(&given)?;
    if asked.only == ["write"] {
        return write(&asked);
    }
    if asked.only == ["cells"] {
        return cells::run(&asked.parent);
    }
    std::fs::create_dir_all(&asked.parent)?;
    let begun = Instant::now();
    let folder = generate::folder(&asked.parent, asked.requests, asked.tokens)?;
    tell(format!("the rows are in {} ({:.0} s)", folder.display(), begun.elapsed().as_secs_f64()));
    let wanted =
        |name: &str| asked.only.is_empty() || asked.only.iter().any(|word| name.contains(word.as_str()));
    let mut rows = Vec::new();
    for (place, (name, _)) in WORKS.iter().enumerate().filter(|(_, (name, _))| wanted(name)) {
        tell(name);
        rows.push(match of_child(&[ONE, &place.to_string(), &folder.to_string_lossy()]) {
            Ok([wall, cpu, peak]) => {
                vec![name.to_string(), digits(wall, 2), digits(cpu, 2), digits(peak, 0)]
            }
            Err(_) => vec![name.to_string(), "failed".into(), String::new(), String::new()],
        });
    }
    let title = format!("{} requests of {} tokens", asked.requests, asked.tokens);
    print_table(&title, &["", "seconds", "CPU seconds", "peak MiB"], &rows);
    Ok(())
}

/// The cost of this program in a process of its own: seconds, CPU seconds, MiB.
fn of_child(args: &[&str]) -> Result<[f64; 3]> {
    let mut command = Command::new(std::env::current_exe()?);
    let done = command.args(args).stdout(Stdio::piped()).stderr(Stdio::inherit()).output()?;
    let out = String::from_utf8(done.stdout)?;
    let cost: Vec<f64> = out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    cost.try_into().map_err(|_| format!("{args:?} failed").into())
}

/// What it takes to write the rows, without what it takes to make them.
fn write(asked: &Asked) -> Result<()> {
    let parent = asked.parent.join("written");
    let _ = std::fs::remove_dir_all(&parent);
    std::fs::create_dir_all(&parent)?;
    let (place, requests) = (parent.to_string_lossy().into_owned(), asked.requests.to_string());
    let tokens = asked.tokens.to_string();
    let of = |what| of_child(&[WRITE, what, &place, &requests, &tokens]);
    let rows = asked.requests as f64;
    let row = |name: &str, wall: f64, cpu: f64, peak: f64, bytes: Option<u64>| {
        let a_token = |bytes: u64| digits(bytes as f64 / (rows * f64::from(asked.tokens)), 2);
        let bytes = bytes.map_or(String::new(), a_token);
        vec![name.into(), digits(wall, 2), digits(cpu, 2), digits(rows / cpu, 0), digits(peak, 0), bytes]
    };
    let ([_, made, _], [wall, cpu, peak]) = (of("nothing")?, of(FILES)?);
    let mut bytes = 0;
    for part in std::fs::read_dir(only_folder(&parent)?.join("requests"))? {
        bytes += part?.metadata()?.len();
    }
    let ([read_wall, read, _], [library_wall, library, library_peak]) = (of(READ)?, of(LIBRARY)?);
    let table = [
        row("journal, parts, on the disk", wall, cpu - made, peak, Some(bytes)),
        row(
            "the library's writer alone, to nowhere",
            library_wall - read_wall,
            library - read,
            library_peak,
            None,
        ),
    ];
    std::fs::remove_dir_all(&parent)?;
    let title = format!("writing {requests} requests of {tokens} tokens");
    print_table(
        &title,
        &["", "seconds", "CPU seconds", "rows a CPU second", "peak MiB", "bytes a token"],
        &table,
    );
    Ok(())
}

/// The folder that was written there.
fn only_folder(parent: &Path) -> Result<PathBuf> {
    Ok(std::fs::read_dir(parent)?.next().ok_or("there is no folder")??.path())
}

struct Asked {
    requests: u64,
    tokens: u32,
    parent: PathBuf,
    only: Vec<String>,
}

impl Asked {
    fn read(given: &[String]) -> Result<Asked> {
        let parent = std::env::temp_dir().join("fold-data");
        let mut asked = Asked { requests: 1_000_000, tokens: 128, parent, only: Vec::new() };
        let mut words = given.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--requests" => asked.requests = value()?.parse()?,
                "--tokens" => asked.tokens = value()?.parse()?,
                "--folder" => asked.parent = value()?.into(),
                word if word.starts_with('-') => {
                    return Err(
                        format!("unknown option {word}; there are --requests, --tokens, --folder").into()
                    );
                }
                word => asked.only.push(word.to_string()),
            }
        }
        Ok(asked)
    }
}

/// Does one of the works and tells its cost: seconds, CPU seconds, MiB.
fn child(place: usize, folder: &Path) -> Result<()> {
    cost(|| (WORKS.get(place).ok_or("there is no such work")?.1)(folder))
}

/// Does something and tells what it took.
fn cost(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    work()?;
    let wall = begun.elapsed().as_secs_f64();
    // SAFETY: an all-zero value is a valid one, and the call fills it in.
    let usage = |whose| unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let whose = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(usage);
    let cpu: f64 = whose.iter().map(|usage| seconds(usage.ru_utime) + seconds(usage.ru_stime)).sum();
    // What was started is what is measured, where something was.
    let [own, started] = whose.map(|usage| usage.ru_maxrss as f64 / 1024.0);
    println!("{wall} {cpu} {}", if started > 0.0 { started } else { own });
    Ok(())
}

/// Runs this program's command, which does something with the folder.
fn rampant(folder: &Path, args: &[&str]) -> Result<()> {
    let folder = folder.to_string_lossy();
    let args = args.iter().map(|arg| arg.replace(FOLDER, &folder));
    succeed(Command::new(env!("CARGO_BIN_EXE_rampant")).args(args))
}

/// Mean and p99 of a metric, exactly, by SQL.
fn duckdb(folder: &Path, metric: &str) -> Result<()> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/fold/duckdb_numbers.py");
    succeed(Command::new(python).arg(script).arg(folder).arg(metric))
}

fn succeed(command: &mut Command) -> Result<()> {
    let done = command.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).into()),
    }
}

fn fold<F: Fold>(folder: &Path, fold: F) -> Result<F> {
    let (fold, warnings) = Part::default().fold(folder, generate::RUN, fold)?;
    if warnings.is_empty() { Ok(fold) } else { Err(warnings.join("; ").into()) }
}

/// Draws both forms of a picture, beside the results.
fn draw(folder: &Path, kind: &str, figure: &Figure) -> Result<()> {
    for ending in ["svg", "png"] {
        figure.replace(&folder.with_extension(format!("{kind}.{ending}")))?;
    }
    Ok(())
}

fn all(folder: &Path) -> Result<()> {
    let occupancy = fold(folder, Occupancy::default())?;
    let folds = (Latencies::default(), Lines::default(), chart::run::token_bins(occupancy.end()));
    let (latencies, lines, tokens) = fold(folder, folds)?;
    draw(folder, "distributions", &chart::run::distributions("long", &latencies, Lang::English))?;
    draw(
        folder,
        "over_time",
        &chart::run::over_time("long", &occupancy, &tokens, Some(13 * SECOND), Lang::English),
    )?;
    draw(folder, "timeline", &chart::run::timeline("long", &lines, Lang::English))
}

fn distributions(folder: &Path) -> Result<()> {
    let latencies = fold(folder, Latencies::default())?;
    draw(folder, "distributions", &chart::run::distributions("long", &latencies, Lang::English))
}

fn over_time(folder: &Path) -> Result<()> {
    let occupancy = fold(folder, Occupancy::default())?;
    let tokens = fold(folder, chart::run::token_bins(occupancy.end()))?;
    draw(
        folder,
        "over_time",
        &chart::run::over_time("long", &occupancy, &tokens, Some(13 * SECOND), Lang::English),
    )
}

fn timeline(folder: &Path) -> Result<()> {
    draw(folder, "timeline", &chart::run::timeline("long", &fold(folder, Lines::default())?, Lang::English))
}

fn by(folder: &Path, label: Label) -> Result<()> {
    let window = Window::Over { start: 13 * SECOND, end: 1_350 * SECOND };
    let make = |_: &Part| Summary::new(window, None, false);
    let (parts, _) = Part::default().split(folder, generate::RUN, label, make)?;
    for (mark, part) in parts {
        let value = |name| part.value(name).map(|value| value.unwrap_or(f64::NAN));
        tell(format!(
            "{} {}: ttft.p99 {} ms, itl.p99 {} ms, output_tokens.rate {}",
            mark.label(),
            mark.value(),
            value("ttft.p99")?,
            value("itl.p99")?,
            value("output_tokens.rate")?
        ));
    }
    Ok(())
}

/// What the rows of requests are read for.
fn viewed(folder: &Path, view: View) -> Result<()> {
    let mut stats = fold(folder, ViewStats::new(view))?;
    stats.close(None);
    let columns = stats.columns();
    tell(format!("mean_ttft_ms {}, p99_itl_ms {}", columns["mean_ttft_ms"], columns["p99_itl_ms"]));
    Ok(())
}

fn series(folder: &Path) -> Result<()> {
    let series = fold(folder, ClientSeries::new(SECOND))?;
    let points = series.line("output_tokens.rate", 1_350 * SECOND).map_or(0, |line| line.len());
    tell(format!("{points} points"));
    Ok(())
}

fn cdf(folder: &Path, name: &str) -> Result<()> {
    let metric = Metric::all().find(|metric| metric.name() == name).ok_or("no such metric")?;
    let values = fold(folder, Values::new(metric))?.weighed();
    draw(folder, name, &chart::generic::cdf(chart::generic::Chart::default(), vec![(name.into(), values)]))
}
