//! How many more connections to one address there can be: each leaves from a local port of its own.
//!
//! Linux tells through `/proc`. Elsewhere nobody knows.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// The widest range that can be set without the ports that only root may take.
pub const WIDEST: RangeInclusive<u16> = 1024..=65535;

/// The ports that connections leave from.
pub fn range() -> Option<RangeInclusive<u16>> {
    parse_range(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

/// How many connections to `address` can be opened now, about: other programs come and go. Where far
/// more are possible than are `wanted`, nobody looks which ports are taken: the kernel walks through
/// all its connections for that, which takes milliseconds.
pub fn free_towards(address: SocketAddr, wanted: u64) -> Option<u64> {
    let range = range()?;
    let setting = |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    let mut taken = reserved(&setting("ip_local_reserved_ports"), &range);
    let given = (range.len() - taken.len()) as u64;
    if wanted <= given / 2 {
        return Some(given);
    }
    // A port that waits for late segments is given out again after a second, where that is allowed.
    let again = match setting("tcp_tw_reuse").trim() {
        "1" => true,
        "2" => address.ip().is_loopback(),
        _ => false,
    };
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(table) = fs::File::open(table) {
            taken.extend(taken_in(BufReader::new(table), address, again).filter(|port| range.contains(port)));
        }
    }
    Some((range.len() - taken.len()) as u64)
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(str::parse);
    match (ends.next()?, ends.next()?) {
        (Ok(first), Ok(last)) => Some(first..=last),
        _ => None,
    }
}

/// Ports of `range` that only who asks for them gets: `8080,9148-9150`.
fn reserved(text: &str, range: &RangeInclusive<u16>) -> HashSet<u16> {
    let ports = text.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ports.flatten().filter(|port| range.contains(port)).collect()
}

/// Local ports of a table of `/proc/net` from which no connection to `address` can leave: another
/// one has left from there, or somebody listens. `again`: those that only wait can be had.
fn taken_in(table: impl BufRead, address: SocketAddr, again: bool) -> impl Iterator<Item = u16> {
    const TIME_WAIT: &str = "06";
    const LISTEN: &str = "0A";
    let to = format!("{}:{:04X}", as_in_table(address.ip()), address.port());
    table.lines().skip(1).map_while(Result::ok).filter_map(move |line| {
        let mut fields = line.split_whitespace().skip(1);
        let (own, other, state) = (fields.next()?, fields.next()?, fields.next()?);
        let taken = state == LISTEN || other == to && !(again && state == TIME_WAIT);
        let (_, port) = own.rsplit_once(':').filter(|_| taken)?;
        u16::from_str_radix(port, 16).ok()
    })
}

/// An address as the kernel prints it: in words of 32 bits, each a number of this machine.
fn as_in_table(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    words.map(|word| format!("{word:08X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_and_what_is_reserved_of_it_are_read() {
        assert_eq!(parse_range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!((parse_range(""), parse_range("1 x"), parse_range("7")), (None, None, None));
        let of = |text| reserved(text, &(100..=200)).len();
        assert_eq!((of("\n"), of("99,100,201\n"), of("50-102,150,150-151\n"), of("x-1,7-\n")), (0, 1, 5, 0));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn ports_that_lead_elsewhere_are_free_and_those_that_wait_may_be() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
             0: 0100007F:8001 0100007F:1F40 01 0:0\n\
             1: 0100007F:8002 0100007F:1F40 06 0:0\n\
             2: 0100007F:8003 0100007F:1F41 01 0:0\n\
             3: 00000000:8004 00000000:0000 0A 0:0\n\
             4: 0200007F:8005 0200007F:1F40 01 0:0\n\
             broken\n";
        let towards = |again| {
            let to = "127.0.0.1:8000".parse().expect("an address");
            taken_in(table.as_bytes(), to, again).collect::<Vec<_>>()
        };
        assert_eq!(towards(false), [0x8001, 0x8002, 0x8004]);
        assert_eq!(towards(true), [0x8001, 0x8004]);
        let six =
            "  sl\n 0: 00000000000000000000000001000000:8001 00000000000000000000000001000000:1F40 01\n";
        let to = "[::1]:8000".parse().expect("an address");
        assert_eq!(taken_in(six.as_bytes(), to, true).collect::<Vec<_>>(), [0x8001]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_open_connection_takes_a_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let held: Vec<_> = (0..5).map(|_| std::net::TcpStream::connect(address).expect("connects")).collect();
        let own: HashSet<u16> =
            held.iter().map(|held| held.local_addr().expect("an address").port()).collect();
        let table = fs::File::open("/proc/net/tcp").expect("a table");
        let taken: HashSet<u16> = taken_in(BufReader::new(table), address, true).collect();
        assert!(taken.is_superset(&own), "{own:?} of {taken:?}");
        let free = |wanted| free_towards(address, wanted).expect("known");
        assert!(free(u64::MAX) <= free(0) - 5);
    }
}
