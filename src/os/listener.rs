//! `Listener`: the programs of this machine that listen on a port, and the CPU time that they
//! and their children have used.
//!
//! Linux tells through `/proc`, of processes that this user may look into. Elsewhere nobody is
//! found.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};

/// Processes that listen on one TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    holders: HashSet<u32>,
}

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: u32,
    ticks: u64,
}

impl Listener {
    /// Who listens on `port`, and who is named: by a port, a process id, or a program's name.
    /// `None`: none was found.
    pub fn of(port: u16, named: &[String]) -> Option<Listener> {
        let found = named.iter().flat_map(|name| Listener::named(name)).collect::<HashSet<u32>>();
        match Listener::find(port) {
            Some(mut listener) => {
                listener.holders.extend(found);
                Some(listener)
            }
            None => (!found.is_empty()).then_some(Listener { holders: found }),
        }
    }

    /// Whether anything on this machine is called that.
    pub fn is_here(name: &str) -> bool {
        !Listener::named(name).is_empty()
    }

    /// A number is a port that somebody listens on, else a process.
    fn named(name: &str) -> HashSet<u32> {
        if let Some(listener) = name.parse().ok().and_then(Listener::find) {
            return listener.holders;
        }
        if let Ok(pid) = name.parse::<u32>() {
            let lives = fs::metadata(format!("/proc/{pid}")).is_ok();
            return lives.then_some(pid).into_iter().collect();
        }
        // The kernel keeps 15 bytes of a name.
        let short: String = name.chars().take(15).collect();
        let is = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|own| own.trim_end() == short)
        };
        pids().filter(is).collect()
    }

    /// `None`: none was found.
    pub fn find(port: u16) -> Option<Listener> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let sockets: HashSet<String> = tables
            .iter()
            .flat_map(|path| fs::File::open(path).map(|table| listening(BufReader::new(table), port)))
            .flatten()
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if sockets.is_empty() {
            return None;
        }
        let holds = |pid: &u32| {
            let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
            files.flatten().any(|file| {
                fs::read_link(file.path()).is_ok_and(|target| sockets.contains(&*target.to_string_lossy()))
            })
        };
        let holders: HashSet<u32> = pids().filter(holds).collect();
        (!holders.is_empty()).then_some(Listener { holders })
    }

    /// CPU time so far of these processes and of all that they have started and that still run,
    /// nanoseconds. `None`: none of them lives.
    pub fn cpu(&self) -> Option<i64> {
        let all = pids()
            .filter_map(|pid| Some((pid, parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
            .collect();
        // SAFETY: a plain call.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1);
        let ticks = self.ticks(&all)?;
        Some(ticks as i64 * (1_000_000_000 / per_second))
    }

    fn ticks(&self, all: &HashMap<u32, Process>) -> Option<u64> {
        let ours = |pid: &u32| {
            let mut at = *pid;
            // A chain of parents ends at 0.
            while let Some(process) = all.get(&at) {
                if self.holders.contains(&at) {
                    return true;
                }
                at = process.parent;
            }
            false
        };
        let mut counted =
            all.iter().filter(|(pid, _)| ours(pid)).map(|(_, process)| process.ticks).peekable();
        counted.peek()?;
        Some(counted.sum())
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Inodes of the sockets in a table of `/proc/net` that listen on `port`. Line by line, since
/// thousands of connections make a long table.
fn listening(table: impl BufRead, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: String| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, own) = fields.get(1)?.rsplit_once(':')?;
        let fits = u16::from_str_radix(own, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        fields.get(9).filter(|_| fits)?.parse().ok()
    };
    table.lines().skip(1).map_while(Result::ok).filter_map(inode).collect()
}

/// `pid (name) state parent ...`; the name may hold blanks and brackets.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process { parent: number(1)? as u32, ticks: number(11)? + number(12)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 0100007F:1F40 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
             2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(listening(table.as_bytes(), 8000), [4711]);
        assert!(listening(table.as_bytes(), 9).is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_is_named_by_its_port_its_number_or_its_name() {
        let listens = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listens.local_addr().expect("an address").port();
        let own = std::process::id();
        let name = fs::read_to_string("/proc/self/comm").expect("a name").trim_end().to_string();
        for word in [port.to_string(), own.to_string(), name] {
            let found = Listener::of(1, std::slice::from_ref(&word)).expect("found");
            assert!(found.holders.contains(&own), "{word}: {found:?}");
        }
        assert_eq!(Listener::of(1, &["no such program".into(), "4294967295".into()]), None);
    }

    #[test]
    fn the_children_of_a_server_count_and_its_neighbours_do_not() {
        let stat = |parent: u32, ticks: u64| {
            parse(&format!("7 (a (b) c) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 1 0 0 20")).expect("a line")
        };
        assert_eq!(stat(5, 9), Process { parent: 5, ticks: 10 });
        let all = HashMap::from([(1, stat(0, 100)), (2, stat(1, 9)), (3, stat(2, 19)), (4, stat(1, 50))]);
        let server = |pid| Listener { holders: HashSet::from([pid]) };
        assert_eq!(server(2).ticks(&all), Some(30));
        assert_eq!(server(9).ticks(&all), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_when_it_listens() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        let found = Listener::find(port).expect("we listen");
        assert_eq!(found.holders, HashSet::from([std::process::id()]));
        assert!(found.cpu().is_some());
        drop(socket);
        assert_eq!(Listener::find(port), None);
    }
}
