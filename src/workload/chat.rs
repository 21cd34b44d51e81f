//! `Chat`: conversations of any length. A system prompt that groups share, questions of random words, a
//! history that grows by each reply, and a user who thinks in between.

use super::draw::Draw;
use super::{AskedSize, Extra, Length, Prefix, TOKENS_MAX, Traffic, Turn};
use crate::error::Result;
use crate::record::{Key, Prompt, Reply, Request, Verbatim};
use crate::tokens::{MadeText, Tokens};
use rand::Rng;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Conversations of random words.
#[derive(Debug, Clone)]
pub struct Chat {
    pub class: Arc<str>,
    /// Requests of a conversation.
    pub turns: Length,
    /// Between the end of a reply and the next question.
    pub think: Think,
    pub system: Option<Prefix>,
    /// Tokens of a question.
    pub user: Length,
    /// Tokens to allow for a reply.
    pub reply: Length,
    pub carry: Carry,
    pub extra: Extra,
    pub tokens: Arc<Tokens>,
}

/// What stands in the history as the server's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// What the server said.
    Reply,
    /// Random words, as many tokens as the reply was allowed: lengths are exact whatever it said.
    Synthetic,
}

/// How long a user thinks.
#[derive(Debug, Clone, PartialEq)]
pub enum Think {
    For(Duration),
    /// Drawn in seconds.
    Drawn(Length),
}

/// Most turns of a conversation: each sends all before it again.
pub const TURNS_MAX: u32 = 10_000;

/// One conversation, as far as it has come.
pub(super) struct Talk {
    chat: Arc<Chat>,
    traffic: Traffic,
    part: String,
    seq: u64,
    /// Turns so far, and in all.
    turn: u32,
    turns: u32,
    /// The messages so far as JSON, without the brackets around them.
    history: String,
    /// Tokens of it: as they were asked and said, and by our tokenizer.
    asked: u32,
    counted: Option<u32>,
    /// Of the turn whose reply is awaited.
    reply: u32,
}

/// What a turn is drawn to be.
struct Lengths {
    think: Duration,
    user: u32,
    reply: u32,
}

impl Think {
    fn check(&self) -> std::result::Result<(), String> {
        match self {
            Think::For(_) => Ok(()),
            Think::Drawn(seconds) => seconds.check(),
        }
    }

    fn sample(&self, rng: &mut impl Rng) -> Duration {
        match self {
            Think::For(time) => *time,
            Think::Drawn(seconds) => {
                Duration::from_secs_f64(seconds.draw(rng).clamp(0.0, f64::from(TOKENS_MAX)))
            }
        }
    }
}

impl Chat {
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let named = |name: &str, checked: std::result::Result<(), String>| {
            checked.map_err(|problem| format!("{name}: {problem}"))
        };
        named("turns", self.turns.check())?;
        if let Length::Fixed(turns) | Length::Uniform(_, turns) = self.turns
            && turns > TURNS_MAX
        {
            return Err(format!("turns: a conversation has at most {TURNS_MAX}, got {turns}"));
        }
        named("think", self.think.check())?;
        named("user", self.user.check())?;
        named("reply", self.reply.check())?;
        self.system.as_ref().map_or(Ok(()), |system| named("system", system.check()))
    }

    /// The first turn: nothing depends on a reply yet.
    pub(super) fn asked(&self, draw: &Draw) -> AskedSize {
        let first = self.lengths(draw, 0);
        AskedSize { input: u64::from(self.system_tokens()) + u64::from(first.user), output: first.reply }
    }

    /// The turns after the first: how long their user thinks, and what they ask if every reply is as
    /// long as it may be.
    pub(super) fn later(&self, draw: &Draw) -> Vec<(Duration, AskedSize)> {
        let first = self.asked(draw);
        let mut input = first.input + u64::from(first.output);
        let turns = 1..self.turns_of(draw);
        let turn = turns.map(|turn| {
            let Lengths { think, user, reply } = self.lengths(draw, turn);
            let asked = AskedSize { input: input + u64::from(user), output: reply };
            input = asked.input + u64::from(reply);
            (think, asked)
        });
        turn.collect()
    }

    fn system_tokens(&self) -> u32 {
        self.system.as_ref().map_or(0, |system| system.tokens)
    }

    fn turns_of(&self, draw: &Draw) -> u32 {
        self.turns.sample(&mut draw.rng("turns")).min(TURNS_MAX)
    }

    fn lengths(&self, draw: &Draw, turn: u32) -> Lengths {
        let rng = &mut draw.rng(&purpose("turn lengths", turn));
        let (user, reply) = (self.user.sample(rng), self.reply.sample(rng));
        Lengths { user, reply, think: self.think.sample(rng) }
    }

    pub(super) fn talk(self: &Arc<Chat>, draw: &Draw) -> Talk {
        let mut talk = Talk {
            chat: self.clone(),
            traffic: draw.traffic.clone(),
            part: draw.part.clone(),
            seq: draw.seq,
            turn: 0,
            turns: self.turns_of(draw),
            history: String::new(),
            asked: 0,
            counted: Some(0),
            reply: 0,
        };
        if let Some(system) = &self.system {
            let shared = system.text(draw, &self.tokens);
            talk.say("system", &shared.text, system.tokens, shared.tokens);
        }
        talk
    }
}

/// What a turn draws from a stream of its own: the same whatever was said before it.
fn purpose(what: &str, turn: u32) -> String {
    format!("{what} {turn} ")
}

impl Talk {
    /// The next turn; a reply that failed ends the conversation.
    pub(super) fn next(&mut self, previous: Option<&Reply>) -> Result<Option<Turn>> {
        if previous.is_some_and(|reply| !reply.success) {
            self.turns = self.turn;
        }
        if !self.goes_on() {
            return Ok(None);
        }
        if let Some(reply) = previous {
            self.hear(reply);
        }
        let (chat, draw) = (self.chat.clone(), self.draw());
        let Lengths { think, user, reply } = chat.lengths(&draw, self.turn);
        let made = words(&chat.tokens, &draw, "words", self.turn, user);
        self.say("user", &made.text, user, made.tokens);
        self.reply = reply;
        let request = Request {
            seq: self.seq,
            session: self.seq,
            turn: self.turn,
            class: chat.class.clone(),
            prompt: Prompt::Verbatim(Arc::new(Verbatim::new(Key::Messages, format!("[{}]", self.history)))),
            asked_input: Some(self.asked),
            counted_input: self.counted,
            max_tokens: reply,
            synthetic: true,
            forced_length: false,
            extra: chat.extra.clone(),
        };
        let after = if self.turn == 0 { Duration::ZERO } else { think };
        self.turn += 1;
        Ok(Some(Turn { request, after }))
    }

    pub(super) fn goes_on(&self) -> bool {
        self.turn < self.turns
    }

    /// Whether the next turn is made from what the server said.
    pub(super) fn reads_replies(&self) -> bool {
        self.chat.carry == Carry::Reply
    }

    fn draw(&self) -> Draw<'_> {
        Draw { traffic: &self.traffic, part: self.part.clone(), seq: self.seq }
    }

    /// The server's part becomes history.
    fn hear(&mut self, reply: &Reply) {
        let chat = self.chat.clone();
        match chat.carry {
            Carry::Reply => {
                let counted = chat.tokens.count(&reply.text);
                self.say("assistant", &reply.text, reply.output_tokens, counted);
            }
            Carry::Synthetic => {
                let made = words(&chat.tokens, &self.draw(), "reply", self.turn, self.reply);
                self.say("assistant", &made.text, self.reply, made.tokens);
            }
        }
    }

    fn say(&mut self, role: &str, text: &str, asked: u32, counted: Option<u32>) {
        if !self.history.is_empty() {
            self.history.push(',');
        }
        self.history.push_str(&json!({ "role": role, "content": text }).to_string());
        self.asked = self.asked.saturating_add(asked);
        self.counted = self.counted.zip(counted).map(|(all, more)| all.saturating_add(more));
    }
}

fn words(tokens: &Tokens, draw: &Draw, what: &str, turn: u32, n: u32) -> MadeText {
    tokens.after("", n, &mut draw.salted(&purpose(what, turn)).at(draw.seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::sample;
    use crate::workload::testing::traffic;
    use crate::workload::{Models, Workload};
    use serde_json::Value;

    fn chat(tokens: Tokens) -> Chat {
        Chat {
            class: "chat".into(),
            turns: Length::Uniform(2, 5),
            think: Think::Drawn(Length::Lognormal { median: 5.0, sigma: 0.6 }),
            system: Some(Prefix { tokens: 40, groups: 3 }),
            user: Length::Uniform(5, 30),
            reply: Length::Uniform(3, 20),
            carry: Carry::Synthetic,
            extra: None,
            tokens: Arc::new(tokens),
        }
    }

    fn reply(text: &str) -> Reply {
        Reply { text: text.into(), output_tokens: text.split(' ').count() as u32, success: true }
    }

    /// Every turn of a session, each told `said`.
    fn turns(workload: &Workload, salt: u64, seq: u64, said: &str) -> Vec<Turn> {
        assert_eq!(workload.check(), Ok(()));
        let mut session = workload.session(&traffic("cell", salt), seq);
        let mut turns: Vec<Turn> = session.next(None).unwrap().into_iter().collect();
        while session.goes_on() {
            turns.extend(session.next(Some(&reply(said))).unwrap());
        }
        assert!(session.next(Some(&reply(said))).unwrap().is_none());
        turns
    }

    fn messages(turn: &Turn) -> Vec<(String, String)> {
        let Prompt::Verbatim(asked) = &turn.request.prompt else { panic!("messages") };
        let messages: Vec<Value> = serde_json::from_str(&asked.json).expect("JSON");
        let text = |message: &Value, key: &str| message[key].as_str().expect("text").to_string();
        messages.iter().map(|message| (text(message, "role"), text(message, "content"))).collect()
    }

    #[test]
    fn each_turn_carries_what_was_said_before_it_and_the_reply_byte_for_byte() {
        let workload = Workload::Chat(Arc::new(Chat { carry: Carry::Reply, ..chat(Tokens::Words) }));
        let said = "\"so\" \u{1f600}\n\ttell </script>";
        for seq in 0..20 {
            let turns = turns(&workload, 1, seq, said);
            assert!((2..=5).contains(&turns.len()));
            for (at, turn) in turns.iter().enumerate() {
                assert_eq!(
                    (turn.request.turn, turn.request.seq, turn.request.session),
                    (at as u32, seq, seq)
                );
                let now = messages(turn);
                let roles: Vec<&str> = now.iter().map(|(role, _)| role.as_str()).collect();
                let expected = [vec!["system", "user"], ["assistant", "user"].repeat(at)].concat();
                assert_eq!(roles, expected);
                assert!(now.iter().filter(|(role, _)| role == "assistant").all(|(_, text)| text == said));
                if let Some(before) = at.checked_sub(1).map(|before| messages(&turns[before])) {
                    assert_eq!(now[..before.len()], before);
                }
            }
        }
    }

    #[test]
    fn lengths_are_known_beforehand_and_are_those_of_the_text() {
        for tokens in [Tokens::Words, sample::byte_level()] {
            let chat = Arc::new(chat(tokens));
            let workload = Workload::Chat(chat.clone());
            let run = traffic("cell", 1);
            for seq in 0..10 {
                let turns = turns(&workload, 1, seq, "not carried");
                let first = (Duration::ZERO, workload.asked(&run, seq));
                let known: Vec<_> = [vec![first], workload.later_turns(&run, seq)].concat();
                let told = |turn: &Turn| {
                    let (input, output) = (turn.request.asked_input.unwrap(), turn.request.max_tokens);
                    (turn.after, AskedSize { input: input.into(), output })
                };
                assert_eq!(turns.iter().map(told).collect::<Vec<_>>(), known);
                for turn in &turns {
                    let words = messages(turn).iter().map(|(_, text)| text.split(' ').count()).sum::<usize>();
                    assert_eq!(words as u32, turn.request.asked_input.unwrap());
                    let counted = chat.tokens.count("a").and(turn.request.asked_input);
                    assert_eq!(turn.request.counted_input, counted);
                }
            }
        }
    }

    #[test]
    fn conversations_of_a_group_share_their_system_prompt_and_the_salt_changes_words_alone() {
        let workload = Workload::Chat(Arc::new(chat(Tokens::Words)));
        let systems = |salt| -> std::collections::HashSet<String> {
            (0..40).map(|seq| messages(&turns(&workload, salt, seq, "")[0])[0].1.clone()).collect()
        };
        assert_eq!((systems(1).len(), systems(2).len()), (3, 3));
        assert!(systems(1).is_disjoint(&systems(2)));
        let lengths = |salt| {
            let turns = (0..20).flat_map(|seq| turns(&workload, salt, seq, ""));
            turns.map(|turn| (turn.after, turn.request.asked_input)).collect::<Vec<_>>()
        };
        assert_eq!(lengths(1), lengths(2));
    }

    #[test]
    fn a_turn_does_not_depend_on_what_was_said() {
        let workload = Workload::Chat(Arc::new(Chat { carry: Carry::Reply, ..chat(Tokens::Words) }));
        let questions = |said: &str| {
            let turns = turns(&workload, 1, 3, said);
            let own = |turn: &Turn| (turn.after, turn.request.max_tokens, messages(turn).pop());
            turns.iter().map(own).collect::<Vec<_>>()
        };
        assert_eq!(questions("yes"), questions("it is a long story, and nobody knows its end"));
    }

    #[test]
    fn a_reply_that_failed_ends_its_conversation() {
        let workload = Workload::Chat(Arc::new(chat(Tokens::Words)));
        let mut session = workload.session(&traffic("cell", 1), 0);
        session.next(None).unwrap();
        assert!(session.goes_on());
        let failed = Reply { success: false, ..reply("") };
        assert!(session.next(Some(&failed)).unwrap().is_none());
        assert!(!session.goes_on());
    }

    #[test]
    fn a_conversation_keeps_its_model_and_the_part_of_its_mix() {
        let names = vec!["a".to_string(), "b".to_string()];
        let inner = Workload::Chat(Arc::new(chat(Tokens::Words)));
        let named = Workload::Models(Models { models: names, workload: Box::new(inner.clone()) });
        let mix = Workload::Mix(vec![(1.0, named.clone())]);
        let mut seen = std::collections::HashSet::new();
        for seq in 0..20 {
            let model = |turn: &Turn| turn.request.extra.as_ref().expect("fields")["model"].clone();
            let turns = turns(&mix, 1, seq, "");
            assert!(turns.iter().all(|turn| model(turn) == model(&turns[0])));
            seen.insert(model(&turns[0]).to_string());
        }
        assert_eq!(seen.len(), 2);
        assert!(mix.converses() && named.converses() && inner.converses());
    }

    #[test]
    fn bad_chats_are_named_in_a_sentence() {
        let check = |change: fn(&mut Chat)| {
            let mut chat = chat(Tokens::Words);
            change(&mut chat);
            chat.check().expect_err("bad")
        };
        assert_eq!(check(|c| c.user = Length::Fixed(0)), "user: a length must be at least 1 token, got 0");
        assert_eq!(
            check(|c| c.turns = Length::Fixed(20_000)),
            "turns: a conversation has at most 10000, got 20000"
        );
        assert_eq!(
            check(|c| c.system = Some(Prefix { tokens: 5, groups: 0 })),
            "system: it needs at least 1 group, got 0"
        );
    }
}
