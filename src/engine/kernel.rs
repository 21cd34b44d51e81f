//! `Timer` and the few other things that depend on the operating system.

use std::io;

use crate::engine::nanos::Nanos;

/// Waits until a time on the monotonic clock, finer than the runtime's own timers.
pub struct Timer {
    inner: platform::Timer,
}

impl Timer {
    /// Must be called inside of a runtime.
    pub fn new() -> io::Result<Timer> {
        Ok(Timer { inner: platform::Timer::new()? })
    }

    /// Returns at `at`, now and then earlier: look at the clock again. May be dropped in mid-way.
    pub async fn until(&self, at: Nanos) -> io::Result<()> {
        self.inner.until(at).await
    }
}

/// Kernel timers are not rounded to a tick and do not suffer from timer slack.
#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::engine::nanos::Nanos;

    pub struct Timer {
        fd: AsyncFd<OwnedFd>,
    }

    impl Timer {
        pub fn new() -> io::Result<Timer> {
            // SAFETY: no pointers; the result is checked before it is owned.
            let fd = unsafe {
                libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC)
            };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: `fd` was just made and nobody else has it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: the descriptor is open and stays so as long as its owner, which moves in.
            let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
            Ok(Timer { fd: fd.map_err(io::Error::from)? })
        }

        pub async fn until(&self, at: Nanos) -> io::Result<()> {
            let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // A time of 0 would disarm the timer.
            let at = at.max(1);
            let time = libc::timespec {
                tv_sec: (at / 1_000_000_000) as libc::time_t,
                tv_nsec: (at % 1_000_000_000) as libc::c_long,
            };
            let setting = libc::itimerspec { it_interval: none, it_value: time };
            let fd = self.fd.get_ref().as_raw_fd();
            // SAFETY: `setting` lives through the call, and the old setting is not asked for.
            let result =
                unsafe { libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &setting, std::ptr::null_mut()) };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            // Setting the timer again forgets the expiry, so that it need not be read.
            self.fd.readable().await?.clear_ready();
            Ok(())
        }
    }
}

/// The runtime's timer up to its resolution before the time, and a short spin for the rest.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;
    use std::time::Duration;

    use crate::engine::nanos::Nanos;
    use crate::os;

    const SPIN: Nanos = 1_500_000;

    pub struct Timer;

    impl Timer {
        pub fn new() -> io::Result<Timer> {
            Ok(Timer)
        }

        pub async fn until(&self, at: Nanos) -> io::Result<()> {
            let ahead = at - os::now() - SPIN;
            if ahead > 0 {
                tokio::time::sleep(Duration::from_nanos(ahead as u64)).await;
            }
            while os::now() < at {
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    }
}

/// Lets the process open as many files as the system allows; a failure only means fewer.
#[cfg(unix)]
pub fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place to read from and to write to.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

#[cfg(not(unix))]
pub fn raise_file_limit() {}

/// Returns when the process is asked to end: SIGTERM or Ctrl-C.
#[cfg(unix)]
pub async fn asked_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
pub async fn asked_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
