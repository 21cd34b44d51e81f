//! A request of another tool as a record.

use crate::record::{EventKind, Events, Outcome, Record, Timeline};

/// What a tool says of one request; times in seconds, those of events since the start.
#[derive(Debug, Default)]
pub struct Told {
    pub seq: u64,
    pub start: f64,
    pub events: Vec<f64>,
    /// End of the body since the start, where it is known.
    pub end: Option<f64>,
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub error: Option<String>,
    pub id: String,
    pub turn: u32,
    pub text: Option<String>,
}

impl Told {
    pub fn record(self) -> Record {
        let nanos = |seconds: f64| (seconds * 1e9).round() as i64;
        let start = nanos(self.start);
        let mut timeline = Timeline::planned(start, start);
        timeline.sent = Some(start);
        let late = |at_us: f64| at_us > f64::from(u32::MAX);
        let events_us = || self.events.iter().map(|at| (at * 1e6).round());
        for at_us in events_us().filter(|at_us| !late(*at_us)) {
            timeline.events.push(at_us as u32, EventKind::CONTENT.with(EventKind::CHOICES), 0, 0);
        }
        let error = self.error.or_else(|| events_us().any(late).then(|| Events::TOO_LATE.to_string()));
        let last = self.events.last().copied().unwrap_or_default();
        timeline.end = start + nanos(self.end.unwrap_or(last).max(last));
        let mut record = Record::blank();
        record.seq = self.seq;
        record.session = self.seq;
        record.turn = self.turn;
        record.id = self.id;
        // What a tool did not stream has no first event.
        record.streamed = !self.events.is_empty() || self.end.is_none();
        record.timeline = timeline;
        // Whatever it was: it is told in words.
        record.outcome = if error.is_none() { Outcome::Success } else { Outcome::Status };
        record.error = error.map(|words| words.chars().take(500).collect());
        let count = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
        record.usage.input = count(self.input);
        record.asked_input = record.usage.input;
        record.usage.output = count(self.output);
        record.asked_output = record.usage.output.unwrap_or_default();
        record.text = self.text.filter(|text| !text.is_empty());
        record
    }
}

/// Times of `n` events from the first to the last, evenly apart.
pub fn spread(first: f64, last: f64, n: u64) -> Vec<f64> {
    match n {
        0 => Vec::new(),
        1 => vec![first],
        // More than any reply has.
        n => {
            let n = n.min(1 << 20);
            (0..n).map(|i| first + (last - first) * i as f64 / (n - 1) as f64).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_kept_is_no_other_time() {
        let record = |last| Told { events: vec![0.5, last], ..Told::default() }.record();
        assert_eq!(record(4_294.0).timeline.events.at_us, [500_000, 4_294_000_000]);
        let late = record(4_295.0);
        assert_eq!((late.outcome, late.timeline.events.len()), (Outcome::Status, 1));
        assert_eq!(late.error.as_deref(), Some(Events::TOO_LATE));
        assert_eq!(late.timeline.end, 4_295_000_000_000);
    }
}
