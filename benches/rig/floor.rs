//! `Floor`: the least that a client can do: one thread, one epoll, one JSON parse and one time
//! per event. No timeouts, no errors, no HTTP beyond finding the lines that hold events, no
//! results. What a real client costs above this is the price of its features.

use super::Result;
use super::load::{Load, Start};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

/// As an argument of the benchmark's own program: be the floor client.
pub const WORD: &str = "--floor";

const READ_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

struct Conn {
    socket: TcpStream,
    /// A line that has not ended yet.
    rest: Vec<u8>,
    sent: i64,
    /// Nanoseconds since `sent` of every event with text.
    times: Vec<u32>,
}

/// What the floor client is told on its command line.
pub fn arguments(load: &Load, url: &str) -> Vec<String> {
    let (places, rate) = match load.start {
        Start::Together => (load.requests, f64::INFINITY),
        Start::Rate(rate) => (load.requests, rate),
        Start::Places(places) => (places, f64::INFINITY),
    };
    let numbers = [places, load.requests, load.tokens].map(|n| n.to_string());
    [vec![WORD.to_string(), url.to_string(), rate.to_string()], numbers.to_vec()].concat()
}

/// Is the floor client, if the command line says so.
pub fn was_asked() -> Result<bool> {
    let mut given = std::env::args().skip_while(|word| word != WORD);
    if given.next().is_none() {
        return Ok(false);
    }
    let mut next = || given.next().ok_or("too few arguments");
    let (url, rate) = (next()?, next()?.parse()?);
    let (places, requests, tokens) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    let mut floor = Floor::open(&url, places, requests, tokens)?;
    floor.send_all(rate)?;
    Ok(true)
}

struct Floor {
    epoll: RawFd,
    conns: Vec<Conn>,
    request: Vec<u8>,
    /// Requests to be sent and to be finished.
    unsent: usize,
    unfinished: usize,
    buffer: Vec<u8>,
    /// A connection carries its next request as soon as a reply ends; otherwise just one.
    again: bool,
}

impl Floor {
    fn open(url: &str, places: usize, requests: usize, tokens: usize) -> Result<Floor> {
        let place = url.trim_start_matches("http://").trim_end_matches('/');
        // SAFETY: no pointers.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        let mut conns = Vec::with_capacity(places);
        for index in 0..places {
            let socket = TcpStream::connect(place)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            // SAFETY: `event` lives through the call.
            unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event) };
            conns.push(Conn { socket, rest: Vec::new(), sent: 0, times: Vec::new() });
        }
        let body = format!(
            "{{\"model\":\"rampant-sim\",\"prompt\":\"{}\",\"max_tokens\":{tokens},\"stream\":true,\
             \"stream_options\":{{\"include_usage\":true}},\"ignore_eos\":true}}",
            "word ".repeat(16)
        );
        let request = format!(
            "POST /v1/completions HTTP/1.1\r\nhost: {place}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let buffer = vec![0; READ_BYTES];
        Ok(Floor {
            epoll,
            conns,
            request: request.into_bytes(),
            unsent: requests,
            unfinished: requests,
            buffer,
            again: places < requests,
        })
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let conn = &mut self.conns[index];
        conn.sent = rampant::os::now();
        rampant::os::send(conn.socket.as_raw_fd(), &self.request)?;
        self.unsent -= 1;
        Ok(())
    }

    /// Starts the first request of each connection at its time, and others as replies end.
    fn send_all(&mut self, rate: f64) -> Result<()> {
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
        let (mut started, mut due, mut dice) = (0, rampant::os::now(), 1u64);
        while self.unfinished > 0 {
            while started < self.conns.len() && rampant::os::now() >= due {
                self.send(started)?;
                started += 1;
                // Any even spread of phases will do.
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let share = (dice >> 11) as f64 / (1u64 << 53) as f64;
                due += (2e9 * share / rate) as i64;
            }
            let wait = if started < self.conns.len() { due - rampant::os::now() } else { 1_000_000_000 };
            let ready = wait_for(self.epoll, &mut events, wait.max(0))?;
            for event in &events[..ready] {
                self.read(event.u64 as usize)?;
            }
        }
        Ok(())
    }

    /// One read, and the events in it; sends the next request after the last event of a reply.
    fn read(&mut self, index: usize) -> Result<()> {
        let conn = &mut self.conns[index];
        let n = match (&conn.socket).read(&mut self.buffer) {
            Ok(0) => return Err("the server has closed a connection".into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let since = (rampant::os::now() - conn.sent) as u32;
        let whole = last_line_end(&self.buffer[..n]).map_or(0, |end| end + 1);
        let mut done = false;
        if conn.rest.is_empty() {
            done = conn.lines(&self.buffer[..whole], since)?;
        } else if whole > 0 {
            let mut bytes = std::mem::take(&mut conn.rest);
            bytes.extend_from_slice(&self.buffer[..whole]);
            done = conn.lines(&bytes, since)?;
        }
        conn.rest.extend_from_slice(&self.buffer[whole..n]);
        if done {
            self.unfinished -= 1;
            if self.again && self.unsent > 0 {
                self.send(index)?;
            }
        }
        Ok(())
    }
}

impl Conn {
    /// Whole lines; true when one of them says that the reply is over.
    fn lines(&mut self, bytes: &[u8], since: u32) -> Result<bool> {
        let mut done = false;
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            if data == b"[DONE]" {
                done = true;
                continue;
            }
            let event: Event = serde_json::from_slice(data)?;
            if event.choices.first().is_some_and(|choice| !choice.text.is_empty()) {
                self.times.push(since);
            }
        }
        Ok(done)
    }
}

fn last_line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|byte| *byte == b'\n')
}

/// Waits up to so many nanoseconds; how many of `events` were filled in.
fn wait_for(epoll: RawFd, events: &mut [libc::epoll_event], wait: i64) -> io::Result<usize> {
    let time = libc::timespec { tv_sec: wait / 1_000_000_000, tv_nsec: wait % 1_000_000_000 };
    // SAFETY: the list and the time live through the call, and no signal mask is given.
    let n = unsafe {
        let mask = std::ptr::null::<libc::sigset_t>();
        libc::syscall(libc::SYS_epoll_pwait2, epoll, events.as_mut_ptr(), events.len(), &time, mask, 0usize)
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
