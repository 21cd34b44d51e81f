//! `Flow`: the output events of one reply, gathered once per record into reused memory.

use crate::record::{EventKind, Record, stalls};

/// Output events in order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Microseconds since `sent`.
    pub at_us: Vec<u32>,
    /// Tokens of each event; 0 where the server did not say.
    pub tokens: Vec<u32>,
    /// Microseconds between successive events.
    pub gaps_us: Vec<u32>,
    /// Tokens of all events; 0 unless every event's are known.
    pub known: u64,
}

impl Flow {
    /// Reads a record; what was read before is gone.
    pub fn read(&mut self, record: &Record) {
        self.at_us.clear();
        self.tokens.clear();
        self.gaps_us.clear();
        self.known = 0;
        if !record.streamed || record.timeline.sent.is_none() {
            return;
        }
        let events = &record.timeline.events;
        self.at_us.resize(events.len(), 0);
        self.tokens.resize(events.len(), 0);
        // Every event is written, and only output moves on: no branch that could be guessed
        // wrong on the path of a hundred million events.
        let mut output = 0;
        for ((at, kind), tokens) in events.at_us.iter().zip(&events.kind).zip(&events.tokens) {
            self.at_us[output] = *at;
            self.tokens[output] = *tokens;
            output += usize::from(kind.0 & EventKind::OUTPUT.0 != 0);
        }
        self.at_us.truncate(output);
        self.tokens.truncate(output);
        self.measure_gaps();
        if self.tokens.first().is_some_and(|n| *n > 0) && !self.tokens.contains(&0) {
            self.known = self.tokens.iter().map(|n| u64::from(*n)).sum();
        }
    }

    /// Reads a record of which the tokens of events are not known.
    pub fn read_times(&mut self, record: &Record) {
        let events = &record.timeline.events;
        self.at_us.clear();
        self.tokens.clear();
        self.known = 0;
        if record.streamed && record.timeline.sent.is_some() {
            self.at_us.resize(events.len(), 0);
            let mut output = 0;
            for (at, kind) in events.at_us.iter().zip(&events.kind) {
                self.at_us[output] = *at;
                output += usize::from(kind.0 & EventKind::OUTPUT.0 != 0);
            }
            self.at_us.truncate(output);
        }
        self.measure_gaps();
    }

    fn measure_gaps(&mut self) {
        self.gaps_us.clear();
        self.gaps_us.resize(self.at_us.len().saturating_sub(1), 0);
        let later = self.at_us.get(1..).unwrap_or_default();
        for ((gap, at), before) in self.gaps_us.iter_mut().zip(later).zip(&self.at_us) {
            *gap = at.saturating_sub(*before);
        }
    }

    /// A copy of what says when tokens arrived.
    pub fn for_arrivals(&self) -> Flow {
        Flow { at_us: self.at_us.clone(), tokens: self.tokens.clone(), known: self.known, ..Flow::default() }
    }

    /// The mean gap, milliseconds.
    pub fn mean_gap_ms(&self) -> Option<f64> {
        let sum: u64 = self.gaps_us.iter().map(|gap| u64::from(*gap)).sum();
        (!self.gaps_us.is_empty()).then(|| sum as f64 / 1e3 / self.gaps_us.len() as f64)
    }

    /// Each gap divided by the tokens of its later event; none unless all are known.
    pub fn token_gaps_ms(&self) -> impl Iterator<Item = f64> + '_ {
        let later = self.tokens.get(1..).unwrap_or_default();
        let known = !later.contains(&0);
        self.gaps_us
            .iter()
            .zip(later)
            .filter(move |_| known)
            .map(|(gap, n)| f64::from(*gap) / 1e3 / f64::from(*n))
    }

    /// The stalls among the gaps, milliseconds.
    pub fn stalls_ms(&self) -> Vec<f64> {
        // Most replies flow evenly: where even the longest gap is not 5 x the shortest, none
        // is 5 x the median, and nothing needs sorting.
        let ends = self.gaps_us.iter().fold((u32::MAX, 0), |(min, max), gap| (min.min(*gap), max.max(*gap)));
        if u64::from(ends.1) <= 5 * u64::from(ends.0) {
            return Vec::new();
        }
        let gaps: Vec<f64> = self.gaps_us.iter().map(|gap| f64::from(*gap) / 1e3).collect();
        stalls(&gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::record::EventKind;

    fn read(record: &Record) -> Flow {
        let mut flow = Flow::default();
        flow.read(record);
        flow
    }

    #[test]
    fn only_events_with_output_are_in_the_flow() {
        let record = fixture::reply(0, 0)
            .event(5, EventKind::ROLE, 0)
            .event(50, EventKind::CONTENT, 0)
            .event(60, EventKind::REASONING, 0)
            .event(70, EventKind::EMPTY, 0)
            .event(80, EventKind::CONTENT, 0)
            .event(90, EventKind::FINISH, 0)
            .event(95, EventKind::USAGE, 0)
            .record();
        let flow = read(&record);
        assert_eq!(flow.at_us, [50_000, 60_000, 80_000]);
        assert_eq!(flow.gaps_us, [10_000, 20_000]);
        assert_eq!(flow.mean_gap_ms(), record.itl_request_ms());
    }

    #[test]
    fn gaps_per_token_need_the_tokens_of_every_later_event() {
        let known = fixture::reply(0, 0)
            .event(10, EventKind::CONTENT, 0)
            .event(40, EventKind::CONTENT, 3)
            .event(60, EventKind::CONTENT, 2);
        assert_eq!(read(&known.clone().record()).token_gaps_ms().collect::<Vec<_>>(), [10.0, 10.0]);
        assert_eq!(known.clone().record().itl_token_ms(), [10.0, 10.0]);
        let unknown = known.event(70, EventKind::CONTENT, 0).record();
        assert_eq!(read(&unknown).token_gaps_ms().count(), 0);
    }

    #[test]
    fn a_stall_is_longer_than_five_of_the_replys_own_median_gaps() {
        let even = fixture::reply(0, 0).tokens_at(&[10, 20, 30, 40, 90]).record();
        assert_eq!(read(&even).stalls_ms(), Vec::<f64>::new());
        let stalled = fixture::reply(0, 0).tokens_at(&[10, 20, 30, 40, 91, 101]).record();
        assert_eq!(read(&stalled).stalls_ms(), [51.0]);
    }

    #[test]
    fn a_record_read_before_leaves_nothing_behind() {
        let mut flow = read(&fixture::reply(0, 0).tokens_at(&[10, 20, 30]).record());
        flow.read(&fixture::reply(1, 0).not_streamed(90).record());
        assert_eq!((flow.at_us.len(), flow.gaps_us.len(), flow.known), (0, 0, 0));
    }
}
