//! `merge`: the many small parts of a finished run become few.

use super::parts::{self, Part, part_name, requests_folder, unfinished_name};
use super::reader;
use super::schema;
use super::writer::cannot_write;
use crate::error::Result;
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::path::Path;

/// Rows of a merged part, at most (unless a single part holds more).
const MERGED_ROWS: u64 = 1 << 20;

/// Merges the parts of run `index` from number `from` on, and returns how many files they are now.
/// After an error every row is still in one live part.
pub(super) fn merge(folder: &Path, index: u32, from: u32) -> Result<u32> {
    let live = parts::list(folder)?.live;
    let mine = live.into_iter().filter(|part| part.run == index && part.first >= from);
    let mut groups: Vec<(u64, Vec<Part>)> = Vec::new();
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

fn merge_group(folder: &Path, group: &[Part]) -> Result<()> {
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
fn copy(group: &[Part], to: &Path) -> Result<()> {
    let (run, zero_ms) = reader::identity(&group[0].path)?;
    let mut parquet = File::create(to)
        .map_err(parquet::errors::ParquetError::from)
        .and_then(|file| {
            ArrowWriter::try_new(file, schema::schema(), Some(schema::properties(&run, zero_ms)))
        })
        .map_err(|error| cannot_write(to, error))?;
    for part in group {
        for batch in reader::batches(&part.path)? {
            let batch = batch.map_err(|error| reader::cannot_read(&part.path, error))?;
            parquet.write(&batch).map_err(|error| cannot_write(to, error))?;
        }
    }
    parquet.finish().map_err(|error| cannot_write(to, error))?;
    parquet.inner().sync_all().map_err(|error| cannot_write(to, error.into()))
}
