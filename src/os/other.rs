//! Where Linux's means are missing: read times instead of receive times, ordinary priority.

use super::{Received, now};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Nobody has one.
pub enum Timer {}

/// There is none here that is a descriptor.
pub fn timer() -> io::Result<Timer> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Timer {
    pub fn set(&self, _time: Duration) -> io::Result<()> {
        match *self {}
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        match *self {}
    }
}

/// There are no receive stamps here.
pub fn enable_receive_stamps(_fd: RawFd) -> bool {
    false
}

/// Reads what is there, without waiting. 0 bytes: the peer has closed.
pub fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<Received> {
    // SAFETY: the pointer and length are those of a live slice.
    let n = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Received { bytes: n as usize, read_at: now(), stamp: None, waited: 0 })
}

/// Nothing to do here.
pub fn make_precise() {}

/// There is no portable way.
pub fn be_urgent(_urgent: bool) -> bool {
    false
}

/// Nothing to do here.
pub fn spare_memory() {}

/// Nothing to do here.
pub fn give_back_memory() {}

/// Nothing is spared here.
pub struct LargePieces(());

impl LargePieces {
    pub fn begin() -> LargePieces {
        LargePieces(())
    }
}
