//! The Parquet schema of `requests/part-*.parquet`: names, units, encodings.
//!
//! Plain types only: no Arrow dictionaries, no unsigned scalars (a difference of two must not
//! wrap), lists with the standard three levels (`event_us.list.element`).

use crate::record::{EventKind, Fields};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use std::sync::{Arc, LazyLock};

/// Raised when a column changes its meaning or goes away; a new column does not raise it.
pub const VERSION: u32 = 2;

/// Rows of a row group, and of a part.
pub const GROUP_ROWS: usize = 65_536;

/// Encoded bytes that may wait in memory before they become a row group.
const GROUP_BYTES: usize = 8 << 20;

/// Keys of the file metadata.
pub const KEY_VERSION: &str = "rampant.schema_version";
pub const KEY_RUN: &str = "rampant.run";
pub const KEY_ZERO_MS: &str = "rampant.zero_ms";
const KEY_ZERO: &str = "rampant.zero";
const KEY_EVENT_KIND: &str = "rampant.event_kind";
const KEY_TIMES: &str = "rampant.times";

/// How a column is typed and packed.
#[derive(Clone, Copy, PartialEq)]
enum Store {
    /// Repeats: dictionary.
    Word,
    /// Does not repeat.
    Text,
    Bool,
    /// Status codes and the like: few values.
    Code,
    /// Counts and times that are near each other.
    Number,
    /// UTC.
    Instant,
    Real,
    /// A list of numbers with noise in the low bytes and nearly none in the high ones.
    Noise,
    /// A list of numbers that are mostly the same.
    Repeats,
}

use Store::*;

/// (name, how it is stored, may be null), in file order.
const COLUMNS: &[(&str, Store, bool)] = &[
    ("experiment_id", Word, false),
    ("run_id", Word, false),
    ("folder", Word, false),
    ("run", Word, false),
    ("cell", Word, false),
    ("traffic", Word, true),
    ("tenant", Word, true),
    ("server", Word, true),
    ("class", Word, false),
    ("seq", Number, false),
    ("request_id", Text, false),
    ("phase", Word, false),
    ("session", Number, true),
    ("turn", Number, true),
    ("parent", Number, true),
    ("branch", Number, true),
    ("prefix", Word, true),
    ("outcome", Word, false),
    ("error", Word, true),
    ("status", Code, true),
    ("finish_reason", Word, true),
    ("streamed", Bool, false),
    ("sent_at", Instant, true),
    ("asked_input_tokens", Number, true),
    ("asked_output_tokens", Number, false),
    ("forced_length", Bool, false),
    ("synthetic_text", Bool, false),
    ("input_tokens", Number, true),
    ("output_tokens", Number, true),
    ("output_tokens_source", Word, true),
    ("input_tokens_usage", Number, true),
    ("output_tokens_usage", Number, true),
    ("cached_tokens", Number, true),
    ("reasoning_tokens", Number, true),
    ("doubted_counts", Word, true),
    ("counted_input_tokens", Number, true),
    ("counted_output_tokens", Number, true),
    ("ttft_ms", Real, true),
    ("ttfo_ms", Real, true),
    ("e2el_ms", Real, true),
    ("tpot_ms", Real, true),
    ("ntpot_ms", Real, true),
    ("itl_mean_ms", Real, true),
    ("response_ttft_ms", Real, true),
    ("response_e2el_ms", Real, true),
    ("queue_delay_ms", Real, true),
    ("lateness_ms", Real, true),
    ("audio_ms", Number, true),
    ("rtfx", Real, true),
    ("planned_ns", Number, false),
    ("admitted_ns", Number, false),
    ("connect_started_ns", Number, true),
    ("connected_ns", Number, true),
    ("sent_ns", Number, true),
    ("written_ns", Number, true),
    ("head_ns", Number, true),
    ("end_ns", Number, false),
    ("clock", Word, false),
    ("read_lag_us", Number, true),
    ("shared_reads", Number, false),
    ("tcp_retransmits", Number, true),
    ("tcp_out_of_order", Number, true),
    ("tcp_min_rtt_us", Number, true),
    ("body_bytes", Number, false),
    ("reused", Bool, false),
    ("reconnects", Number, false),
    ("connect_tries", Number, false),
    ("unclosed", Bool, false),
    ("event_us", Noise, false),
    ("event_kind", Repeats, false),
    ("event_tokens", Repeats, false),
    ("event_bytes", Noise, false),
    ("text", Text, true),
];

/// The element of an event list. The name is the one of the Parquet specification: with it every reader
/// sees a plain list.
pub(super) fn element(name: &str) -> Arc<Field> {
    let of = if name == "event_kind" { DataType::UInt16 } else { DataType::UInt32 };
    Arc::new(Field::new("element", of, false))
}

/// The Arrow schema of a part.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields: Vec<Field> = COLUMNS
            .iter()
            .map(|&(name, store, null)| {
                let of = match store {
                    Word | Text => DataType::Utf8,
                    Bool => DataType::Boolean,
                    Code => DataType::Int32,
                    Number => DataType::Int64,
                    Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                    Real => DataType::Float64,
                    Noise | Repeats => DataType::List(element(name)),
                };
                Field::new(name, of, null)
            })
            .collect();
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

/// The columns that these fields of a record are rebuilt from; the others are derived, or not wanted.
pub(super) fn raw_columns(wanted: Fields) -> impl Iterator<Item = &'static str> {
    let identity = ["experiment_id", "run_id", "folder", "cell", "traffic", "tenant", "server"];
    let derived = ["parent", "branch", "prefix", "input_tokens", "output_tokens", "output_tokens_source"];
    let raw = COLUMNS.iter().filter(|(_, store, _)| !matches!(store, Real | Instant));
    let raw =
        raw.map(|column| column.0).filter(move |name| !identity.contains(name) && !derived.contains(name));
    raw.filter(move |name| wanted.has(fields(name)))
}

/// What of a record a raw column is for.
fn fields(name: &str) -> Fields {
    match name {
        "run" | "seq" | "phase" | "session" | "turn" | "class" | "outcome" | "streamed" => Fields::NONE,
        "planned_ns" | "admitted_ns" | "sent_ns" | "end_ns" => Fields::TIMES,
        "event_us" | "event_kind" => Fields::EVENTS,
        "event_tokens" => Fields::EVENT_TOKENS,
        "event_bytes" => Fields::EVENT_BYTES,
        "request_id" => Fields::ID,
        "error" | "finish_reason" => Fields::WORDS,
        "text" => Fields::TEXT,
        "forced_length" | "synthetic_text" | "doubted_counts" | "audio_ms" => Fields::COUNTS,
        name if name.contains("_tokens") => Fields::COUNTS,
        _ => Fields::WAY,
    }
}

/// How a part is packed, with what a reader has to know in its metadata.
pub(super) fn properties(run: &str, zero_ms: i64) -> WriterProperties {
    let mut builder = packed()
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_key_value_metadata(Some(metadata(run, zero_ms)));
    for &(name, store, _) in COLUMNS {
        let flat = ColumnPath::from(name);
        let list = ColumnPath::from(vec![name.to_string(), "list".to_string(), "element".to_string()]);
        builder = match store {
            Word | Bool | Code => builder,
            Text | Real => builder.set_column_dictionary_enabled(flat, false),
            Number | Instant => builder
                .set_column_dictionary_enabled(flat.clone(), false)
                .set_column_encoding(flat, Encoding::DELTA_BINARY_PACKED),
            // BYTE_STREAM_SPLIT would save a fifth of the bytes, but a vectorised Spark reads it only
            // in its newest versions.
            Noise => list_column(builder, list, Encoding::DELTA_BINARY_PACKED),
            // Runs of one value: nothing is quicker than to leave them to the compression.
            Repeats => list_column(builder, list, Encoding::PLAIN),
        };
    }
    builder.build()
}

/// Four lists are nine tenths of the bytes: zstd 1 costs 1 % in size there and saves a quarter of the time.
fn list_column(
    builder: WriterPropertiesBuilder,
    column: ColumnPath,
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_statistics_enabled(column.clone(), EnabledStatistics::None)
        .set_column_compression(column.clone(), zstd(1))
        .set_column_encoding(column, encoding)
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("a level from 1 to 22"))
}

/// What every Parquet file of a results folder has in common.
pub(super) fn packed() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(concat!("rampant ", env!("CARGO_PKG_VERSION")).to_string())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_write_batch_size(16_384)
        // Stays in the cache of a core between its encoding and its compression.
        .set_data_page_size_limit(64 << 10)
}

fn metadata(run: &str, zero_ms: i64) -> Vec<KeyValue> {
    let kinds: Vec<String> = KIND_BITS.iter().map(|(name, bit)| format!("\"{name}\": {}", bit.0)).collect();
    let zero = chrono::DateTime::from_timestamp_millis(zero_ms)
        .map_or_else(String::new, |time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let pair = |key: &str, value: String| KeyValue::new(key.to_string(), value);
    vec![
        pair(KEY_VERSION, VERSION.to_string()),
        pair(KEY_RUN, run.to_string()),
        pair(KEY_ZERO_MS, zero_ms.to_string()),
        pair(KEY_ZERO, zero),
        pair(KEY_EVENT_KIND, format!("{{{}}}", kinds.join(", "))),
        pair(
            KEY_TIMES,
            "columns in _ns count from the run's zero on a monotonic clock; event_us counts from sent_ns; \
             null: not observed"
                .to_string(),
        ),
    ]
}

/// What each bit of `event_kind` says.
const KIND_BITS: [(&str, EventKind); 10] = [
    ("role", EventKind::ROLE),
    ("reasoning", EventKind::REASONING),
    ("content", EventKind::CONTENT),
    ("tool", EventKind::TOOL),
    ("finish", EventKind::FINISH),
    ("usage", EventKind::USAGE),
    ("error", EventKind::ERROR),
    ("done", EventKind::DONE),
    ("empty", EventKind::EMPTY),
    ("choices", EventKind::CHOICES),
];

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::arrow::ArrowSchemaConverter;

    #[test]
    fn lists_have_the_three_standard_levels() {
        let parquet = ArrowSchemaConverter::new().convert(&schema()).unwrap();
        let paths: Vec<String> = parquet.columns().iter().map(|column| column.path().string()).collect();
        assert!(paths.contains(&"event_us.list.element".to_string()), "{paths:?}");
        assert_eq!(paths.len(), COLUMNS.len());
    }

    #[test]
    fn every_number_says_its_unit() {
        let units = ["_ns", "_us", "_ms", "_tokens", "_bytes", "_tokens_usage"];
        let counts = [
            "seq",
            "session",
            "turn",
            "parent",
            "branch",
            "shared_reads",
            "reconnects",
            "connect_tries",
            "tcp_retransmits",
            "tcp_out_of_order",
            "rtfx",
        ];
        for (name, store, _) in COLUMNS {
            if matches!(store, Number | Real) {
                assert!(
                    units.iter().any(|unit| name.ends_with(unit)) || counts.contains(name),
                    "{name} has no unit"
                );
            }
        }
    }
}
