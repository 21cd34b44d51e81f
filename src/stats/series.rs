//! `ClientSeries`: what the client saw in each window of a run, from records alone.

use super::fold::Fold;
use super::sample::{EXACT_MAX, Sample};
use crate::record::{EventKind, Events, Fields, Nanos, Point, Record, Source};
use std::ops::Range;

/// What a window is asked for, in the order of the file.
pub const NAMES: [&str; 9] = [
    "requests.started",
    "requests.ended",
    "requests.failed",
    "in_flight",
    "output_tokens",
    "output_tokens.rate",
    "ttft.p50",
    "ttft.p99",
    "lateness.max",
];

/// Windows of one width, from the run's zero on. A short rest at the end joins the last whole
/// window: a rate of a few milliseconds would be one of chance.
pub struct ClientSeries {
    width: Nanos,
    windows: Vec<Window>,
}

/// The output events in a stretch of a reply.
#[derive(Default)]
struct Output {
    events: u64,
    tokens: u64,
    /// Events of which the server did not say how many tokens they hold.
    untold: u64,
}

impl Output {
    fn of(events: &Events, stretch: Range<usize>) -> Output {
        let mut sum = Output::default();
        for (kind, tokens) in events.kind[stretch.clone()].iter().zip(&events.tokens[stretch]) {
            // Sums instead of branches: this is done for every event of a run.
            let output = u64::from(kind.has(EventKind::OUTPUT));
            sum.events += output;
            sum.tokens += output * u64::from(*tokens);
            sum.untold += output * u64::from(*tokens == 0);
        }
        sum
    }
}

#[derive(Default)]
struct Window {
    started: u64,
    ended: u64,
    failed: u64,
    /// Requests times nanoseconds.
    busy: Nanos,
    tokens: f64,
    ttft: Ttft,
    lateness_ms: Option<f64>,
}

/// Milliseconds; of replies whose first token came in a window.
#[derive(Default)]
struct Ttft {
    /// The few that most windows have, in little room.
    few: Vec<f32>,
    many: Option<Box<Sample>>,
}

impl Ttft {
    fn add(&mut self, ms: f32) {
        match &mut self.many {
            Some(many) => many.add(f64::from(ms)),
            None if self.few.len() < EXACT_MAX => self.few.push(ms),
            None => {
                self.many = Some(Box::new(self.sample()));
                self.few = Vec::new();
                self.add(ms);
            }
        }
    }

    fn sample(&self) -> Sample {
        let mut sample = self.many.as_deref().cloned().unwrap_or_default();
        self.few.iter().for_each(|ms| sample.add(f64::from(*ms)));
        sample
    }

    fn merge(&mut self, other: Ttft) {
        other.few.into_iter().for_each(|ms| self.add(ms));
        if let Some(many) = other.many {
            let mut sample = self.sample();
            sample.merge(&many);
            *self = Ttft { few: Vec::new(), many: Some(Box::new(sample)) };
        }
    }
}

impl ClientSeries {
    /// `width` above 0.
    pub fn new(width: Nanos) -> ClientSeries {
        ClientSeries { width: width.max(1), windows: Vec::new() }
    }

    fn place(&self, at: Nanos) -> usize {
        (at.max(0) / self.width) as usize
    }

    fn at(&mut self, at: Nanos) -> &mut Window {
        let place = self.place(at);
        if place >= self.windows.len() {
            self.windows.resize_with(place + 1, Window::default);
        }
        &mut self.windows[place]
    }

    fn add_busy(&mut self, from: Nanos, to: Nanos) {
        let mut from = from.max(0);
        while from < to {
            let next = ((from / self.width + 1) * self.width).min(to);
            self.at(from).busy += next - from;
            from = next;
        }
    }

    /// Tokens where their events arrived; where the server did not say how many an event holds,
    /// those of the reply are shared out evenly.
    fn add_tokens(&mut self, record: &Record, sent: Nanos) {
        let Some((total, _)) = record.output_tokens() else { return };
        let events = &record.timeline.events;
        let all = Output::of(events, 0..events.len());
        if !record.streamed || all.events == 0 {
            self.at(record.timeline.end).tokens += f64::from(total);
            return;
        }
        let time = |us: u32| sent + Nanos::from(us) * 1_000;
        let mut from = 0;
        while from < events.len() {
            // Events of one window lie together, so it is looked for once and not for each.
            let at = time(events.at_us[from]);
            let end = (self.place(at) as Nanos + 1) * self.width;
            let until = from + 1 + events.at_us[from + 1..].partition_point(|us| time(*us) < end);
            let here = Output::of(events, from..until);
            let share = match all.untold {
                0 => here.tokens as f64 / all.tokens as f64,
                _ => here.events as f64 / all.events as f64,
            };
            self.at(at).tokens += f64::from(total) * share;
            from = until;
        }
    }

    /// Every value of a run of this length, window by window.
    pub fn points(self, lasted: Nanos) -> Vec<Point> {
        let names = NAMES.map(std::sync::Arc::<str>::from);
        let point = |at, name: &std::sync::Arc<str>, value| Point {
            at,
            source: Source::Client,
            metric: name.clone(),
            labels: None,
            value,
            raw_name: None,
        };
        let mut points = Vec::new();
        for (span, window) in self.folded(lasted) {
            let all = window.values(span);
            points
                .extend(names.iter().zip(all).filter_map(|(name, value)| Some(point(span.1, name, value?))));
        }
        points
    }

    /// (end of a window in nanoseconds, value) of one of [`NAMES`]; windows in which it was not
    /// observed are left out. `None`: there is no such name.
    pub fn line(self, name: &str, lasted: Nanos) -> Option<Vec<(Nanos, f64)>> {
        let place = NAMES.iter().position(|known| *known == name)?;
        let windows = self.folded(lasted).into_iter();
        Some(windows.filter_map(|(span, window)| Some((span.1, window.values(span)[place]?))).collect())
    }

    /// Windows with their beginning and end.
    fn folded(mut self, lasted: Nanos) -> Vec<((Nanos, Nanos), Window)> {
        let wanted = ((lasted + self.width / 2) / self.width).max(1) as usize;
        self.windows.resize_with(wanted.max(self.windows.len()), Window::default);
        for beyond in self.windows.split_off(wanted) {
            self.windows[wanted - 1].join(beyond);
        }
        let width = self.width;
        let span = |i: usize| {
            let end = if i + 1 == wanted { lasted } else { (i as Nanos + 1) * width };
            (i as Nanos * width, end.max(i as Nanos * width + 1))
        };
        self.windows.into_iter().enumerate().map(|(i, window)| (span(i), window)).collect()
    }
}

impl Fold for ClientSeries {
    fn fields(&self) -> Fields {
        Fields::OUTPUT.with(Fields::WAY)
    }

    /// Adds a record, whatever became of it: tokens count where they arrived, also those of
    /// requests that failed later, as the server counts them.
    fn add(&mut self, record: &Record) {
        let timeline = &record.timeline;
        if record.failed() {
            self.at(timeline.end).failed += 1;
        }
        let Some(sent) = timeline.sent else { return };
        let started = self.at(sent);
        started.started += 1;
        if let Some(late) = record.lateness_ms() {
            started.lateness_ms = Some(started.lateness_ms.map_or(late, |most| most.max(late)));
        }
        self.at(timeline.end).ended += 1;
        self.add_busy(sent, timeline.end);
        if let (Some(first), Some(ttft)) = (record.first_output(), record.ttft_ms()) {
            self.at(first).ttft.add(ttft as f32);
        }
        self.add_tokens(record, sent);
    }

    fn merge(&mut self, other: ClientSeries) {
        let windows = other.windows.len().max(self.windows.len());
        self.windows.resize_with(windows, Window::default);
        self.windows.iter_mut().zip(other.windows).for_each(|(mine, theirs)| mine.join(theirs));
    }

    fn fresh(&self) -> ClientSeries {
        ClientSeries::new(self.width)
    }
}

impl Window {
    fn join(&mut self, other: Window) {
        self.started += other.started;
        self.ended += other.ended;
        self.failed += other.failed;
        self.busy += other.busy;
        self.tokens += other.tokens;
        self.ttft.merge(other.ttft);
        let lateness = self.lateness_ms.into_iter().chain(other.lateness_ms);
        self.lateness_ms = lateness.reduce(f64::max);
    }

    /// In the order of [`NAMES`].
    fn values(&self, span: (Nanos, Nanos)) -> [Option<f64>; NAMES.len()] {
        let seconds = (span.1 - span.0) as f64 / 1e9;
        let ttft = self.ttft.sample();
        let ttft = ttft.view();
        [
            Some(self.started as f64),
            Some(self.ended as f64),
            Some(self.failed as f64),
            Some(self.busy as f64 / 1e9 / seconds),
            Some(self.tokens),
            Some(self.tokens / seconds),
            ttft.percentile(50.0),
            ttft.percentile(99.0),
            self.lateness_ms,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, MS};
    use super::*;
    use crate::record::Outcome;

    const SECOND: Nanos = 1_000 * MS;

    fn line(records: &[Record], name: &str, lasted: Nanos) -> Vec<(Nanos, f64)> {
        let mut series = ClientSeries::new(SECOND);
        records.iter().for_each(|record| series.add(record));
        let line = series.line(name, lasted).expect("a name");
        line.into_iter().map(|(at, value)| (at / MS, (value * 1e6).round() / 1e6)).collect()
    }

    #[test]
    fn what_happened_is_counted_in_the_second_in_which_it_happened() {
        let records = [
            fixture::reply(0, 500).tokens_at(&[600, 700, 1600]).usage(4, 6).record(),
            fixture::reply(1, 1200).fails(Outcome::Status, "no").record(),
        ];
        let seen = |name| line(&records, name, 3 * SECOND);
        assert_eq!(seen("requests.started"), [(1000, 1.0), (2000, 1.0), (3000, 0.0)]);
        assert_eq!(seen("requests.ended"), [(1000, 0.0), (2000, 1.0), (3000, 1.0)]);
        assert_eq!(seen("requests.failed"), [(1000, 0.0), (2000, 1.0), (3000, 0.0)]);
        // Six tokens in three events: two each.
        assert_eq!(seen("output_tokens"), [(1000, 0.0), (2000, 4.0), (3000, 2.0)]);
        assert_eq!(seen("in_flight")[0], (1000, 0.5));
        assert_eq!(seen("ttft.p50"), [(2000, 600.0)]);
        assert_eq!(seen("ttft.p99"), [(2000, 600.0)]);
    }

    #[test]
    fn tokens_that_the_server_told_count_where_they_came() {
        let record = fixture::reply(0, 0)
            .event(900, EventKind::CONTENT, 1)
            .event(1100, EventKind::CONTENT, 5)
            .record();
        assert_eq!(line(&[record], "output_tokens", 2 * SECOND), [(1000, 1.0), (2000, 5.0)]);
    }

    #[test]
    fn a_short_rest_joins_the_last_window_and_a_long_one_is_a_window() {
        let records = [fixture::reply(0, 0).tokens_at(&[100, 1100]).record()];
        // 1.2 s are one window, its rate that of 1.2 s.
        assert_eq!(line(&records, "output_tokens.rate", 1_200 * MS), [(1200, 1.666667)]);
        assert_eq!(line(&records, "output_tokens.rate", 1_600 * MS), [(1000, 1.0), (1600, 1.666667)]);
        assert_eq!(line(&records, "in_flight", 1_600 * MS), [(1000, 1.0), (1600, 0.166667)]);
    }

    #[test]
    fn a_request_that_was_never_sent_only_failed() {
        let records = [fixture::reply(0, 100).dropped().record()];
        let seen = |name| line(&records, name, SECOND);
        assert_eq!(
            (seen("requests.failed"), seen("requests.started")),
            (vec![(1000, 1.0)], vec![(1000, 0.0)])
        );
        assert_eq!((seen("requests.ended"), seen("lateness.max")), (vec![(1000, 0.0)], vec![]));
    }

    #[test]
    fn points_leave_out_what_was_not_observed() {
        let points = ClientSeries::new(SECOND).points(SECOND);
        let names: Vec<&str> = points.iter().map(|point| &*point.metric).collect();
        assert_eq!(names, NAMES[..6]);
        assert!(points.iter().all(|point| point.at == SECOND && point.value == 0.0));
    }
}
