//! `FolderLock`: who writes into a results folder holds the lock of its `.lock`, for as long as it lives.
//!
//! The lock is the kernel's (`flock`): it goes with the process, however that ends, and nobody
//! has to guess whether a number of a process is still the same one. It binds those who ask for it. The file stays, since one
//! that is deleted can be locked by one process and made anew by another.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Asked {
    Held(FolderLock),
    /// Another process is writing, or another part of this one.
    Live,
    /// Nobody can write here, or the file system has no locks.
    Unknown,
}

pub fn path(results: &Path) -> PathBuf {
    results.join(".lock")
}

/// Takes the lock of a folder, in order to write into it.
pub fn take(results: &Path) -> Asked {
    let mut file = match OpenOptions::new().create(true).append(true).open(path(results)) {
        Ok(file) => file,
        // What cannot be written by us can still be locked by somebody else.
        Err(_) => {
            return match is_live(results) {
                true => Asked::Live,
                false => Asked::Unknown,
            };
        }
    };
    match file.try_lock() {
        Ok(()) => {
            // For those who wonder; nothing reads it.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            Asked::Held(FolderLock { _file: file })
        }
        Err(TryLockError::WouldBlock) => Asked::Live,
        Err(TryLockError::Error(_)) => Asked::Unknown,
    }
}

/// Whether somebody is writing into the folder, this process included. Changes nothing.
pub fn is_live(results: &Path) -> bool {
    let Ok(file) = File::open(path(results)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_given_back_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_live(folder.path()));
        let Asked::Held(held) = take(folder.path()) else { panic!("nobody has it") };
        assert!(is_live(folder.path()));
        assert!(matches!(take(folder.path()), Asked::Live));
        drop(held);
        assert!(!is_live(folder.path()));
        assert!(matches!(take(folder.path()), Asked::Held(_)));
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_lock() {
        assert!(matches!(take(Path::new("/nowhere/at/all")), Asked::Unknown));
    }
}
