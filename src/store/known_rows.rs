//! `KnownRows`: rows of runs that were measured elsewhere, as parts. What they came from is still there:
//! they need no journal, and are synced together.

use super::aside::sync_folder;
use super::identity::RunIdentity;
use super::parts::{part_name, requests_folder, unfinished_name};
use super::row_part::RowPart;
use super::schema;
use super::seal::cannot_write;
use crate::error;
use crate::record::Record;
use parquet::errors::ParquetError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Records are turned into columns so many at a time.
const BATCH_ROWS: usize = 256;

pub struct KnownRows {
    requests: PathBuf,
    parts: Vec<PathBuf>,
}

impl KnownRows {
    /// Of the runs of a results folder that has no parts of them yet.
    pub fn new(folder: &Path) -> KnownRows {
        KnownRows { requests: requests_folder(folder), parts: Vec::new() }
    }

    /// Writes the rows of a run. Each part appears whole; it is on the disk for certain after
    /// [`KnownRows::finish`].
    pub fn add(&mut self, of: &RunIdentity, zero_ms: i64, records: &[Record]) -> error::Result<()> {
        for (part, records) in records.chunks(schema::GROUP_ROWS).enumerate() {
            let name = part_name(of.index, part as u32, part as u32);
            let (path, unfinished) = (self.requests.join(&name), self.requests.join(unfinished_name(&name)));
            part_of(of, zero_ms, records)
                .and_then(|bytes| {
                    fs::create_dir_all(&self.requests)?;
                    fs::write(&unfinished, bytes)?;
                    Ok(fs::rename(&unfinished, &path)?)
                })
                .map_err(|error| cannot_write(&path, error))?;
            self.parts.push(path);
        }
        Ok(())
    }

    /// Syncs what was written: together that takes an eighth of the time that it takes one by one.
    pub fn finish(self) -> error::Result<()> {
        let Some(last) = self.parts.last() else { return Ok(()) };
        let synced = self.parts.iter().try_for_each(|part| File::open(part)?.sync_all());
        synced.and_then(|()| sync_folder(&self.requests)).map_err(|error| cannot_write(last, error.into()))
    }
}

/// The bytes of a part.
fn part_of(of: &RunIdentity, zero_ms: i64, records: &[Record]) -> Result<Vec<u8>, ParquetError> {
    let mut part = RowPart::create(Vec::new(), of, zero_ms)?;
    for some in records.chunks(BATCH_ROWS) {
        part.add(&some.iter().collect::<Vec<_>>())?;
    }
    part.finish()
}

#[cfg(test)]
mod tests {
    use super::super::{reader, sample};
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_and_nothing_is_left_aside() {
        let folder = tempfile::tempdir().unwrap();
        let records = sample::records(60);
        let mut rows = KnownRows::new(folder.path());
        rows.add(&sample::identity("a", 0), 5, &records).unwrap();
        rows.add(&sample::identity("none", 1), 5, &[]).unwrap();
        rows.add(&sample::identity("b", 2), 5, &records[..7]).unwrap();
        rows.finish().unwrap();
        let mut back = Vec::new();
        let warnings =
            reader::requests(folder.path(), None, |run, record| back.push((run.to_string(), record)));
        assert!(warnings.unwrap().is_empty());
        let (of_a, of_b): (Vec<_>, Vec<_>) = back.into_iter().partition(|(run, _)| run == "a");
        let of_a: Vec<_> = of_a.into_iter().map(|(_, record)| record).collect();
        assert_eq!(format!("{of_a:?}"), format!("{records:?}"));
        assert_eq!(of_b.len(), 7);
        assert_eq!(fs::read_dir(requests_folder(folder.path())).unwrap().count(), 2);
    }
}
