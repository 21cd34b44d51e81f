//! Every per-request metric, computed from the raw times of a [`Record`].
//!
//! A value that was not observed is `None`, never zero. Times are milliseconds.
//! Definitions: `docs/metrics.md`.

use super::{EventKind, Nanos, Record};

/// Where a record's number of output tokens comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSource {
    /// The server's `usage.completion_tokens`, or the tokens that it told in every event.
    Usage,
    /// Our tokenizer's count of the text, after the run.
    Tokenizer,
    /// The number of output events: an estimate, since an event is not a token.
    Events,
}

impl OutputSource {
    pub fn name(self) -> &'static str {
        match self {
            OutputSource::Usage => "usage",
            OutputSource::Tokenizer => "tokenizer",
            OutputSource::Events => "events",
        }
    }
}

/// Fewer tokens may come from one step of the model, as drafts do.
const HELD_BACK_TOKENS_MIN: u32 = 16;

/// Faster than this no engine makes the tokens of one reply: 50,000 in a second.
const NANOS_PER_TOKEN_MIN: Nanos = 20_000;

/// A reply that was here sooner, at all or for its tokens, was not held back by anybody: it is that
/// of a server that makes nothing.
const HELD_BACK_WAIT_MIN: Nanos = 50_000_000;
const HELD_BACK_WAIT_PER_TOKEN_MIN: Nanos = 1_000_000;

fn ms(nanos: Nanos) -> f64 {
    nanos as f64 / 1e6
}

impl Record {
    pub fn success(&self) -> bool {
        self.outcome.is_success()
    }

    /// Whether something went wrong; a user who hangs up is no failure, nor a success.
    pub fn failed(&self) -> bool {
        self.outcome.is_failure()
    }

    /// From the send to the first token, or to the moment when its user hung up without one: they would have
    /// waited at least so long.
    pub fn waited_ms(&self) -> Option<f64> {
        self.ttft_ms().or_else(|| Some(ms(self.timeline.end - self.timeline.sent?)))
    }

    /// The same from the planned time.
    pub fn response_waited_ms(&self) -> Option<f64> {
        self.response_ttft_ms().or_else(|| Some(ms(self.timeline.end - self.timeline.planned)))
    }

    /// Output tokens and where the number comes from. `None` where nothing tells.
    pub fn output_tokens(&self) -> Option<(u32, OutputSource)> {
        let events = &self.timeline.events;
        self.output_tokens_of(events.output().map(|i| events.tokens[i]))
    }

    /// `told`: the tokens of each output event, 0 where the server did not say.
    pub(super) fn output_tokens_of(&self, told: impl Iterator<Item = u32>) -> Option<(u32, OutputSource)> {
        if let Some(n) = self.told_output() {
            return Some((n, OutputSource::Usage));
        }
        let (mut events, mut sum, mut all) = (0, 0, true);
        for tokens in told {
            events += 1;
            sum = u32::saturating_add(sum, tokens);
            all &= tokens > 0;
        }
        if events > 0 && all {
            return Some((sum, OutputSource::Usage));
        }
        if let Some(n) = self.counted_output {
            return Some((n, OutputSource::Tokenizer));
        }
        (self.streamed && events > 0).then_some((events, OutputSource::Events))
    }

    /// The server's `usage.prompt_tokens`, else our tokenizer's count. The asked length is kept
    /// beside it and never stands in for it.
    pub fn input_tokens(&self) -> Option<u32> {
        self.usage.input.filter(|_| !self.doubts.input()).or(self.counted_input)
    }

    /// The server's count of output tokens, when it can be.
    pub fn told_output(&self) -> Option<u32> {
        self.usage.output.filter(|_| !self.doubts.output())
    }

    /// The server's count of input tokens that its cache answered, when it can be.
    pub fn cached_tokens(&self) -> Option<u32> {
        self.usage.cached.filter(|_| !self.doubts.cached())
    }

    /// When the first output event arrived (streamed replies only).
    pub fn first_output(&self) -> Option<Nanos> {
        if !self.streamed {
            return None;
        }
        self.timeline.event(self.timeline.events.output().next()?)
    }

    /// When the reply was complete for its reader: the last event that holds output; with
    /// no output the finish event; not streamed: the last body byte.
    pub fn last_output(&self) -> Option<Nanos> {
        if !self.streamed {
            return self.timeline.sent.map(|_| self.timeline.end);
        }
        let events = &self.timeline.events;
        let last = events
            .output()
            .next_back()
            .or_else(|| (0..events.len()).rfind(|&i| events.kind[i].has(EventKind::FINISH)))?;
        self.timeline.event(last)
    }

    /// First event that holds output of any kind - `sent`.
    pub fn ttft_ms(&self) -> Option<f64> {
        Some(ms(self.first_output()? - self.timeline.sent?))
    }

    /// First event with content that is not reasoning - `sent`.
    pub fn ttfo_ms(&self) -> Option<f64> {
        if !self.streamed {
            return None;
        }
        let events = &self.timeline.events;
        let first = (0..events.len()).find(|&i| events.kind[i].has(EventKind::CONTENT))?;
        Some(f64::from(events.at_us[first]) / 1e3)
    }

    /// End of the reply - `sent`; see [`Record::last_output`].
    pub fn e2el_ms(&self) -> Option<f64> {
        Some(ms(self.last_output()? - self.timeline.sent?))
    }

    /// Time to first token from the planned time (waiting included).
    pub fn response_ttft_ms(&self) -> Option<f64> {
        Some(ms(self.first_output()? - self.timeline.planned))
    }

    /// End-to-end latency from the planned time (waiting included).
    pub fn response_e2el_ms(&self) -> Option<f64> {
        Some(ms(self.last_output()? - self.timeline.planned))
    }

    /// (last output event - first output event) / (n - k1), only where n > k1, and where a
    /// second output event shows how long the rest took.
    pub fn tpot_ms(&self) -> Option<f64> {
        let (n, _) = self.output_tokens()?;
        let mut output = self.timeline.events.output();
        let first = output.next()?;
        output.next()?;
        let k1 = self.timeline.events.tokens[first].max(1);
        let span = self.last_output()? - self.first_output()?;
        (n > k1).then(|| ms(span) / f64::from(n - k1))
    }

    /// A streamed reply that came whole at its end: nobody makes so many tokens in the time
    /// between its first and its last event of output. What comes at once anyway is not meant.
    pub fn held_back(&self) -> bool {
        let Some((n, _)) = self.output_tokens().filter(|(n, _)| *n >= HELD_BACK_TOKENS_MIN) else {
            return false;
        };
        let (Some(first), Some(last)) = (self.first_output(), self.last_output()) else { return false };
        let span = last - first;
        let waited = self.timeline.sent.map_or(0, |sent| first - sent);
        let n = Nanos::from(n);
        span <= n * NANOS_PER_TOKEN_MIN
            && waited >= HELD_BACK_WAIT_MIN.max(n * HELD_BACK_WAIT_PER_TOKEN_MIN).max(10 * span)
    }

    /// End-to-end latency / n.
    pub fn ntpot_ms(&self) -> Option<f64> {
        let (n, _) = self.output_tokens()?;
        (n > 0).then(|| self.e2el_ms().map(|e2el| e2el / f64::from(n)))?
    }

    /// Gaps between successive output events.
    pub fn itl_ms(&self) -> Vec<f64> {
        if !self.streamed {
            return Vec::new();
        }
        let events = &self.timeline.events;
        let times: Vec<u32> = events.output().map(|i| events.at_us[i]).collect();
        times.windows(2).map(|pair| f64::from(pair[1].saturating_sub(pair[0])) / 1e3).collect()
    }

    /// Mean gap of this request.
    pub fn itl_request_ms(&self) -> Option<f64> {
        let gaps = self.itl_ms();
        (!gaps.is_empty()).then(|| gaps.iter().sum::<f64>() / gaps.len() as f64)
    }

    /// Each gap divided by the tokens of its later event; empty unless every one is known.
    pub fn itl_token_ms(&self) -> Vec<f64> {
        let events = &self.timeline.events;
        let tokens: Vec<u32> = events.output().skip(1).map(|i| events.tokens[i]).collect();
        if tokens.contains(&0) {
            return Vec::new();
        }
        self.itl_ms().into_iter().zip(tokens).map(|(gap, n)| gap / f64::from(n)).collect()
    }

    /// Seconds of sound that were transcribed in a second.
    pub fn rtfx(&self) -> Option<f64> {
        let took = self.e2el_ms().filter(|ms| *ms > 0.0)?;
        Some(self.audio_ms? as f64 / took)
    }

    /// `sent` - `planned`: waiting at the cap included.
    pub fn queue_delay_ms(&self) -> Option<f64> {
        self.timeline.queue_delay().map(ms)
    }

    /// What the load generator itself is guilty of.
    pub fn lateness_ms(&self) -> Option<f64> {
        self.timeline.lateness().map(ms)
    }

    /// 1000 / tpot.
    pub fn output_tps_per_user(&self) -> Option<f64> {
        self.tpot_ms().filter(|tpot| *tpot > 0.0).map(|tpot| 1e3 / tpot)
    }
}

/// Gaps longer than 5 x the median of `gaps` (one request's); none where the median is 0,
/// which says only that events shared reads.
pub fn stalls(gaps: &[f64]) -> Vec<f64> {
    if gaps.is_empty() {
        return Vec::new();
    }
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    gaps.iter().copied().filter(|gap| *gap > 5.0 * median && median > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_more_than_five_medians_is_a_stall() {
        assert_eq!(stalls(&[10.0, 10.0, 51.0, 10.0]), [51.0]);
        assert_eq!(stalls(&[10.0, 10.0, 50.0, 10.0]), [] as [f64; 0]);
        assert_eq!(stalls(&[0.0, 0.0, 3.0]), [] as [f64; 0]);
        assert_eq!(stalls(&[]), [] as [f64; 0]);
    }
}
