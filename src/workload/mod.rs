//! What each request asks: `session(seq) -> Session`, a pure function of the traffic key and
//! the sequence number. A plain request is a session of one.

mod clips;
mod dataset;
mod length;
mod mix;
mod models;
mod prompts;
pub mod read;
mod recorded;
mod sonnet;

use crate::error::Result;
use crate::random::Stream;
use crate::record::{Reply, Request};
pub use clips::{Clips, clips};
pub use dataset::{Ask, Dataset, PromptCounts, PromptRow, RowOrder, count};
pub use length::{Length, TOKENS_MAX};
pub use models::Models;
pub use prompts::{Prefix, Prompts};
use rand_chacha::ChaCha8Rng;
pub use recorded::Recorded;
use serde_json::{Map, Value};
pub use sonnet::{PoemLine, Sonnet};
use std::sync::Arc;
use std::time::Duration;

/// What makes the traffic of one run its own: same key and seq, same request.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub seed: u64,
    /// The plan's `traffic`, which is the run's name unless it says another.
    pub key: String,
    /// A nonce, so that a server that was asked before does not answer from its prefix cache.
    /// It changes the words, never the lengths.
    pub salt: u64,
}

/// A workload.
#[derive(Debug, Clone)]
pub enum Workload {
    Prompts(Prompts),
    /// Parts with their weights.
    Mix(Vec<(f64, Workload)>),
    Dataset(Dataset),
    Sonnet(Sonnet),
    Clips(Clips),
    /// Another workload, spread over several model names.
    Models(Models),
    /// Sessions of any length, told turn by turn.
    #[cfg(test)]
    Talks(testing::Talks),
}

/// Body fields of a request.
pub type Extra = Option<Arc<Map<String, Value>>>;

/// One conversation: requests one after another.
pub struct Session {
    turns: Turns,
}

/// What a session has still to ask.
enum Turns {
    /// At most one request.
    One(Option<Request>),
    #[cfg(test)]
    Talk(testing::Talk),
}

/// One request of a session.
#[derive(Debug)]
pub struct Turn {
    pub request: Request,
    /// How long after the end of the previous reply it is due; a first turn is due when its slot is.
    pub after: Duration,
}

impl Workload {
    /// Whether requests name different models.
    pub fn draws_models(&self) -> bool {
        match self {
            Workload::Models(_) => true,
            Workload::Mix(parts) => parts.iter().any(|(_, part)| part.draws_models()),
            Workload::Prompts(_) | Workload::Dataset(_) | Workload::Sonnet(_) | Workload::Clips(_) => false,
            #[cfg(test)]
            Workload::Talks(_) => false,
        }
    }

    /// What is wrong with the numbers, as a sentence. The other functions may panic on a
    /// workload that does not pass.
    pub fn check(&self) -> std::result::Result<(), String> {
        match self {
            Workload::Prompts(prompts) => prompts.check(),
            Workload::Mix(parts) => mix::check(parts),
            Workload::Dataset(dataset) => dataset.check(),
            Workload::Sonnet(sonnet) => sonnet.check(),
            Workload::Clips(clips) => clips.check(),
            Workload::Models(models) => models.check(),
            #[cfg(test)]
            Workload::Talks(_) => Ok(()),
        }
    }

    /// All of it is sound, or none of it; `None`: some of it is.
    pub fn is_audio(&self) -> Option<bool> {
        match self {
            Workload::Clips(_) => Some(true),
            Workload::Models(models) => models.workload.is_audio(),
            Workload::Mix(parts) => {
                let first = parts.first()?.1.is_audio()?;
                parts.iter().all(|(_, part)| part.is_audio() == Some(first)).then_some(first)
            }
            _ => Some(false),
        }
    }

    /// The `seq`-th session of a run.
    pub fn session(&self, traffic: &Traffic, seq: u64) -> Session {
        #[cfg(test)]
        if let Workload::Talks(talks) = self {
            return Session { turns: Turns::Talk(talks.session(seq)) };
        }
        Session { turns: Turns::One(Some(self.request(&self.draw(traffic, seq)))) }
    }

    /// How much the first request of the `seq`-th session asks, without making its text.
    pub fn asked(&self, traffic: &Traffic, seq: u64) -> AskedSize {
        self.asked_in(&self.draw(traffic, seq))
    }

    /// The first request of the `seq`-th session without its words, where all that it asks is known
    /// without them: many times as fast.
    pub fn wordless(&self, traffic: &Traffic, seq: u64) -> Option<Request> {
        self.wordless_in(&self.draw(traffic, seq))
    }

    fn wordless_in(&self, draw: &Draw) -> Option<Request> {
        match self {
            Workload::Prompts(prompts) => Some(prompts.wordless(draw)),
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.wordless_in(draw)),
            Workload::Models(models) => models.workload.wordless_in(draw),
            _ => None,
        }
    }

    fn draw<'a>(&self, traffic: &'a Traffic, seq: u64) -> Draw<'a> {
        let part = self.class().map_or(String::new(), |class| part_key(Some(class), 0));
        Draw { traffic, part, seq }
    }

    fn asked_in(&self, draw: &Draw) -> AskedSize {
        match self {
            Workload::Prompts(prompts) => prompts.asked(draw),
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.asked_in(draw)),
            Workload::Dataset(dataset) => dataset.asked(draw),
            Workload::Sonnet(sonnet) => AskedSize { input: u64::from(sonnet.input), output: sonnet.output },
            Workload::Clips(clips) => clips.asked(draw),
            Workload::Models(models) => models.workload.asked_in(draw),
            #[cfg(test)]
            Workload::Talks(_) => AskedSize { input: 1, output: 1 },
        }
    }

    /// The label of its requests; a mix has none of its own.
    fn class(&self) -> Option<&str> {
        match self {
            Workload::Prompts(prompts) => Some(&prompts.class),
            Workload::Mix(_) => None,
            Workload::Dataset(dataset) => Some(&dataset.class),
            Workload::Sonnet(sonnet) => Some(&sonnet.class),
            Workload::Clips(clips) => Some(&clips.class),
            Workload::Models(models) => models.workload.class(),
            #[cfg(test)]
            Workload::Talks(_) => Some(""),
        }
    }

    fn request(&self, draw: &Draw) -> Request {
        match self {
            Workload::Prompts(prompts) => prompts.request(draw),
            Workload::Mix(parts) => mix::pick(parts, draw, |part, draw| part.request(draw)),
            Workload::Dataset(dataset) => dataset.request(draw),
            Workload::Sonnet(sonnet) => sonnet.request(draw),
            Workload::Clips(clips) => clips.request(draw),
            Workload::Models(models) => models.request(draw),
            #[cfg(test)]
            Workload::Talks(_) => testing::request_of(draw.seq, 0),
        }
    }
}

impl Session {
    /// The next turn, given the reply to the one before (`None` for the first); `Ok(None)` after the
    /// last. It may take its time, so it is asked for where nothing is measured. An error is the
    /// reason why the turn cannot be made.
    #[cfg_attr(not(test), allow(unused_variables))]
    pub fn next(&mut self, previous: Option<&Reply>) -> Result<Option<Turn>> {
        match &mut self.turns {
            Turns::One(request) => Ok(request.take().map(|request| Turn { request, after: Duration::ZERO })),
            #[cfg(test)]
            Turns::Talk(talk) => talk.next(previous),
        }
    }

    /// Whether a reply may be followed by another turn.
    pub fn goes_on(&self) -> bool {
        match &self.turns {
            Turns::One(request) => request.is_some(),
            #[cfg(test)]
            Turns::Talk(_) => true,
        }
    }
}

/// What a request asks: how much, not what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedSize {
    /// Tokens of a made prompt; bytes of a recorded one.
    pub input: u64,
    /// Tokens to allow for the reply.
    pub output: u32,
}

/// By what a workload draws: its class, so that it draws the same alone and in any mix. `rank`
/// counts those of the same class before it in the mix, which must share neither numbers nor words.
fn part_key(class: Option<&str>, rank: usize) -> String {
    match (class, rank) {
        (Some(""), 0) => String::new(),
        (Some(class), 0) => format!("/{}:{class}", class.len()),
        (Some(class), _) => format!("/{}:{class}#{rank}", class.len()),
        (None, _) => format!("/*{rank}"),
    }
}

/// Where one request draws its random numbers: one traffic, one part of a mix, one sequence number.
struct Draw<'a> {
    traffic: &'a Traffic,
    /// The keys of the parts around it, outer ones first.
    part: String,
    seq: u64,
}

impl Draw<'_> {
    /// Numbers that are the same in every invocation with the same seed.
    fn rng(&self, purpose: &str) -> ChaCha8Rng {
        self.stream(purpose).at(self.seq)
    }

    fn stream(&self, purpose: &str) -> Stream {
        Stream::new(self.traffic.seed, &self.traffic.key, &[purpose, &self.part].concat())
    }

    /// A stream that the salt makes fresh.
    fn salted(&self, purpose: &str) -> Stream {
        self.stream(&format!("{purpose} {:x} ", self.traffic.salt))
    }

    fn at_part(&self, key: &str) -> Draw<'_> {
        Draw { traffic: self.traffic, part: [&self.part, key].concat(), seq: self.seq }
    }
}

/// Both sets of body fields; `over` wins.
pub fn merged(under: &Extra, over: &Extra) -> Extra {
    match (under, over) {
        (None, only) | (only, None) => only.clone(),
        (Some(under), Some(over)) => {
            let mut both = (**under).clone();
            both.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
            Some(Arc::new(both))
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
