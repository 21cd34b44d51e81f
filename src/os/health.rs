//! What the system says of this process and its machine: time lost to others, TCP's own view
//! of a connection.
//!
//! Linux tells through `/proc`, `/sys/fs/cgroup` and `TCP_INFO`. Where these are missing every
//! answer is `None`.

use std::fs;
use std::ops::RangeInclusive;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// What TCP knows of a connection since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Segments that we sent again.
    pub retransmits: u32,
    /// Segments that reached us out of order.
    pub out_of_order: u32,
    /// The shortest round trip of the last minutes, microseconds. `None`: none was measured.
    pub min_rtt_us: Option<u32>,
}

impl TcpInfo {
    /// What came on top of `before`: a connection counts from its opening, a request from its
    /// beginning.
    pub fn since(self, before: TcpInfo) -> TcpInfo {
        TcpInfo {
            retransmits: self.retransmits.saturating_sub(before.retransmits),
            out_of_order: self.out_of_order.saturating_sub(before.out_of_order),
            ..self
        }
    }
}

/// What TCP knows of the connection `fd`; one system call. `None` where the system does not
/// say, or `fd` is no TCP connection.
pub fn tcp_info(fd: RawFd) -> Option<TcpInfo> {
    let (bytes, length) = raw_tcp_info(fd)?;
    let at = |offset: usize| {
        let word = bytes[..length].get(offset..offset + 4)?;
        Some(u32::from_ne_bytes(word.try_into().ok()?))
    };
    Some(TcpInfo {
        retransmits: at(TCPI_TOTAL_RETRANS)?,
        out_of_order: at(TCPI_RCV_OOOPACK).unwrap_or(0),
        // All ones until a round trip was measured.
        min_rtt_us: at(TCPI_MIN_RTT).filter(|rtt| *rtt != u32::MAX),
    })
}

/// Places in the kernel's `struct tcp_info` (uapi/linux/tcp.h), which only grows at its end:
/// older kernels return a shorter one.
const TCPI_TOTAL_RETRANS: usize = 100;
const TCPI_MIN_RTT: usize = 148;
const TCPI_RCV_OOOPACK: usize = 224;
const TCP_INFO_BYTES: usize = 256;

#[cfg(target_os = "linux")]
fn raw_tcp_info(fd: RawFd) -> Option<([u8; TCP_INFO_BYTES], usize)> {
    let mut bytes = [0u8; TCP_INFO_BYTES];
    let mut length = TCP_INFO_BYTES as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes and says how many.
    let result = unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, bytes.as_mut_ptr().cast(), &mut length)
    };
    (result == 0).then_some((bytes, (length as usize).min(TCP_INFO_BYTES)))
}

#[cfg(not(target_os = "linux"))]
fn raw_tcp_info(_fd: RawFd) -> Option<([u8; TCP_INFO_BYTES], usize)> {
    None
}

/// Cores that this process may use, its affinity and its container's limit considered.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Time so far of the cores that this process may use, in ticks, whoever used it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineTime {
    pub total: u64,
    pub idle: u64,
    /// Taken by the hypervisor for other machines.
    pub stolen: u64,
}

pub fn machine_time() -> Option<MachineTime> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    parse_machine_time(&fs::read_to_string("/proc/stat").ok()?, &parse_allowed(&status)?)
}

/// `Cpus_allowed_list: 0-3,8`.
fn parse_allowed(status: &str) -> Option<Vec<RangeInclusive<u32>>> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').map(range).collect()
}

/// `cpuN user nice system idle iowait irq softirq steal guest guest_nice`, one line a core;
/// guest time is part of user time.
fn parse_machine_time(text: &str, allowed: &[RangeInclusive<u32>]) -> Option<MachineTime> {
    let mut sum = MachineTime::default();
    for line in text.lines() {
        let Some((core, ticks)) = line.strip_prefix("cpu").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        // The line of all cores together has no number.
        let Ok(core) = core.parse() else { continue };
        if allowed.iter().any(|range| range.contains(&core)) {
            let ticks: Vec<u64> =
                ticks.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
            sum.total += ticks.iter().sum::<u64>();
            sum.stolen += ticks.get(7)?;
            sum.idle += ticks[3] + ticks[4];
        }
    }
    (sum.total > 0).then_some(sum)
}

/// One thread of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub id: u32,
    pub name: String,
    /// How long it was ready and had no core, nanoseconds.
    pub waited: i64,
}

/// The threads of this process that live now; none where the system does not say.
pub fn threads() -> Vec<Thread> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let thread = |folder: PathBuf| {
        let id = folder.file_name()?.to_str()?.parse().ok()?;
        let name = fs::read_to_string(folder.join("comm")).ok()?.trim_end().to_string();
        let waited = parse_waited(&fs::read_to_string(folder.join("schedstat")).ok()?)?;
        Some(Thread { id, name, waited })
    };
    entries.filter_map(|entry| thread(entry.path())).collect()
}

/// `time on a core, time waiting for one, time slices`. A kernel without these statistics
/// says 0 to all three, which no thread that runs can have.
fn parse_waited(text: &str) -> Option<i64> {
    let numbers: Vec<i64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    match numbers[..] {
        [0, 0, 0] => None,
        [_, waited, _] => Some(waited),
        _ => None,
    }
}

/// How often a CPU limit has stopped the processes of our container so far, and for how many
/// nanoseconds.
pub fn throttled() -> Option<(u64, i64)> {
    throttled_in(Path::new("/sys/fs/cgroup"), &fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// A limit may sit on our own group or on any above it, and the paths may be those of a host
/// whose folders we do not see: the group that was stopped longest is the one that counts.
fn throttled_in(root: &Path, groups: &str) -> Option<(u64, i64)> {
    let mut found: Option<(u64, i64)> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let mounted = match controllers {
            "" => root.to_path_buf(),
            _ if controllers.split(',').any(|name| name == "cpu") => root.join(controllers),
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let stat = fs::read_to_string(mounted.join(group).join("cpu.stat"));
            if let Some(stopped) = stat.ok().as_deref().and_then(parse_throttled) {
                found = found.max(Some(stopped));
            }
        }
    }
    found
}

/// Version 2 counts microseconds in `throttled_usec`, version 1 nanoseconds in
/// `throttled_time`.
fn parse_throttled(text: &str) -> Option<(u64, i64)> {
    let value = |key: &str| -> Option<i64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    };
    let nanos = value("throttled_usec").map(|us| us * 1_000).or_else(|| value("throttled_time"))?;
    Some((value("nr_throttled")?.unsigned_abs(), nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_that_of_the_cores_that_we_may_use() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 0 0 0 90 2 0 0 1 0 0\n\
                    cpu12 1 1 1 1 1 1 1 1 1 1\nintr 5 6\n";
        let time = |list: &str| {
            parse_machine_time(text, &parse_allowed(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n"))?)
        };
        assert_eq!(time("0"), Some(MachineTime { total: 36, idle: 9, stolen: 8 }));
        assert_eq!(time("0-1"), Some(MachineTime { total: 129, idle: 101, stolen: 9 }));
        assert_eq!(time("1,12"), Some(MachineTime { total: 101, idle: 94, stolen: 2 }));
        assert_eq!(time("3"), None);
        assert_eq!(parse_allowed("Name:\tx\n"), None);
    }

    #[test]
    fn waiting_for_a_core_is_the_second_number_unless_the_kernel_counts_nothing() {
        assert_eq!(parse_waited("1210815 3225393 26\n"), Some(3_225_393));
        assert_eq!(parse_waited("0 0 0\n"), None);
        assert_eq!(parse_waited(""), None);
    }

    #[test]
    fn both_versions_of_control_groups_tell_throttled_time() {
        let second = "usage_usec 9\nnr_periods 50\nnr_throttled 7\nthrottled_usec 1500\n";
        assert_eq!(parse_throttled(second), Some((7, 1_500_000)));
        let first = "nr_periods 50\nnr_throttled 7\nthrottled_time 1500\n";
        assert_eq!(parse_throttled(first), Some((7, 1_500)));
        assert_eq!(parse_throttled("usage_usec 9\n"), None);
    }

    #[test]
    fn the_group_that_was_stopped_longest_counts_even_above_our_own() {
        let root = tempfile::tempdir().unwrap();
        let write = |folder: &str, text: &str| {
            let folder = root.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cpu.stat"), text).unwrap();
        };
        write("pod", "nr_throttled 3\nthrottled_usec 20\n");
        write("pod/box", "nr_throttled 1\nthrottled_usec 10\n");
        assert_eq!(throttled_in(root.path(), "0::/pod/box\n"), Some((3, 20_000)));
        write("cpu,cpuacct/old", "nr_throttled 2\nthrottled_time 5\n");
        assert_eq!(throttled_in(root.path(), "4:memory:/x\n3:cpu,cpuacct:/old\n"), Some((2, 5)));
        assert_eq!(throttled_in(root.path(), "4:memory:/x\n"), None);
        assert_eq!(throttled_in(root.path(), "0::/elsewhere\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_over_loopback_loses_nothing_and_has_a_round_trip() {
        use std::io::{Read, Write};
        use std::os::fd::AsRawFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"ping").unwrap();
        let mut four = [0u8; 4];
        server.read_exact(&mut four).unwrap();
        let told = tcp_info(client.as_raw_fd()).unwrap();
        assert_eq!((told.retransmits, told.out_of_order), (0, 0));
        assert!(told.min_rtt_us.is_some_and(|us| us < 1_000_000), "{told:?}");
        assert_eq!(tcp_info(-1), None);
    }

    #[test]
    fn a_request_counts_from_its_own_beginning() {
        let before = TcpInfo { retransmits: 2, out_of_order: 1, min_rtt_us: Some(90) };
        let after = TcpInfo { retransmits: 5, out_of_order: 1, min_rtt_us: Some(80) };
        let own = TcpInfo { retransmits: 3, out_of_order: 0, min_rtt_us: Some(80) };
        assert_eq!(after.since(before), own);
    }
}
