//! `Timeline`: the raw times of one request. Latencies are computed from it later.

use super::{Events, Nanos};

/// Where an event's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The socket's receive timestamp, mapped onto the monotonic clock.
    Kernel,
    /// The moment of our read.
    Read,
}

impl Clock {
    pub fn name(self) -> &'static str {
        match self {
            Clock::Kernel => "kernel",
            Clock::Read => "read",
        }
    }
}

/// A connection that was opened for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    pub started: Nanos,
    /// Connected, TLS included.
    pub done: Nanos,
}

/// When everything happened to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The moment that the schedule wanted the request to leave.
    pub planned: Nanos,
    /// A place under the concurrency cap was in hand (= `planned` when nothing was in the way).
    pub admitted: Nanos,
    /// Only when a connection was opened for this request.
    pub connect: Option<Connect>,
    /// The first write on an open connection. `None`: never sent.
    pub sent: Option<Nanos>,
    /// The last byte of the request was handed to the socket.
    pub written: Option<Nanos>,
    /// Response status line and headers had arrived.
    pub head: Option<Nanos>,
    /// The body ended, or the fault happened.
    pub end: Nanos,
    pub clock: Clock,
    pub events: Events,
    /// Longest delay between the kernel's receipt and our read, microseconds, beyond the wait in
    /// which arrivals gather on purpose.
    pub read_lag_us: Option<u32>,
    /// Reads that carried more than one event with output.
    pub shared_reads: u32,
    /// Segments of the request that were sent again. This and the two below: `None` where the
    /// connection was not asked.
    pub tcp_retransmits: Option<u32>,
    /// Segments of the reply that came out of order, as they do behind a lost one.
    pub tcp_out_of_order: Option<u32>,
    /// The shortest round trip that the connection has seen, microseconds.
    pub tcp_min_rtt_us: Option<u32>,
}

impl Timeline {
    /// A request of which nothing has happened yet.
    pub fn planned(planned: Nanos, admitted: Nanos) -> Self {
        Timeline {
            planned,
            admitted,
            connect: None,
            sent: None,
            written: None,
            head: None,
            end: planned.max(admitted),
            clock: Clock::Read,
            events: Events::default(),
            read_lag_us: None,
            shared_reads: 0,
            tcp_retransmits: None,
            tcp_out_of_order: None,
            tcp_min_rtt_us: None,
        }
    }

    /// The time of event `i` on the same clock as `sent`.
    pub fn event(&self, i: usize) -> Option<Nanos> {
        Some(self.sent? + i64::from(*self.events.at_us.get(i)?) * 1_000)
    }

    /// Moves every time so that `zero` becomes 0.
    pub fn rebase(&mut self, zero: Nanos) {
        self.planned -= zero;
        self.admitted -= zero;
        self.end -= zero;
        for time in [&mut self.sent, &mut self.written, &mut self.head].into_iter().flatten() {
            *time -= zero;
        }
        if let Some(connect) = &mut self.connect {
            connect.started -= zero;
            connect.done -= zero;
        }
    }

    /// `sent` - `planned`: waiting at the cap included.
    pub fn queue_delay(&self) -> Option<Nanos> {
        Some(self.sent? - self.planned)
    }

    /// `sent` - max(`planned`, `admitted`) - connecting: what the load generator itself is
    /// guilty of.
    pub fn lateness(&self) -> Option<Nanos> {
        let due = self.planned.max(self.admitted);
        let connecting = self.connect.map_or(0, |c| (c.done - c.started.max(due)).max(0));
        Some(self.sent? - due - connecting)
    }
}
