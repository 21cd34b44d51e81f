//! Fuzz: everything that reads bytes of others, fed with broken ones: data sets, tables, plans,
//! results folders, replies of servers.
//!
//! `cargo bench --bench fuzz -- --seconds 1800` tries new inputs for half an hour of CPU time;
//! `--seed 7` begins elsewhere, `--only parquet` takes the readers whose name has that word.
//! A finding is printed as `READER:NUMBER`; `cargo bench --bench fuzz -- --case READER:NUMBER`
//! tries that input alone, and `--save FILE` beside it writes the input down.
//!
//! Input `READER:NUMBER` is a function of both: samples of the reader's format, broken at random.
//! `--prove` tries readers that are broken on purpose, each of which must be found.
//!
//! A finding is a panic, a crash, more than 8 s of CPU, more than 1 GiB of memory, or a reader
//! whose own promise does not hold (a body that is no JSON, another result for another cut).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::mem_forget,
    reason = "a bench prints, and ends where it fails"
)]

#[path = "fuzz/limits.rs"]
mod limits;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/readers.rs"]
mod readers;
#[path = "fuzz/samples.rs"]
mod samples;

use readers::Reader;
use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: limits::Counted = limits::Counted;

struct Options {
    seconds: u64,
    seed: u64,
    only: String,
    case: Option<String>,
    save: Option<String>,
    prove: bool,
    /// A process of its own tries the inputs, so that nothing ends without a word.
    inside: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 60,
        seed: 0,
        only: String::new(),
        case: None,
        save: None,
        prove: false,
        inside: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text:?} is no whole number"));
        match arg.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--only" => options.only = value()?,
            "--case" => options.case = Some(value()?),
            "--save" => options.save = Some(value()?),
            "--prove" => options.prove = true,
            "--inside" => options.inside = true,
            other => return Err(format!("unknown option {other:?}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let done = options().and_then(|options| match options {
        Options { inside: true, .. } => inside(&options),
        Options { prove: true, .. } => prove(),
        _ => outside(&options, &[]).map(|found| found.is_none()),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(told) => {
            eprintln!("fuzz: {told}");
            ExitCode::from(2)
        }
    }
}

/// Every broken reader is found, by what it does.
fn prove() -> Result<bool, String> {
    let mut all = true;
    for (reader, words) in readers::broken().iter().zip(readers::FOUND) {
        let case = format!("{}:0", reader.name);
        let options = Options { seconds: 60, ..options()? };
        let found = outside(&options, &["--case", &case])?.unwrap_or_default();
        let told = found.contains(&format!("FOUND {case}: ")) && found.contains(words);
        println!("{:<16} {}", reader.name, if told { "found" } else { "NOT FOUND" });
        all &= told;
    }
    Ok(all)
}

/// Starts this program again to try the inputs; what it found, if anything.
fn outside(options: &Options, more: &[&str]) -> Result<Option<String>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(std::env::args().skip(1))
        .args(more)
        .arg("--inside")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    limits::CHILD.store(child.id(), std::sync::atomic::Ordering::Relaxed);
    let mut pipe = child.stderr.take().ok_or("no pipe")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    // A hang is found inside by its CPU time; this is for one that uses none.
    let most = Duration::from_secs(options.seconds * 20 + 300);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break Some(status);
        }
        if start.elapsed() > most {
            let _ = child.kill();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut found = reader.join().unwrap_or_default();
    match status {
        Some(status) if status.success() => {
            print!("{found}");
            return Ok(None);
        }
        Some(status) if status.code().is_some() => {}
        Some(status) => found += &format!("FOUND {}: the process ended with {status}\n", limits::last_case()),
        None => found += &format!("FOUND {}: it does not end\n", limits::last_case()),
    }
    limits::forget();
    print!("{found}");
    println!("again: cargo bench --bench fuzz -- --case READER:NUMBER");
    Ok(Some(found))
}

/// Tries inputs, one reader after another, until the time is over.
fn inside(options: &Options) -> Result<bool, String> {
    let mut readers = readers::all();
    if options.prove {
        readers.extend(readers::broken());
    }
    if let Some(case) = &options.case {
        return one(&readers, case, options.save.as_deref());
    }
    let chosen: Vec<&Reader> = readers.iter().filter(|reader| reader.name.contains(&options.only)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = readers.iter().map(|reader| reader.name).collect();
        return Err(format!("no reader has {:?} in its name: {}", options.only, names.join(", ")));
    }
    limits::watch();
    // CPU time: how busy the machine is changes nothing.
    let cpu = || rampant::os::cpu() as u64;
    let end = cpu() + options.seconds * 1_000_000_000;
    let mut tries = vec![0_u64; chosen.len()];
    let mut found = 0;
    let mut round = 0;
    // Each reader has the same share of the time, in slices.
    while cpu() < end && found < 20 {
        for (reader, tries) in chosen.iter().zip(&mut tries) {
            let slice = cpu() + 100_000_000;
            while cpu() < slice.min(end) && found < 20 {
                let number = (options.seed << 40) + *tries;
                *tries += 1;
                found += u32::from(!try_one(reader, number));
            }
        }
        round += 1;
        if round % 50 == 0 {
            let left = end.saturating_sub(cpu()) / 1_000_000_000;
            println!("{} inputs, {found} found, {left} s left", tries.iter().sum::<u64>());
        }
    }
    for (reader, tries) in chosen.iter().zip(&tries) {
        println!("{:<24} {tries:>10}", reader.name);
    }
    println!("{} inputs, {found} found", tries.iter().sum::<u64>());
    limits::forget();
    Ok(found == 0)
}

fn one(readers: &[Reader], case: &str, save: Option<&str>) -> Result<bool, String> {
    let (name, number) = case.rsplit_once(':').ok_or("--case is READER:NUMBER")?;
    let number = number.parse().map_err(|_| format!("{number:?} is no whole number"))?;
    let reader = readers.iter().find(|reader| reader.name == name).ok_or(format!("no reader {name:?}"))?;
    if let Some(path) = save {
        std::fs::write(path, mutate::input(reader, number)).map_err(|error| format!("{path}: {error}"))?;
    }
    limits::watch();
    let held = try_one(reader, number);
    println!("{case}: {}", if held { "holds" } else { "fails" });
    Ok(held)
}

fn try_one(reader: &Reader, number: u64) -> bool {
    let case = format!("{}:{number}", reader.name);
    let input = mutate::input(reader, number);
    limits::begin(&case);
    let done = rampant::error::caught(|| (reader.read)(&input));
    limits::end();
    let told = match done {
        Ok(Ok(())) => return true,
        Ok(Err(promise)) => promise,
        Err(panic) => format!("panicked: {panic}"),
    };
    eprintln!("FOUND {case}: {told}");
    false
}
