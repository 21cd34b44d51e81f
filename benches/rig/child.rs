//! `Child`: a process of its own that is tied to cores, and what it cost.

use super::Result;
use std::io;
use std::process::Command;
use std::time::Duration;

/// What a process used from its start to its end.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// CPU seconds, kernel included.
    pub cpu: f64,
    /// Most memory it held at a time, MiB.
    pub peak: f64,
    /// Seconds from its start to its end.
    pub wall: f64,
}

/// Cores that this process may run on; none where that cannot be asked.
pub fn cores() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: an all-zero set is an empty one, and the call fills it in.
        let set = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
            set
        };
        // SAFETY: the index is below the size of the set.
        (0..libc::CPU_SETSIZE as usize).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
    }
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

/// The command's process will run on `cores` only; on any, when there are none in the list.
pub fn tie(command: &mut Command, cores: &[usize]) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        if cores.is_empty() {
            return;
        }
        // SAFETY: an all-zero set is an empty one; the indexes came out of such a set.
        let set = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            cores.iter().for_each(|&core| libc::CPU_SET(core, &mut set));
            set
        };
        // SAFETY: one system call on a value that the closure owns, which may follow a fork.
        unsafe {
            command.pre_exec(move || match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, cores);
}

/// Runs a command to its end. Fails when it does not start or does not succeed.
pub fn run(command: &mut Command, cores: &[usize]) -> Result<Cost> {
    tie(command, cores);
    let name = command.get_program().to_string_lossy().into_owned();
    let started = std::time::Instant::now();
    let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let pid = child.id() as libc::pid_t;
    let mut peak = 0.0f64;
    let (status, usage) = loop {
        peak = peak.max(memory_peak(pid));
        if let Some(ended) = ended(pid)? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if status != 0 {
        return Err(format!("{name} ended with status {:#x}", status).into());
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Cost {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak,
        wall: started.elapsed().as_secs_f64(),
    })
}

/// Status and usage of a child that has ended.
fn ended(pid: libc::pid_t) -> io::Result<Option<(libc::c_int, libc::rusage)>> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one; both places live through the call.
    let (found, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage), usage)
    };
    match found {
        0 => Ok(None),
        _ if found == pid => Ok(Some((status, usage))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The most memory that a process has held so far, MiB. Its `ru_maxrss` would not do: that
/// counts what its parent held at the fork.
fn memory_peak(pid: libc::pid_t) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
