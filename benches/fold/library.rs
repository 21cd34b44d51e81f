//! What Parquet's own library takes for the same columns, which are in memory: the floor for whoever writes with it.

use super::Result;
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::io::sink;
use std::path::Path;

/// Rows of a batch, as many as it likes best.
const BATCH_ROWS: usize = 1_024;

/// Reads every part of a folder, and writes its rows to nowhere where `write` says so.
pub fn copy(folder: &Path, write: bool) -> Result<()> {
    for part in std::fs::read_dir(folder.join("requests"))? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(part?.path())?)?;
        let schema = reader.schema().clone();
        let mut writer = ArrowWriter::try_new(sink(), schema.clone(), Some(properties(&schema)?))?;
        for batch in reader.with_batch_size(BATCH_ROWS).build()? {
            let batch: RecordBatch = batch?;
            if write {
                writer.write(&batch)?;
            }
        }
        writer.close()?;
    }
    Ok(())
}

/// The encodings that suit each column best, of those that every reader knows.
fn properties(schema: &arrow_schema::Schema) -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_write_batch_size(16_384)
        .set_data_page_size_limit(64 << 10)
        .set_max_row_group_bytes(Some(8 << 20));
    for field in schema.fields() {
        let name = field.name();
        let flat = ColumnPath::from(name.as_str());
        let list = ColumnPath::from(vec![name.clone(), "list".to_string(), "element".to_string()]);
        let (column, encoding) = match field.data_type() {
            DataType::List(_) if name == "event_us" => (list, Some(Encoding::PLAIN)),
            DataType::List(_) => (list, Some(Encoding::DELTA_BINARY_PACKED)),
            DataType::Int64 | DataType::Timestamp(..) => (flat, Some(Encoding::DELTA_BINARY_PACKED)),
            DataType::Float64 => (flat, Some(Encoding::PLAIN)),
            _ => (flat, None),
        };
        if let DataType::List(_) = field.data_type() {
            let zstd = Compression::ZSTD(ZstdLevel::try_new(1)?);
            properties = properties.set_column_compression(column.clone(), zstd);
        }
        if let Some(encoding) = encoding {
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
            properties = properties.set_column_encoding(column, encoding);
        }
    }
    Ok(properties.build())
}
