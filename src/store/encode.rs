//! `flat`, `raw`: records as columns, the lists of their events excepted (`event_column.rs`).

use super::identity::RunIdentity;
use super::schema;
use crate::record::{Connect, EventKind, OutputSource, Record};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;
use std::sync::Arc;

/// Records as the columns of a part that are no lists, in the order of the schema and of the records.
pub(super) fn flat(of: &RunIdentity, zero_ms: i64, records: &[&Record]) -> Vec<ArrayRef> {
    let mut columns = raw(of, records);
    columns.extend([
        ("experiment_id", same(records, &of.experiment_id)),
        ("run_id", same(records, &of.run_id())),
        ("folder", same(records, &of.folder)),
        ("cell", same(records, &of.cell)),
        ("traffic", same(records, &of.traffic)),
        ("server", words(records, |_| None)),
        ("parent", Arc::new(Int64Array::new_null(records.len()))),
        ("prefix", words(records, |_| None)),
    ]);
    tokens(&mut columns, records);
    latencies(&mut columns, records);
    let sent_at: TimestampMicrosecondArray = records
        .iter()
        .map(|r| r.timeline.sent.map(|sent| zero_ms * 1_000 + sent.div_euclid(1_000)))
        .collect();
    columns.push(("sent_at", Arc::new(sent_at.with_timezone("UTC"))));
    let schema = schema::schema();
    let flat = schema.fields().iter().filter(|field| !matches!(field.data_type(), DataType::List(_)));
    let column =
        |name: &str| columns.iter().find(|(column, _)| *column == name).map(|(_, array)| array.clone());
    flat.map(|field| column(field.name()).expect("every column of the schema is made")).collect()
}

/// The columns that records are rebuilt from, but for the events.
pub(super) fn raw<'a>(of: &'a RunIdentity, records: &'a [&'a Record]) -> Columns {
    let mut columns = Vec::with_capacity(80);
    who(&mut columns, of, records);
    counts(&mut columns, records);
    times(&mut columns, records);
    columns.push(("text", words(records, |r| r.text.as_deref())));
    columns
}

pub(super) type Columns = Vec<(&'static str, ArrayRef)>;

fn who<'a>(columns: &mut Columns, of: &'a RunIdentity, records: &'a [&'a Record]) {
    columns.extend([
        ("run", same(records, &of.run)),
        ("tenant", words(records, |r| r.tenant.as_deref())),
        ("class", words(records, |r| Some(&r.class))),
        ("seq", whole(records, |r| r.seq as i64)),
        ("request_id", words(records, |r| Some(&r.id))),
        ("phase", words(records, |r| Some(r.phase.name()))),
        ("session", whole(records, |r| r.session as i64)),
        ("turn", whole(records, |r| i64::from(r.turn))),
        ("branch", count(records, |r| r.branch)),
        ("outcome", words(records, |r| Some(r.outcome.name()))),
        ("error", words(records, |r| r.error.as_deref())),
        ("status", maybe(records, |r| r.status.map(i64::from))),
        ("finish_reason", words(records, |r| r.finish.as_deref())),
        ("streamed", flags(records, |r| r.streamed)),
    ]);
}

fn counts(columns: &mut Columns, records: &[&Record]) {
    columns.extend([
        ("asked_input_tokens", count(records, |r| r.asked_input)),
        ("asked_output_tokens", count(records, |r| Some(r.asked_output))),
        ("forced_length", flags(records, |r| r.forced_length)),
        ("synthetic_text", flags(records, |r| r.synthetic_text)),
        ("input_tokens_usage", count(records, |r| r.usage.input)),
        ("output_tokens_usage", count(records, |r| r.usage.output)),
        ("cached_tokens", count(records, |r| r.usage.cached)),
        ("reasoning_tokens", count(records, |r| r.usage.reasoning)),
        ("doubted_counts", words(records, |r| r.doubts.any().then(|| r.doubts.names()))),
        ("counted_input_tokens", count(records, |r| r.counted_input)),
        ("counted_output_tokens", count(records, |r| r.counted_output)),
        ("audio_ms", maybe(records, |r| r.audio_ms.and_then(|ms| i64::try_from(ms).ok()))),
    ]);
}

fn tokens(columns: &mut Columns, records: &[&Record]) {
    let output: Vec<Option<(u32, OutputSource)>> = records.iter().map(|r| r.output_tokens()).collect();
    let counts: Int64Array = output.iter().map(|o| o.map(|(n, _)| i64::from(n))).collect();
    let sources: StringArray = output.iter().map(|o| o.map(|(_, source)| source.name())).collect();
    columns.extend([
        ("input_tokens", count(records, Record::input_tokens)),
        ("output_tokens", Arc::new(counts) as ArrayRef),
        ("output_tokens_source", Arc::new(sources)),
    ]);
}

/// Only a success has latencies; the delays of a failure are still worth keeping.
fn latencies(columns: &mut Columns, records: &[&Record]) {
    let of_success = |measure: fn(&Record) -> Option<f64>| {
        real(records, move |r| if r.success() { measure(r) } else { None })
    };
    columns.extend([
        ("ttft_ms", of_success(Record::ttft_ms)),
        ("ttfo_ms", of_success(Record::ttfo_ms)),
        ("e2el_ms", of_success(Record::e2el_ms)),
        ("tpot_ms", of_success(Record::tpot_ms)),
        ("ntpot_ms", of_success(Record::ntpot_ms)),
        ("itl_mean_ms", of_success(itl_mean_ms)),
        ("response_ttft_ms", of_success(Record::response_ttft_ms)),
        ("response_e2el_ms", of_success(Record::response_e2el_ms)),
        ("queue_delay_ms", real(records, Record::queue_delay_ms)),
        ("lateness_ms", real(records, Record::lateness_ms)),
        ("rtfx", of_success(Record::rtfx)),
    ]);
}

/// The same number as `Record::itl_request_ms` to within a rounding, without its two lists: gaps sum up
/// to last - first.
fn itl_mean_ms(record: &Record) -> Option<f64> {
    if !record.streamed {
        return None;
    }
    let (at, kind) = (&record.timeline.events.at_us, &record.timeline.events.kind);
    let is_output = |kind: &EventKind| kind.has(EventKind::OUTPUT);
    let (first, last) = (kind.iter().position(is_output)?, kind.iter().rposition(is_output)?);
    let gaps = kind.iter().filter(|kind| is_output(kind)).count() - 1;
    (gaps > 0).then(|| f64::from(at[last].saturating_sub(at[first])) / 1e3 / gaps as f64)
}

fn times(columns: &mut Columns, records: &[&Record]) {
    let connect = |time: fn(Connect) -> i64| maybe(records, move |r| r.timeline.connect.map(time));
    columns.extend([
        ("planned_ns", whole(records, |r| r.timeline.planned)),
        ("admitted_ns", whole(records, |r| r.timeline.admitted)),
        ("connect_started_ns", connect(|c| c.started)),
        ("connected_ns", connect(|c| c.done)),
        ("sent_ns", maybe(records, |r| r.timeline.sent)),
        ("written_ns", maybe(records, |r| r.timeline.written)),
        ("head_ns", maybe(records, |r| r.timeline.head)),
        ("end_ns", whole(records, |r| r.timeline.end)),
        ("clock", words(records, |r| Some(r.timeline.clock.name()))),
        ("read_lag_us", count(records, |r| r.timeline.read_lag_us)),
        ("shared_reads", count(records, |r| Some(r.timeline.shared_reads))),
        ("tcp_retransmits", count(records, |r| r.timeline.tcp_retransmits)),
        ("tcp_out_of_order", count(records, |r| r.timeline.tcp_out_of_order)),
        ("tcp_min_rtt_us", count(records, |r| r.timeline.tcp_min_rtt_us)),
        ("body_bytes", whole(records, |r| r.body_bytes as i64)),
        ("reused", flags(records, |r| r.reused)),
        ("reconnects", count(records, |r| Some(r.reconnects))),
        ("connect_tries", count(records, |r| Some(r.connect_tries))),
        ("unclosed", flags(records, |r| r.unclosed)),
    ]);
}

/// One text for all.
fn same(records: &[&Record], text: &str) -> ArrayRef {
    Arc::new(StringArray::new_repeated(text, records.len()))
}

fn words<'a>(records: &'a [&'a Record], value: impl Fn(&'a Record) -> Option<&'a str>) -> ArrayRef {
    Arc::new(records.iter().map(|record| value(record)).collect::<StringArray>())
}

fn whole(records: &[&Record], value: impl Fn(&Record) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(records.iter().map(|record| value(record))))
}

fn maybe(records: &[&Record], value: impl Fn(&Record) -> Option<i64>) -> ArrayRef {
    Arc::new(records.iter().map(|record| value(record)).collect::<Int64Array>())
}

fn count(records: &[&Record], value: impl Fn(&Record) -> Option<u32>) -> ArrayRef {
    maybe(records, |record| value(record).map(i64::from))
}

fn real(records: &[&Record], value: impl Fn(&Record) -> Option<f64>) -> ArrayRef {
    Arc::new(records.iter().map(|record| value(record)).collect::<Float64Array>())
}

fn flags(records: &[&Record], value: impl Fn(&Record) -> bool) -> ArrayRef {
    Arc::new(BooleanArray::from(records.iter().map(|record| value(record)).collect::<Vec<bool>>()))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use arrow_array::{Array, RecordBatch};

    fn reals(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
        batch.column_by_name(name).unwrap().as_any().downcast_ref::<Float64Array>().unwrap().iter().collect()
    }

    #[test]
    fn only_a_success_has_latencies_but_a_failure_keeps_its_delays() {
        let records = sample::records(60);
        let batch = sample::batch(&sample::identity("a", 0), 0, &records);
        for (i, record) in records.iter().enumerate() {
            let ttft = if record.success() { record.ttft_ms() } else { None };
            assert_eq!(reals(&batch, "ttft_ms")[i], ttft);
            assert_eq!(reals(&batch, "lateness_ms")[i], record.lateness_ms());
        }
        assert!(records.iter().any(|r| !r.success() && r.ttft_ms().is_some()));
    }

    #[test]
    fn the_mean_gap_is_that_of_the_record() {
        for record in sample::records(60) {
            match (itl_mean_ms(&record), record.itl_request_ms()) {
                (Some(here), Some(there)) => assert!((here - there).abs() < 1e-9, "{here} {there}"),
                (here, there) => assert_eq!(here, there),
            }
        }
    }

    #[test]
    fn the_wall_clock_of_a_request_is_the_zero_of_its_run_and_its_own_time() {
        let records = sample::records(2);
        let batch = sample::batch(&sample::identity("a", 0), 1_000, &records);
        let column = batch.column_by_name("sent_at").unwrap();
        let sent_at = column.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
        assert!(sent_at.is_null(0), "a dropped request was never sent");
        assert_eq!(sent_at.value(1), 1_000_000 + records[1].timeline.sent.unwrap() / 1_000);
    }
}
