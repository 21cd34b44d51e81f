//! `Saboteur`: what is done to a process while it runs.

use super::Result;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Burns cores until it is dropped.
pub struct Burners {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Burners {
    pub fn start(count: usize) -> Burners {
        let stop = Arc::new(AtomicBool::new(false));
        let burn = |stop: Arc<AtomicBool>| move || while !stop.load(Ordering::Relaxed) {};
        let threads = (0..count).map(|_| std::thread::spawn(burn(stop.clone()))).collect();
        Burners { stop, threads }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Stops a process for a while, again and again.
#[derive(Debug, Clone, Copy)]
pub struct Pulses {
    pub first: Duration,
    pub stopped: Duration,
    pub every: Duration,
    pub count: usize,
}

impl Pulses {
    /// Ends early when `over` is set. The process must not have been waited for until then.
    pub fn give(self, pid: u32, over: &AtomicBool) {
        let pid = pid as libc::pid_t;
        nap(self.first, over);
        for _ in 0..self.count {
            if over.load(Ordering::Relaxed) {
                return;
            }
            // SAFETY: no pointers; the process is a child of ours that was not waited for.
            unsafe { libc::kill(pid, libc::SIGSTOP) };
            std::thread::sleep(self.stopped);
            // SAFETY: as above.
            unsafe { libc::kill(pid, libc::SIGCONT) };
            nap(self.every.saturating_sub(self.stopped), over);
        }
    }
}

/// Sleeps unless it is over.
pub fn nap(time: Duration, over: &AtomicBool) {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until && !over.load(Ordering::Relaxed) {
        std::thread::sleep(time.min(Duration::from_millis(5)));
    }
}

/// A control group in which processes get so many milliseconds of CPU time per 100 ms.
pub struct Limit {
    folder: PathBuf,
}

impl Limit {
    /// Fails where groups cannot be made.
    pub fn new(ms: u32) -> Result<Limit> {
        let name = format!("sabotage-{}", std::process::id());
        let (old, new) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let is_old = old.join("cpu.cfs_quota_us").exists();
        let folder = if is_old { old } else { new }.join(name);
        std::fs::create_dir(&folder).map_err(|error| format!("no control group: {error}"))?;
        let limit = Limit { folder };
        let (file, text) = match is_old {
            true => ("cpu.cfs_quota_us", format!("{}", ms * 1_000)),
            false => ("cpu.max", format!("{} 100000", ms * 1_000)),
        };
        std::fs::write(limit.folder.join(file), text).map_err(|error| format!("no CPU limit: {error}"))?;
        Ok(limit)
    }

    /// The process of `command` will be in the group from its first instruction: one that has
    /// real-time threads already could not be moved.
    pub fn hold(&self, command: &mut Command) -> Result<()> {
        let procs = self.folder.join("cgroup.procs").into_os_string().into_encoded_bytes();
        let procs = std::ffi::CString::new(procs)?;
        // SAFETY: three system calls on what the closure owns, which may follow a fork. Writing 0
        // moves the writer.
        unsafe {
            command.pre_exec(move || {
                let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                let written = libc::write(fd, c"0".as_ptr().cast(), 1);
                libc::close(fd);
                if written == 1 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
            });
        }
        Ok(())
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // It is empty, as its process was waited for; the kernel may need a moment to see it.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Moves the wall clock and back when dropped.
pub struct SteppedClock {
    back: i64,
}

impl SteppedClock {
    pub fn step(ms: i64) -> Result<SteppedClock> {
        shift(ms)?;
        Ok(SteppedClock { back: -ms })
    }
}

impl Drop for SteppedClock {
    fn drop(&mut self) {
        if let Err(error) = shift(self.back) {
            super::tell(format!("the wall clock is now {} ms off: {error}", -self.back));
        }
    }
}

fn shift(ms: i64) -> Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: an all-zero request is a valid one, and it lives through the call.
    unsafe {
        let mut request: libc::timex = std::mem::zeroed();
        request.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
        request.time.tv_sec = ms.div_euclid(1_000);
        request.time.tv_usec = ms.rem_euclid(1_000) * 1_000_000;
        if libc::adjtimex(&mut request) >= 0 {
            return Ok(());
        }
    }
    Err(format!("the wall clock cannot be moved by {ms} ms: {}", std::io::Error::last_os_error()).into())
}

/// A slow disk: in the process of `command` every write to a file below `folder` takes `write`
/// longer, and the first one `first` more. Fails where there is no C compiler.
pub fn slow_disk(command: &mut Command, folder: &Path, write: Duration, first: Duration) -> Result<()> {
    let (source, library) = (folder.join("slow.c"), folder.join("slow.so"));
    std::fs::write(&source, SLOW_C)?;
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
    if !made.map_err(|error| format!("no C compiler: {error}"))?.success() {
        return Err("the C compiler did not make the library".into());
    }
    command.env("LD_PRELOAD", library).env("SLOW_BELOW", folder);
    command.env("SLOW_US", write.as_micros().to_string());
    command.env("SLOW_FIRST_US", first.as_micros().to_string());
    Ok(())
}

/// Sleeps in `write` and `fsync` of files below a folder.
const SLOW_C: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int begun;

static void wait_for_disk(int fd) {
    const char *below = getenv("SLOW_BELOW");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (!below || n <= 0) return;
    path[n] = 0;
    if (strncmp(path, below, strlen(below)) || !strstr(path, "/requests/")) return;
    usleep(atoi(getenv("SLOW_US")));
    if (!atomic_exchange(&begun, 1)) usleep(atoi(getenv("SLOW_FIRST_US")));
}

ssize_t write(int fd, const void *bytes, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (fd > 2) wait_for_disk(fd);
    return real(fd, bytes, n);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    wait_for_disk(fd);
    return real(fd);
}
"#;

/// The process of `command` may hold so many files open.
pub fn few_files(command: &mut Command, count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
    // SAFETY: one system call on a value that the closure owns, which may follow a fork.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// The process of `command` may not be preferred by the scheduler, even if it is root's.
pub fn ordinary(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        const CAP_SYS_NICE: libc::c_ulong = 23;
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: two system calls on values that the closure owns, which may follow a fork. Where
        // the right was not there it cannot be dropped, which is as well.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_NICE, 0, 0, 0);
                libc::setrlimit(libc::RLIMIT_RTPRIO, &none);
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}
