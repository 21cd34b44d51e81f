//! `TemplateReader`: reads the events of one reply, and most of them without parsing.
//!
//! The events of a stream are the same bytes around another word. Once one of them has been
//! parsed, and its word found, the next that has the same bytes around a plain word means the
//! same with another length. Anything else is parsed. At 16 tokens a write this is most of what
//! an event costs.

use super::api::Api;
use super::meaning::EventMeaning;
use super::{read_event, read_fault};
use crate::client::sse::Event;
use crate::record::{EventKind, Usage};

/// Events that may teach a template; a stream in which every event has something of its own
/// around the word (a random field, token ids) is parsed and costs what it costs.
const LESSONS: u32 = 4;

/// What stands around the word, and what an event of this form means.
#[derive(Debug, Clone)]
struct Template {
    /// The bytes before the word and those behind it.
    around: Box<[u8]>,
    before: usize,
    kind: EventKind,
    tokens: u32,
    usage: Usage,
    choices: u64,
}

/// Reads the events of one reply.
#[derive(Debug)]
pub struct TemplateReader {
    api: Api,
    template: Option<Template>,
    lessons: u32,
    word: String,
    /// Output came in pieces.
    streamed: bool,
}

impl TemplateReader {
    pub fn new(api: Api) -> TemplateReader {
        TemplateReader { api, template: None, lessons: LESSONS, word: String::new(), streamed: false }
    }

    /// The same as [`read_event`], but for an event named `error`, which is one whatever it says,
    /// and for a message that repeats what was streamed: it is no output again.
    pub fn read(&mut self, event: Event, text: Option<&mut String>) -> Result<EventMeaning, String> {
        let data = event.data;
        if event.fault {
            return Ok(read_fault(data));
        }
        if let Some(template) = &self.template
            && let Some(word) = template.word(data)
        {
            if let Some(text) = text {
                text.push_str(word);
            }
            return Ok(template.meaning_of(word));
        }
        self.word.clear();
        let teaches = self.lessons > 0;
        let wanted = teaches || text.is_some();
        let mut meaning = read_event(self.api, data, wanted.then_some(&mut self.word))?;
        if meaning.whole && self.streamed {
            meaning.silence();
            return Ok(meaning);
        }
        self.streamed |= !meaning.whole && meaning.kind.has(EventKind::OUTPUT);
        if let Some(text) = text {
            text.push_str(&self.word);
        }
        if teaches && plain(&meaning) {
            self.lessons -= 1;
            self.template = Template::learn(self.api, data, &self.word, &meaning);
            self.word = String::new();
        }
        Ok(meaning)
    }
}

/// An event that is one piece of output text of one choice, and nothing else.
fn plain(meaning: &EventMeaning) -> bool {
    let text = [EventKind::CONTENT, EventKind::REASONING].map(|kind| EventKind::CHOICES.with(kind));
    text.contains(&meaning.kind)
        && meaning.choices.count_ones() == 1
        && meaning.finishes.is_empty()
        && !meaning.whole
        && meaning.error.is_none()
}

impl Template {
    /// Takes an event apart, when its word stands in it once and as it is. That what was found
    /// is the word is then proved by parsing the same event around another one.
    fn learn(api: Api, data: &[u8], word: &str, meaning: &EventMeaning) -> Option<Template> {
        let quoted = format!("\"{word}\"");
        let data_text = std::str::from_utf8(data).ok()?;
        let at = data_text.find(&quoted)? + 1;
        if word.is_empty() || data_text[at..].contains(&quoted) {
            return None;
        }
        let (before, after) = (&data[..at], &data[at + word.len()..]);
        const PROOF: &str = "another word";
        let other = [before, PROOF.as_bytes(), after].concat();
        let &EventMeaning { kind, tokens, usage, choices, .. } = meaning;
        let around = [before, after].concat().into();
        let template = Template { around, before: at, kind, tokens, usage, choices };
        let mut text = String::new();
        let proven = read_event(api, &other, Some(&mut text)).ok()?;
        (text == PROOF && proven == template.meaning_of(PROOF)).then_some(template)
    }

    /// The word of an event of this form: plain text without escapes, not empty.
    fn word<'a>(&self, data: &'a [u8]) -> Option<&'a str> {
        let (before, after) = self.around.split_at(self.before);
        let word = data.strip_prefix(before)?.strip_suffix(after)?;
        let is_plain = word.iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\');
        if word.is_empty() || !is_plain { None } else { std::str::from_utf8(word).ok() }
    }

    fn meaning_of(&self, word: &str) -> EventMeaning {
        let bytes = super::meaning::length(word);
        let reasoning_bytes = if self.kind.has(EventKind::REASONING) { bytes } else { 0 };
        EventMeaning {
            kind: self.kind,
            tokens: self.tokens,
            bytes,
            reasoning_bytes,
            usage: self.usage,
            choices: self.choices,
            ..EventMeaning::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};

    const CHAT: &str =
        r#"{"id":"x","model":" the","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}]}"#;
    const TEXT: &str =
        r#"{"id":"y","choices":[{"index":0,"text":"@","logprobs":null,"finish_reason":null}],"usage":null}"#;

    fn plain(data: &[u8]) -> Event<'_> {
        Event { data, fault: false }
    }

    fn event(form: &str, word: &str) -> Vec<u8> {
        form.replace('@', word).into_bytes()
    }

    #[test]
    fn any_stream_means_the_same_with_and_without_templates() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let words = [
            " the",
            "a",
            "é",
            "日本",
            "\\n",
            "\\\"",
            "\\u00e9",
            "",
            "\"",
            "\\",
            " the\",\"x\":\"",
            "\u{1}",
            "x",
            "y",
            "null",
        ];
        let forms = [
            CHAT,
            TEXT,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"@"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"@","role":"assistant"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"text":"@","finish_reason":null}],"usage":{"completion_tokens":3}}"#,
            r#"{"error":{"message":"@"}}"#,
            r#"{"choices":[],"note":"@"}"#,
            "[DONE]",
        ];
        for _ in 0..2_000 {
            let mut reader = TemplateReader::new(Api::Chat);
            let (mut with, mut without) = (String::new(), String::new());
            let form = forms.choose(&mut rng).expect("forms");
            for _ in 0..rng.random_range(1..12) {
                let form = if rng.random_bool(0.8) { form } else { forms.choose(&mut rng).expect("forms") };
                let data = event(form, words.choose(&mut rng).expect("words"));
                let shown = String::from_utf8_lossy(&data).into_owned();
                let quick = reader.read(plain(&data), Some(&mut with));
                let slow = read_event(Api::Chat, &data, Some(&mut without));
                assert_eq!(quick.is_ok(), slow.is_ok(), "{shown}");
                if let (Ok(quick), Ok(slow)) = (quick, slow) {
                    assert_eq!(quick, slow, "{shown}");
                    assert_eq!(with, without, "{shown}");
                }
            }
        }
    }

    #[test]
    fn the_second_event_of_a_form_is_not_parsed() {
        let mut reader = TemplateReader::new(Api::Completions);
        reader.read(plain(&event(TEXT, " one")), None).expect("reads");
        let template = reader.template.clone().expect("learnt from one event");
        assert_eq!(template.word(&event(TEXT, " two")), Some(" two"));
        assert_eq!(template.word(&event(TEXT, "a\\n")), None);
        assert_eq!(template.word(&event(TEXT, "")), None);
        let (before, after) = template.around.split_at(template.before);
        let cut = [before, &[0xff], after].concat();
        assert_eq!(template.word(&cut), None, "no text");
    }

    #[test]
    fn a_word_that_stands_twice_teaches_nothing() {
        let mut reader = TemplateReader::new(Api::Chat);
        reader.read(plain(&event(CHAT, " the")), None).expect("reads");
        assert!(reader.template.is_none(), "the model has that name");
        reader.read(plain(&event(CHAT, " a")), None).expect("reads");
        assert!(reader.template.is_some());
    }

    #[test]
    fn a_stream_without_a_form_is_parsed_after_a_few_lessons() {
        let mut reader = TemplateReader::new(Api::Chat);
        for i in 0..20 {
            let data = event(CHAT, " a").to_vec();
            let data = String::from_utf8(data).expect("text").replace("\"x\"", &format!("\"x{i}\""));
            assert_eq!(reader.read(plain(data.as_bytes()), None).expect("reads").bytes, 2);
        }
        assert_eq!(reader.lessons, 0);
    }
}
