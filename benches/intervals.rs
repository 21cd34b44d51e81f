//! Intervals: what it costs that every number of a run has one.
//!
//! `cargo bench --bench intervals -- --requests 100000 --tokens 128` makes the requests of a run up, and
//! prints the CPU time of keeping their values in blocks of time, of drawing the blocks again for every
//! number, and the memory of the blocks.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and ends where it fails")]

#[allow(dead_code, reason = "the folder is for another bench")]
#[path = "fold/generate.rs"]
mod generate;

use rampant::record::{Phase, Record};
use rampant::stats::names::Metric;
use rampant::stats::sketch::{Room, SketchBlocks};
use rampant::stats::{Summary, Window};

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let asked = |name: &str, else_: u64| {
        let at = given.iter().position(|word| word == name);
        at.and_then(|at| given.get(at + 1)).map_or(else_, |value| value.parse().expect("a whole number"))
    };
    let (requests, tokens) = (asked("--requests", 100_000), asked("--tokens", 128) as u32);

    let mut summary = Summary::new(Window::UNKNOWN, None, false);
    let mut sketches: Vec<SketchBlocks> = vec![SketchBlocks::default(); Metric::ALL.len()];
    let mut room = Room::default();
    let mut ends = vec![0; generate::USERS as usize];
    let (mut adding, mut keeping) = (0.0, 0.0);
    // In rounds: a million requests do not fit into memory.
    for from in (0..requests).step_by(2_000) {
        let records: Vec<Record> = (from..requests.min(from + 2_000))
            .map(|seq| generate::record(seq, requests, tokens, &mut ends))
            .collect();
        let begun = cpu();
        records.iter().for_each(|record| summary.add(record));
        adding += cpu() - begun;
        let values: Vec<(i64, Vec<Vec<f64>>)> = records
            .iter()
            .filter(|record| record.phase == Phase::Measured && record.success())
            .map(|record| {
                let of = |metric: Metric| metric.values(record).unwrap_or_default();
                (record.timeline.planned, Metric::all().map(of).collect())
            })
            .collect();
        let begun = cpu();
        for (planned, values) in &values {
            for (sketch, values) in sketches.iter_mut().zip(values) {
                match values[..] {
                    [value] => sketch.add(*planned, value),
                    _ => sketch.add_all(*planned, values.iter().copied(), &mut room),
                }
            }
        }
        keeping += cpu() - begun;
    }
    summary.close();
    let begun = cpu();
    let columns = summary.columns().len();
    let plain = cpu() - begun;
    let begun = cpu();
    let all = summary.all_numbers();
    let drawing = cpu() - begun - plain;
    let with = all.iter().filter(|number| number.estimate.interval.is_some()).count();
    let bytes: usize = sketches.iter().map(SketchBlocks::bytes).sum();
    println!("{requests} requests of {tokens} tokens, {columns} numbers, {with} of them with an interval");
    println!("CPU seconds of the whole summary            {adding:.3}");
    println!("  of which keeping blocks of time           {keeping:.3}");
    println!("CPU seconds of drawing them for all numbers {drawing:.3}");
    println!("MiB of all blocks                           {:.2}", bytes as f64 / f64::from(1 << 20));
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    // SAFETY: an all-zero value is a valid one, and the call fills it in.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time);
        time
    };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
