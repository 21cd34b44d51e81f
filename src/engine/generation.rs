//! `Generation`: what a generation will be, decided when it arrives.

use crate::engine::Config;
use crate::engine::config::FailKind;
use crate::engine::generation_request::GenerationRequest;
use crate::engine::text::GenerationEnd;

/// See the file's head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Generation {
    /// Tokens in all; with [`GenerationEnd::Stop`] the last is the end-of-text token.
    pub tokens: u32,
    finish: GenerationEnd,
    pub fail: Option<FailKind>,
    /// Tokens per unpaced write; 0: paced.
    pub burst: u32,
    /// The stream opens with an event that carries only the role.
    pub role_chunk: bool,
}

/// What happens at a deadline of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is broken off, as its [`FailKind`] says.
    BreakOff,
    /// All tokens that are left come at once.
    Burst,
    /// Its next token is made.
    Token,
}

impl Generation {
    /// The course of generation `number` (the first is 1); the same number always ends alike.
    pub fn new(ask: &GenerationRequest, config: &Config, number: u64) -> Self {
        let text_tokens = match config.eos {
            eos if eos > 0.0 && !ask.ignore_eos => {
                ask.min_tokens.saturating_add(tokens_before_end(eos, number))
            }
            _ => u32::MAX,
        };
        let (tokens, finish) = match text_tokens < ask.max_tokens {
            true => (text_tokens + 1, GenerationEnd::Stop),
            false => (ask.max_tokens, GenerationEnd::Length),
        };
        Generation {
            tokens,
            finish,
            fail: config.fail.filter(|fail| fail.hits(number)).map(|fail| fail.kind),
            burst: if ask.stream { config.burst } else { 0 },
            role_chunk: ask.chat && config.role_chunk,
        }
    }

    pub fn tokens_with_text(&self) -> u32 {
        self.tokens - u32::from(self.finish == GenerationEnd::Stop)
    }

    /// The reason that the reply gives for its end, if it gives one.
    pub fn finish(&self) -> Option<GenerationEnd> {
        (self.fail != Some(FailKind::NoFinish)).then_some(self.finish)
    }

    /// What the next deadline does, when so many tokens have been made.
    pub fn step(&self, made: u32) -> Step {
        match self.broken_at() {
            Some(at) if at == made => Step::BreakOff,
            _ if self.burst > 0 => Step::Burst,
            _ => Step::Token,
        }
    }

    /// The reason for its end that the event of token `index` tells.
    pub fn finish_at(&self, index: u32) -> Option<GenerationEnd> {
        self.finish().filter(|_| index + 1 == self.tokens)
    }

    /// After how many tokens the generation is broken off.
    pub fn broken_at(&self) -> Option<u32> {
        let breaks = matches!(self.fail, Some(FailKind::ErrorEvent | FailKind::Cut | FailKind::Stall));
        breaks.then_some(self.tokens / 2)
    }
}

/// How many tokens come before one that ends the text with probability `eos`: a geometric draw.
fn tokens_before_end(eos: f64, number: u64) -> u32 {
    // SplitMix64: good bits out of a plain counter.
    let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    let uniform = (bits >> 11) as f64 / (1u64 << 53) as f64;
    ((1.0 - uniform).ln() / (1.0 - eos).ln()).floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse;

    fn ask(body: &str) -> GenerationRequest {
        GenerationRequest::read(false, body.as_bytes(), &Config::default()).unwrap()
    }

    #[test]
    fn without_an_end_of_text_a_generation_has_all_its_tokens() {
        let ask = ask(r#"{"prompt":"a","max_tokens":5}"#);
        let course = Generation::new(&ask, &Config::default(), 1);
        assert_eq!((course.tokens, course.tokens_with_text()), (5, 5));
        assert_eq!(course.finish(), Some(GenerationEnd::Length));
    }

    #[test]
    fn early_ends_have_the_length_that_their_probability_says() {
        let config = parse("eos=0.1").unwrap();
        let ask = ask(r#"{"prompt":"a","max_tokens":1000,"min_tokens":20}"#);
        let courses: Vec<Generation> =
            (1..=10_000).map(|number| Generation::new(&ask, &config, number)).collect();
        assert!(
            courses.iter().all(|course| course.tokens > 20 && course.finish() == Some(GenerationEnd::Stop))
        );
        let mean = courses.iter().map(|course| f64::from(course.tokens_with_text() - 20)).sum::<f64>() / 1e4;
        // A geometric number has the mean (1 - p) / p = 9; its mean over 10,000 has a spread of 0.1.
        assert!((mean - 9.0).abs() < 0.4, "{mean}");
        let certain = Generation::new(&ask, &parse("eos=1").unwrap(), 3);
        assert_eq!((certain.tokens, certain.tokens_with_text()), (21, 20));
    }

    #[test]
    fn ignore_eos_wins() {
        let ask = ask(r#"{"prompt":"a","max_tokens":5,"ignore_eos":true}"#);
        assert_eq!(Generation::new(&ask, &parse("eos=1").unwrap(), 1).tokens, 5);
    }

    #[test]
    fn a_broken_generation_breaks_at_half_of_its_tokens() {
        let config = parse("fail=cut:0.5").unwrap();
        let ask = ask(r#"{"prompt":"a","max_tokens":9}"#);
        let broken: Vec<Option<u32>> =
            (1..=4).map(|number| Generation::new(&ask, &config, number).broken_at()).collect();
        assert_eq!(broken, [None, Some(4), None, Some(4)]);
        let nameless = Generation::new(&ask, &parse("fail=no_finish:1").unwrap(), 1);
        assert_eq!((nameless.broken_at(), nameless.finish()), (None, None));
    }
}
