//! `TokenBins`: output tokens in even stretches of a run, to be drawn.

use super::fold::Fold;
use crate::record::{EventKind, Fields, Nanos, Record};

/// Output tokens where they arrived, also those of requests that failed later: they were work, too.
#[derive(Debug, Clone)]
pub struct TokenBins {
    /// Width of a bin.
    pub width: Nanos,
    /// From the run's zero on; what came later than the last of them counts in it.
    pub tokens: Vec<f64>,
}

impl TokenBins {
    /// Bins of `width` until `end`; one at least.
    pub fn new(width: Nanos, end: Nanos) -> TokenBins {
        let width = width.max(1);
        let bins = ((end.max(0) + width - 1) / width).max(1);
        TokenBins { width, tokens: vec![0.0; bins as usize] }
    }

    fn place(&self, at: Nanos) -> usize {
        ((at.max(0) / self.width) as usize).min(self.tokens.len() - 1)
    }
}

impl Fold for TokenBins {
    fn fields(&self) -> Fields {
        Fields::OUTPUT
    }

    /// Where the server did not say how many tokens an event holds, the reply's tokens are shared out
    /// evenly.
    fn add(&mut self, record: &Record) {
        let timeline = &record.timeline;
        let events = &timeline.events;
        let total = record.output_tokens().map_or(0.0, |(n, _)| f64::from(n));
        let output = |kind: &EventKind| kind.has(EventKind::OUTPUT);
        let count = events.kind.iter().filter(|kind| output(kind)).count();
        if count == 0 {
            let place = self.place(timeline.end);
            self.tokens[place] += total;
            return;
        }
        let Some(sent) = timeline.sent else { return };
        let known = events.kind.iter().zip(&events.tokens).all(|(kind, tokens)| !output(kind) || *tokens > 0);
        let even = total / count as f64;
        let (mut from, all) = (0, events.len());
        while from < all {
            // Events of one bin lie together, so it is looked for once and not for each.
            let place = self.place(sent + Nanos::from(events.at_us[from]) * 1_000);
            let end = (place as Nanos + 1) * self.width - sent;
            let last = place + 1 == self.tokens.len();
            let here = events.at_us[from..].iter();
            let length = here.take_while(|us| last || Nanos::from(**us) * 1_000 < end).count().max(1);
            let stretch = from..from + length;
            let kinds = events.kind[stretch.clone()].iter();
            self.tokens[place] += match known {
                true => {
                    let told = kinds.zip(&events.tokens[stretch]).filter(|(kind, _)| output(kind));
                    told.map(|(_, tokens)| u64::from(*tokens)).sum::<u64>() as f64
                }
                false => even * kinds.filter(|kind| output(kind)).count() as f64,
            };
            from += length;
        }
    }

    fn merge(&mut self, other: TokenBins) {
        self.tokens.iter_mut().zip(other.tokens).for_each(|(mine, theirs)| *mine += theirs);
    }

    fn fresh(&self) -> TokenBins {
        TokenBins { width: self.width, tokens: vec![0.0; self.tokens.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::reply;
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn bins(record: &Record) -> Vec<f64> {
        let mut bins = TokenBins::new(SECOND, 4 * SECOND);
        bins.add(record);
        bins.tokens
    }

    #[test]
    fn tokens_are_counted_where_they_arrived() {
        let even =
            reply(0, 1_000).event(500, EventKind::ROLE, 0).tokens_at(&[1_000, 2_000]).usage(1, 6).record();
        // The server did not say how many tokens an event holds: the six are shared out.
        assert_eq!(bins(&even), [0.0, 0.0, 3.0, 3.0]);
        let told = reply(0, 1_000).event(1_000, EventKind::CONTENT, 5).event(2_000, EventKind::CONTENT, 1);
        assert_eq!(bins(&told.clone().record()), [0.0, 0.0, 5.0, 1.0]);
        // Later than the end: in the last bin.
        assert_eq!(bins(&told.event(9_000, EventKind::CONTENT, 2).record()), [0.0, 0.0, 5.0, 3.0]);
        assert_eq!(bins(&reply(0, 1_000).not_streamed(700).usage(1, 4).record()), [0.0, 4.0, 0.0, 0.0]);
    }
}
