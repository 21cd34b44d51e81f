//! `Prompts`: random words of given lengths, with or without a shared prefix.

use super::draw::Draw;
use super::{AskedSize, Extra, Length, TOKENS_MAX};
use crate::record::{Prompt, Request};
use crate::tokens::{MadeText, Tokens};
use rand::Rng;
use std::sync::Arc;

/// Text shared by the requests of one group, in front of each prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prefix {
    /// Tokens on top of the prompt's own.
    pub tokens: u32,
    /// Number of different prefixes; a request takes one at random.
    pub groups: u32,
}

/// Random words of given lengths.
#[derive(Debug, Clone)]
pub struct Prompts {
    pub class: Arc<str>,
    /// Tokens of the prompt without its prefix.
    pub input: Length,
    pub output: Length,
    pub prefix: Option<Prefix>,
    /// Body fields of each request (temperature, model of a LoRA, ...).
    pub extra: Extra,
    pub tokens: Arc<Tokens>,
}

impl Prefix {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Prefix { tokens: 0, .. } => {
                Err("it must be at least 1 token, got 0 (leave it out for none)".into())
            }
            Prefix { tokens, .. } if *tokens > TOKENS_MAX => {
                Err(format!("it must be at most {TOKENS_MAX} tokens, got {tokens}"))
            }
            Prefix { groups: 0, .. } => Err("it needs at least 1 group, got 0".into()),
            _ => Ok(()),
        }
    }

    /// That of the group that a request falls into.
    pub(super) fn text(&self, draw: &Draw, tokens: &Tokens) -> Arc<MadeText> {
        let group = draw.rng("groups").random_range(0..self.groups);
        tokens.shared(self.tokens, &mut draw.salted("prefix").at(u64::from(group)))
    }
}

impl Prompts {
    pub(super) fn check(&self) -> Result<(), String> {
        self.input.check().map_err(|problem| format!("input: {problem}"))?;
        self.output.check().map_err(|problem| format!("output: {problem}"))?;
        let prefix = self.prefix.as_ref().map_or(Ok(()), Prefix::check);
        prefix.map_err(|problem| format!("prefix: {problem}"))
    }

    /// Tokens of the prompt without its prefix, and of the reply.
    fn lengths(&self, draw: &Draw) -> (u32, u32) {
        let rng = &mut draw.rng("lengths");
        (self.input.sample(rng), self.output.sample(rng))
    }

    pub(super) fn asked(&self, draw: &Draw) -> AskedSize {
        let (input, output) = self.lengths(draw);
        let prefix = self.prefix.as_ref().map_or(0, |prefix| prefix.tokens);
        AskedSize { input: u64::from(prefix.saturating_add(input)), output }
    }

    pub(super) fn request(&self, draw: &Draw) -> Request {
        let (input, output) = self.lengths(draw);
        let words = &mut draw.salted("words").at(draw.seq);
        let (text, asked, counted) = match &self.prefix {
            None => {
                let made = self.tokens.after("", input, words);
                (made.text, input, made.tokens)
            }
            Some(prefix) => {
                let shared = prefix.text(draw, &self.tokens);
                let own = self.tokens.after(&shared.text, input, words);
                let counted = shared.tokens.zip(own.tokens).map(|(shared, own)| shared + own);
                ([shared.text.as_str(), &own.text].concat(), prefix.tokens.saturating_add(input), counted)
            }
        };
        let prompt = Prompt::Text(text);
        Request { prompt, counted_input: counted, ..self.asking(draw, asked, output) }
    }

    /// The same without its words.
    pub(super) fn wordless(&self, draw: &Draw) -> Request {
        let (input, output) = self.lengths(draw);
        let prefix = self.prefix.as_ref().map_or(0, |prefix| prefix.tokens);
        self.asking(draw, prefix.saturating_add(input), output)
    }

    fn asking(&self, draw: &Draw, input: u32, output: u32) -> Request {
        Request {
            seq: draw.seq,
            session: draw.seq,
            turn: 0,
            class: self.class.clone(),
            prompt: Prompt::Text(String::new()),
            asked_input: Some(input),
            counted_input: None,
            max_tokens: output,
            synthetic: true,
            forced_length: false,
            extra: self.extra.clone(),
            headers: Vec::new(),
            leave: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;
    use crate::workload::Workload;
    use crate::workload::testing::{request, requests, text, traffic};
    use std::collections::HashSet;

    fn prompts(tokens: Tokens) -> Prompts {
        Prompts {
            class: "chat".into(),
            input: Length::Uniform(20, 60),
            output: Length::Lognormal { median: 100.0, sigma: 0.5 },
            prefix: None,
            extra: None,
            tokens: Arc::new(tokens),
        }
    }

    #[test]
    fn a_request_depends_on_its_number_and_not_on_the_order_of_calls() {
        let workload = Workload::Prompts(prompts(sample::byte_level()));
        let run = traffic("cell", 1);
        let forward = requests(&workload, &run, 20);
        for seq in (0..20).rev() {
            let again = request(&workload.clone(), &run, seq);
            let first = &forward[seq as usize];
            assert_eq!(again.prompt, first.prompt);
            assert_eq!((again.asked_input, again.max_tokens), (first.asked_input, first.max_tokens));
            assert_eq!((again.seq, again.session, again.turn), (seq, seq, 0));
        }
    }

    #[test]
    fn prompts_differ_between_requests_traffics_and_salts() {
        let workload = Workload::Prompts(prompts(Tokens::Words));
        let mut seen = HashSet::new();
        for run in [traffic("a", 1), traffic("b", 1), traffic("a", 2)] {
            for request in requests(&workload, &run, 200) {
                let start: Vec<&str> = text(&request).split(' ').take(16).collect();
                assert!(seen.insert(start.join(" ")), "two prompts share their first block");
            }
        }
    }

    #[test]
    fn without_words_a_request_is_the_same() {
        let prefix = Some(Prefix { tokens: 40, groups: 3 });
        let workload = Workload::Prompts(Prompts { prefix, ..prompts(Tokens::Words) });
        let mix =
            Workload::Mix(vec![(1.0, workload.clone()), (2.0, Workload::Prompts(prompts(Tokens::Words)))]);
        for workload in [workload, mix] {
            for request in requests(&workload, &traffic("a", 1), 40) {
                let wordless = workload.wordless(&traffic("a", 1), request.seq).expect("made of words");
                let told = |r: &Request| (r.seq, r.class.clone(), r.asked_input, r.max_tokens, r.synthetic);
                assert_eq!(told(&request), told(&wordless));
            }
        }
    }

    #[test]
    fn the_salt_changes_words_and_never_lengths() {
        let workload = Workload::Prompts(prompts(Tokens::Words));
        let lengths = |salt| {
            let requests = requests(&workload, &traffic("a", salt), 50);
            requests.iter().map(|r| (r.asked_input, r.max_tokens)).collect::<Vec<_>>()
        };
        assert_eq!(lengths(1), lengths(2));
        assert!(lengths(1).iter().collect::<HashSet<_>>().len() > 30);
    }

    #[test]
    fn the_text_has_the_asked_length() {
        for tokens in [Tokens::Words, sample::byte_level()] {
            let prompts = prompts(tokens);
            let tokens = prompts.tokens.clone();
            let workload = Workload::Prompts(prompts);
            for request in requests(&workload, &traffic("a", 1), 40) {
                let asked = request.asked_input.expect("asked");
                assert!((20..=60).contains(&asked));
                let known = workload.asked(&traffic("a", 1), request.seq);
                assert_eq!((known.input, known.output), (u64::from(asked), request.max_tokens));
                assert_eq!(text(&request).split(' ').count(), asked as usize);
                assert_eq!(request.counted_input, tokens.count(text(&request)));
                assert!(request.counted_input.is_none_or(|counted| counted == asked));
            }
        }
    }

    #[test]
    fn requests_of_a_group_share_their_prefix_and_nothing_more() {
        let prefix = Some(Prefix { tokens: 40, groups: 3 });
        let mut prompts = Prompts { prefix, ..prompts(sample::byte_level()) };
        prompts.input = Length::Fixed(20);
        let workload = Workload::Prompts(prompts.clone());
        let of = |key, salt| {
            let requests = requests(&workload, &traffic(key, salt), 60);
            requests.iter().map(|r| text(r).split_at(text(r).match_indices(' ').nth(39).expect("60").0)).fold(
                (HashSet::new(), HashSet::new()),
                |(mut prefixes, mut own), (prefix, rest)| {
                    prefixes.insert(prefix.to_string());
                    own.insert(rest.to_string());
                    (prefixes, own)
                },
            )
        };
        let (prefixes, own) = of("a", 1);
        assert_eq!((prefixes.len(), own.len()), (3, 60));
        assert_eq!(of("a", 1).0, prefixes);
        assert!(of("a", 2).0.is_disjoint(&prefixes), "the salt changes the prefix");
        assert!(of("b", 1).0.is_disjoint(&prefixes), "the traffic changes the prefix");
        for request in requests(&workload, &traffic("a", 1), 5) {
            assert_eq!((request.asked_input, request.counted_input), (Some(60), Some(60)));
            assert_eq!(workload.asked(&traffic("a", 1), request.seq).input, 60);
            assert_eq!(prompts.tokens.count(text(&request)), Some(60));
        }
    }

    #[test]
    fn bad_prompts_are_named_in_a_sentence() {
        let check = |change: fn(&mut Prompts)| {
            let mut prompts = prompts(Tokens::Words);
            change(&mut prompts);
            prompts.check().expect_err("bad")
        };
        assert_eq!(check(|p| p.input = Length::Fixed(0)), "input: a length must be at least 1 token, got 0");
        assert_eq!(
            check(|p| p.output = Length::Uniform(3, 2)),
            "output: a uniform length from 3 to 2 is empty"
        );
        assert_eq!(
            check(|p| p.prefix = Some(Prefix { tokens: 5, groups: 0 })),
            "prefix: it needs at least 1 group, got 0"
        );
    }
}
