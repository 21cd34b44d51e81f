//! The rows of a Parquet file as entries: text as text, lists and structures as JSON.

use super::entry::{Cell, Entry, EntryField, EntryOrigin};
use super::gather::RowGatherer;
use crate::error::{Error, Result, caught};
use arrow_array::cast::AsArray;
use arrow_array::timezone::Tz;
use arrow_array::types::*;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use chrono::SecondsFormat;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;
use serde_json::{Map, Value};
use std::fmt::Display;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 64;

/// Columns are those of the file; those that nobody could ask for (images, sound) are left out.
pub(super) fn rows(bytes: Bytes, gather: &mut RowGatherer) -> Result<()> {
    let name = gather.name.clone();
    // The library has asserts where a damaged file is wrong.
    caught(|| read(bytes, gather)).unwrap_or_else(|_| {
        Err(Error::usage(format!("cannot read \"{name}\": it is damaged")).hint("is the file whole?"))
    })
}

fn read(bytes: Bytes, gather: &mut RowGatherer) -> Result<()> {
    let name = gather.name.clone();
    each_row(&name, bytes, BATCH_ROWS, &mut |row, entry| match row {
        0 => gather.columns(&entry.fields.iter().map(|field| &*field.name).collect::<Vec<_>>()),
        row => gather.take(&EntryOrigin { text: "", line: row, before: 0, unit: "row" }, Ok(entry)),
    })
}

/// Hands over each row with its number from 1 on; before them, as row 0, the names of the columns.
pub(super) fn each_row<F: ChunkReader + 'static>(
    name: &str,
    file: F,
    batch: usize,
    take: &mut dyn FnMut(usize, Entry) -> Result<()>,
) -> Result<()> {
    let cannot = |what: &dyn Display| {
        let (what, hint) = words(&what.to_string());
        Error::usage(format!("cannot read \"{name}\": {what}")).hint(hint)
    };
    let metadata =
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| cannot(&error))?;
    crate::pages::check(&file, metadata.metadata()).map_err(|words| cannot(&words))?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let schema = builder.schema().clone();
    let nothing = || Cell::Json("null".into());
    let names = schema.fields().iter();
    let names = names.map(|field| EntryField { name: field.name().into(), cell: nothing(), at: 0 });
    take(0, Entry { fields: names.collect() })?;
    let reader = builder.with_batch_size(batch).build().map_err(|error| cannot(&error))?;
    let mut row = 0;
    for batch in reader {
        let batch = batch.map_err(|error| cannot(&error))?;
        for i in 0..batch.num_rows() {
            row += 1;
            take(row, entry(&batch, i))?;
        }
    }
    Ok(())
}

/// The library's words without the kinds that only a programmer knows, and what to try.
fn words(error: &str) -> (String, &'static str) {
    let mut rest = error;
    while let Some((kind, more)) = rest.split_once(": ")
        && ["Parquet error", "Parquet argument error", "External", "EOF", "Arrow: Parquet argument error"]
            .contains(&kind)
    {
        rest = more;
    }
    match rest.strip_prefix("Disabled feature at compile time: ") {
        Some(codec) => (
            format!("its pages are packed with {codec}, which is not read"),
            "write it again with zstd, snappy, gzip or lz4",
        ),
        None => (rest.to_string(), "is the file whole?"),
    }
}

fn entry(batch: &RecordBatch, i: usize) -> Entry<'static> {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let cell = match value(column, i, DEPTH_MAX) {
            Value::String(text) => Cell::Text(text.into()),
            other => Cell::Json(other.to_string().into()),
        };
        EntryField { name: field.name().clone().into(), cell, at: 0 }
    });
    Entry { fields: fields.collect() }
}

/// How deep lists and structures may be.
const DEPTH_MAX: usize = 32;

fn value(array: &dyn Array, i: usize, depth: usize) -> Value {
    if array.is_null(i) || depth == 0 {
        return Value::Null;
    }
    let list = |items: &dyn Array| (0..items.len()).map(|i| value(items, i, depth - 1)).collect::<Value>();
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(i).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(i).into(),
        DataType::Utf8View => array.as_string_view().value(i).into(),
        DataType::Boolean => array.as_boolean().value(i).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(i).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(i).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(i).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(i).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(i).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(i).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(i).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(i).into(),
        DataType::Float16 => array.as_primitive::<Float16Type>().value(i).to_f64().into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(i)).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(i).into(),
        DataType::List(_) => list(&array.as_list::<i32>().value(i)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(i)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(i)),
        DataType::Struct(_) => object(array, i, depth),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys();
            key.get(i).map_or(Value::Null, |key| value(dictionary.values(), *key, depth - 1))
        }
        // Bytes of images and sound.
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Value::Null
        }
        DataType::Map(..) => pairs(array, i, depth),
        _ => shown(array, i).map_or(Value::Null, Value::String),
    }
}

/// Keys that are no text become one.
fn pairs(array: &dyn Array, i: usize, depth: usize) -> Value {
    let entries = array.as_map().value(i);
    let (keys, values) = (entries.column(0), entries.column(1));
    let name = |i| match value(keys, i, depth - 1) {
        Value::String(name) => name,
        other => other.to_string(),
    };
    (0..entries.len()).map(|i| (name(i), value(values, i, depth - 1))).collect()
}

/// Dates, times and decimal numbers as people write them; `None` for what a workload has no use for.
fn shown(array: &dyn Array, i: usize) -> Option<String> {
    /// Evaluates an expression for the arrays of one of several types.
    macro_rules! of {
        ($($kind:pat => $ty:ty: $get:ident,)*) => {
            match array.data_type() {
                $($kind => array.as_primitive::<$ty>().$get(i).map(|value| value.to_string()),)*
                DataType::Timestamp(unit, zone) => instant(array, i, *unit, zone.as_deref()),
                DataType::Decimal32(..) => Some(array.as_primitive::<Decimal32Type>().value_as_string(i)),
                DataType::Decimal64(..) => Some(array.as_primitive::<Decimal64Type>().value_as_string(i)),
                DataType::Decimal128(..) => Some(array.as_primitive::<Decimal128Type>().value_as_string(i)),
                DataType::Decimal256(..) => Some(array.as_primitive::<Decimal256Type>().value_as_string(i)),
                _ => None,
            }
        };
    }
    of! {
        DataType::Date32 => Date32Type: value_as_date,
        DataType::Date64 => Date64Type: value_as_date,
        DataType::Time32(TimeUnit::Second) => Time32SecondType: value_as_time,
        DataType::Time32(_) => Time32MillisecondType: value_as_time,
        DataType::Time64(TimeUnit::Microsecond) => Time64MicrosecondType: value_as_time,
        DataType::Time64(_) => Time64NanosecondType: value_as_time,
        DataType::Duration(TimeUnit::Second) => DurationSecondType: value_as_duration,
        DataType::Duration(TimeUnit::Millisecond) => DurationMillisecondType: value_as_duration,
        DataType::Duration(TimeUnit::Microsecond) => DurationMicrosecondType: value_as_duration,
        DataType::Duration(TimeUnit::Nanosecond) => DurationNanosecondType: value_as_duration,
    }
}

/// As RFC 3339 writes it, in its own offset; without one where the file names none.
fn instant(array: &dyn Array, i: usize, unit: TimeUnit, zone: Option<&str>) -> Option<String> {
    let utc = match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value_as_datetime(i),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value_as_datetime(i),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value_as_datetime(i),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value_as_datetime(i),
    }?;
    let Some(zone) = zone else { return Some(utc.format("%Y-%m-%dT%H:%M:%S%.f").to_string()) };
    Some(match zone.parse::<Tz>() {
        Ok(zone) => utc.and_utc().with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, true),
        // Names of places are not known here; the instant is.
        Err(_) => utc.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true),
    })
}

/// Every structure of a column has the fields of all of them: those without a value are left
/// out, but for `content`, whose null says something where tools are called.
fn object(array: &dyn Array, i: usize, depth: usize) -> Value {
    let structure = array.as_struct();
    let mut map = Map::new();
    for (name, column) in structure.column_names().into_iter().zip(structure.columns()) {
        let value = value(column, i, depth - 1);
        if !value.is_null() || name == "content" {
            map.insert(name.to_string(), value);
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::*;
    use std::sync::Arc;

    #[test]
    fn dates_and_numbers_are_shown_as_people_write_them() {
        let at = 1_704_459_845_250_000;
        let micros = |zone: Option<&str>| {
            let array = TimestampMicrosecondArray::from(vec![at]);
            Arc::new(zone.iter().fold(array, |array, zone| array.with_timezone(*zone))) as ArrayRef
        };
        let decimal = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(9, 2).unwrap();
        let shown: [(ArrayRef, &str); 9] = [
            (micros(None), "2024-01-05T13:04:05.250"),
            (micros(Some("UTC")), "2024-01-05T13:04:05.250Z"),
            (micros(Some("+08:00")), "2024-01-05T21:04:05.250+08:00"),
            (micros(Some("Asia/Shanghai")), "2024-01-05T13:04:05.250Z"),
            (Arc::new(TimestampSecondArray::from(vec![0])), "1970-01-01T00:00:00"),
            (Arc::new(Date32Array::from(vec![19_727])), "2024-01-05"),
            (Arc::new(Time64MicrosecondArray::from(vec![1_500_000])), "00:00:01.500"),
            (Arc::new(DurationMillisecondArray::from(vec![90_500])), "PT90.5S"),
            (Arc::new(decimal), "-123.45"),
        ];
        for (array, text) in shown {
            assert_eq!(value(&array, 0, 1), Value::from(text), "{:?}", array.data_type());
        }
        assert_eq!(value(&NullArray::new(1), 0, 1), Value::Null);
    }

    use crate::workload::Ask;
    use crate::workload::read::{DataFormat, How, PromptRows, bytes, parse};
    use std::path::PathBuf;

    fn path(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet").join(name)
    }

    fn read(name: &str, format: DataFormat) -> PromptRows {
        parse(name, &std::fs::read(path(name)).expect("there"), &How { format, ..How::default() })
            .expect("good")
    }

    fn messages(rows: &PromptRows, i: usize) -> &str {
        match &rows.rows[i].ask {
            Ask::Verbatim(asked) => &asked.json,
            _ => panic!("messages were expected"),
        }
    }

    #[test]
    fn files_of_another_writer_are_read_whatever_their_types_and_codecs() {
        let rows = read("messages-snappy.parquet", DataFormat::Parquet);
        assert_eq!(rows.rows.len(), 20);
        assert_eq!(
            messages(&rows, 3),
            r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Question 3, é 日本?","name":"anna"}]"#
        );
        assert_eq!(rows.rows[3].reply.as_deref(), Some("word word word word "));
        let rows = read("conversations-zstd.parquet", DataFormat::Hf);
        assert_eq!(messages(&rows, 19), r#"[{"role":"user","content":"hello 19"}]"#);
        let rows = read("question-gzip.parquet", DataFormat::Jsonl);
        assert_eq!(rows.rows[39].ask, Ask::Text("Which word is number 3?".into()));
        let note = "prompts are in the column \"Question\", replies in \"answer\"";
        assert_eq!((rows.rows.len(), rows.note.as_deref()), (40, Some(note)));
        let rows = read("json-text-plain.parquet", DataFormat::Parquet);
        assert_eq!(messages(&rows, 11), r#"[{"role": "user", "content": "text 11", "x": 1.5}]"#);
        assert_eq!(rows.rows[11].output, Some(5));
        let rows = read("conversations-zstd.parquet", DataFormat::ShareGpt);
        assert_eq!(rows.rows[2].ask, Ask::Text("hello 2".into()));
        let rows = read("lengths-lz4.parquet", DataFormat::BurstGpt);
        assert_eq!((&rows.rows[1].ask, rows.rows[1].output), (&Ask::Tokens(20), Some(2)));
        let skipped = rows.skipped.expect("a failed request").to_string();
        assert_eq!(skipped, "skipped 1 of 3: first at row 3: a request that failed");
    }

    #[test]
    fn a_damaged_file_is_one_sentence() {
        for name in ["messages-snappy.parquet", "conversations-zstd.parquet", "question-gzip.parquet"] {
            let whole = std::fs::read(path(name)).expect("there");
            let how = How { format: DataFormat::Hf, ..How::default() };
            for end in (4..whole.len()).step_by(37) {
                let error = parse("file", &whole[..end], &how).expect_err("cut off").message;
                assert!(
                    error.starts_with("cannot read \"file\": ") && !error.contains('\n'),
                    "{end}: {error}"
                );
            }
            for at in 4..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 0xff;
                if let Err(error) = parse("file", &bytes, &how) {
                    assert!(error.message.starts_with("cannot"), "{at}: {error}");
                }
            }
        }
        let error = |bytes: &[u8], format| {
            parse("file", bytes, &How { format, ..How::default() }).expect_err("bad").message
        };
        let brotli = std::fs::read(path("prompt-brotli.parquet")).expect("there");
        let told = "cannot read \"file\": its pages are packed with brotli, which is not read";
        assert_eq!(error(&brotli, DataFormat::Hf), told);
        assert_eq!(error(b"", DataFormat::Parquet), "cannot read \"file\": it is empty");
        assert_eq!(error(b"prompt\na\n", DataFormat::Parquet), "cannot read \"file\": it is no Parquet file");
        let packed = bytes::packed(&std::fs::read(path("messages-snappy.parquet")).expect("there"));
        assert_eq!(
            parse("file", &packed, &How { format: DataFormat::Hf, ..How::default() })
                .expect("good")
                .rows
                .len(),
            20
        );
    }
}
