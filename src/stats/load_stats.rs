//! `LoadStats`: how a run was carried out, from its records: what was sent when, what was read
//! late, what the network did, and how latencies went along.

use super::flow::Flow;
use super::rates::OpenIntervals;
use super::sample::Sample;
use super::trend::{self, BATCHES, BATCHES_MIN, Trend};
use crate::record::{Nanos, Outcome, Record, Timeout};

/// Requests whose latencies are kept in their order; of a longer run every second, fourth, ...
const COURSE_MAX: usize = 1 << 17;

/// Least changes that count as a trend: of a latency and of a gap between events in
/// milliseconds, of the number of requests in flight.
const LATENCY_LEAST: f64 = 1.0;
const GAP_LEAST: f64 = 0.2;
const IN_FLIGHT_LEAST: f64 = 1.0;

/// Facts of the measured requests that were planned in the window.
#[derive(Debug, Clone)]
pub struct LoadStats {
    planned: Span,
    sent: Span,
    /// Waiting at the concurrency cap, and what the load generator was late by.
    pub at_cap: Nanos,
    pub late: Nanos,
    /// The longest delay of a read, of each request that has one, milliseconds.
    pub lags: Sample,
    /// Output events, and those of them that came in one read with others.
    pub events: u64,
    pub shared_events: u64,
    pub reconnects: u64,
    /// Requests that waited for a server which refused connections, and got one.
    pub outlasted: u64,
    /// Replies that said everything and whose bodies had no end.
    pub unclosed: u64,
    pub connect_failures: u64,
    /// Requests whose connection was asked, and what it told.
    pub tcp_asked: u64,
    pub retransmitted: u64,
    pub out_of_order: u64,
    pub rtts_us: Sample,
    course: Vec<Step>,
    /// Every so many requests are in the course.
    stride: u64,
}

/// Requests between their first and their last.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    count: u64,
    ends: Option<(Nanos, Nanos)>,
}

/// One request on the course of a run. Not observed: not a number.
#[derive(Debug, Clone, Copy)]
struct Step {
    seq: u64,
    at: Nanos,
    latency_ms: f32,
    gap_ms: f32,
}

impl Default for LoadStats {
    fn default() -> Self {
        LoadStats {
            planned: Span::default(),
            sent: Span::default(),
            at_cap: 0,
            late: 0,
            lags: Sample::default(),
            events: 0,
            shared_events: 0,
            reconnects: 0,
            outlasted: 0,
            unclosed: 0,
            connect_failures: 0,
            tcp_asked: 0,
            retransmitted: 0,
            out_of_order: 0,
            rtts_us: Sample::default(),
            course: Vec::new(),
            stride: 1,
        }
    }
}

impl LoadStats {
    /// Adds a measured record; `flow` is its own. `open`: latencies count from the planned time.
    pub fn add(&mut self, record: &Record, flow: &Flow, open: bool) {
        let timeline = &record.timeline;
        // A later turn of a conversation is planned by the reply before it, not by the schedule.
        if record.turn == 0 {
            self.planned.add(timeline.planned);
            timeline.sent.into_iter().for_each(|sent| self.sent.add(sent));
        }
        self.at_cap += (timeline.admitted - timeline.planned).max(0);
        self.late += timeline.lateness().unwrap_or(0).max(0);
        // What came behind a lost segment lay in the kernel until that was sent again: the
        // network was late, not our read.
        if timeline.tcp_out_of_order.is_none_or(|n| n == 0) {
            timeline.read_lag_us.into_iter().for_each(|lag| self.lags.add(f64::from(lag) / 1e3));
        }
        self.events += flow.at_us.len() as u64;
        if timeline.shared_reads > 0 {
            self.shared_events += shared(&flow.gaps_us);
        }
        self.reconnects += u64::from(record.reconnects);
        self.outlasted += u64::from(record.connect_tries > 1 && timeline.sent.is_some());
        self.unclosed += u64::from(record.unclosed);
        let unreached = matches!(record.outcome, Outcome::Connect | Outcome::TimedOut(Timeout::Connect));
        self.connect_failures += u64::from(unreached);
        if let Some(retransmits) = timeline.tcp_retransmits {
            self.tcp_asked += 1;
            self.retransmitted += u64::from(retransmits > 0);
            self.out_of_order += u64::from(timeline.tcp_out_of_order.is_some_and(|n| n > 0));
        }
        timeline.tcp_min_rtt_us.into_iter().for_each(|rtt| self.rtts_us.add(f64::from(rtt)));
        self.walk(record, flow, open);
    }

    fn walk(&mut self, record: &Record, flow: &Flow, open: bool) {
        let timeline = &record.timeline;
        let Some(sent) = timeline.sent.filter(|_| record.seq.is_multiple_of(self.stride)) else { return };
        let from = if open { timeline.planned } else { sent };
        let until = match record.outcome {
            Outcome::Success => record.first_output().or_else(|| record.last_output()),
            // It would have taken longer still.
            Outcome::TimedOut(_) => Some(timeline.end),
            Outcome::UserCancelled => record.first_output().or(Some(timeline.end)),
            _ => None,
        };
        let Some(until) = until else { return };
        let gap_ms = flow.mean_gap_ms().filter(|_| record.success()).unwrap_or(f64::NAN);
        self.course.push(Step {
            seq: record.seq,
            at: from,
            latency_ms: ((until - from) as f64 / 1e6) as f32,
            gap_ms: gap_ms as f32,
        });
        if self.course.len() > COURSE_MAX {
            self.thin(self.stride * 2);
        }
    }

    fn thin(&mut self, stride: u64) {
        self.stride = stride;
        self.course.retain(|step| step.seq.is_multiple_of(stride));
    }

    /// Requests per second that the schedule wanted, and that were sent. Each is counted
    /// between its own first and last request, so that a window's ends do not matter; what was
    /// never sent is missing in the second.
    pub fn rates(&self) -> Option<(f64, f64)> {
        let (asked, unsent) = (self.planned.rate()?, self.planned.count - self.sent.count);
        if self.sent.count < 2 {
            return Some((asked, 0.0));
        }
        let delivered = self.sent.rate()?;
        // With the last ones left unsent, the first alone might have kept their pace.
        let share = self.sent.count as f64 / self.planned.count as f64;
        Some((asked, if unsent > 0 { delivered.min(asked * share) } else { delivered }))
    }

    /// The trends of latencies and of gaps between events. `places`: of a closed loop, whose
    /// first requests start all at once and whose last ones see the load go away; both are left
    /// out. `lead`: the beginning of an open loop, in which the server fills up.
    pub fn trends(&self, places: Option<usize>, lead: Nanos) -> [Option<Trend>; 2] {
        let mut course = self.course.clone();
        course.sort_unstable_by_key(|step| (step.at, step.seq));
        let edge = places.unwrap_or(0) as u64;
        let start = self.planned.ends.map_or(0, |(first, _)| first) + lead;
        let last = course.len().saturating_sub(edge.div_ceil(self.stride) as usize);
        let middle: Vec<Step> =
            course[..last].iter().copied().filter(|step| step.seq >= edge && step.at >= start).collect();
        let series = |value: fn(&Step) -> f32| -> Vec<f64> {
            middle.iter().map(value).filter(|value| value.is_finite()).map(f64::from).collect()
        };
        [
            trend::of_values(&series(|step| step.latency_ms), LATENCY_LEAST),
            trend::of_values(&series(|step| step.gap_ms), GAP_LEAST),
        ]
    }

    /// From the first planned to the last sent request.
    pub fn sending(&self) -> Option<(Nanos, Nanos)> {
        Some((self.planned.ends?.0, self.sent.ends?.1))
    }

    pub fn merge(&mut self, other: &LoadStats) {
        self.planned.merge(&other.planned);
        self.sent.merge(&other.sent);
        self.at_cap += other.at_cap;
        self.late += other.late;
        self.lags.merge(&other.lags);
        self.events += other.events;
        self.shared_events += other.shared_events;
        self.reconnects += other.reconnects;
        self.outlasted += other.outlasted;
        self.unclosed += other.unclosed;
        self.connect_failures += other.connect_failures;
        self.tcp_asked += other.tcp_asked;
        self.retransmitted += other.retransmitted;
        self.out_of_order += other.out_of_order;
        self.rtts_us.merge(&other.rtts_us);
        self.course.extend_from_slice(&other.course);
        let mut stride = self.stride.max(other.stride);
        self.thin(stride);
        while self.course.len() > COURSE_MAX {
            stride *= 2;
            self.thin(stride);
        }
    }
}

/// The trend of the number of requests in flight. Parts of the window must be as long as a
/// request, or one request stands in many of them.
pub fn in_flight_trend(in_flight: &OpenIntervals, from: Nanos, to: Nanos, request: Nanos) -> Option<Trend> {
    let parts = ((to - from) / request.max(1)).min(BATCHES as Nanos);
    if parts < BATCHES_MIN as Nanos {
        return None;
    }
    let edge = |i: Nanos| from + (to - from) * i / parts;
    let means: Option<Vec<f64>> =
        (0..parts).map(|i| Some(in_flight.concurrency(edge(i), edge(i + 1))?.mean)).collect();
    trend::of_means(&means?, IN_FLIGHT_LEAST)
}

/// Events that have a neighbour at the same microsecond: one read brought both.
fn shared(gaps_us: &[u32]) -> u64 {
    let (mut count, mut inside) = (0, false);
    for gap in gaps_us {
        let same = *gap == 0;
        count += u64::from(same) + u64::from(same && !inside);
        inside = same;
    }
    count
}

impl Span {
    fn add(&mut self, at: Nanos) {
        self.count += 1;
        let (first, last) = self.ends.unwrap_or((at, at));
        self.ends = Some((first.min(at), last.max(at)));
    }

    /// Per second. `None`: all at one moment.
    fn rate(&self) -> Option<f64> {
        let (first, last) = self.ends?;
        (last > first).then(|| (self.count - 1) as f64 * 1e9 / (last - first) as f64)
    }

    fn merge(&mut self, other: &Span) {
        let Some((first, last)) = other.ends else { return };
        let count = self.count + other.count;
        self.add(first);
        self.add(last);
        self.count = count;
    }
}

#[cfg(test)]
mod tests;
