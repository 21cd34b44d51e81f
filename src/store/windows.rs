//! `Windows`: a Parquet file that is read a piece of 128 kB at a time, of which the last ones are kept: a page of the
//! times of one reply is some hundred bytes, and the library would open the file anew for each.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

const WINDOW: u64 = 128 << 10;
/// More than the columns that are usually read together, each of which is somewhere else.
const KEPT: usize = 32;

#[derive(Clone)]
pub(super) struct Windows(Arc<Inner>);

struct Inner {
    file: File,
    length: u64,
    /// The one that was used last is the last.
    kept: Mutex<VecDeque<Window>>,
}

#[derive(Clone)]
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Windows {
    pub fn new(file: File) -> io::Result<Windows> {
        let length = file.metadata()?.len();
        Ok(Windows(Arc::new(Inner { file, length, kept: Mutex::default() })))
    }

    /// All that a window has from `start` on: at least `length` bytes.
    fn from(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let Inner { file, length: all, kept } = &*self.0;
        let end = start.checked_add(length).filter(|end| end <= all).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |window: &Window| window.start <= start && end <= window.start + window.bytes.len() as u64;
        if let Some(window) = kept.iter().rposition(has).and_then(|place| kept.remove(place)) {
            let rest = window.bytes.slice((start - window.start) as usize..);
            kept.push_back(window);
            return Ok(rest);
        }
        let mut room = vec![0; length.max(WINDOW.min(all - start)) as usize];
        file.read_exact_at(&mut room, start)?;
        let bytes = Bytes::from(room);
        if length <= WINDOW {
            kept.push_back(Window { start, bytes: bytes.clone() });
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        Ok(bytes)
    }
}

impl Length for Windows {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Windows {
    type T = Ahead;

    fn get_read(&self, start: u64) -> Result<Ahead> {
        Ok(Ahead { file: self.clone(), next: start, bytes: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start, length as u64).map_err(ParquetError::from)?;
        Ok(bytes.slice(..length))
    }
}

/// The bytes from a place on.
pub(super) struct Ahead {
    file: Windows,
    /// Where those behind `bytes` begin.
    next: u64,
    bytes: Bytes,
}

impl Read for Ahead {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.next < self.file.len() {
            self.bytes = self.file.from(self.next, 1)?;
            self.next += self.bytes.len() as u64;
        }
        let some = room.len().min(self.bytes.len());
        room[..some].copy_from_slice(&self.bytes.split_to(some));
        Ok(some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn any_piece_is_what_the_file_has_there() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        let bytes: Vec<u8> = (0..1_000_000).map(|_| random.random()).collect();
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &bytes).unwrap();
        let windows = Windows::new(File::open(path.path()).unwrap()).unwrap();
        assert_eq!(windows.len(), 1_000_000);
        for round in 0..2_000 {
            let start = random.random_range(0..bytes.len());
            let most = if round % 50 == 0 { bytes.len() - start } else { (bytes.len() - start).min(3_000) };
            let length = random.random_range(0..=most);
            let expected = &bytes[start..start + length];
            assert_eq!(windows.get_bytes(start as u64, length).unwrap(), expected);
            let mut read = vec![0; length];
            windows.get_read(start as u64).unwrap().read_exact(&mut read).unwrap();
            assert_eq!(read, expected);
        }
        for (start, length) in [(999_999, 2), (1_000_001, 0), (u64::MAX, 1), (0, 1_000_001)] {
            assert!(windows.get_bytes(start, length).is_err(), "{length} bytes from {start}");
        }
        assert_eq!(windows.get_read(1_000_000).unwrap().read(&mut [0; 8]).unwrap(), 0);
    }
}
