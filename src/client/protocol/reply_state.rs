//! `ReplyState`: adds the meanings of one reply up, and says how the request ended.

use super::api::Api;
use super::finish::FinishReason;
use super::meaning::EventMeaning;
use super::usage;
use crate::record::{EventKind, Outcome, Seen, Usage};

/// What one reply has said so far.
#[derive(Debug, Clone)]
pub struct ReplyState {
    api: Api,
    events: u32,
    /// Events with output, and the bytes of their text.
    outputs: u32,
    bytes: u64,
    done: bool,
    error: Option<String>,
    broken: Option<String>,
    /// Of the choice with the lowest index.
    finish: Option<(u32, String)>,
    /// The first reason that is no good one.
    bad: Option<(FinishReason, String)>,
    choices: Vec<Choice>,
    /// Usage in events without choices: how many told something, the latest, and their sum.
    apart: u32,
    apart_last: Usage,
    apart_sum: Usage,
    /// The latest usage came without choices.
    apart_latest: bool,
}

/// What is known of one choice.
#[derive(Debug, Clone, Default)]
struct Choice {
    index: u32,
    finished: bool,
    /// The latest usage that came in an event of this choice.
    usage: Usage,
    /// An event with output had no usage, so that usage does not count event by event.
    gap: bool,
}

/// How a request ended, as far as its bytes tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyEnd {
    pub outcome: Outcome,
    /// Why it is no success: the server's words, or ours.
    pub error: Option<String>,
    /// The `finish_reason` of the first choice, as the server said it.
    pub finish: Option<String>,
    pub usage: Usage,
}

/// Most choices of a reply that are told apart: no server makes more, but one that counts its
/// index up for ever would cost more and more.
const CHOICES_MAX: usize = 1024;

impl ReplyState {
    pub fn new(api: Api) -> Self {
        ReplyState {
            api,
            events: 0,
            outputs: 0,
            bytes: 0,
            done: false,
            error: None,
            broken: None,
            finish: None,
            bad: None,
            choices: Vec::new(),
            apart: 0,
            apart_last: Usage::default(),
            apart_sum: Usage::default(),
            apart_latest: false,
        }
    }

    /// Adds one event, or the one meaning of a reply that was not streamed. Gives the output
    /// tokens that it carried, 0 when nothing tells: by its own word, or by how far usage went
    /// on since the choice's last event, provided that usage comes with every output event.
    pub fn add(&mut self, meaning: &EventMeaning) -> u32 {
        self.events = self.events.saturating_add(1);
        self.outputs = self.outputs.saturating_add(meaning.kind.has(EventKind::OUTPUT).into());
        self.bytes += u64::from(meaning.bytes);
        self.done |= meaning.kind.has(EventKind::DONE);
        if self.error.is_none() {
            self.error.clone_from(&meaning.error);
        }
        self.see(meaning);
        for (index, reason) in &meaning.finishes {
            self.finished(*index, reason);
        }
        let counted = self.usage(meaning);
        if meaning.tokens > 0 { meaning.tokens } else { counted }
    }

    /// An event, or the whole reply, could not be read.
    pub fn broken(&mut self, why: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(why.into());
        }
    }

    /// Why the reply can come to nothing any more, whatever follows: bytes that could not be read.
    pub fn beyond_repair(&self) -> Option<&str> {
        self.broken.as_deref().filter(|_| self.error.is_none() && self.bad.is_none())
    }

    /// Bytes of output text so far.
    pub fn text_bytes(&self) -> u64 {
        self.bytes
    }

    /// What counts are held against.
    pub fn seen(&self, request_bytes: u64, asked: u32) -> Seen {
        Seen { request_bytes, allowed: asked.into(), outputs: self.outputs.into(), text_bytes: self.bytes }
    }

    /// All has been said: an error, or `[DONE]` with a reason for each choice that spoke. A server
    /// may keep the body open all the same.
    pub fn complete(&self) -> bool {
        let finished = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished);
        self.error.is_some() || self.done && (finished || self.bad.is_some())
    }

    /// The end. `clean_end`: every byte of the body arrived. `asked`: the most tokens that the
    /// reply might have. `streamed` words the error only. The status is 2xx: any other is a
    /// failure that no body can make good.
    pub fn outcome(&self, clean_end: bool, asked: u32, streamed: bool) -> ReplyEnd {
        let (outcome, error) = self.judge(clean_end, asked, if streamed { "stream" } else { "reply" });
        ReplyEnd {
            outcome,
            error,
            finish: self
                .finish
                .as_ref()
                .map(|(_, reason)| reason.clone())
                .filter(|reason| !reason.is_empty()),
            usage: self.total(),
        }
    }

    /// Neither a clean end nor `[DONE]` makes a success, and `[DONE]` may be missing from one:
    /// vLLM sends it after an error, transformers never does, and llama-cpp-python sends it
    /// when it gives a request up.
    fn judge(&self, clean_end: bool, asked: u32, what: &str) -> (Outcome, Option<String>) {
        if let Some(words) = &self.error {
            let said = if words.is_empty() { "an error without a word" } else { words };
            return (Outcome::ServerError, Some(said.to_string()));
        }
        match &self.bad {
            Some((FinishReason::Filtered, reason)) => {
                let words = format!("a filter ended the {what}: finish reason {reason:?}");
                return (Outcome::ContentFilter, Some(words));
            }
            Some((_, reason)) => {
                return (Outcome::Aborted, Some(format!("the server gave up: finish reason {reason:?}")));
            }
            None => {}
        }
        if !clean_end {
            let after = if self.done { " after [DONE]" } else { "" };
            return (
                Outcome::Truncated,
                Some(format!("the {what} was cut off{after}: the body has no proper end")),
            );
        }
        if let Some(why) = &self.broken {
            return (Outcome::Protocol, Some(why.clone()));
        }
        if self.events == u32::from(self.done) {
            return (Outcome::Unfinished, Some(format!("the {what} ended without a single event")));
        }
        let open = self.choices.iter().find(|choice| !choice.finished);
        match open {
            _ if self.api == Api::TensorRt || self.api == Api::Audio && self.done => (Outcome::Success, None),
            Some(choice) if self.choices.len() > 1 => {
                let words = format!("the {what} ended without a finish reason for choice {}", choice.index);
                (Outcome::Unfinished, Some(words))
            }
            None if !self.choices.is_empty() => (Outcome::Success, None),
            _ if self.full(asked) => (Outcome::Success, None),
            _ => (Outcome::Unfinished, Some(format!("the {what} ended without a finish reason"))),
        }
    }

    /// A server that never names a reason still shows that it was done: it said `[DONE]`, and
    /// counted as many tokens as it might make.
    fn full(&self, asked: u32) -> bool {
        self.done && asked > 0 && self.total().output == Some(asked)
    }

    /// Usage for the whole request, the latest that says something. Servers differ with several
    /// choices: vLLM sends one usage for all at the end, llama.cpp one for each choice, in an event
    /// without choices (chat) or in the choice's last event (completions), and continuous usage
    /// counts each choice by itself until the total comes.
    fn total(&self) -> Usage {
        let each = self.choices.iter().map(|choice| choice.usage).fold(Usage::default(), usage::sum);
        let one_each = self.apart > 1 && self.apart as usize == self.choices.len();
        let apart = if one_each { self.apart_sum } else { self.apart_last };
        match self.apart_latest {
            true => usage::over(apart, each),
            false => usage::over(each, apart),
        }
    }

    fn see(&mut self, meaning: &EventMeaning) {
        let mut rest = meaning.choices;
        while rest != 0 {
            self.choice(rest.trailing_zeros());
            rest &= rest - 1;
        }
        for index in &meaning.choices_beyond {
            self.choice(*index);
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None if self.choices.len() == CHOICES_MAX => {
                self.broken(format!("the reply has more than {CHOICES_MAX} choices"));
                CHOICES_MAX - 1
            }
            None => {
                // One, for nearly every reply.
                self.choices.reserve_exact(1);
                self.choices.push(Choice { index, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }

    fn finished(&mut self, index: u32, reason: &str) {
        self.choice(index).finished = true;
        let finish = FinishReason::of(reason);
        if self.bad.is_none() && matches!(finish, FinishReason::Badly | FinishReason::Filtered) {
            self.bad = Some((finish, reason.to_string()));
        }
        if self.finish.as_ref().is_none_or(|(first, _)| index < *first) {
            self.finish = Some((index, reason.to_string()));
        }
    }

    /// Takes the usage of an event; gives by how many tokens it went on.
    fn usage(&mut self, meaning: &EventMeaning) -> u32 {
        let has_usage = meaning.kind.has(EventKind::USAGE);
        let several = meaning.choices.count_ones() as usize + meaning.choices_beyond.len();
        if several == 0 {
            if has_usage {
                self.apart += u32::from(meaning.usage.output.is_some_and(|n| n > 0));
                self.apart_last = usage::over(meaning.usage, self.apart_last);
                self.apart_sum = usage::sum(self.apart_sum, meaning.usage);
                self.apart_latest = true;
            }
            return 0;
        }
        let index = match meaning.choices {
            0 => meaning.choices_beyond[0],
            choices => choices.trailing_zeros(),
        };
        let choice = self.choice(index);
        if !has_usage {
            choice.gap |= meaning.kind.has(EventKind::OUTPUT);
            return 0;
        }
        let before = choice.usage.output.unwrap_or(0);
        choice.usage = usage::over(meaning.usage, choice.usage);
        let gap = choice.gap;
        self.apart_latest = false;
        if several > 1 || gap {
            return 0;
        }
        meaning.usage.output.map_or(0, |output| output.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::protocol::{read_event, read_reply};

    /// The verdict over a chat stream, and the tokens that each event carried.
    fn told(events: &[&str], clean_end: bool) -> (ReplyEnd, Vec<u32>) {
        let mut tally = ReplyState::new(Api::Chat);
        let tokens = events
            .iter()
            .map(|data| tally.add(&read_event(Api::Chat, data.as_bytes(), None).expect("an event")))
            .collect();
        (tally.outcome(clean_end, 0, true), tokens)
    }

    fn judged(events: &[&str], clean_end: bool) -> (Outcome, Option<String>) {
        let (verdict, _) = told(events, clean_end);
        (verdict.outcome, verdict.error)
    }

    const RED: &str = r#"{"choices":[{"index":0,"delta":{"content":"red"},"finish_reason":null}]}"#;
    const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    const DONE: &str = "[DONE]";

    #[test]
    fn a_finish_reason_and_a_clean_end_make_a_success_with_or_without_done() {
        assert_eq!(judged(&[RED, STOP, DONE], true), (Outcome::Success, None));
        assert_eq!(judged(&[RED, STOP], true), (Outcome::Success, None));
        assert_eq!(told(&[RED, STOP], true).0.finish.as_deref(), Some("stop"));
    }

    #[test]
    fn done_is_no_success_when_there_was_an_error() {
        for (event, words) in [
            (r#"{"error":{"message":"queue full","type":"x","code":503}}"#, "queue full"),
            (r#"{"error":"max_tokens must be above 0"}"#, "max_tokens must be above 0"),
            (r#"{"object":"error","message":"engine died"}"#, "engine died"),
            (r#"{"detail":"gone"}"#, "gone"),
            (r#"{"error":{}}"#, "{}"),
        ] {
            let expected = (Outcome::ServerError, Some(words.to_string()));
            assert_eq!(judged(&[RED, STOP, event, DONE], true), expected);
            assert_eq!(judged(&[event], false), expected);
        }
        assert_eq!(judged(&[r#"{"error":null,"choices":[]}"#, RED, STOP], true).0, Outcome::Success);
    }

    #[test]
    fn done_is_no_success_without_a_finish_reason() {
        let words = Some("the stream ended without a finish reason".to_string());
        assert_eq!(judged(&[RED, DONE], true), (Outcome::Unfinished, words));
        for events in [[].as_slice(), &[DONE]] {
            let words = Some("the stream ended without a single event".to_string());
            assert_eq!(judged(events, true), (Outcome::Unfinished, words));
        }
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        assert_eq!(judged(&[usage, DONE], true).0, Outcome::Unfinished);
        let empty_reason = r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
        assert_eq!(judged(&[RED, empty_reason], true).0, Outcome::Unfinished);
    }

    #[test]
    fn a_body_that_was_cut_off_is_no_success_whatever_came_before() {
        assert_eq!(judged(&[RED], false).0, Outcome::Truncated);
        let words = "the stream was cut off after [DONE]: the body has no proper end";
        assert_eq!(judged(&[RED, STOP, DONE], false), (Outcome::Truncated, Some(words.to_string())));
    }

    #[test]
    fn a_server_that_gave_up_is_no_success() {
        for (reason, outcome) in [
            ("abort", Outcome::Aborted),
            ("failed", Outcome::Aborted),
            ("timeout", Outcome::Aborted),
            ("anything else", Outcome::Aborted),
            ("content_filter", Outcome::ContentFilter),
            ("length", Outcome::Success),
        ] {
            let ended = STOP.replace("stop", reason);
            assert_eq!(judged(&[RED, &ended, DONE], true).0, outcome, "{reason}");
        }
    }

    #[test]
    fn bytes_that_could_not_be_read_are_no_success() {
        let mut tally = ReplyState::new(Api::Chat);
        tally.add(&read_event(Api::Chat, STOP.as_bytes(), None).expect("an event"));
        tally.broken("no JSON");
        let verdict = tally.outcome(true, 0, true);
        assert_eq!((verdict.outcome, verdict.error.as_deref()), (Outcome::Protocol, Some("no JSON")));
    }

    #[test]
    fn a_full_reply_needs_no_finish_reason() {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        let judge = |events: &[&str], asked| {
            let mut tally = ReplyState::new(Api::Chat);
            for data in events {
                tally.add(&read_event(Api::Chat, data.as_bytes(), None).expect("an event"));
            }
            tally.outcome(true, asked, true).outcome
        };
        assert_eq!(judge(&[RED, RED, usage, DONE], 2), Outcome::Success);
        assert_eq!(judge(&[RED, RED, usage, DONE], 3), Outcome::Unfinished, "it might have gone on");
        assert_eq!(judge(&[RED, RED, usage], 2), Outcome::Unfinished, "not even [DONE]");
        assert_eq!(judge(&[RED, RED, DONE], 2), Outcome::Unfinished, "nobody has counted");
    }

    #[test]
    fn every_choice_must_finish() {
        let stop = STOP.replace("\"index\":0", "\"index\":1");
        let (verdict, _) = told(&[RED, &stop, DONE], true);
        assert_eq!(verdict.outcome, Outcome::Unfinished);
        assert_eq!(verdict.error.as_deref(), Some("the stream ended without a finish reason for choice 0"));
        let length = STOP.replace("stop", "length");
        let (verdict, _) = told(&[RED, &stop, &length, DONE], true);
        assert_eq!((verdict.outcome, verdict.finish.as_deref()), (Outcome::Success, Some("length")));
    }

    #[test]
    fn usage_without_any_text_is_a_success() {
        let usage = r#"{"choices":[],"usage":{"completion_tokens":1,"prompt_tokens":1231,"prompt_tokens_details":{"cached_tokens":24}}}"#;
        let (verdict, _) = told(&[STOP, usage, DONE], true);
        assert_eq!(verdict.outcome, Outcome::Success);
        let expected = Usage { input: Some(1231), output: Some(1), cached: Some(24), reasoning: None };
        assert_eq!(verdict.usage, expected);
    }

    #[test]
    fn a_count_that_is_none_is_not_told_and_costs_no_reply() {
        for (count, told) in [
            ("10.0", Some(10)),
            ("7", Some(7)),
            ("-1", None),
            ("5.5", None),
            ("1e300", None),
            ("4294967296", None),
            ("null", None),
            ("\"5\"", Some(5)),
            ("\"five\"", None),
        ] {
            let usage = format!(
                r#"{{"choices":[],"usage":{{"prompt_tokens":{count},"completion_tokens":{count}}}}}"#
            );
            let (verdict, _) = self::told(&[RED, STOP, &usage, DONE], true);
            assert_eq!(verdict.outcome, Outcome::Success, "{count}");
            assert_eq!((verdict.usage.input, verdict.usage.output), (told, told), "{count}");
        }
    }

    fn choice(index: u32, content: &str, finish: &str, usage: &str) -> String {
        format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"{content}"}},"finish_reason":{finish}}}]{usage}}}"#
        )
    }

    fn apart(output: u32) -> String {
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":34,"completion_tokens":{output}}}}}"#)
    }

    fn output(events: &[String]) -> (Option<u32>, Option<u32>) {
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let (verdict, _) = told(&events, true);
        assert_eq!(verdict.outcome, Outcome::Success);
        (verdict.usage.input, verdict.usage.output)
    }

    #[test]
    fn usage_of_two_choices_is_the_same_however_the_server_sends_it() {
        let stop = "\"stop\"";
        let both = (Some(34), Some(8));
        // One for all, at the end.
        assert_eq!(output(&[choice(0, "a", stop, ""), choice(1, "b", stop, ""), apart(8)]), both);
        // One a choice, the first while the other is still running.
        assert_eq!(output(&[choice(0, "a", stop, ""), apart(4), choice(1, "b", stop, ""), apart(4)]), both);
        // In the last event of each choice.
        let four = r#","usage":{"prompt_tokens":34,"completion_tokens":4}"#;
        assert_eq!(output(&[choice(0, "a", stop, four), choice(1, "b", stop, four)]), both);
        // With every event, each choice by itself, and the total at the end.
        let two = r#","usage":{"prompt_tokens":34,"completion_tokens":2}"#;
        let events = [
            choice(0, "a", "null", two),
            choice(1, "a", "null", two),
            choice(0, "b", stop, four),
            choice(1, "b", stop, four),
        ];
        assert_eq!(output(&events), both);
        assert_eq!(output(&[events.as_slice(), &[apart(8)]].concat()), both);
    }

    #[test]
    fn successive_usages_without_choices_of_a_single_choice_are_not_added_up() {
        assert_eq!(output(&[choice(0, "a", "\"stop\"", ""), apart(4), apart(8)]), (Some(34), Some(8)));
    }

    #[test]
    fn continuous_usage_tells_the_tokens_of_each_event() {
        let usage = |n: u32| format!(r#","usage":{{"completion_tokens":{n}}}"#);
        let events = [
            choice(0, "", "null", &usage(0)),
            choice(0, "two words", "null", &usage(2)),
            choice(1, "one", "null", &usage(1)),
            choice(0, " more", "null", &usage(5)),
            choice(0, "", "\"stop\"", &usage(6)),
            choice(1, "", "\"stop\"", &usage(1)),
            apart(7),
        ];
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        assert_eq!(told(&events, true).1, [0, 2, 1, 3, 1, 0, 0]);
    }

    #[test]
    fn usage_in_the_last_event_alone_does_not_tell_the_tokens_of_that_event() {
        let usage = r#","usage":{"completion_tokens":12}"#;
        let last = choice(0, "b", "\"stop\"", usage);
        let (verdict, tokens) = told(&[RED, &last], true);
        assert_eq!((verdict.usage.output, tokens), (Some(12), vec![0, 0]));
    }

    #[test]
    fn token_ids_and_log_probabilities_tell_the_tokens_of_an_event() {
        let ids = r#"{"choices":[{"index":0,"delta":{"content":"a"},"token_ids":[5,6],"logprobs":{"content":[{}]}}]}"#;
        let logprobs =
            r#"{"choices":[{"index":0,"text":"a","logprobs":{"tokens":["a","b","c"],"top_logprobs":[]}}]}"#;
        assert_eq!(told(&[RED, ids, logprobs], true).1, [0, 2, 3]);
    }

    #[test]
    fn the_end_of_a_tensorrt_stream_is_its_only_finish() {
        let mut tally = ReplyState::new(Api::TensorRt);
        assert_eq!(tally.outcome(true, 0, true).outcome, Outcome::Unfinished);
        tally.add(&read_event(Api::TensorRt, br#"{"text_output":"red"}"#, None).expect("an event"));
        assert_eq!(tally.outcome(true, 0, true).outcome, Outcome::Success);
        assert_eq!(tally.outcome(false, 0, true).outcome, Outcome::Truncated);
        tally.add(&read_event(Api::TensorRt, br#"{"error":"too long"}"#, None).expect("an event"));
        assert_eq!(tally.outcome(true, 0, true).outcome, Outcome::ServerError);
    }

    #[test]
    fn a_whole_reply_is_judged_by_the_same_rules() {
        let judge = |api, body: &str| {
            let mut tally = ReplyState::new(api);
            tally.add(&read_reply(api, body.as_bytes(), None).expect("a reply"));
            let verdict = tally.outcome(true, 0, false);
            (verdict.outcome, verdict.finish, verdict.usage.output)
        };
        let chat = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"red"},"finish_reason":"length"}],"usage":{"completion_tokens":4}}"#;
        assert_eq!(judge(Api::Chat, chat), (Outcome::Success, Some("length".into()), Some(4)));
        let two = r#"{"choices":[{"index":0,"text":"a","finish_reason":"stop"},{"index":1,"text":"b","finish_reason":null}],"usage":{"completion_tokens":8}}"#;
        assert_eq!(judge(Api::Completions, two), (Outcome::Unfinished, Some("stop".into()), Some(8)));
        assert_eq!(judge(Api::Completions, r#"{"text":["red"]}"#), (Outcome::Success, None, None));
        assert_eq!(judge(Api::Tgi, r#"{"generated_text":"red"}"#), (Outcome::Success, None, None));
        assert_eq!(judge(Api::Chat, r#"{"detail":"gone"}"#).0, Outcome::ServerError);
    }
}
