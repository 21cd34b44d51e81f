//! What the operating system is asked for, with a fallback where it has nothing to offer.
//!
//! Times are nanoseconds on the monotonic clock. Everything that only Linux has lives in
//! `linux`; `other` answers for the rest.

pub(crate) mod file;
pub(crate) mod health;
pub mod heap;
pub(crate) mod listener;
pub(crate) mod ports;
pub(crate) mod stack;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod imp;

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

pub use health::{TcpInfo, tcp_info};
pub use imp::{
    LargePieces, Timer, be_urgent, enable_receive_stamps, give_back_memory, make_precise, receive,
    spare_memory, timer,
};

/// The monotonic clock, nanoseconds.
pub fn now() -> i64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// The wall clock, nanoseconds since 1970.
pub fn wall() -> i64 {
    clock(libc::CLOCK_REALTIME)
}

/// Chance from the operating system, other in every process and at every call.
pub fn chance() -> [u8; 10] {
    use std::hash::{BuildHasher, RandomState};
    // The keys of a fresh state are the system's randomness, and asking for it so cannot fail.
    let state = RandomState::new();
    let numbers = [state.hash_one(0), state.hash_one(1)].map(u64::to_le_bytes).concat();
    std::array::from_fn(|i| numbers[i])
}

/// CPU time of this process so far, nanoseconds, kernel included.
pub fn cpu() -> i64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Bytes that one read returned, and when they arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub bytes: usize,
    /// When the read returned.
    pub read_at: i64,
    /// When the kernel received the last of the bytes; `None` where it does not say.
    pub stamp: Option<i64>,
    /// How long the reader had waited on purpose before this read.
    pub waited: i64,
}

impl Received {
    /// The best time there is for the arrival of the bytes.
    pub fn at(&self) -> i64 {
        self.stamp.unwrap_or(self.read_at)
    }

    /// How late the read was, beyond what it waited on purpose. `None` without a stamp.
    pub fn lag(&self) -> Option<i64> {
        Some((self.read_at - self.stamp? - self.waited).max(0))
    }
}

/// Writes without waiting. `WouldBlock` when the socket's buffer is full.
pub fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live slice. Rust ignores SIGPIPE, so a
    // closed peer is an error and not a signal.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// Whether an idle connection is still open and silent. A peer that has closed it, or sent
/// something unasked, makes it unfit for another request.
pub fn idle_and_open(fd: RawFd) -> bool {
    let mut byte = 0u8;
    // SAFETY: one byte of room is given for one byte.
    let n = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    n < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

/// The exit code of [`end_with`]: 2, and 1 once load was sent.
static LAST_CODE: AtomicI32 = AtomicI32::new(2);

/// From now on the process has done something that counts.
pub fn load_was_sent() {
    LAST_CODE.store(1, Relaxed);
}

/// Ends the process at once with a line on standard error; for places where nothing else can be
/// done, such as a signal handler.
pub fn end_with(line: &[u8]) -> ! {
    // SAFETY: both may be called anywhere, and the pointer and length are those of a live slice.
    unsafe {
        libc::write(2, line.as_ptr().cast(), line.len());
        libc::_exit(LAST_CODE.load(Relaxed))
    }
}

/// Raises the soft limit of open files to the hard one and returns it.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for both calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let wanted = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) == 0 {
            return wanted.rlim_cur;
        }
    }
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connects");
        (client, listener.accept().expect("accepts").0)
    }

    #[test]
    fn received_bytes_are_stamped_between_their_send_and_their_read() {
        let (client, mut server) = pair();
        enable_receive_stamps(client.as_raw_fd());
        let before = now();
        server.write_all(b"hello").expect("writes");
        let mut buffer = [0u8; 64];
        let received = receive(client.as_raw_fd(), &mut buffer).expect("reads");
        assert_eq!(&buffer[..received.bytes], b"hello");
        assert!(before <= received.read_at && received.read_at <= now());
        if let Some(stamp) = received.stamp {
            // The wall clock that the stamp comes from may be slewed between the two.
            assert!(before - 1_000_000 <= stamp && stamp <= received.read_at);
        }
    }

    #[test]
    fn an_idle_connection_is_fit_until_its_peer_speaks_or_closes() {
        let (client, mut server) = pair();
        assert!(!idle_and_open(-1));
        client.set_nonblocking(true).expect("non-blocking");
        assert!(idle_and_open(client.as_raw_fd()));
        server.write_all(b"!").expect("writes");
        assert!(!idle_and_open(client.as_raw_fd()));
        let mut byte = [0u8; 1];
        (&client).read_exact(&mut byte).expect("reads");
        assert!(idle_and_open(client.as_raw_fd()));
        drop(server);
        assert!(!idle_and_open(client.as_raw_fd()));
    }
}
