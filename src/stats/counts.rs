//! `Counts`: the whole numbers of a run: how many requests ended how, and with which lengths.

use crate::record::{Nanos, Outcome, OutputSource, Record};
use std::sync::Arc;

/// Classes of a run that are told apart by themselves.
pub const CLASSES_MAX: usize = 64;

/// Counts over the measured requests that were planned in the window.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub requests: u64,
    pub succeeded: u64,
    /// Those whose users hung up.
    pub left: u64,
    /// Within every limit of the SLO.
    pub good: u64,
    /// Output tokens of failed requests.
    pub wasted_tokens: u64,
    /// Input tokens that a prefix cache answered, and the inputs that they were part of.
    pub cached: CachedTokens,
    /// Successes by where their number of output tokens comes from.
    pub sources: TokenSources,
    pub asked_output: LengthCheck,
    pub asked_input: LengthCheck,
    /// Successes that have output tokens by their usage, and no event with output.
    pub unseen_output: u64,
    /// Successes whose stream came whole at its end.
    pub held_back: u64,
    /// Successes that came in one piece.
    pub in_one_piece: u64,
    /// Requests that kept the model from ending its reply.
    pub forced_length: u64,
    /// Requests whose prompt was made of random words.
    pub synthetic_text: u64,
    pub failures: Failures,
    /// Seconds of sound in the successes that are known to have any, and how many those are.
    pub audio_seconds: f64,
    pub audio_replies: u64,
    /// Of the requests, in order of first appearance; of more than [`CLASSES_MAX`] one more than that.
    pub classes: Vec<Arc<str>>,
    /// A first event of content came later than the first event of output, or never.
    pub ttfo_differs: bool,
    pub first_planned: Option<Nanos>,
    pub last_end: Option<Nanos>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CachedTokens {
    /// Successes that reported cached tokens.
    pub reports: u64,
    pub tokens: u64,
    pub input_tokens: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenSources {
    pub usage: u64,
    pub tokenizer: u64,
    pub events: u64,
    pub unknown: u64,
    /// Successes with a count of the server's that cannot be.
    pub impossible: u64,
}

/// Asked lengths against counted ones, where both are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LengthCheck {
    pub compared: u64,
    /// The counted length is the asked one.
    pub met: u64,
    pub asked_tokens: u64,
    pub counted_tokens: u64,
    /// Least and most that was asked for.
    pub range: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// In order of first appearance.
    kinds: Vec<Failure>,
    /// Longest time that a failed request took, from `sent` and from `planned`.
    pub longest_from_sent: Nanos,
    pub longest_from_planned: Nanos,
}

/// Failures of one kind.
#[derive(Debug, Clone)]
struct Failure {
    outcome: Outcome,
    /// Where that is the failure.
    status: Option<u16>,
    count: u64,
    /// Of the earliest request that came with words, with its number.
    words: Option<(u64, String)>,
}

/// Failures of one kind, to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub outcome: Outcome,
    /// The HTTP status, where that is the failure.
    pub status: Option<u16>,
    pub count: u64,
    /// An example.
    pub words: Option<String>,
}

impl Failed {
    /// `http_429`, or the outcome's name.
    pub fn name(&self) -> String {
        match self.status {
            Some(status) => format!("http_{status}"),
            None => self.outcome.name().to_string(),
        }
    }
}

/// `12 x http_429 (Rate limit reached), 3 x http_503`.
impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.count, self.name())?;
        self.words.as_ref().map_or(Ok(()), |words| write!(f, " ({words})"))
    }
}

impl Counts {
    pub fn add(&mut self, record: &Record) {
        let timeline = &record.timeline;
        self.requests += 1;
        self.forced_length += u64::from(record.forced_length);
        self.synthetic_text += u64::from(record.synthetic_text);
        self.first_planned = least(self.first_planned, Some(timeline.planned));
        self.last_end = self.last_end.max(Some(timeline.end));
        self.meet(&record.class);
        if !record.success() && !record.failed() {
            self.left += 1;
            self.wasted_tokens += record.output_tokens().map_or(0, |(n, _)| u64::from(n));
            return;
        }
        if !record.success() {
            self.wasted_tokens += record.output_tokens().map_or(0, |(n, _)| u64::from(n));
            self.failures.add(record);
            return;
        }
        self.succeeded += 1;
        // One token may be the end of the text, which has none.
        let told = record.streamed && record.usage.output.is_some_and(|tokens| tokens > 1);
        self.unseen_output += u64::from(told && record.ttft_ms().is_none());
        self.held_back += u64::from(record.held_back());
        self.in_one_piece += u64::from(!record.streamed);
        self.ttfo_differs |= record.ttfo_ms() != record.ttft_ms();
        if let (Some(cached), Some(input)) = (record.cached_tokens(), record.input_tokens()) {
            self.cached.reports += 1;
            self.cached.tokens += u64::from(cached);
            self.cached.input_tokens += u64::from(input);
        }
        match record.output_tokens().map(|(_, source)| source) {
            Some(OutputSource::Usage) => self.sources.usage += 1,
            Some(OutputSource::Tokenizer) => self.sources.tokenizer += 1,
            Some(OutputSource::Events) => self.sources.events += 1,
            None => self.sources.unknown += 1,
        }
        self.sources.impossible += u64::from(record.doubts.any());
        self.audio_seconds += record.audio_ms.unwrap_or(0) as f64 / 1e3;
        self.audio_replies += u64::from(record.audio_ms.is_some());
        // Where the server's count cannot be, what stands in for it is too rough to be held against
        // a length.
        let counted = record.output_tokens().filter(|_| !record.doubts.output());
        self.asked_output.add(Some(record.asked_output), counted.map(|(n, _)| n));
        self.asked_input.add(record.asked_input, record.input_tokens());
    }

    fn meet(&mut self, class: &Arc<str>) {
        if self.classes.len() <= CLASSES_MAX && !self.classes.contains(class) {
            self.classes.push(class.clone());
        }
    }

    pub fn failed(&self) -> u64 {
        self.requests - self.succeeded - self.left
    }

    pub fn merge(&mut self, other: &Counts) {
        self.requests += other.requests;
        self.succeeded += other.succeeded;
        self.left += other.left;
        self.forced_length += other.forced_length;
        self.synthetic_text += other.synthetic_text;
        self.unseen_output += other.unseen_output;
        self.held_back += other.held_back;
        self.in_one_piece += other.in_one_piece;
        self.good += other.good;
        self.wasted_tokens += other.wasted_tokens;
        self.cached.reports += other.cached.reports;
        self.cached.tokens += other.cached.tokens;
        self.cached.input_tokens += other.cached.input_tokens;
        self.sources.usage += other.sources.usage;
        self.sources.tokenizer += other.sources.tokenizer;
        self.sources.events += other.sources.events;
        self.sources.unknown += other.sources.unknown;
        self.sources.impossible += other.sources.impossible;
        self.asked_output.merge(&other.asked_output);
        self.asked_input.merge(&other.asked_input);
        self.audio_seconds += other.audio_seconds;
        self.audio_replies += other.audio_replies;
        self.failures.merge(&other.failures);
        other.classes.iter().for_each(|class| self.meet(class));
        self.ttfo_differs |= other.ttfo_differs;
        self.first_planned = least(self.first_planned, other.first_planned);
        self.last_end = self.last_end.max(other.last_end);
    }
}

/// The earlier time, where there is one.
pub fn least(a: Option<Nanos>, b: Option<Nanos>) -> Option<Nanos> {
    a.into_iter().chain(b).min()
}

impl LengthCheck {
    fn add(&mut self, asked: Option<u32>, counted: Option<u32>) {
        let (Some(asked), Some(counted)) = (asked, counted) else { return };
        self.compared += 1;
        self.met += u64::from(asked == counted);
        self.asked_tokens += u64::from(asked);
        self.counted_tokens += u64::from(counted);
        self.widen((asked, asked));
    }

    fn widen(&mut self, other: (u32, u32)) {
        let (min, max) = self.range.unwrap_or(other);
        self.range = Some((min.min(other.0), max.max(other.1)));
    }

    /// Counted minus asked, mean over the compared requests.
    pub fn mean_difference(&self) -> f64 {
        (self.counted_tokens as f64 - self.asked_tokens as f64) / self.compared.max(1) as f64
    }

    fn merge(&mut self, other: &LengthCheck) {
        self.compared += other.compared;
        self.met += other.met;
        self.asked_tokens += other.asked_tokens;
        self.counted_tokens += other.counted_tokens;
        if let Some(range) = other.range {
            self.widen(range);
        }
    }
}

impl Failures {
    fn add(&mut self, record: &Record) {
        let timeline = &record.timeline;
        self.longest_from_planned = self.longest_from_planned.max(timeline.end - timeline.planned);
        self.longest_from_sent =
            self.longest_from_sent.max(timeline.sent.map_or(0, |sent| timeline.end - sent));
        let status = record.status.filter(|_| record.outcome == Outcome::Status);
        self.count(record.outcome, status, 1, record.error.as_deref().map(|text| (record.seq, text)));
    }

    fn count(&mut self, outcome: Outcome, status: Option<u16>, count: u64, words: Option<(u64, &str)>) {
        let place = match self.kinds.iter().position(|kind| (kind.outcome, kind.status) == (outcome, status))
        {
            Some(place) => place,
            None => {
                self.kinds.push(Failure { outcome, status, count: 0, words: None });
                self.kinds.len() - 1
            }
        };
        let kind = &mut self.kinds[place];
        kind.count += count;
        if let Some((seq, text)) = words
            && kind.words.as_ref().is_none_or(|(first, _)| seq < *first)
        {
            kind.words = Some((seq, text.to_string()));
        }
    }

    pub fn of(&self, outcome: Outcome) -> u64 {
        self.kinds.iter().filter(|kind| kind.outcome == outcome).map(|kind| kind.count).sum()
    }

    /// Most frequent first.
    pub fn list(&self) -> Vec<Failed> {
        let failed = |kind: &Failure| Failed {
            outcome: kind.outcome,
            status: kind.status,
            count: kind.count,
            words: kind.words.as_ref().and_then(|(_, words)| without_status(words, kind.status)),
        };
        let order = |outcome| Outcome::ALL.iter().position(|known| *known == outcome);
        let mut list: Vec<_> = self.kinds.iter().map(failed).collect();
        list.sort_by_key(|failed| (std::cmp::Reverse(failed.count), order(failed.outcome), failed.status));
        list
    }

    fn merge(&mut self, other: &Failures) {
        for kind in &other.kinds {
            let words = kind.words.as_ref().map(|(seq, text)| (*seq, text.as_str()));
            self.count(kind.outcome, kind.status, kind.count, words);
        }
        self.longest_from_sent = self.longest_from_sent.max(other.longest_from_sent);
        self.longest_from_planned = self.longest_from_planned.max(other.longest_from_planned);
    }
}

/// The words of a failure whose status is told beside them.
fn without_status(words: &str, status: Option<u16>) -> Option<String> {
    let Some(status) = status else { return Some(words.to_string()) };
    let Some(said) = words.strip_prefix(&format!("status {status}")) else { return Some(words.to_string()) };
    // Nothing but the status was said.
    said.strip_prefix(": ").map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{all, reply, says};
    use super::*;
    use crate::record::Timeout;

    #[test]
    fn failures_are_listed_by_kind_with_the_words_of_the_earliest() {
        let status = |seq, status, words: &str| {
            let mut record = reply(seq, 0).fails(Outcome::Status, words).record();
            record.status = Some(status);
            record
        };
        let mut summary = all([reply(0, 0).times_out(5)]);
        for record in [
            status(7, 429, "status 429: later"),
            status(3, 429, "status 429: first"),
            status(4, 503, "status 503 without a word of why"),
        ] {
            summary.add(&record);
        }
        let told: Vec<String> = summary.failures().iter().map(Failed::to_string).collect();
        assert_eq!(
            told,
            ["2 x http_429 (first)", "1 x http_503", "1 x timeout_total (no end of the reply in time)"]
        );
        let failures = &summary.tally().failures;
        assert_eq!((failures.of(Outcome::Status), failures.of(Outcome::TimedOut(Timeout::Total))), (3, 1));
    }

    #[test]
    fn counts_of_tokens_say_where_they_come_from() {
        let mut counted = reply(1, 0).not_streamed(10).record();
        counted.counted_output = Some(7);
        let mut summary = all([
            reply(0, 0).tokens_at(&[10]).usage(1, 5),
            reply(2, 0).tokens_at(&[10, 20]),
            reply(3, 0).not_streamed(10),
        ]);
        summary.add(&counted);
        let sources = summary.tally().sources;
        assert_eq!((sources.usage, sources.tokenizer, sources.events, sources.unknown), (1, 1, 1, 1));
        says(&summary, &[("output_tokens.sum", Some(14.0)), ("output_tokens.count", Some(3.0))]);
    }

    #[test]
    fn asked_lengths_are_kept_beside_the_counted_ones() {
        let summary = all([
            reply(0, 0).asked(256, 3).usage(262, 3).tokens_at(&[1]),
            reply(1, 0).asked(256, 3).usage(264, 2).tokens_at(&[1]),
        ]);
        let (output, input) = (summary.tally().asked_output, summary.tally().asked_input);
        assert_eq!((output.compared, output.met, output.range), (2, 1, Some((3, 3))));
        assert_eq!((input.compared, input.met, input.mean_difference()), (2, 0, 7.0));
    }
}
