//! `Chat`: conversations of any length. A system prompt that groups share, questions of random words, a
//! history that grows by each reply, and a user who thinks in between.

use super::draw::Draw;
use super::{
    AskedSize, Extra, FollowUp, Heard, HookCost, Length, Prefix, Says, SessionTurns, TOKENS_MAX, Traffic,
    Turn, TurnHook, merged,
};
use crate::error::Result;
use crate::record::{Key, Prompt, Reply, Request, Said, Verbatim};
use crate::tokens::{MadeText, Tokens};
use rand::Rng;
use serde_json::{Value, json};
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
    /// What says how a conversation goes on, until it has had its turns.
    pub next_turn: Option<TurnHook>,
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
    /// Some of `asked` is a guess.
    guessed: bool,
    /// Of the turn whose reply is awaited.
    reply: u32,
    hook: Option<Box<dyn SessionTurns>>,
    /// What it was before the latest question, which a hook takes back when there is no reply.
    before: Before,
}

/// A history as it was.
#[derive(Clone, Copy, Default)]
struct Before {
    bytes: usize,
    asked: u32,
    counted: Option<u32>,
}

/// What a turn is drawn to be.
struct Lengths {
    think: Duration,
    user: u32,
    reply: u32,
}

impl Think {
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        match self {
            Think::For(_) => Ok(()),
            Think::Drawn(seconds) => seconds.check(),
        }
    }

    pub(super) fn sample(&self, rng: &mut impl Rng) -> Duration {
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
    /// long as it may be. What a hook asks is not known.
    pub(super) fn later(&self, draw: &Draw) -> Vec<(Duration, AskedSize)> {
        if self.next_turn.is_some() {
            return Vec::new();
        }
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
            guessed: false,
            reply: 0,
            hook: self.next_turn.as_ref().map(TurnHook::session),
            before: Before::default(),
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
    /// The next turn. A reply that failed ends the conversation, unless there is a hook that may think
    /// otherwise.
    pub(super) fn next(&mut self, previous: Option<&Reply>) -> Result<Option<Turn>> {
        if previous.is_some_and(|reply| !reply.success) && self.hook.is_none() {
            self.turns = self.turn;
        }
        if !self.goes_on() {
            return Ok(None);
        }
        let Some(asked) = self.follow_up(previous)? else {
            self.turns = self.turn;
            return Ok(None);
        };
        let (chat, draw) = (self.chat.clone(), self.draw());
        let Lengths { think, user, reply } = chat.lengths(&draw, self.turn);
        let random = matches!(asked.says, Says::Random);
        let made = random.then(|| words(&chat.tokens, &draw, "words", self.turn, user));
        self.before = Before { bytes: self.history.len(), asked: self.asked, counted: self.counted };
        match (asked.says, made) {
            (Says::Text(text), _) => self.quote("user", &text),
            (Says::Messages(messages), _) => messages.iter().for_each(|message| self.append(message)),
            (Says::Random, made) => {
                made.into_iter().for_each(|made| self.say("user", &made.text, user, made.tokens));
            }
        }
        self.reply = asked.max_tokens.unwrap_or(reply);
        let request = Request {
            seq: self.seq,
            session: self.seq,
            turn: self.turn,
            class: chat.class.clone(),
            prompt: Prompt::Verbatim(Arc::new(Verbatim::new(Key::Messages, format!("[{}]", self.history)))),
            asked_input: (!self.guessed).then_some(self.asked),
            counted_input: self.counted,
            max_tokens: self.reply,
            synthetic: random,
            forced_length: false,
            extra: merged(&chat.extra, &asked.extra),
            headers: Vec::new(),
            leave: None,
        };
        let after = if self.turn == 0 { Duration::ZERO } else { asked.think.unwrap_or(think) };
        self.turn += 1;
        Ok(Some(Turn { request, after }))
    }

    /// What is asked after this reply; `None`: nothing more.
    fn follow_up(&mut self, previous: Option<&Reply>) -> Result<Option<FollowUp>> {
        let random = FollowUp { says: Says::Random, max_tokens: None, think: None, extra: None };
        let Some(reply) = previous else { return Ok(Some(random)) };
        let input_tokens = reply.input_tokens.unwrap_or(self.asked);
        // The server counts the template, too, and what we can only guess.
        let told = reply.input_tokens.filter(|_| reply.success && self.chat.carry == Carry::Reply);
        match reply.success {
            true => self.hear(reply),
            // Nobody has answered it: what is asked next stands in its place.
            false => self.take_back(),
        }
        let heard = |talk: &Talk| Heard {
            index: talk.turn,
            text: reply.text.clone(),
            tool_calls: reply.tool_calls.clone(),
            output_tokens: reply.output_tokens,
            input_tokens,
            history_tokens: told.map_or(talk.asked, |input| input.saturating_add(reply.output_tokens)),
            finish_reason: reply.finish_reason.clone(),
            ok: reply.success,
            rng: talk.draw().rng(&purpose("next turn", talk.turn)),
        };
        let chat = self.chat.clone();
        let (Some(mut hook), Some(TurnHook { cost, .. })) = (self.hook.take(), &chat.next_turn) else {
            return Ok(Some(random));
        };
        let asked = cost.time(|| hook.next(heard(self)));
        self.hook = Some(hook);
        asked
    }

    fn take_back(&mut self) {
        self.history.truncate(self.before.bytes);
        (self.asked, self.counted) = (self.before.asked, self.before.counted);
    }

    /// Words that nobody has drawn: their tokens are those of our tokenizer, or about four bytes each
    /// where there is none.
    fn quote(&mut self, role: &str, text: &str) {
        self.append(&json!({ "role": role, "content": text }));
    }

    /// A message as it is.
    fn append(&mut self, message: &Value) {
        let whole = message.to_string();
        let text = message["content"].as_str().unwrap_or(&whole);
        let counted = self.chat.tokens.count(text);
        self.guessed |= counted.is_none();
        self.put(&whole, counted.unwrap_or_else(|| roughly(text)), counted);
    }

    pub(super) fn goes_on(&self) -> bool {
        self.turn < self.turns
    }

    /// Whether the next turn is made from what the server said.
    pub(super) fn reads_replies(&self) -> bool {
        self.chat.carry == Carry::Reply || self.hook.is_some()
    }

    pub(super) fn hook_cost(&self) -> Option<&Arc<HookCost>> {
        self.chat.next_turn.as_ref().map(|hook| &hook.cost)
    }

    fn draw(&self) -> Draw<'_> {
        Draw { traffic: &self.traffic, part: self.part.clone(), seq: self.seq }
    }

    /// The server's part becomes history.
    fn hear(&mut self, reply: &Reply) {
        let chat = self.chat.clone();
        match chat.carry {
            Carry::Reply => {
                let counted = chat.tokens.count(&reply.text).filter(|_| reply.tool_calls.is_empty());
                self.put(&carried(reply).to_string(), reply.output_tokens, counted);
            }
            Carry::Synthetic => {
                let made = words(&chat.tokens, &self.draw(), "reply", self.turn, self.reply);
                self.say("assistant", &made.text, self.reply, made.tokens);
            }
        }
    }

    fn say(&mut self, role: &str, text: &str, asked: u32, counted: Option<u32>) {
        self.put(&json!({ "role": role, "content": text }).to_string(), asked, counted);
    }

    fn put(&mut self, message: &str, asked: u32, counted: Option<u32>) {
        if !self.history.is_empty() {
            self.history.push(',');
        }
        self.history.push_str(message);
        self.asked = self.asked.saturating_add(asked);
        self.counted = self.counted.zip(counted).map(|(all, more)| all.saturating_add(more));
    }
}

/// What a conversation carries on of a reply.
pub(super) fn carried(reply: &Reply) -> Value {
    Said { content: reply.text.clone(), tool_calls: reply.tool_calls.clone() }.message()
}

/// Tokens of a text that nobody counts: four bytes of English are about one.
fn roughly(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(4)).unwrap_or(u32::MAX)
}

fn words(tokens: &Tokens, draw: &Draw, what: &str, turn: u32, n: u32) -> MadeText {
    tokens.after("", n, &mut draw.salted(&purpose(what, turn)).at(draw.seq))
}

#[cfg(test)]
mod tests;
