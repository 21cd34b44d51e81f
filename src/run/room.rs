//! `Room`: how many requests this machine lets be in flight, and whether loads ask for more.
//!
//! A connection is an open file, and leaves from a local port that no other connection to the same
//! address has. Whoever asks for more hears so before anything is sent, and not half-way from
//! requests that cannot connect.

use super::plan::Plan;
use crate::client::Client;
use crate::error::Error;
use crate::os;
use crate::os::ports;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Open files that are kept from the connections: for results, logs and the rest of the process.
const FILES_KEPT: u64 = 48;

/// Local ports that a load without a limit leaves: for the other connections of this process and for
/// those that linger.
const PORTS_KEPT: u64 = 64;

/// Connections that may be open at once: the limit of open files, less what the rest needs. A
/// connection beyond it would fail, and so would a results file.
pub fn connections_max() -> usize {
    match os::raise_open_files() {
        0 => usize::MAX,
        files => usize::try_from(files.saturating_sub(FILES_KEPT)).unwrap_or(usize::MAX),
    }
}

/// What one load asks of the machine.
#[derive(Debug, Clone)]
struct Ask {
    /// Requests in flight at most; `None`: as many as come to be.
    most: Option<u64>,
    /// Where its connections go, the one or the other.
    addresses: Vec<SocketAddr>,
}

/// What the machine has.
struct MachineLimits<'a> {
    files: u64,
    /// Ports from which connections to an address can leave, where that is known, when so many are
    /// wanted.
    ports: &'a dyn Fn(SocketAddr, u64) -> Option<u64>,
    /// The range of ports can be widened.
    widens: bool,
}

/// How many requests each of these may have in flight when they run together: what it asks for,
/// or, without a limit of its own, its part of what the others leave. Fails when that is not to
/// be had, with what to do.
pub fn divide(loads: &[(&Plan, &Client)]) -> Result<Vec<usize>, Error> {
    let asks = loads
        .iter()
        .map(|(plan, client)| Ask { most: plan.in_flight_max(), addresses: client.addresses().to_vec() });
    let widens = ports::range().is_some_and(|range| range.len() < ports::WIDEST.len());
    let machine = MachineLimits { files: connections_max() as u64, ports: &ports::free_towards, widens };
    let rooms = machine.divide(&asks.collect::<Vec<_>>())?;
    let rooms = loads.iter().zip(rooms).map(|((plan, _), room)| {
        // Places beyond the requests that there are cost nothing.
        plan.places().unwrap_or_else(|| usize::try_from(room).unwrap_or(usize::MAX))
    });
    Ok(rooms.collect())
}

impl MachineLimits<'_> {
    fn divide(&self, asks: &[Ask]) -> Result<Vec<u64>, Error> {
        let by_files = share(asks.iter().map(|ask| ask.most), self.files);
        let mut rooms = by_files.map_err(|most| no_files(most, self.files))?;
        let mut servers: BTreeMap<Vec<SocketAddr>, Vec<usize>> = BTreeMap::new();
        for (i, ask) in asks.iter().enumerate() {
            let mut addresses = ask.addresses.clone();
            addresses.sort_unstable();
            servers.entry(addresses).or_default().push(i);
        }
        for (addresses, asking) in servers {
            // A connection goes to the next address when one has no port left for it.
            let wanted = asking.iter().map(|i| asks[*i].most.unwrap_or(1)).fold(0, u64::saturating_add);
            let ports: Option<u64> = addresses.iter().map(|address| (self.ports)(*address, wanted)).sum();
            let Some(ports) = ports.filter(|_| !addresses.is_empty()) else { continue };
            let by_ports = share(asking.iter().map(|i| asks[*i].most), ports);
            let by_ports = by_ports.map_err(|most| self.no_ports(most, ports, &addresses))?;
            for (i, room) in asking.into_iter().zip(by_ports) {
                let kept = if asks[i].most.is_none() { PORTS_KEPT } else { 0 };
                rooms[i] = rooms[i].min(room.saturating_sub(kept)).max(1);
            }
        }
        Ok(rooms)
    }

    fn no_ports(&self, most: u64, room: u64, addresses: &[SocketAddr]) -> Error {
        let to: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let told = format!(
            "cannot have {most} requests in flight: the local ports leave room for {room} connections to {}",
            to.join(" and ")
        );
        let (first, last) = ports::WIDEST.into_inner();
        let widen = match self.widens {
            true => {
                format!("widen their range (sysctl -w net.ipv4.ip_local_port_range=\"{first} {last}\"), ")
            }
            false => String::new(),
        };
        let hint = format!("{widen}give the server a name with several addresses, or ask for fewer");
        Error::usage(told).hint(hint)
    }
}

/// So many requests in flight, with room for fewer connections.
pub fn no_files(most: u64, room: u64) -> Error {
    let told = format!(
        "cannot have {most} requests in flight: the limit of open files leaves room for {room} connections"
    );
    let files = most.saturating_add(FILES_KEPT).checked_next_power_of_two().unwrap_or(u64::MAX);
    let hint = format!("raise the limit (ulimit -n {files}, or LimitNOFILE of a service), or ask for fewer");
    Error::usage(told).hint(hint)
}

/// Divides `room`: who says how much gets that, the others get equal parts of the rest, and one at
/// least. An error says how much they ask for together.
fn share(asks: impl Iterator<Item = Option<u64>> + Clone, room: u64) -> Result<Vec<u64>, u64> {
    let fixed = asks.clone().flatten().fold(0, u64::saturating_add);
    let open = asks.clone().filter(Option::is_none).count() as u64;
    let most = fixed.saturating_add(open);
    if most > room {
        return Err(most);
    }
    Ok(asks.map(|ask| ask.unwrap_or_else(|| (room - fixed) / open)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Ok`: the room of each; else the sentence.
    fn divided(files: u64, ports: u64, asks: &[(Option<u64>, &[&str])]) -> Result<Vec<u64>, String> {
        let ports = |address: SocketAddr, _: u64| match address.port() {
            // Nobody knows.
            1 => None,
            2 => Some(10),
            _ => Some(ports),
        };
        let asks = asks.iter().map(|(most, addresses)| Ask {
            most: *most,
            addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
        });
        let machine = MachineLimits { files, ports: &ports, widens: true };
        machine.divide(&asks.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    const A: &[&str] = &["10.0.0.1:80"];
    const B: &[&str] = &["10.0.0.2:80"];

    #[test]
    fn who_asks_for_what_there_is_gets_it_and_the_others_share_the_rest() {
        for (files, ports, asks, rooms) in [
            (1_000, 500, &[(Some(500), A)][..], &[500][..]),
            (1_000, 500, &[(None, A)], &[436]),
            (400, 500, &[(None, A)], &[400]),
            (1_000, 500, &[(Some(300), A), (Some(200), A)], &[300, 200]),
            (1_000, 500, &[(Some(500), A), (Some(500), B)], &[500, 500]),
            (1_000, 500, &[(Some(300), A), (None, A), (None, A)], &[300, 36, 36]),
            (1_000, 500, &[(Some(400), A), (None, &["10.0.0.3:2"])], &[400, 1]),
            (1_000, 500, &[(Some(900), &["10.0.0.1:1"]), (Some(50), &[])], &[900, 50]),
            (1_000, 500, &[(Some(510), &["10.0.0.1:80", "10.0.0.3:2"])], &[510]),
            (1_000, 500, &[(Some(500), A), (Some(499), B), (None, B)], &[500, 499, 1]),
        ] {
            assert_eq!(divided(files, ports, asks), Ok(rooms.to_vec()), "{asks:?}");
        }
    }

    #[test]
    fn who_asks_for_more_hears_what_there_is_and_what_to_do() {
        let files = |asks| divided(1_000, 5_000, asks).expect_err("too many");
        let one = "cannot have 1001 requests in flight: the limit of open files leaves room for 1000 connections\n  \
                   try: raise the limit (ulimit -n 2048, or LimitNOFILE of a service), or ask for fewer";
        assert_eq!(files(&[(Some(1_001), A)]), one);
        assert_eq!(files(&[(Some(500), A), (Some(501), B)]), one, "together");
        assert_eq!(files(&[(Some(1_000), A), (None, B)]), one, "one connection is needed at least");
        let ports = |asks| divided(1_000, 500, asks).expect_err("too many");
        let told = |most: u64, to: &str, room: u64| {
            format!(
                "cannot have {most} requests in flight: the local ports leave room for {room} connections to {to}\n  \
                 try: widen their range (sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"), give the server \
                 a name with several addresses, or ask for fewer"
            )
        };
        assert_eq!(ports(&[(Some(501), A)]), told(501, A[0], 500));
        assert_eq!(ports(&[(Some(400), A), (Some(300), A)]), told(700, A[0], 500));
        let both = &["10.0.0.3:2", "10.0.0.1:80"][..];
        assert_eq!(ports(&[(Some(600), both)]), told(600, "10.0.0.1:80 and 10.0.0.3:2", 510));
        let machine = MachineLimits { files: 9, ports: &|_, _| Some(1), widens: false };
        let ask = Ask { most: Some(2), addresses: vec!["10.0.0.1:80".parse().expect("an address")] };
        let hint = machine.divide(&[ask]).expect_err("too many").hint.expect("what to do");
        assert_eq!(hint, "give the server a name with several addresses, or ask for fewer");
    }
}
