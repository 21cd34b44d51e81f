//! Records for the tests of this module.

use super::identity::RunIdentity;
use super::row_part::RowPart;
use crate::record::{
    Clock, Connect, Doubts, EventKind, Events, Outcome, PackedRecord, Phase, Record, Timeline, Timeout, Usage,
};
use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A run of its own traffic, in a sweep without repeats.
pub fn identity(run: &str, index: u32) -> RunIdentity {
    RunIdentity {
        experiment_id: "01ARYZ6S41TSV4RRFFQ69G5FAV".to_string(),
        folder: "R1_20260102_030405".to_string(),
        index,
        run: run.to_string(),
        cell: run.to_string(),
        traffic: run.to_string(),
    }
}

/// `n` records; every fifth one failed, in all the ways there are, and the first was never sent.
pub fn records(n: u64) -> Vec<Record> {
    (0..n).map(record).collect()
}

pub fn parcels(records: &[Record]) -> Vec<PackedRecord> {
    records.iter().cloned().map(PackedRecord::from).collect()
}

/// Records as the batch that a reader gets of a part.
pub fn batch(of: &RunIdentity, zero_ms: i64, records: &[Record]) -> RecordBatch {
    let mut part = RowPart::create(Vec::new(), of, zero_ms).unwrap();
    part.add(&records.iter().collect::<Vec<_>>()).unwrap();
    let bytes = bytes::Bytes::from(part.finish().unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().with_batch_size(records.len());
    reader.build().unwrap().next().unwrap().unwrap()
}

fn record(seq: u64) -> Record {
    let outcome = match seq {
        0 => Outcome::Dropped,
        _ if seq.is_multiple_of(5) => Outcome::ALL[(seq as usize / 5) % Outcome::ALL.len()],
        _ => Outcome::Success,
    };
    let class = if seq.is_multiple_of(2) { "chat" } else { "文档" };
    let mut record = Record {
        seq,
        id: format!("3f9c-0-{seq}"),
        phase: if seq < 3 { Phase::Warmup } else { Phase::Measured },
        session: seq / 2,
        turn: (seq % 2) as u32,
        tenant: (seq % 4 == 3).then(|| "蓝".into()),
        branch: (seq % 9 == 4).then_some(1),
        class: class.into(),
        asked_input: (!seq.is_multiple_of(3)).then_some(1_000),
        asked_output: 64,
        forced_length: seq % 3 == 1,
        synthetic_text: seq.is_multiple_of(2),
        streamed: seq % 7 != 6,
        timeline: Timeline::planned(seq as i64 * 1_000_003, seq as i64 * 1_000_003 + 7),
        outcome,
        error: (!outcome.is_success()).then(|| format!("it was {}", outcome.name())),
        status: (outcome != Outcome::Dropped).then_some(200),
        finish: outcome.is_success().then(|| "length".to_string()),
        usage: Usage::default(),
        audio_ms: seq.is_multiple_of(5).then_some(seq * 250),
        doubts: Doubts::named(if seq % 7 == 5 { "output,cached" } else { "" }),
        counted_output: None,
        counted_input: seq.is_multiple_of(4).then_some(1_003),
        text: (seq % 10 == 1).then(|| "the same \"text\"\nand 你好".to_string()),
        body_bytes: seq * 97,
        reused: seq % 2 == 1,
        reconnects: u32::from(outcome == Outcome::Disconnected),
        connect_tries: if outcome == Outcome::Connect { 9 } else { u32::from(seq.is_multiple_of(2)) },
        unclosed: seq % 11 == 5,
    };
    if outcome != Outcome::Dropped {
        send(&mut record);
    }
    record
}

fn send(record: &mut Record) {
    let seq = record.seq as i64;
    let time = &mut record.timeline;
    let sent = time.admitted + 40_000;
    // The first connection was opened before the run's zero.
    time.connect = (!record.reused).then(|| Connect { started: sent - 30_000_000, done: sent - 2_000_000 });
    time.sent = Some(sent);
    time.written = Some(sent + 9_000);
    time.head = Some(sent + 1_000_000);
    time.clock = if seq % 2 == 0 { Clock::Kernel } else { Clock::Read };
    time.read_lag_us = (seq % 2 == 0).then_some(21);
    time.shared_reads = (seq % 3) as u32;
    time.tcp_retransmits = (seq % 4 == 0).then_some((seq % 16 == 0) as u32);
    time.tcp_out_of_order = (seq % 4 == 1).then_some(3);
    time.tcp_min_rtt_us = (seq % 4 == 0).then_some(87);
    time.events = events(seq as u32);
    time.end = sent + 1_000 * i64::from(time.events.at_us.last().copied().unwrap_or(5_000)) + 3;
    if seq % 2 == 0 {
        record.usage = Usage { input: Some(1_005), output: Some(6), cached: Some(512), reasoning: Some(2) };
    } else if seq % 3 == 0 {
        record.counted_output = Some(7);
    }
    if matches!(record.outcome, Outcome::TimedOut(Timeout::FirstToken)) {
        time.head = None;
        time.events = Events::default();
    }
}

fn events(seq: u32) -> Events {
    let mut events = Events::with_capacity(8);
    let first = 20_000 + seq % 97;
    events.push(first - 500, EventKind::ROLE.with(EventKind::CHOICES), 0, 0);
    events.push(first, EventKind::REASONING.with(EventKind::CHOICES), 1, 4);
    for i in 0..4 + seq % 3 {
        events.push(
            first + 10_000 * (i + 1) + i * seq % 89,
            EventKind::CONTENT.with(EventKind::CHOICES),
            1,
            3 + i,
        );
    }
    events.push(first + 80_000, EventKind::FINISH.with(EventKind::CHOICES), 0, 0);
    events.push(first + 80_100, EventKind::USAGE.with(EventKind::EMPTY), 0, 0);
    events.push(u32::MAX, EventKind::DONE, 0, 0);
    events
}
