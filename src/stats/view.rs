//! What charts draw, from records: sorted samples, rates over time, requests in flight, spans.

use crate::record::{Nanos, Record};

/// One request as a line in time. Seconds since the run's zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub seq: u64,
    pub planned: f64,
    pub sent: Option<f64>,
    pub first_output: Option<f64>,
    pub end: f64,
    pub success: bool,
}

/// Time to first token of the successes, ascending, milliseconds.
pub fn ttft_ms(records: &[Record]) -> Vec<f64> {
    sorted(records.iter().filter(|record| record.success()).filter_map(Record::ttft_ms).collect())
}

/// Gaps between output events of the successes, ascending, milliseconds.
pub fn itl_ms(records: &[Record]) -> Vec<f64> {
    sorted(records.iter().filter(|record| record.success()).flat_map(Record::itl_ms).collect())
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Output tokens per second in bins of `bin` seconds: (start of the bin in seconds, rate),
/// from the bin of the earliest token to that of the last. A reply's tokens are spread over
/// its output events, by their known tokens or else evenly; one that was not streamed arrives
/// at its end. Failed replies count: they were work too. No bins for a `bin` below 1 ms.
pub fn output_rate(records: &[Record], bin: f64) -> Vec<(f64, f64)> {
    if bin.is_nan() || bin < 1e-3 {
        return Vec::new();
    }
    let width = (bin * 1e9) as Nanos;
    let mut arrivals: Vec<(Nanos, f64)> = Vec::new();
    for record in records {
        arrive(record, |at, tokens| arrivals.push((at.div_euclid(width), tokens)));
    }
    let ends =
        arrivals.iter().map(|(place, _)| *place).min().zip(arrivals.iter().map(|(place, _)| *place).max());
    let Some((first, last)) = ends else { return Vec::new() };
    let mut bins = vec![0.0; (last - first) as usize + 1];
    for (place, tokens) in arrivals {
        bins[(place - first) as usize] += tokens;
    }
    let start = |i: usize| (first + i as Nanos) as f64 * bin;
    bins.into_iter().enumerate().map(|(i, tokens)| (start(i), tokens / bin)).collect()
}

/// Hands over when the tokens of a reply arrived, and how many.
fn arrive(record: &Record, mut each: impl FnMut(Nanos, f64)) {
    let (Some((tokens, _)), timeline) = (record.output_tokens(), &record.timeline) else { return };
    let events: Vec<usize> = if record.streamed { timeline.events.output().collect() } else { Vec::new() };
    if events.is_empty() {
        return each(timeline.end, f64::from(tokens));
    }
    let known = events.iter().all(|i| timeline.events.tokens[*i] > 0);
    let weight = |i: usize| if known { f64::from(timeline.events.tokens[i]) } else { 1.0 };
    let total: f64 = events.iter().map(|i| weight(*i)).sum();
    for i in events {
        if let Some(at) = timeline.event(i) {
            each(at, f64::from(tokens) * weight(i) / total);
        }
    }
}

/// Requests in flight as a staircase: (seconds, requests from then on).
pub fn in_flight(records: &[Record]) -> Vec<(f64, u64)> {
    let mut steps: Vec<(Nanos, i64)> = Vec::new();
    for record in records {
        if let Some(sent) = record.timeline.sent {
            steps.push((sent, 1));
            steps.push((record.timeline.end, -1));
        }
    }
    steps.sort_unstable();
    let (mut open, mut stairs) = (0, Vec::<(f64, u64)>::new());
    for (at, step) in steps {
        open += step;
        // Within one instant ends come before starts, which only dips below a request of no
        // length.
        let stair = (seconds(at), u64::try_from(open).unwrap_or(0));
        match stairs.last_mut() {
            Some(last) if last.0 == stair.0 => *last = stair,
            _ => stairs.push(stair),
        }
    }
    stairs
}

/// Every request as a line in time, in the order of the schedule.
pub fn spans(records: &[Record]) -> Vec<Span> {
    let mut spans: Vec<Span> = records
        .iter()
        .map(|record| Span {
            seq: record.seq,
            planned: seconds(record.timeline.planned),
            sent: record.timeline.sent.map(seconds),
            first_output: record.first_output().map(seconds),
            end: seconds(record.timeline.end),
            success: record.success(),
        })
        .collect();
    spans.sort_by_key(|span| span.seq);
    spans
}

fn seconds(at: Nanos) -> f64 {
    at as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::fixture::reply;
    use super::*;
    use crate::record::{Kind, Outcome};

    #[test]
    fn samples_are_sorted_and_of_successes() {
        let records = [
            reply(0, 0).tokens_at(&[30, 60]).record(),
            reply(1, 0).tokens_at(&[20, 25]).record(),
            reply(2, 0).tokens_at(&[1, 2]).fails(Outcome::Truncated, "cut off").record(),
        ];
        assert_eq!(ttft_ms(&records), [20.0, 30.0]);
        assert_eq!(itl_ms(&records), [5.0, 30.0]);
    }

    #[test]
    fn rates_count_tokens_where_they_arrived() {
        let records = [
            reply(0, 1_000).event(100, Kind::CONTENT, 1).event(600, Kind::CONTENT, 3).usage(1, 4).record(),
            reply(1, 1_000).not_streamed(1_700).usage(1, 2).record(),
        ];
        assert_eq!(output_rate(&records, 0.5), [(1.0, 2.0), (1.5, 6.0), (2.0, 0.0), (2.5, 4.0)]);
        assert_eq!(output_rate(&[], 0.5), []);
        assert_eq!(output_rate(&records, 0.0), []);
    }

    #[test]
    fn the_staircase_of_requests_in_flight_ends_at_zero() {
        let records = [
            reply(0, 0).ends(1_000).record(),
            reply(1, 500).ends(500).record(),
            reply(2, 1_000).ends(250).record(),
        ];
        assert_eq!(in_flight(&records), [(0.0, 1), (0.5, 2), (1.0, 1), (1.25, 0)]);
        assert_eq!(in_flight(&[reply(0, 500).ends(0).record()]), [(0.5, 0)]);
    }

    #[test]
    fn spans_come_in_the_order_of_the_schedule() {
        let records = [reply(1, 500).waited(250).tokens_at(&[500]).record(), reply(0, 0).dropped().record()];
        let spans = spans(&records);
        assert_eq!((spans[0].seq, spans[0].sent, spans[0].success), (0, None, false));
        assert_eq!(
            spans[1],
            Span { seq: 1, planned: 0.25, sent: Some(0.5), first_output: Some(1.0), end: 1.0, success: true }
        );
    }
}
