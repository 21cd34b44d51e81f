//! `Sonnet`: prompts of whole lines of a text file, the first of them the same in each.

use super::draw::Draw;
use super::{Extra, TOKENS_MAX};
use crate::record::{Prompt, Request};
use crate::tokens::Tokens;
use rand::Rng;
use std::sync::Arc;

/// One line and what it counts, its line break included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoemLine {
    pub text: String,
    /// By the tokenizer, else words.
    pub tokens: u32,
}

/// An instruction, the first lines of the file up to `prefix` tokens, then random lines up to
/// the whole number of lines that comes nearest to `input` tokens.
#[derive(Debug, Clone)]
pub struct Sonnet {
    pub class: Arc<str>,
    pub lines: Arc<Vec<PoemLine>>,
    pub input: u32,
    /// Part of `input`.
    pub prefix: u32,
    pub output: u32,
    pub extra: Extra,
    pub tokens: Arc<Tokens>,
}

const TASK: &str = "Here are some lines of a poem. Go on in the same style.";

impl PoemLine {
    /// A line, counted.
    pub fn new(text: &str, tokens: &Tokens) -> Self {
        let counted = tokens.count(&[text, "\n"].concat());
        PoemLine { text: text.into(), tokens: counted.unwrap_or_else(|| words(text)) }
    }
}

/// What a text counts without a tokenizer.
pub(super) fn words(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

impl Sonnet {
    pub(super) fn check(&self) -> Result<(), String> {
        let task = PoemLine::new(TASK, &self.tokens).tokens;
        match self {
            Sonnet { lines, .. } if lines.iter().all(|line| line.tokens == 0) => {
                Err("a sonnet needs at least one line with text".into())
            }
            Sonnet { output: 0, .. } => Err("output: a length must be at least 1 token, got 0".into()),
            Sonnet { input, .. } if *input <= task => {
                Err(format!("input: the instruction alone takes {task} tokens, got {input}"))
            }
            Sonnet { input, output, .. } if *input.max(output) > TOKENS_MAX => {
                Err(format!("a length must be at most {TOKENS_MAX} tokens, got {}", input.max(output)))
            }
            Sonnet { input, prefix, .. } if prefix > input => {
                Err(format!("prefix: it is part of the {input} input tokens, got {prefix}"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn request(&self, draw: &Draw) -> Request {
        let text = self.text(&mut draw.salted("lines").at(draw.seq));
        Request {
            seq: draw.seq,
            session: draw.seq,
            turn: 0,
            class: self.class.clone(),
            asked_input: Some(self.input),
            counted_input: self.tokens.count(&text),
            prompt: Prompt::Text(text),
            max_tokens: self.output,
            synthetic: false,
            forced_length: false,
            extra: self.extra.clone(),
            headers: Vec::new(),
            leave: None,
        }
    }

    fn text(&self, rng: &mut impl Rng) -> String {
        let task = PoemLine::new(TASK, &self.tokens);
        let (mut text, mut tokens) = (String::new(), 0u32);
        let mut add = |line: &PoemLine| {
            text.push_str(&line.text);
            text.push('\n');
            tokens = tokens.saturating_add(line.tokens);
            tokens
        };
        let mut sum = add(&task);
        for line in self.lines.iter() {
            if sum.saturating_add(line.tokens) > self.prefix {
                break;
            }
            sum = add(line);
        }
        loop {
            let line = &self.lines[rng.random_range(0..self.lines.len())];
            // A line that would end further beyond the goal than the text is before it stays out.
            if sum.saturating_add(line.tokens / 2) >= self.input {
                return text;
            }
            sum = add(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;
    use crate::workload::Workload;
    use crate::workload::testing::{requests, text, traffic};

    fn sonnet(tokens: Tokens) -> Sonnet {
        let line =
            |n: usize| PoemLine::new(["the sun", "a moon on the sea", "old stars and new"][n % 3], &tokens);
        Sonnet {
            class: "poem".into(),
            lines: Arc::new((0..12).map(line).collect()),
            input: 100,
            prefix: 60,
            output: 20,
            extra: None,
            tokens: Arc::new(tokens),
        }
    }

    #[test]
    fn prompts_come_near_to_the_asked_length_and_share_their_first_lines() {
        for tokens in [Tokens::Words, sample::byte_level()] {
            let sonnet = sonnet(tokens);
            let requests = requests(&Workload::Sonnet(sonnet.clone()), &traffic("a", 0), 20);
            let count = |text: &str| sonnet.tokens.count(text).unwrap_or_else(|| words(text));
            for request in &requests {
                assert!(count(text(request)).abs_diff(100) <= 3, "{}", count(text(request)));
                assert_eq!(request.asked_input, Some(100));
                assert_eq!(request.counted_input, sonnet.tokens.count(text(request)));
            }
            let (first, second) = (text(&requests[0]), text(&requests[1]));
            let same = first.lines().zip(second.lines()).take_while(|(a, b)| a == b).map(|(a, _)| a);
            let shared = count(&same.collect::<Vec<_>>().join("\n"));
            assert!((54..100).contains(&shared), "{shared}");
        }
    }

    #[test]
    fn a_bad_sonnet_is_named_in_a_sentence() {
        let check = |change: fn(&mut Sonnet)| {
            let mut sonnet = sonnet(Tokens::Words);
            change(&mut sonnet);
            sonnet.check().expect_err("bad")
        };
        assert_eq!(check(|s| s.lines = Arc::default()), "a sonnet needs at least one line with text");
        assert_eq!(check(|s| s.input = 13), "input: the instruction alone takes 13 tokens, got 13");
        assert_eq!(check(|s| s.prefix = 101), "prefix: it is part of the 100 input tokens, got 101");
    }
}
