//! `Arrivals` and `OpenIntervals`: what arrived per second, and how many requests were open.

use super::block_counts::BlockArrivals;
use super::blocks::TimeBlocks;
use super::flow::Flow;
use crate::record::{Nanos, Record};

/// Parts of a token in the bins of the peak.
const PARTS: u64 = 1_024;

/// Parts of a token in the sum of output tokens: whole numbers, so that it is the same in any
/// order, and small enough that what is cut off shows in no table. The sum holds 10^12 tokens.
const FINE: u64 = 1 << 24;

/// What counts of a successful reply, beside its [`Flow`].
#[derive(Debug, Clone, Copy)]
pub struct CountedReply {
    sent: Nanos,
    pub end: Nanos,
    input: Option<u32>,
    cached: Option<u32>,
    output: Option<u32>,
}

impl CountedReply {
    /// `None`: nothing was sent, or no success came of it.
    pub fn of(record: &Record) -> Option<CountedReply> {
        let timeline = &record.timeline;
        record.success().then_some(())?;
        Some(CountedReply {
            sent: timeline.sent?,
            end: timeline.end,
            input: record.input_tokens(),
            cached: record.cached_tokens(),
            output: record.output_tokens().map(|(n, _)| n),
        })
    }
}

/// What arrived in a window from successful requests.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    /// Requests that ended.
    pub ended: u64,
    pub input_tokens: u64,
    /// Input tokens that no prefix cache answered; only of requests that reported it.
    pub uncached_tokens: u64,
    output: u64,
    bins: Bins,
    blocks: TimeBlocks<BlockArrivals>,
}

impl Arrivals {
    /// Adds what arrived of `reply` after `from` and until `to`. An input counts when its first
    /// output arrives.
    pub fn add(&mut self, reply: &CountedReply, flow: &Flow, (from, to): (Nanos, Nanos)) {
        let inside = |at: Nanos| from < at && at <= to;
        let time = |at_us: u32| reply.sent + Nanos::from(at_us) * 1_000;

        if inside(reply.end) {
            self.ended += 1;
            self.blocks.at(reply.end).ended += 1;
        }
        let answered = flow.at_us.first().map_or(reply.end, |at| time(*at));
        if let Some(input) = reply.input.filter(|_| inside(answered)) {
            let block = self.blocks.at(answered);
            self.input_tokens += u64::from(input);
            block.input_tokens += u64::from(input);
            if let Some(cached) = reply.cached {
                let uncached = u64::from(input.saturating_sub(cached));
                self.uncached_tokens += uncached;
                block.uncached_tokens += uncached;
            }
        }
        let Some(tokens) = reply.output else { return };
        if flow.at_us.is_empty() {
            if inside(reply.end) {
                self.output += u64::from(tokens) * FINE;
                self.bins.add(reply.end.div_euclid(1_000), u64::from(tokens) * PARTS);
            }
            return;
        }
        let last = flow.at_us.last().map_or(answered, |at| time(*at));
        let sent_us = reply.sent.div_euclid(1_000);
        if inside(answered) && inside(last) {
            self.output += u64::from(tokens) * FINE;
            spread(flow, tokens, |at_us, parts| self.bins.add(sent_us + i64::from(at_us), parts));
            return;
        }
        self.output += share(flow, tokens, |at_us| inside(time(at_us)));
        spread(flow, tokens, |at_us, parts| {
            if inside(time(at_us)) {
                self.bins.add(sent_us + i64::from(at_us), parts);
            }
        });
    }

    pub fn output_tokens(&self) -> f64 {
        self.output as f64 / FINE as f64
    }

    /// By the time of arrival; output tokens apart.
    pub fn blocks(&self) -> &TimeBlocks<BlockArrivals> {
        &self.blocks
    }

    /// Output tokens as (nanoseconds, tokens), in short stretches of time.
    pub fn output_over_time(&self) -> impl Iterator<Item = (Nanos, f64)> + '_ {
        let width = WIDTHS_MS[self.bins.level] as Nanos * 1_000_000;
        let bins = self.bins.parts.iter().enumerate().filter(|(_, parts)| **parts > 0);
        bins.map(move |(i, parts)| ((self.bins.base + i as i64) * width, f64::from(*parts) / PARTS as f64))
    }

    /// The most output tokens in any window of 1 s that begins on a whole millisecond.
    /// `None` when nothing arrived.
    pub fn peak(&self) -> Option<f64> {
        self.bins.peak().map(|parts| parts as f64 / PARTS as f64)
    }

    pub fn merge(&mut self, other: &Arrivals) {
        self.ended += other.ended;
        self.input_tokens += other.input_tokens;
        self.uncached_tokens += other.uncached_tokens;
        self.output += other.output;
        self.bins.merge(&other.bins);
        self.blocks.merge(&other.blocks);
    }
}

/// The part of `tokens` that came with the events that count, in [`FINE`] parts.
fn share(flow: &Flow, tokens: u32, counts: impl Fn(u32) -> bool) -> u64 {
    let weight = |n: &u32| if flow.known > 0 { u64::from(*n) } else { 1 };
    let events = flow.at_us.iter().zip(&flow.tokens);
    let inside: u64 = events.filter(|(at, _)| counts(**at)).map(|(_, n)| weight(n)).sum();
    let whole = u128::from(tokens) * u128::from(FINE);
    (whole * u128::from(inside) / u128::from(weights(flow))) as u64
}

/// What the weights of a reply's events add up to.
fn weights(flow: &Flow) -> u64 {
    if flow.known > 0 { flow.known } else { flow.at_us.len() as u64 }
}

/// Hands each event its share of `tokens`: by the tokens that the server said for each event,
/// else evenly. The parts add up to exactly `tokens`.
#[inline]
fn spread(flow: &Flow, tokens: u32, mut each: impl FnMut(u32, u64)) {
    let weights = weights(flow);
    if flow.known == 0 && weights == u64::from(tokens) {
        for at in &flow.at_us {
            each(*at, PARTS);
        }
        return;
    }
    let total = u64::from(tokens) * PARTS;
    let scale = total as f64 / weights as f64;
    let (mut weight, mut given) = (0, 0);
    for (at, n) in flow.at_us.iter().zip(&flow.tokens) {
        weight += if flow.known > 0 { u64::from(*n) } else { 1 };
        let due = if weight == weights { total } else { (weight as f64 * scale) as u64 };
        each(*at, due - given);
        given = due;
    }
}

/// Parts of tokens in bins of time. Bins are 1 ms wide until there are too many of them;
/// then neighbours are folded together. All widths divide a second.
#[derive(Debug, Clone, Default)]
struct Bins {
    /// Place in [`WIDTHS_MS`].
    level: usize,
    /// Number of the first bin, counted from the run's zero.
    base: i64,
    parts: Vec<u32>,
}

const WIDTHS_MS: [u64; 7] = [1, 2, 4, 8, 40, 200, 1_000];

/// 4 MB.
const BINS_MAX: usize = 1 << 20;

impl Bins {
    #[inline]
    fn add(&mut self, at_us: i64, parts: u64) {
        let place = (self.bin(at_us) - self.base) as usize;
        match self.parts.get_mut(place) {
            Some(mine) => *mine = mine.saturating_add(parts.min(u64::from(u32::MAX)) as u32),
            None => self.add_beyond(at_us, parts),
        }
    }

    /// Adds where there is no bin yet.
    #[cold]
    fn add_beyond(&mut self, at_us: i64, parts: u64) {
        if parts == 0 {
            return;
        }
        if self.parts.is_empty() {
            self.base = self.bin(at_us);
        }
        self.reach(self.bin(at_us));
        let place = (self.bin(at_us) - self.base) as usize;
        if let Some(mine) = self.parts.get_mut(place) {
            *mine = mine.saturating_add(u32::try_from(parts).unwrap_or(u32::MAX));
        }
    }

    #[inline]
    fn bin(&self, at_us: i64) -> i64 {
        // A multiplication in place of a division, exact for half a year.
        const INVERSE: [u64; 7] = {
            let mut inverse = [0; 7];
            let mut level = 0;
            while level < 7 {
                inverse[level] = u64::MAX / (WIDTHS_MS[level] * 1_000) + 1;
                level += 1;
            }
            inverse
        };
        ((u128::from(at_us.max(0) as u64) * u128::from(INVERSE[self.level])) >> 64) as i64
    }

    /// Makes room for the bin numbered `bin`, folding bins when there would be too many.
    fn reach(&mut self, bin: i64) {
        let (mut bin, mut first, mut last) =
            (bin, self.base.min(bin), (self.base + self.parts.len() as i64 - 1).max(bin));
        while (last - first) as usize >= BINS_MAX && self.level + 1 < WIDTHS_MS.len() {
            let factor = (WIDTHS_MS[self.level + 1] / WIDTHS_MS[self.level]) as i64;
            self.fold();
            (bin, first, last) = (bin / factor, first / factor, last / factor);
        }
        let before = (self.base - bin).max(0) as usize;
        // At the last level this is a month of seconds: a time beyond is no time of a run.
        if before.max((bin - self.base).max(0) as usize) > 4 * BINS_MAX {
            return;
        }
        if before > 0 {
            self.parts.splice(0..0, std::iter::repeat_n(0, before));
            self.base = bin;
        }
        let length = (bin - self.base) as usize + 1;
        if length > self.parts.len() {
            self.parts.resize(length, 0);
        }
    }

    /// To the next wider level.
    fn fold(&mut self) {
        let factor = (WIDTHS_MS[self.level + 1] / WIDTHS_MS[self.level]) as i64;
        let base = self.base / factor;
        let length = self.parts.len().div_ceil(factor as usize) + 1;
        let mut folded = vec![0_u32; if self.parts.is_empty() { 0 } else { length }];
        for (i, parts) in self.parts.iter().enumerate() {
            let place = ((self.base + i as i64) / factor - base) as usize;
            folded[place] = folded[place].saturating_add(*parts);
        }
        (self.level, self.base, self.parts) = (self.level + 1, base, folded);
    }

    fn peak(&self) -> Option<u64> {
        let window = (1_000 / WIDTHS_MS[self.level]) as usize;
        let (mut sum, mut peak) = (0_u64, 0);
        for (i, parts) in self.parts.iter().enumerate() {
            sum += u64::from(*parts);
            if i >= window {
                sum -= u64::from(self.parts[i - window]);
            }
            peak = peak.max(sum);
        }
        (peak > 0).then_some(peak)
    }

    fn merge(&mut self, other: &Bins) {
        let mut other = other.clone();
        while self.level < other.level {
            self.fold();
        }
        while other.level < self.level {
            other.fold();
        }
        for (i, parts) in other.parts.iter().enumerate() {
            let at_us = (other.base + i as i64) * (WIDTHS_MS[other.level] * 1_000) as i64;
            self.add(at_us, u64::from(*parts));
        }
    }
}

/// When each request was open: 16 bytes a request.
#[derive(Debug, Clone, Default)]
pub struct OpenIntervals {
    sent: Vec<Nanos>,
    end: Vec<Nanos>,
}

/// Requests open at the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Concurrency {
    pub mean: f64,
    pub max: u64,
}

impl OpenIntervals {
    /// Requests that were never sent are not in flight.
    pub fn add(&mut self, record: &Record) {
        if let Some(sent) = record.timeline.sent {
            self.sent.push(sent);
            self.end.push(record.timeline.end.max(sent));
        }
    }

    /// Mean over the window and maximum in it, by a sweep over all starts and ends. A request
    /// that ends at the moment when another is sent does not overlap it.
    pub fn concurrency(&self, start: Nanos, end: Nanos) -> Option<Concurrency> {
        if end <= start {
            return None;
        }
        let inside = || {
            let clipped = self.sent.iter().zip(&self.end).map(|(a, b)| (*a.max(&start), *b.min(&end)));
            clipped.filter(|(a, b)| a < b)
        };
        let mut starts: Vec<Nanos> = inside().map(|(a, _)| a).collect();
        let mut ends: Vec<Nanos> = inside().map(|(_, b)| b).collect();
        starts.sort_unstable();
        ends.sort_unstable();
        let (mut closed, mut max) = (0, 0);
        for (i, at) in starts.iter().enumerate() {
            while ends[closed] <= *at {
                closed += 1;
            }
            max = max.max(i + 1 - closed);
        }
        let open: i128 = inside().map(|(a, b)| i128::from(b - a)).sum();
        Some(Concurrency { mean: open as f64 / (end - start) as f64, max: max as u64 })
    }

    /// Seconds that requests were open between each pair of neighbouring times, which are in order.
    pub fn open_between(&self, times: &[Nanos]) -> Vec<f64> {
        let mut open = vec![0.0; times.len().saturating_sub(1)];
        for (sent, end) in self.sent.iter().zip(&self.end) {
            let first = times.partition_point(|time| time <= sent).saturating_sub(1);
            for (i, pair) in times.windows(2).enumerate().skip(first).take_while(|(_, pair)| pair[0] < *end) {
                open[i] += (pair[1].min(*end) - pair[0].max(*sent)).max(0) as f64 / 1e9;
            }
        }
        open
    }

    /// From when `places` requests had been sent until the last was sent.
    pub fn busy(&self, places: usize) -> Option<(Nanos, Nanos)> {
        let mut sent = self.sent.clone();
        sent.sort_unstable();
        let start = *sent.get(places.checked_sub(1)?)?;
        let last = *sent.last()?;
        (sent.len() >= 2 * places && last > start).then_some((start, last))
    }

    pub fn merge(&mut self, other: &OpenIntervals) {
        self.sent.extend_from_slice(&other.sent);
        self.end.extend_from_slice(&other.end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{MS, reply};
    use super::*;
    use crate::record::EventKind;

    fn arrivals(records: &[Record], window: Option<(Nanos, Nanos)>) -> Arrivals {
        let (mut arrivals, mut flow) = (Arrivals::default(), Flow::default());
        for record in records {
            flow.read(record);
            let reply = CountedReply::of(record).expect("a success");
            arrivals.add(&reply, &flow, window.unwrap_or((Nanos::MIN, Nanos::MAX)));
        }
        arrivals
    }

    #[test]
    fn only_tokens_that_arrived_in_the_window_count() {
        let record = reply(0, 0).tokens_at(&[100, 200, 300, 400]).usage(8, 8).record();
        let inside = arrivals(&[record], Some((150 * MS, 300 * MS)));
        assert_eq!(inside.output_tokens(), 4.0);
        assert_eq!((inside.ended, inside.input_tokens), (0, 0));
    }

    #[test]
    fn tokens_that_the_server_said_for_each_event_weigh_the_events() {
        let record = reply(0, 0)
            .event(100, EventKind::CONTENT, 3)
            .event(200, EventKind::CONTENT, 1)
            .usage(8, 8)
            .record();
        assert_eq!(arrivals(&[record], Some((0, 150 * MS))).output_tokens(), 6.0);
    }

    #[test]
    fn a_reply_that_is_not_streamed_arrives_at_its_end() {
        let record = reply(0, 0).not_streamed(200).usage(8, 5).record();
        assert_eq!(arrivals(std::slice::from_ref(&record), Some((0, 199 * MS))).output_tokens(), 0.0);
        assert_eq!(arrivals(&[record], Some((0, 200 * MS))).output_tokens(), 5.0);
    }

    #[test]
    fn shares_of_a_reply_add_up_to_its_tokens() {
        let times: Vec<u32> = (1..=7).collect();
        let record = reply(0, 0).tokens_at(&times).usage(1, 128).record();
        assert_eq!(arrivals(&[record], None).output_tokens(), 128.0);
    }

    #[test]
    fn what_arrives_at_the_start_is_of_what_was_before_and_at_the_end_of_the_window() {
        let record = reply(0, 0).tokens_at(&[100, 200]).usage(8, 2).record();
        let of = |window| {
            let inside = arrivals(std::slice::from_ref(&record), Some(window));
            (inside.ended, inside.output_tokens())
        };
        assert_eq!(of((100 * MS, 200 * MS)), (1, 1.0));
        assert_eq!(of((0, 100 * MS)), (0, 1.0));
        assert_eq!(of((200 * MS, 300 * MS)), (0, 0.0));
    }

    #[test]
    fn the_part_of_a_reply_in_a_window_is_exact() {
        // 7 events share 100 tokens; 3 of them come in the window.
        let record = reply(0, 0).tokens_at(&[1, 2, 3, 4, 5, 6, 7]).usage(1, 100).record();
        let inside = arrivals(&[record], Some((2 * MS, 5 * MS))).output_tokens();
        assert!((inside - 300.0 / 7.0).abs() < 1e-7, "{inside}");
    }

    #[test]
    fn the_peak_slides_over_the_borders_of_seconds() {
        // 3 tokens just before a full second and 3 just after: 6 within one second.
        let record = reply(0, 0).tokens_at(&[0, 900, 950, 999, 1_000, 1_010, 1_020, 2_500]).record();
        assert_eq!(arrivals(&[record], None).peak(), Some(6.0));
    }

    #[test]
    fn a_window_of_one_second_does_not_hold_both_of_its_ends() {
        let record = reply(0, 0).tokens_at(&[0, 1_000]).record();
        assert_eq!(arrivals(&[record], None).peak(), Some(1.0));
    }

    #[test]
    fn a_long_run_folds_its_bins_and_keeps_its_tokens() {
        let day = reply(0, 86_400_000).tokens_at(&[1, 2, 3]).record();
        let zero = reply(1, 0).tokens_at(&[1, 2]).record();
        let all = arrivals(&[day.clone(), zero.clone()], None);
        assert_eq!(all.bins.level, 5);
        assert!(all.bins.parts.len() <= BINS_MAX);
        assert_eq!((all.output_tokens(), all.peak()), (5.0, Some(3.0)));
        let mut merged = arrivals(&[zero], None);
        merged.merge(&arrivals(&[day], None));
        assert_eq!((merged.output_tokens(), merged.peak()), (5.0, Some(3.0)));
    }

    #[test]
    fn bins_are_numbered_as_a_division_would() {
        for (level, width_ms) in WIDTHS_MS.into_iter().enumerate() {
            let bins = Bins { level, ..Bins::default() };
            let width = (width_ms * 1_000) as i64;
            for at in
                [0, 1, width - 1, width, 86_400_000_000 - 1, 86_400_000_000, 999 * width - 1, 999 * width]
            {
                assert_eq!(bins.bin(at), at / width, "{at} at level {level}");
            }
        }
    }

    fn open(spans_ms: &[(i64, i64)]) -> OpenIntervals {
        let mut in_flight = OpenIntervals::default();
        for (i, (sent, end)) in spans_ms.iter().enumerate() {
            in_flight.add(&reply(i as u64, *sent).ends(end - sent).record());
        }
        in_flight
    }

    #[test]
    fn concurrency_is_swept_over_real_request_times() {
        let in_flight = open(&[(0, 100), (50, 150), (60, 80), (150, 200)]);
        let swept = in_flight.concurrency(0, 200 * MS).unwrap();
        assert_eq!(swept, Concurrency { mean: 270.0 / 200.0, max: 3 });
    }

    #[test]
    fn a_request_that_starts_where_another_ends_does_not_overlap_it() {
        let swept = open(&[(0, 100), (100, 200), (200, 300)]).concurrency(0, 300 * MS).unwrap();
        assert_eq!(swept, Concurrency { mean: 1.0, max: 1 });
    }

    #[test]
    fn concurrency_sees_only_the_window() {
        let swept = open(&[(0, 100), (0, 100), (0, 100), (90, 200)]).concurrency(100 * MS, 200 * MS).unwrap();
        assert_eq!(swept, Concurrency { mean: 1.0, max: 1 });
        assert_eq!(open(&[(0, 100)]).concurrency(0, 0), None);
    }

    #[test]
    fn a_request_that_was_never_sent_is_not_in_flight() {
        let mut in_flight = OpenIntervals::default();
        in_flight.add(&reply(0, 0).dropped().record());
        assert_eq!(in_flight.concurrency(0, MS).unwrap().max, 0);
    }
}
