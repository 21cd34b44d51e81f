//! `Column`: what is known of a column: its name, type, unit and meaning. The schemas of all tables, how
//! they are packed, and their lists in the documentation are made from these.

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Raised when a column changes its meaning or goes away; a new column does not raise it.
pub const VERSION: u32 = 2;

/// Keys of the file metadata: the schema's version; and when each run in the file began, as JSON,
/// `run_id` to milliseconds since 1970.
pub const KEY_VERSION: &str = "rampant.schema_version";
const KEY_ZEROS_MS: &str = "rampant.zeros_ms";

/// The type of a column, and how it is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of few values: dictionary. The type is plain text.
    Word,
    /// Text that does not repeat.
    Text,
    Bool,
    /// Whole numbers of few values, such as status codes.
    Code,
    /// Whole numbers: counts and times that are near each other.
    Number,
    /// A moment, in UTC.
    Instant,
    Real,
    /// A list of whole numbers: times.
    Times,
    /// A list of whole numbers that are mostly the same.
    Repeats,
    /// Names and values; a value is JSON.
    Map,
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Of one value; empty where it has none.
    pub unit: &'static str,
    /// When it is null; empty: never.
    pub null: &'static str,
    /// What it is, in a sentence.
    pub says: &'static str,
}

pub const fn column(name: &'static str, kind: Kind, says: &'static str) -> Column {
    Column { name, kind, unit: "", null: "", says }
}

impl Column {
    pub const fn unit(self, unit: &'static str) -> Column {
        Column { unit, ..self }
    }

    pub const fn null(self, when: &'static str) -> Column {
        Column { null: when, ..self }
    }

    fn field(&self) -> Field {
        let of = match self.kind {
            Kind::Word | Kind::Text => DataType::Utf8,
            Kind::Bool => DataType::Boolean,
            Kind::Code | Kind::Number => DataType::Int64,
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Real => DataType::Float64,
            Kind::Times | Kind::Repeats => DataType::List(element()),
            Kind::Map => DataType::Map(entries(), false),
        };
        Field::new(self.name, of, !self.null.is_empty()).with_metadata(about_column(self.unit, self.says))
    }

    fn typed(&self) -> &'static str {
        match self.kind {
            Kind::Word | Kind::Text => "string",
            Kind::Bool => "bool",
            Kind::Code | Kind::Number => "int64",
            Kind::Instant => "timestamp, UTC",
            Kind::Real => "double",
            Kind::Times | Kind::Repeats => "list of int64",
            Kind::Map => "map of string to JSON",
        }
    }
}

/// The first columns of every table.
pub const IDENTITY: &[Column] = &[
    column(
        "experiment_id",
        Kind::Word,
        "the invocation: a [ULID](https://github.com/ulid/spec), unique for ever",
    ),
    column("run_id", Kind::Word, "the run: `<experiment_id>-<number of the run>`, unique for ever"),
    column("folder", Kind::Word, "the name of the results folder when it was made"),
    column("run", Kind::Word, "name of the run"),
    column(
        "cell",
        Kind::Word,
        "what was measured, such as a combination of a sweep: repeats are runs of the same cell",
    ),
];

/// The element of a list. The name is the one of the Parquet specification: with it every reader
/// sees a plain list.
pub(super) fn element() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Int64, false))
}

/// The entries of a map, named as the Parquet specification has them.
pub(super) fn entries() -> Arc<Field> {
    let pair = [("key", false), ("value", true)];
    let pair: Fields = pair.map(|(name, null)| Field::new(name, DataType::Utf8, null)).into_iter().collect();
    Arc::new(Field::new("key_value", DataType::Struct(pair), false))
}

/// The Arrow schema of a table.
pub(super) fn schema_of(columns: &[&[Column]]) -> SchemaRef {
    Arc::new(Schema::new(columns.concat().iter().map(Column::field).collect::<Vec<_>>()))
}

/// How a table is packed.
pub(super) fn packed_as(columns: &[&[Column]]) -> WriterPropertiesBuilder {
    let mut builder = packed();
    for Column { name, kind, .. } in columns.concat() {
        let flat = ColumnPath::from(name);
        builder = match kind {
            Kind::Word | Kind::Bool | Kind::Code | Kind::Map => builder,
            Kind::Text | Kind::Real => builder.set_column_dictionary_enabled(flat, false),
            Kind::Number | Kind::Instant => builder
                .set_column_dictionary_enabled(flat.clone(), false)
                .set_column_encoding(flat, Encoding::DELTA_BINARY_PACKED),
            // Written by `event_column.rs`.
            Kind::Times | Kind::Repeats => builder,
        };
    }
    builder
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

/// What the metadata of every file says: the version of the schema, of the program, and when the runs in
/// it began (milliseconds since 1970), where it is of some.
pub(super) fn about(zeros: &[(String, i64)]) -> Vec<KeyValue> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_string(), value);
    let mut pairs = vec![
        pair(KEY_VERSION, VERSION.to_string()),
        pair("rampant.version", env!("CARGO_PKG_VERSION").to_string()),
    ];
    if !zeros.is_empty() {
        let zeros: Map<String, Value> =
            zeros.iter().map(|(run_id, zero_ms)| (run_id.clone(), (*zero_ms).into())).collect();
        pairs.push(pair(KEY_ZEROS_MS, Value::Object(zeros).to_string()));
    }
    pairs
}

/// What the metadata of a column says.
pub(super) fn about_column(unit: &str, says: &str) -> HashMap<String, String> {
    let pairs = [("description", says), ("unit", unit)].into_iter().filter(|(_, text)| !text.is_empty());
    pairs.map(|(key, text)| (key.to_string(), text.to_string())).collect()
}

/// The list of a table for its page, in Markdown.
pub fn page(columns: &[&[Column]]) -> String {
    let mut page = "| column | type | unit | null | what |\n| --- | --- | --- | --- | --- |\n".to_string();
    for column in columns.concat() {
        let Column { name, unit, null, says, .. } = column;
        page += &format!("| `{name}` | {} | {unit} | {null} | {says} |\n", column.typed());
    }
    page
}

/// When the runs in a file began, by its metadata.
pub(super) fn zeros(metadata: Option<&Vec<KeyValue>>) -> Vec<(String, i64)> {
    let pair = metadata.into_iter().flatten().find(|pair| pair.key == KEY_ZEROS_MS);
    let text = pair.and_then(|pair| pair.value.as_deref()).unwrap_or_default();
    let zeros: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    zeros.into_iter().filter_map(|(run_id, zero_ms)| Some((run_id, zero_ms.as_i64()?))).collect()
}
