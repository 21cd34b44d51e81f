//! The rows of a Parquet file as entries: text as text, lists and structures as JSON.

use super::entry::{Cell, Entry, Field, Origin};
use super::gather::Gather;
use crate::error::{Error, Result, caught};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow::datatypes::{
    Float16Type, Float32Type, Float64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};
use std::fmt::Display;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 64;

/// Columns are those of the file; those that nobody could ask for (images, sound) are left out.
pub(super) fn rows(bytes: Bytes, gather: &mut Gather) -> Result<()> {
    let name = gather.name.clone();
    // The library has asserts where a damaged file is wrong.
    caught(|| read(bytes, gather)).unwrap_or_else(|_| {
        Err(Error::usage(format!("cannot read \"{name}\": it is damaged")).hint("is the file whole?"))
    })
}

fn read(bytes: Bytes, gather: &mut Gather) -> Result<()> {
    let cannot = |name: &str, what: &dyn Display| {
        let (what, hint) = words(&what.to_string());
        Error::usage(format!("cannot read \"{name}\": {what}")).hint(hint)
    };
    let name = gather.name.clone();
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|error| cannot(&name, &error))?;
    crate::pages::check(&bytes, builder.metadata()).map_err(|words| cannot(&name, &words))?;
    let schema = builder.schema().clone();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    gather.columns(&names)?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| cannot(&name, &error))?;
    let mut row = 0;
    for batch in reader {
        let batch = batch.map_err(|error| cannot(&name, &error))?;
        for i in 0..batch.num_rows() {
            row += 1;
            let origin = Origin { text: "", line: row, before: 0, unit: "row" };
            gather.take(&origin, Ok(entry(&batch, i)))?;
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
        Field { name: field.name().clone().into(), cell, at: 0 }
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
        _ => match ArrayFormatter::try_new(array, &FormatOptions::default()) {
            Ok(shown) => shown.value(i).try_to_string().map_or(Value::Null, Value::String),
            Err(_) => Value::Null,
        },
    }
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
    use crate::workload::Ask;
    use crate::workload::read::{Format, How, Rows, bytes, parse};
    use std::path::PathBuf;

    fn path(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet").join(name)
    }

    fn read(name: &str, format: Format) -> Rows {
        parse(name, &std::fs::read(path(name)).expect("there"), &How { format, ..How::default() })
            .expect("good")
    }

    fn messages(rows: &Rows, i: usize) -> &str {
        match &rows.rows[i].ask {
            Ask::Verbatim(asked) => &asked.json,
            _ => panic!("messages were expected"),
        }
    }

    #[test]
    fn files_of_another_writer_are_read_whatever_their_types_and_codecs() {
        let rows = read("messages-snappy.parquet", Format::Parquet);
        assert_eq!(rows.rows.len(), 20);
        assert_eq!(
            messages(&rows, 3),
            r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Question 3, é 日本?","name":"anna"}]"#
        );
        assert_eq!(rows.rows[3].reply.as_deref(), Some("word word word word "));
        let rows = read("conversations-zstd.parquet", Format::Hf);
        assert_eq!(messages(&rows, 19), r#"[{"role":"user","content":"hello 19"}]"#);
        let rows = read("question-gzip.parquet", Format::Jsonl);
        assert_eq!(rows.rows[39].ask, Ask::Text("Which word is number 3?".into()));
        let note = "prompts are in the column \"Question\", replies in \"answer\"";
        assert_eq!((rows.rows.len(), rows.note.as_deref()), (40, Some(note)));
        let rows = read("json-text-plain.parquet", Format::Parquet);
        assert_eq!(messages(&rows, 11), r#"[{"role": "user", "content": "text 11", "x": 1.5}]"#);
        assert_eq!(rows.rows[11].output, Some(5));
        let rows = read("conversations-zstd.parquet", Format::ShareGpt);
        assert_eq!(rows.rows[2].ask, Ask::Text("hello 2".into()));
        let rows = read("lengths-lz4.parquet", Format::BurstGpt);
        assert_eq!((&rows.rows[1].ask, rows.rows[1].output), (&Ask::Tokens(20), Some(2)));
        let skipped = rows.skipped.expect("a failed request").to_string();
        assert_eq!(skipped, "skipped 1 of 3: first at row 3: a request that failed");
    }

    #[test]
    fn a_damaged_file_is_one_sentence() {
        for name in ["messages-snappy.parquet", "conversations-zstd.parquet", "question-gzip.parquet"] {
            let whole = std::fs::read(path(name)).expect("there");
            let how = How { format: Format::Hf, ..How::default() };
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
        assert_eq!(error(&brotli, Format::Hf), told);
        assert_eq!(error(b"", Format::Parquet), "cannot read \"file\": it is empty");
        assert_eq!(error(b"prompt\na\n", Format::Parquet), "cannot read \"file\": it is no Parquet file");
        let packed = bytes::packed(&std::fs::read(path("messages-snappy.parquet")).expect("there"));
        assert_eq!(
            parse("file", &packed, &How { format: Format::Hf, ..How::default() }).expect("good").rows.len(),
            20
        );
    }
}
