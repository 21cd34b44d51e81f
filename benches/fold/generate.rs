//! A results folder of a long run that never was: its rows are made up, its files are the writer's own.

use rampant::error::Result;
use rampant::record::{Clock, EventKind, Nanos, Outcome, PackedRecord, Phase, Record, Timeline, Usage};
use rampant::stats::{Summary, Window};
use rampant::store::{Folder, RowWriter, runs, statistics};
use std::path::{Path, PathBuf};

/// The run's name.
pub const RUN: &str = "long";

/// Users of the closed loop.
pub const USERS: u64 = 1_000;

const CLASSES: [&str; 4] = ["chat", "code", "summary", "agent"];

const ZERO_MS: i64 = 1_764_000_000_000;

/// Finds the folder, or makes it: `requests` of `tokens` output tokens each, and their numbers.
pub fn folder(parent: &Path, requests: u64, tokens: u32) -> Result<PathBuf> {
    let stamp = format!("{requests}x{tokens}");
    let there = parent.join(format!("fold_{stamp}"));
    if there.join(statistics::FILE).exists() {
        return Ok(there);
    }
    let folder = Folder::create(parent, "fold", &stamp)?;
    let mut summary = Summary::new(Window::UNKNOWN, None, false);
    let rows = write(&folder, requests, tokens, |record| summary.add(record))?;
    summary.close();
    let of = folder.identity(0, RUN, RUN)?;
    let mut row = runs::blank(&of);
    let span = summary.span();
    row.insert("rows_written".into(), rows.into());
    row.insert("zero_ms".into(), ZERO_MS.into());
    row.insert("max_concurrency".into(), USERS.into());
    row.insert("window_start_ns".into(), span.map(|(start, _)| start).into());
    row.insert("last_end_ns".into(), span.map(|(_, end)| end).into());
    runs::append(folder.path(), row)?;
    statistics::append(folder.path(), &of, ZERO_MS, &rampant::experiment::row::statistics(&summary))?;
    folder.manifest(|manifest| {
        manifest.insert("started_ms".into(), ZERO_MS.into());
    })?;
    Ok(folder.path().to_path_buf())
}

/// The rows alone, in a folder of their own.
pub fn rows(parent: &Path, requests: u64, tokens: u32) -> Result<u64> {
    write(&Folder::create(parent, "rows", "alone")?, requests, tokens, |_| ())
}

fn write(folder: &Folder, requests: u64, tokens: u32, mut each: impl FnMut(&Record)) -> Result<u64> {
    let mut writer = RowWriter::start(folder.path(), folder.identity(0, RUN, RUN)?)?;
    writer.begin(ZERO_MS);
    let mut ends = vec![0; USERS as usize];
    for from in (0..requests).step_by(256) {
        let some = (from..requests.min(from + 256)).map(|seq| {
            let record = record(seq, requests, tokens, &mut ends);
            each(&record);
            PackedRecord::from(record)
        });
        writer.write(some.collect())?;
    }
    Ok(writer.finish()?.rows)
}

/// Makes the rows, and does nothing with them.
pub fn made(requests: u64, tokens: u32) {
    let mut ends = vec![0; USERS as usize];
    for seq in 0..requests {
        std::hint::black_box(PackedRecord::from(record(seq, requests, tokens, &mut ends)));
    }
}

/// Request `seq`: one in a hundred fails, the first hundredth is warm-up.
pub fn record(seq: u64, requests: u64, tokens: u32, ends: &mut [Nanos]) -> Record {
    let user = (seq % USERS) as usize;
    let mut chance = Chance(seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let planned = ends[user];
    let mut timeline = Timeline::planned(planned, planned);
    let sent = planned + 20_000 + chance.below(60_000) as Nanos;
    timeline.sent = Some(sent);
    timeline.written = Some(sent + 9_000);
    timeline.clock = Clock::Kernel;
    timeline.read_lag_us = Some(20 + chance.below(40));
    timeline.tcp_retransmits = Some(0);
    timeline.tcp_out_of_order = Some(0);
    timeline.tcp_min_rtt_us = Some(80 + chance.below(9));
    let fails = chance.below(100) == 77;
    let mut at = 30_000 + chance.below(60_000);
    timeline.head = Some(sent + 1_000 * (Nanos::from(at) - 300));
    if !fails {
        for i in 0..tokens {
            timeline.events.push(at, EventKind::CONTENT.with(EventKind::CHOICES), 0, 3 + chance.below(5));
            let stall = if chance.below(4_000) == 0 { 80_000 } else { 0 };
            at += if i + 1 < tokens { 7_000 + chance.below(3_000) + chance.below(3_000) + stall } else { 90 };
        }
        timeline.events.push(at, EventKind::FINISH.with(EventKind::CHOICES), 0, 0);
        timeline.events.push(at + 40, EventKind::USAGE.with(EventKind::EMPTY), 0, 0);
        timeline.events.push(at + 50, EventKind::DONE, 0, 0);
    }
    timeline.end = sent + 1_000 * Nanos::from(at) + 60_000;
    ends[user] = timeline.end;
    let outcome = if fails { Outcome::Status } else { Outcome::Success };
    Record {
        seq,
        id: format!("3f9c-0-{seq}"),
        phase: if seq < requests / 100 { Phase::Warmup } else { Phase::Measured },
        session: seq / 4,
        turn: (seq % 4) as u32,
        tenant: None,
        branch: None,
        class: CLASSES[chance.below(CLASSES.len() as u32) as usize].into(),
        asked_input: Some(1_000),
        asked_output: tokens,
        forced_length: true,
        synthetic_text: true,
        streamed: true,
        timeline,
        outcome,
        error: fails.then(|| "HTTP 503: the queue is full".to_string()),
        status: Some(if fails { 503 } else { 200 }),
        finish: (!fails).then(|| "length".to_string()),
        usage: if fails {
            Usage::default()
        } else {
            Usage { input: Some(1_004), output: Some(tokens), cached: Some(512), reasoning: None }
        },
        doubts: Default::default(),
        counted_output: None,
        counted_input: None,
        text: None,
        audio_ms: None,
        body_bytes: 230 * u64::from(tokens),
        reused: true,
        reconnects: 0,
        connect_tries: 0,
        unclosed: false,
    }
}

/// A small generator: the same numbers for the same request.
struct Chance(u64);

impl Chance {
    /// A number below `most`.
    fn below(&mut self, most: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(most)) >> 32) as u32
    }
}
