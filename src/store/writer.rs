//! `Writer`: a thread that turns finished records into Parquet parts.

use crate::error::Result;
use crate::record::Record;
use std::path::Path;

/// The writing side of one run. A part is closed every few seconds, so that a killed process
/// loses little.
pub struct Writer {
    _private: (),
}

impl Writer {
    /// Starts the thread. Parts go to `<folder>/requests/part-<run index>-<part>.parquet`.
    /// `zero_ms`: the wall clock of the run's zero, milliseconds since 1970.
    pub fn start(_folder: &Path, _run: &str, _run_index: u32, _zero_ms: i64) -> Result<Writer> {
        todo!()
    }

    /// Hands records over; blocks when the disk is slow (counted in [`Written::blocked_ms`]).
    /// An error of the thread (disk full) comes back here.
    pub fn write(&mut self, _records: Vec<Record>) -> Result<()> {
        todo!()
    }

    /// Closes the last part and waits for the thread.
    pub fn finish(self) -> Result<Written> {
        todo!()
    }
}

/// What a writer has done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    pub rows: u64,
    pub parts: u32,
    pub blocked_ms: f64,
}
