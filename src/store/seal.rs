//! `seal`: a journal becomes a part, which appears whole under its final name or not at all.
//!
//! In this order: the part is written aside, synced, renamed into `requests/`, the folder is synced, and
//! the journal is deleted. A crash before the rename leaves the journal alone, one behind it a part that covers the
//! journal by its number: no row is lost, none is there twice, and doing it again comes to the same.

use super::aside::sync_folder;
use super::journal::{self, JournalBatches};
use super::parts::{part_name, requests_folder};
use super::reader;
use super::row_part::RowPart;
use crate::error::{Error, Result};
use crate::pages;
use crate::record::Record;
use parquet::arrow::ArrowWriter;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// What became of a journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sealed {
    pub rows: u64,
    /// Bytes at its end that were no whole batch.
    pub torn: u64,
}

/// Makes a part of the journal of part `part` of run `run`, and deletes the journal. One without rows makes no part.
/// After an error the journal is as it was.
pub(super) fn seal(results: &Path, run: u32, part: u32) -> Result<Sealed> {
    let source = journal::path(results, run, part);
    let name = part_name(run, part, part);
    let sealed = journal::folder(results).join(format!("{name}.sealed.tmp"));
    let finished = requests_folder(results).join(&name);
    let written = encode_rows(&source, &sealed)
        .and_then(|done| if done.rows > 0 { put(&sealed, &finished).map(|()| done) } else { Ok(done) });
    let done = written.inspect_err(|_| drop(fs::remove_file(&sealed)))?;
    if done.rows == 0 {
        let _ = fs::remove_file(&sealed);
    }
    fs::remove_file(&source).map_err(|error| cannot_write(&source, error.into()))?;
    Ok(done)
}

fn put(from: &Path, to: &Path) -> Result<()> {
    let requests = to.parent().unwrap_or(to);
    fs::create_dir_all(requests)
        .and_then(|()| fs::rename(from, to))
        .and_then(|()| sync_folder(requests))
        .map_err(|error| cannot_write(to, error.into()))
}

/// The rows of a journal as a part of today's version, which is synced.
fn encode_rows(source: &Path, to: &Path) -> Result<Sealed> {
    let Some(mut batches) = JournalBatches::open(source)? else {
        return Ok(Sealed { rows: 0, torn: fs::metadata(source).map_or(0, |found| found.len()) });
    };
    let written = |error| cannot_write(to, error);
    let file = File::create(to).map_err(|error| written(error.into()))?;
    let mut part = RowPart::create(file, &batches.of, batches.zero_ms).map_err(written)?;
    // One after the other in the same places: their lists are as long as those before them.
    let mut records: Vec<Record> = Vec::new();
    let mut rows = 0;
    for batch in batches.by_ref() {
        let some =
            reader::records(&batch, &mut records).map_err(|error| reader::cannot_read(source, error))?;
        rows += some as u64;
        part.add(&records[..some].iter().collect::<Vec<_>>()).map_err(written)?;
    }
    let file = part.finish().map_err(written)?;
    file.sync_all().map_err(|error| written(error.into()))?;
    Ok(Sealed { rows, torn: batches.torn() })
}

/// Row groups are copied as bytes, which is bound by the disk alone; pages without a checksum get
/// theirs.
pub(super) fn copy_row_groups(from: &[&Path], parquet: ArrowWriter<File>, to: &Path) -> Result<File> {
    let written = |error| cannot_write(to, error);
    let (mut parquet, _) = parquet.into_serialized_writer().map_err(written)?;
    for path in from {
        let footer = reader::footer(path)?;
        let source = File::open(path).map_err(|error| reader::cannot_read(path, error))?;
        append(&source, footer.row_groups(), &mut parquet).map_err(written)?;
    }
    parquet.into_inner().map_err(written)
}

/// Appends row groups of a file to another one of the same columns.
pub(super) fn append<W: Write + Send>(
    source: &impl ChunkReader,
    groups: &[RowGroupMetaData],
    parquet: &mut SerializedFileWriter<W>,
) -> parquet::errors::Result<()> {
    for row_group in groups {
        let mut copy = parquet.next_row_group()?;
        for column in row_group.columns() {
            let (chunk, metadata) = pages::with_checksums(source, column)?;
            let close = ColumnCloseResult {
                bytes_written: metadata.compressed_size() as u64,
                rows_written: row_group.num_rows() as u64,
                metadata,
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            copy.append_column(&chunk, close)?;
        }
        copy.close()?;
    }
    Ok(())
}

/// A sentence on a file that could not be written.
pub(super) fn cannot_write(path: &Path, error: ParquetError) -> Error {
    let reason = match error {
        ParquetError::External(inner) => inner.to_string(),
        other => other.to_string(),
    };
    Error::run(format!("cannot write results to {}: {reason}", path.display()))
        .hint("free some space there, or name another place with --out")
}
