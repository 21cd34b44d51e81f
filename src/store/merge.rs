//! `merge`: the many small parts of a finished run become few.

use super::parts::{self, RowFile, part_name, requests_folder, unfinished_name};
use super::reader;
use super::schema;
use super::writer::cannot_write;
use crate::error::Result;
use crate::pages;
use parquet::arrow::ArrowWriter;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Rows of a merged part, at most (unless a single part holds more).
const MERGED_ROWS: u64 = 1 << 20;

/// Rows, or bytes, of a row group that needs no company.
const LARGE_ROWS: i64 = 4_096;
const LARGE_BYTES: i64 = 512 << 10;

/// Merges the parts of run `index` from number `from` on, and returns how many files they are now.
/// After an error every row is still in one live part.
pub(super) fn merge(folder: &Path, index: u32, from: u32) -> Result<u32> {
    let live = parts::list(folder)?.live;
    let mine = live.into_iter().filter(|part| part.run == index && part.first >= from);
    let mut groups: Vec<(u64, Vec<RowFile>)> = Vec::new();
    for part in mine {
        let rows = reader::rows(&part.path)?;
        match groups.last_mut() {
            Some((sum, group)) if *sum + rows <= MERGED_ROWS => {
                *sum += rows;
                group.push(part);
            }
            _ => groups.push((rows, vec![part])),
        }
    }
    for (_, group) in &groups {
        if group.len() > 1 {
            merge_group(folder, group)?;
        }
    }
    Ok(groups.len() as u32)
}

fn merge_group(folder: &Path, group: &[RowFile]) -> Result<()> {
    let (first, last) = (&group[0], &group[group.len() - 1]);
    let name = part_name(first.run, first.first, last.last);
    let finished = requests_folder(folder).join(&name);
    let unfinished = requests_folder(folder).join(unfinished_name(&name));
    if let Err(error) = copy(group, &unfinished) {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    fs::rename(&unfinished, &finished).map_err(|error| cannot_write(&finished, error.into()))?;
    for part in group {
        // One that stays is left out by every reader of ours, since the merged part covers it.
        let _ = fs::remove_file(&part.path);
    }
    Ok(())
}

/// Rows of all parts into one file that is safely on disk, since its sources are deleted next.
fn copy(group: &[RowFile], to: &Path) -> Result<()> {
    let (run, zero_ms) = reader::identity(&group[0].path)?;
    let parquet = create(to, &run, zero_ms)?;
    let (mut rows, mut bytes, mut row_groups) = (0, 0, 0);
    for part in group {
        let footer = reader::footer(&part.path)?;
        rows += footer.file_metadata().num_rows();
        bytes += footer.row_groups().iter().map(|row_group| row_group.compressed_size()).sum::<i64>();
        row_groups += footer.num_row_groups() as i64;
    }
    let large = rows >= LARGE_ROWS * row_groups || bytes >= LARGE_BYTES * row_groups;
    if large {
        let paths: Vec<&Path> = group.iter().map(|part| part.path.as_path()).collect();
        return on_disk(copy_row_groups(&paths, parquet, to)?, to);
    }
    let plain = to.with_extension("plain.tmp");
    let sealed = create(&plain, &run, zero_ms)
        .and_then(|plain_writer| encode_again(group, plain_writer, &plain))
        .and_then(|()| copy_row_groups(&[&plain], parquet, to))
        .and_then(|file| on_disk(file, to));
    let _ = fs::remove_file(&plain);
    sealed
}

fn on_disk(file: File, path: &Path) -> Result<()> {
    file.sync_all().map_err(|error| cannot_write(path, error.into()))
}

/// A part of a run, empty so far.
pub(super) fn create(path: &Path, run: &str, zero_ms: i64) -> Result<ArrowWriter<File>> {
    File::create(path)
        .map_err(ParquetError::from)
        .and_then(|file| ArrowWriter::try_new(file, schema::schema(), Some(schema::properties(run, zero_ms))))
        .map_err(|error| cannot_write(path, error))
}

/// Row groups are copied as bytes, which is bound by the disk alone; pages without a checksum get
/// theirs.
pub(super) fn copy_row_groups(from: &[&Path], parquet: ArrowWriter<File>, to: &Path) -> Result<File> {
    let written = |error| cannot_write(to, error);
    let (mut parquet, _) = parquet.into_serialized_writer().map_err(written)?;
    for path in from {
        let footer = reader::footer(path)?;
        let source = File::open(path).map_err(|error| reader::cannot_read(path, error))?;
        append(&source, &footer, &mut parquet).map_err(written)?;
    }
    parquet.into_inner().map_err(written)
}

/// Appends all row groups of a file to another one of the same columns.
pub(super) fn append<W: Write + Send>(
    source: &impl ChunkReader,
    footer: &ParquetMetaData,
    parquet: &mut SerializedFileWriter<W>,
) -> parquet::errors::Result<()> {
    for row_group in footer.row_groups() {
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

/// Small ones are decoded and encoded again, so that they become large.
fn encode_again(group: &[RowFile], mut parquet: ArrowWriter<File>, to: &Path) -> Result<()> {
    let written = |error| cannot_write(to, error);
    for part in group {
        for batch in reader::batches(&part.path)? {
            let batch = batch.map_err(|error| reader::cannot_read(&part.path, error))?;
            parquet.write(&batch).map_err(written)?;
        }
    }
    parquet.into_inner().map_err(written).map(drop)
}
