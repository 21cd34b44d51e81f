//! `ComparedRows`: what a comparison keeps of the requests of a run: who each one is, and its values.
//!
//! Some 80 bytes a request, so that a million of them on each side stay well below 300 MB.

use crate::record::{Fields, Nanos, Phase, Record};
use crate::stats::blocks::{Joins, TimeBlocks};
use crate::stats::flow::Flow;
use crate::stats::fold::Fold;
use crate::stats::gaps::GapStats;
use crate::stats::metric::{Metric, MetricReader};
use crate::stats::sketch::{Room, SketchBlocks};
use crate::stats::slo::Slo;

/// Output tokens up to which a reply is timed, where events cannot be compared.
pub const STEPS: [u32; 3] = [16, 64, 256];

/// A number that is not known.
pub const UNKNOWN: u32 = u32::MAX;

/// What one and the same request has on both sides, in the order of the traffic: whose it is, its number,
/// its turn, and which of several ways on it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// A hash of the name, so that both sides have the same; 0: nobody's.
    tenant: u32,
    seq: u64,
    turn: u16,
    branch: u16,
}

impl Key {
    pub fn of(record: &Record) -> Key {
        let small = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        // FNV-1a, which is the same in every process.
        let hash = |name: &str| {
            name.bytes()
                .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
        };
        Key {
            tenant: record.tenant.as_deref().map_or(0, hash),
            seq: record.seq,
            turn: small(record.turn),
            branch: record.branch.map_or(0, |branch| small(branch).saturating_add(1)),
        }
    }

    pub fn tenant(self) -> u32 {
        self.tenant
    }

    pub fn turn(self) -> u16 {
        self.turn
    }

    /// All turns of a conversation have its number.
    pub fn session(self) -> (u32, u64) {
        (self.tenant, self.seq)
    }
}

/// A measured request.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub key: Key,
    /// Since the run's zero.
    pub planned: Nanos,
    /// Tokens that were asked for: input, output.
    pub asked: [u32; 2],
    pub output: u32,
    pub cached: u32,
    pub success: bool,
    /// It met every limit of the objectives; false where there are none.
    pub good: bool,
}

/// By what a request is good: objectives, and whether those of an open loop are meant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Goals {
    pub slo: Slo,
    pub open: bool,
}

/// What ended in a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ended {
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Joins for Ended {
    fn join(&mut self, other: &Ended) {
        self.requests += other.requests;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// Requests, failures, and how replies came.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Habits {
    pub requests: u64,
    pub successes: u64,
    /// Output tokens and output events of streamed successes.
    pub tokens: u64,
    pub events: u64,
    /// Successes whose request asked for exactly so many tokens, and those that got them.
    pub forced: u64,
    pub forced_kept: u64,
    /// Sums over the requests whose length is known.
    pub asked: [u64; 2],
}

impl Habits {
    pub fn merge(&mut self, other: &Habits) {
        self.requests += other.requests;
        self.successes += other.successes;
        self.tokens += other.tokens;
        self.events += other.events;
        self.forced += other.forced;
        self.forced_kept += other.forced_kept;
        self.asked.iter_mut().zip(other.asked).for_each(|(sum, more)| *sum += more);
    }

    /// Tokens that come in one event; `None`: nothing was streamed.
    pub fn tokens_an_event(&self) -> Option<f64> {
        (self.events > 0).then(|| self.tokens as f64 / self.events as f64)
    }

    /// Replies were as long as they were forced to be.
    pub fn keeps_forced_lengths(&self) -> bool {
        self.successes > 0 && self.forced_kept as f64 >= 0.99 * self.successes as f64
    }
}

/// The measured requests of a run, in any order until [`ComparedRows::sort`].
#[derive(Clone)]
pub struct ComparedRows {
    goals: Option<Goals>,
    /// Of which the values are kept; `e2el` is always the first.
    metrics: Vec<Metric>,
    places: Vec<Place>,
    /// For each metric, then for each of [`STEPS`]: a value for each place; not a number: there is none.
    values: Vec<Vec<f32>>,
    /// Gaps between output events, at the planned times of their requests.
    pub gaps: GapStats,
    pub gap_blocks: SketchBlocks,
    /// What ended when, warm-up included.
    pub ended: TimeBlocks<Ended>,
    pub habits: Habits,
    /// Added to every time: where the run stands among others of its side.
    offset: Nanos,
    window: (Nanos, Nanos),
    flow: Flow,
    room: Room,
}

impl ComparedRows {
    /// `window`: of the run, since its zero. `offset`: where its zero stands among other runs.
    pub fn new(metrics: &[Metric], window: (Nanos, Nanos), offset: Nanos) -> ComparedRows {
        let mut of_requests = vec![Metric::E2el];
        for metric in metrics {
            let each = matches!(metric.about().reader, MetricReader::Each(_));
            if each && !of_requests.contains(metric) {
                of_requests.push(*metric);
            }
        }
        let metrics = of_requests;
        ComparedRows {
            goals: None,
            values: vec![Vec::new(); metrics.len() + STEPS.len()],
            metrics,
            places: Vec::new(),
            gaps: GapStats::default(),
            gap_blocks: SketchBlocks::default(),
            ended: TimeBlocks::default(),
            habits: Habits::default(),
            offset,
            window,
            flow: Flow::default(),
            room: Room::default(),
        }
    }

    /// Says which requests are good.
    pub fn with_goals(self, goals: Option<Goals>) -> ComparedRows {
        ComparedRows { goals, ..self }
    }

    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The value of a metric for each place. `None`: it was not asked for, or is none of single requests.
    pub fn values(&self, metric: Metric) -> Option<&[f32]> {
        self.metrics.iter().position(|known| *known == metric).map(|at| self.values[at].as_slice())
    }

    /// How long each reply took to its `STEPS[step]`-th token.
    pub fn times_to(&self, step: usize) -> &[f32] {
        &self.values[self.metrics.len() + step]
    }

    pub fn offset(&self) -> Nanos {
        self.offset
    }

    /// Start and end, since the run's zero.
    pub fn window(&self) -> (Nanos, Nanos) {
        self.window
    }

    /// Puts the places in the order of their keys.
    pub fn sort(&mut self) {
        let mut order: Vec<u32> = (0..self.places.len() as u32).collect();
        order.sort_unstable_by_key(|at| self.places[*at as usize].key);
        self.places = order.iter().map(|at| self.places[*at as usize]).collect();
        for column in &mut self.values {
            *column = order.iter().map(|at| column[*at as usize]).collect();
        }
    }

    fn push(&mut self, record: &Record) {
        let output = record.output_tokens().map_or(UNKNOWN, |(n, _)| n);
        let success = record.success();
        let asked = [record.asked_input.unwrap_or(UNKNOWN), record.asked_output];
        self.places.push(Place {
            key: Key::of(record),
            planned: record.timeline.planned,
            asked,
            output,
            cached: record.cached_tokens().unwrap_or(UNKNOWN),
            success,
            good: self.goals.as_ref().is_some_and(|goals| goals.slo.good(record, goals.open)),
        });
        for (metric, column) in self.metrics.iter().zip(&mut self.values) {
            let about = metric.about();
            let value = match about.reader {
                MetricReader::Each(read) if success || about.of_all_sent => read(record),
                _ => None,
            };
            column.push(value.map_or(f32::NAN, |value| value as f32));
        }
        let steps = if success { times_to_steps(record, output) } else { [None; 3] };
        for (value, column) in steps.into_iter().zip(&mut self.values[self.metrics.len()..]) {
            column.push(value.unwrap_or(f32::NAN));
        }
        self.habits.requests += 1;
        let known = asked.into_iter().zip(&mut self.habits.asked);
        known.filter(|(n, _)| *n != UNKNOWN).for_each(|(n, sum)| *sum += u64::from(n));
        if success {
            self.observe(record, output);
        }
    }

    fn observe(&mut self, record: &Record, output: u32) {
        let habits = &mut self.habits;
        habits.successes += 1;
        if record.streamed && output != UNKNOWN {
            habits.tokens += u64::from(output);
            habits.events += record.timeline.events.output().count() as u64;
        }
        if record.forced_length {
            habits.forced += 1;
            habits.forced_kept += u64::from(output == record.asked_output);
        }
        self.gaps.add(&self.flow.gaps_us);
        let at = self.offset + record.timeline.planned;
        let gaps_ms = self.flow.gaps_us.iter().map(|gap| f64::from(*gap) / 1e3);
        self.gap_blocks.add_all(at, gaps_ms, &mut self.room);
    }
}

impl Fold for ComparedRows {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::BELONGS)
    }

    fn add(&mut self, record: &Record) {
        self.flow.read(record);
        let (start, end) = self.window;
        if record.success() && record.timeline.end > start && record.timeline.end <= end {
            let ended = self.ended.at(self.offset + record.timeline.end);
            ended.requests += 1;
            ended.input_tokens += u64::from(record.input_tokens().unwrap_or(0));
            ended.output_tokens += u64::from(record.output_tokens().map_or(0, |(n, _)| n));
        }
        if record.phase == Phase::Measured {
            self.push(record);
        }
    }

    fn merge(&mut self, other: Self) {
        self.places.extend(other.places);
        for (mine, theirs) in self.values.iter_mut().zip(other.values) {
            mine.extend(theirs);
        }
        self.gaps.merge(&other.gaps);
        self.gap_blocks.merge(&other.gap_blocks);
        self.ended.merge(&other.ended);
        self.habits.merge(&other.habits);
    }

    fn fresh(&self) -> Self {
        ComparedRows::new(&self.metrics, self.window, self.offset).with_goals(self.goals.clone())
    }
}

/// When each of [`STEPS`] tokens were there, milliseconds since the send. Where the server does not say
/// how many tokens an event has, each is taken to have as many as the others.
fn times_to_steps(record: &Record, output: u32) -> [Option<f32>; 3] {
    let events = &record.timeline.events;
    let count = events.output().count();
    if !record.streamed || count == 0 || output == UNKNOWN {
        return [None; 3];
    }
    let told = events.output().all(|event| events.tokens[event] > 0);
    let each = f64::from(output) / count as f64;
    STEPS.map(|step| {
        let mut tokens = 0.0;
        let mut output = events.output();
        let there = output.find(|event| {
            tokens += if told { f64::from(events.tokens[*event]) } else { each };
            // Equal parts need not add up to a whole number.
            tokens + 1e-6 >= f64::from(step)
        })?;
        Some(events.at_us[there] as f32 / 1e3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::EventKind;
    use crate::stats::fixture::reply;

    fn rows(replies: impl IntoIterator<Item = Record>) -> ComparedRows {
        let mut rows = ComparedRows::new(&[Metric::Ttft], (0, i64::MAX), 0);
        replies.into_iter().for_each(|record| rows.add(&record));
        rows
    }

    #[test]
    fn any_split_of_the_rows_keeps_the_same() {
        let record =
            |seq: u64| reply(seq, seq as i64 * 10).tokens_at(&[20 + seq as u32, 30, 45]).usage(8, 3).record();
        let mut whole = rows((0..40).rev().map(record));
        let mut split = rows((0..13).map(record));
        split.merge(rows((13..40).map(record)));
        whole.sort();
        split.sort();
        assert_eq!(whole.values(Metric::Ttft), split.values(Metric::Ttft));
        assert_eq!(whole.habits, split.habits);
        assert_eq!(whole.ended, split.ended);
        let keys = |rows: &ComparedRows| rows.places().iter().map(|place| place.key).collect::<Vec<_>>();
        assert_eq!(keys(&whole), keys(&split));
        assert_eq!(whole.gaps.view().mean(), split.gaps.view().mean());
    }

    #[test]
    fn warm_up_is_left_out_and_a_failure_has_no_values() {
        let fails = reply(2, 0).fails(crate::record::Outcome::Truncated, "cut").tokens_at(&[5]).record();
        let rows =
            rows([reply(0, 0).warmup().record(), reply(1, 0).tokens_at(&[5]).usage(1, 1).record(), fails]);
        assert_eq!(rows.places().len(), 2);
        let values = rows.values(Metric::Ttft).unwrap();
        assert!(values[0] == 5.0 && values[1].is_nan());
        assert_eq!((rows.habits.requests, rows.habits.successes), (2, 1));
    }

    #[test]
    fn a_step_is_there_with_the_event_that_holds_its_token() {
        // 20 tokens in events of 8, 8 and 4: the 16th is in the second.
        let told = [(10, 8), (25, 8), (31, 4)];
        let reply_of = told
            .into_iter()
            .fold(reply(0, 0), |reply, (at, tokens)| reply.event(at, EventKind::CONTENT, tokens));
        let rows = rows([reply_of.usage(1, 20).record()]);
        assert_eq!(rows.times_to(0), [25.0]);
        assert!(rows.times_to(1)[0].is_nan(), "there was no 64th token");
    }
}
