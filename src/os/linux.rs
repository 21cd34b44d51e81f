//! Receive timestamps, timers, timer slack and real-time priority of Linux.

use super::{Received, now, wall};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A timer that is a descriptor, which can be read when its time is over.
pub struct Timer(OwnedFd);

pub fn timer() -> io::Result<Timer> {
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it has just been opened, and is nobody else's.
    Ok(Timer(unsafe { OwnedFd::from_raw_fd(fd) }))
}

impl Timer {
    /// Its time is over so long from now; an earlier one is forgotten.
    pub fn set(&self, time: Duration) -> io::Result<()> {
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // 0 would switch it off.
        let time = time.max(Duration::from_nanos(1));
        let once = libc::timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
        let set = libc::itimerspec { it_interval: never, it_value: once };
        // SAFETY: `set` is a live value, and nobody asks for the old one.
        match unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &set, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Asks the kernel to stamp what this socket receives. Returns whether it will.
pub fn enable_receive_stamps(fd: RawFd) -> bool {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is a live c_int of the given size.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    result == 0
}

/// Room for one `timespec` control message, aligned as `cmsghdr` wants it.
#[repr(align(8))]
struct Control([u8; 64]);

/// Reads what is there, without waiting. 0 bytes: the peer has closed.
pub fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is a valid empty one; its fields then point at live memory
    // for the length of the call.
    let (n, message) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        (libc::recvmsg(fd, &mut message, libc::MSG_DONTWAIT), message)
    };
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    let read_at = now();
    // SAFETY: the kernel has filled `message` and the control bytes it points at.
    let stamp = unsafe { receive_stamp(&message) }.and_then(|stamp| on_monotonic(stamp, read_at));
    Ok(Received { bytes: n as usize, read_at, stamp, waited: 0 })
}

/// The SCM_TIMESTAMPNS of a message: nanoseconds of the wall clock.
unsafe fn receive_stamp(message: &libc::msghdr) -> Option<i64> {
    // SAFETY: as the caller promises; a timespec may be unaligned behind its header.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_TIMESTAMPNS {
                let time = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                return Some(time.tv_sec * 1_000_000_000 + time.tv_nsec);
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
}

/// Kernel stamps are wall-clock times. The offset is taken anew at each read, so that a clock
/// step can spoil the reads around it and no others; a stamp from the future is not believed.
fn on_monotonic(stamp: i64, read_at: i64) -> Option<i64> {
    let lag = wall() - stamp;
    (0..60_000_000_000).contains(&lag).then(|| read_at - lag)
}

/// Makes the calling thread wake when it asked to: timer slack of 1 ns instead of 50 us.
pub fn make_precise() {
    // SAFETY: a plain call on the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Gives the calling thread real-time priority, or takes it back. False where it is not allowed.
pub fn be_urgent(urgent: bool) -> bool {
    let (policy, sched_priority) = if urgent { (libc::SCHED_FIFO, 10) } else { (libc::SCHED_OTHER, 0) };
    let priority = libc::sched_param { sched_priority };
    // SAFETY: a plain call on the calling thread with a live parameter.
    unsafe { libc::pthread_setschedparam(libc::pthread_self(), policy, &priority) == 0 }
}

/// Makes glibc's allocator give large pieces back to the system when they are freed, and share
/// few pools among the threads: left alone it keeps a third more than is in use.
#[cfg(target_env = "gnu")]
pub fn spare_memory() {
    const POOLS: libc::c_int = 3;
    // SAFETY: a plain call; a value that it does not know is refused without harm.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, POOLS) };
    SPARING.store(true, Relaxed);
    keep(64 << 10, 1 << 20);
}

/// Whether [`spare_memory`] was called.
static SPARING: AtomicBool = AtomicBool::new(false);

/// Pieces from `large` bytes on are the system's when they are freed; `most`: free bytes that a pool keeps.
#[cfg(target_env = "gnu")]
fn keep(large: libc::c_int, most: libc::c_int) {
    // SAFETY: plain calls; values that it does not know are refused without harm.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, large);
        libc::mallopt(libc::M_TRIM_THRESHOLD, most);
    }
}

/// While it lives, memory is not spared: work in large pieces, each like the last, would get every one
/// of them page by page from the system again, which takes two fifths of the time of reading rows.
pub struct LargePieces(());

impl LargePieces {
    pub fn begin() -> LargePieces {
        if SPARING.load(Relaxed) {
            keep(2 << 20, 8 << 20);
        }
        LargePieces(())
    }
}

impl Drop for LargePieces {
    fn drop(&mut self) {
        if SPARING.load(Relaxed) {
            spare_memory();
        }
    }
}

/// Gives what is free in glibc's pools back to the system: small pieces stay there otherwise.
/// A few milliseconds of CPU where thousands of sessions have ended.
#[cfg(target_env = "gnu")]
pub fn give_back_memory() {
    // SAFETY: a plain call.
    unsafe { libc::malloc_trim(0) };
}

/// Nothing to do here.
#[cfg(not(target_env = "gnu"))]
pub fn spare_memory() {}

/// Nothing to do here.
#[cfg(not(target_env = "gnu"))]
fn keep(_large: libc::c_int, _most: libc::c_int) {}

/// Nothing to do here.
#[cfg(not(target_env = "gnu"))]
pub fn give_back_memory() {}
